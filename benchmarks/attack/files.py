"""Files of every kind that is read, spoiled: refused in one clear sentence, or taken and used as a person would."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd

from benchmarks.attack.hostile import TEXTS, dumped, spoiled_bytes, spoiled_json, spoiled_text
from core import doctor, watch
from core.config import DataConfig, RunConfig
from core.data import load
from core.doctor.examples import EXAMPLES, example
from core.export import EXPORTS, imported
from core.limits import ConfigError, plain_text
from core.prediction import predict, rows_in
from core.proposal import configured, describe
from core.store import archive
from core.store.record import record_of
from core.store.store import Store
from core.training.trainer import Trainer

PROBE = Path(__file__).parents[2] / "probe"
LONGEST_MESSAGE = 1000  # characters of a refusal: columns and what they held
BOMB = 300 << 20  # bytes that a packed file unpacks to
TABLE = pd.DataFrame(
    {"width": [i / 7 for i in range(60)], "kind": [("a", "b", "ü")[i % 3] for i in range(60)], "ripe": [i % 2 for i in range(60)]}
)
SMALL = {"data": {"source": "circle", "samples": 60}, "layers": [{"units": 3, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]}


@dataclass(frozen=True)
class Kind:
    """What is read: `samples()` are sound files of it, `read(raw)` takes one in as the page does, and `bombs()` are files that are hostile
    as they are."""

    samples: Callable
    read: Callable
    bombs: Callable = tuple


def attack(given):
    """Take in a file that `made` gave. Raises whatever is no refusal."""
    kind, raw = given
    try:
        KINDS[kind].read(raw)
    except ConfigError as refusal:
        plain_text("refusal", str(refusal), LONGEST_MESSAGE)


def made(seed, number):
    """(its kind, the bytes) of the file of this number: first all bombs, then all kinds in turn."""
    bombs = [(name, index) for name, kind in KINDS.items() for index in range(len(kind.bombs()))]
    if number < len(bombs):
        name, index = bombs[number]
        return name, KINDS[name].bombs()[index]()
    random = Random(f"{seed} file {number}")
    name = list(KINDS)[number % len(KINDS)]
    raw = random.choice(_samples(name))
    for _ in range(random.randrange(1, 4)):
        raw = _spoiled(random, raw)
    return name, raw


@cache
def prepare():
    """Make what all files are made from, once for all processes."""
    for name in KINDS:
        _samples(name)
    _on_a_table()


@cache
def _samples(name):
    return KINDS[name].samples()


def _spoiled(random, raw):
    """A file with something wrong in it; of a zip in one of its members, most of the time, so that its sums are right."""
    if raw.startswith(b"PK") and random.random() < 0.8:
        return _repacked(random, raw)
    if raw[:4] == b"\x93NUM" and random.random() < 0.6:
        return _other_header(random, raw)
    if raw.startswith((b"{", b"[")) and random.random() < 0.7:
        return _other_lines(random, raw)
    try:
        text = raw.decode() if random.random() < 0.6 else None
    except UnicodeDecodeError:
        text = None
    return spoiled_bytes(random, raw) if text is None else spoiled_text(random, text).encode("utf-8", "surrogatepass")


def _repacked(random, raw):
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
    except Exception:  # spoiled before
        return spoiled_bytes(random, raw)
    if not members:
        return spoiled_bytes(random, raw)
    name = random.choice(list(members))
    match random.randrange(8):
        case 0:
            del members[name]
        case 1:
            members[random.choice(("../../evil.npy", "/etc/passwd", "W1.npy", "x" * 300, "\0.npy", "upload"))] = members[name]
        case 2:
            members[name] = random.choice(list(members.values()))
        case _:
            members[name] = _spoiled(random, members[name])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return written.getvalue()


HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (), }",
    "{'descr': '<U1000000', 'fortran_order': False, 'shape': (1000,), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 2), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1), }",
    "__import__('os').abort()",
    "(" * 3000,
)  # fmt: skip


def _other_header(random, raw):
    """An NPY that says something else of itself, or holds numbers that are none."""
    if random.random() < 0.5:
        size = int.from_bytes(raw[8:10], "little") + 10
        content = np.frombuffer(raw[size : size + (len(raw) - size) // 8 * 8], np.float64).copy()
        if len(content):
            content[random.randrange(len(content))] = random.choice((np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0))
        return raw[:size] + content.tobytes()
    header = random.choice(HEADERS).encode() + b"\n"
    return raw[:8] + len(header).to_bytes(2, "little") + header + random.choice((raw[128:], bytes(64), b""))


def _other_lines(random, raw):
    """JSON, or lines of it, with something else in one; what stands between lines that are JSON stays."""
    try:
        return dumped(spoiled_json(random, json.loads(raw))).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        pass
    lines = raw.split(b"\n")
    number = random.choice([number for number, line in enumerate(lines) if line.startswith((b"{", b"["))] or [0])
    try:
        lines[number] = dumped(spoiled_json(random, json.loads(lines[number]))).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        lines[number] = spoiled_bytes(random, lines[number])
    return b"\n".join(lines)


# Tables


def _tables():
    text = TABLE.to_csv(index=False).encode()
    zipped, sheet, parquet, npz, npy = (io.BytesIO() for _ in range(5))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("table.csv", text)
    TABLE.to_excel(sheet, index=False)
    TABLE.to_parquet(parquet)
    numbers = TABLE[["width", "ripe"]].to_numpy(float)
    np.savez(npz, X=numbers, y=TABLE["ripe"].to_numpy())
    np.save(npy, numbers)
    records = TABLE.to_json(orient="records").encode()
    return [
        text, TABLE.to_csv(index=False, sep=";", decimal=",").encode("utf-8-sig"),
        TABLE.to_csv(index=False, sep="\t").encode("utf-16"),
        gzip.compress(text), bz2.compress(text), lzma.compress(text), zipped.getvalue(), sheet.getvalue(), parquet.getvalue(),
        npz.getvalue(), npy.getvalue(), records,
        TABLE.to_json(orient="records", lines=True).encode(), TABLE.to_json(orient="split").encode(),
        "\n".join(["a,b", *(f'"{text}",{i}' for i, text in enumerate(TEXTS))]).encode("utf-8", "surrogatepass"),
    ]  # fmt: skip


def _read_table(raw):
    """As the page does: what it is taken for, its first rows, and the samples that a run would train on."""
    with _placed(raw) as path:
        data = DataConfig(source="file", path=path)
        described = describe(data, {"source", "path"})
        json.dumps(described.to_dict(), allow_nan=False)
        str(described).encode()
        if described.problem is None:
            load(DataConfig.from_dict({**described.data, "source": "file", "path": path}))


def _table_bombs():
    def zipped(names):
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                packed.writestr(name, bytes(BOMB // len(names)))
        return written.getvalue()

    return (
        lambda: gzip.compress(bytes(BOMB), 1),
        lambda: gzip.compress(b"a,b\n" + b"1,2\n" * (BOMB // 4), 1),
        lambda: zipped(["table.csv"]),
        lambda: zipped(["X.npy", "y.npy"]),
        lambda: zipped(["xl/workbook.xml", "[Content_Types].xml", "xl/worksheets/sheet1.xml"]),
        lambda: b"PK\3\4" + b"PK\1\2" * 100_000,
        lambda: b"\n" * (4 << 20),
        lambda: b"," * (1 << 20),
        lambda: b'"' * (1 << 20),
        lambda: b"[" * (1 << 20),
        lambda: b"[" + b"{}," * 300_000 + b"{}]",
        lambda: b'{"a":' * 200_000,
        lambda: b"a,b\n1," + b"9" * (1 << 20),
        lambda: ",".join(f"c{i}" for i in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1",
        lambda: b"\x80\4" + b"cos\nsystem\n",
        lambda: b"\xd0\xcf\x11\xe0" + bytes(5000),
        lambda: b"",
        lambda: bytes(range(256)) * 4000,
    )


def _new_rows(raw):
    trainer = _on_a_table()
    json.dumps(predict(trainer, rows_in(raw, trainer)).to_dict())


@cache
def _on_a_table():
    with _placed(TABLE.to_csv(index=False).encode()) as path:
        return Trainer(configured({"data": {"path": path}})).run(5)


# Weights, runs, steps, and what probes send


def _weights():
    made = []
    for settings in (SMALL, SMALL | {"data": {"source": "spiral"}}):
        trainer = Trainer(RunConfig.from_dict(settings))
        made += [EXPORTS[name].make(trainer.config, trainer.dataset, trainer.parameters(), 1) for name in ("weights", "onnx")]
    return made


def _read_weights(raw):
    read = imported.read(raw)
    trainer = Trainer(read.fitted(RunConfig.from_dict(SMALL), 2))
    trainer.load_parameters(read.parameters)
    trainer.run(1)


def _runs():
    with tempfile.TemporaryDirectory() as folder:
        store, files = Store(Path(folder)), []
        trainer = Trainer(RunConfig.from_dict(SMALL))
        for steps in (0, 50):
            id = Store.new_id()
            store.save(record_of(trainer.run(steps), id, status="paused", seconds=1.0))
            files.append(archive.export(store.load(id)))
        store.close()
    return files


def _read_run(raw):
    run = archive.read(raw)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        try:
            id = archive.import_run(store, run)
            assert len(store.table()) == 1
            archive.read(archive.export(store.load(id)))
        finally:
            store.close()


def _steps():
    return [example(faults) for faults in EXAMPLES.values()]


def _read_step(raw):
    answer = doctor.check(raw)
    json.dumps(answer.to_dict())


def _probed():
    sys.path.insert(0, str(PROBE))
    from descent_probe import Probe

    rng, files = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as folder:
        for arrays in ({}, {"X": rng.normal(size=(8, 2)), "Y": rng.integers(0, 2, (8, 1))}):
            path = Path(folder) / f"{len(files)}.probe"
            probe = Probe("loop", file=str(path))
            for step in range(12):
                params = {"W1": rng.normal(size=(2, 3)), "b1": np.zeros(3), "W2": rng.normal(size=(3, 1)), "b2": np.zeros(1)}
                probe.step(loss=1 / (step + 1), params=params, grads={name: 0.1 * array for name, array in params.items()}, **arrays)
            probe.close()
            files.append(path.read_bytes())
    return files


def _read_probed(raw):
    run = watch.read(raw)
    examined = watch.examine(run)
    assert not examined.failures, examined.failures
    json.dumps(watch.report(run, examined), allow_nan=False)
    watch.told(run, examined).encode()


def _read_batch(raw):
    watch.WatchedRuns().take(raw, "somebody")


@contextmanager
def _placed(raw):
    """The path of a file with these bytes, which goes on leaving."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(raw)
        yield str(path)


KINDS = {
    "table": Kind(_tables, _read_table, _table_bombs),
    "new rows": Kind(_tables, _new_rows),
    "weights": Kind(_weights, _read_weights),
    "run": Kind(_runs, _read_run),
    "doctor's step": Kind(_steps, _read_step),
    "probe's file": Kind(_probed, _read_probed),
    "probe's batch": Kind(_probed, _read_batch),
}
