"""What a probe sends, as a batch over HTTP and as a file, validated: nothing is unpickled, and every size is checked before it is believed.

A line of JSON says what it is (`Header`), then come records. A record is a line of JSON followed by `bytes` bytes: its arrays, each listed
as [name, dtype, shape], one after the other in C order. `probe/descent_probe.py` writes this.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.limits import LIMITS, ConfigError, plain_text, shown

FIELD = "probe"  # what errors are filed under
VERSION = 1
FILE_BYTES = LIMITS["file_bytes"]  # 64 MiB: a probe writes 40, and the last steps beyond them
BATCH_BYTES = 32 << 20  # of a batch; what waits in a probe is a third of 64 MiB
LINE = 1 << 19  # bytes of a line of JSON: 1,000 tensors take 150,000
TENSORS, LAYERS, ARRAYS = 1000, 100, 4000
RECORDS = 200_000
NAME, TEXT = 80, 300  # characters
AXES = 8
MOST_STEPS = 1 << 53
BINS = 24
DTYPES = {name: np.dtype(name) for name in ("<f4", "<f8", "<i8", "<u4", "|u1")}
RUN_ID = re.compile("[0-9a-f]{32}")
EVENTS = ("ended", "interrupted", "exception", "shape_changed", "checked")


@dataclass(frozen=True)
class Header:
    """Whose records these are: the run's id (32 hex digits), the name that its author gave it, and when it began (Unix time)."""

    run: str
    name: str
    began: float


@dataclass(frozen=True)
class Record:
    """`kind` is one of KINDS; `about` are its plain values and `arrays` its arrays by name, both as its check left them."""

    kind: str
    about: dict
    arrays: dict[str, np.ndarray]


def read_batch(raw: bytes, most: int = BATCH_BYTES) -> tuple[Header, list[Record]]:
    """The header and the records in these bytes. Raises ConfigError("probe", message) on whatever a probe does not send. A last record that
    is cut short, as in a file of a program that was killed, is left out."""
    if len(raw) > most:
        raise _error(f"must be at most {most >> 20} MiB; was {len(raw):,} bytes")
    if raw[:1] != b"{":
        raise _error("must be what descent_probe.py writes; this is not")
    line, at = _line(raw, 0)
    header, records = _header(line), []
    while at < len(raw):
        if len(records) >= RECORDS:
            raise _error(f"must hold at most {RECORDS:,} records")
        if raw.find(b"\n", at, at + LINE) < 0 and len(raw) - at < LINE:
            break
        line, at = _line(raw, at)
        size = _whole_number(line.get("bytes"), "bytes", most)
        listed = _listed(line.get("arrays"), size)
        if at + size > len(raw):
            break
        records.append(_record(line, _arrays(raw, at, listed)))
        at += size
    return header, records


def write_batch(header: Header, records: Iterable[Record]) -> bytes:
    """The bytes that `read_batch` makes this header and these records of."""
    parts = [_written({"descent_probe": VERSION, **vars(header)})]
    for record in records:
        arrays = {name: np.ascontiguousarray(array) for name, array in record.arrays.items()}
        listed = [[name, array.dtype.str, record.arrays[name].shape] for name, array in arrays.items()]
        size = sum(array.nbytes for array in arrays.values())
        parts += [
            _written({"kind": record.kind, **record.about, "arrays": listed, "bytes": size}),
            *(array.tobytes() for array in arrays.values()),
        ]
    return b"".join(parts)


def _written(line):
    return json.dumps(line, allow_nan=False).encode() + b"\n"


def _error(message):
    return ConfigError(FIELD, message)


def _line(raw, at):
    """(the dict in the line that begins here, where the next one begins)."""
    end = raw.find(b"\n", at, at + LINE)
    if end < 0:
        raise _error(f"must have lines of JSON of at most {LINE:,} bytes; one is longer")
    try:
        value = json.loads(raw[at:end].decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _error(f"must have an object of JSON in each of its lines; had {shown(raw[at : min(end, at + 60)])}")
    return value, end + 1


def _no_constant(name):
    raise ValueError(name)


def _header(line):
    if line.get("descent_probe") != VERSION or isinstance(line.get("descent_probe"), bool):
        raise _error(f"must be of version {VERSION} of the probe's format; was {shown(line.get('descent_probe'))}")
    run = line.get("run")
    if not isinstance(run, str) or not RUN_ID.fullmatch(run):
        raise _error(f"must name its run by 32 hex digits; was {shown(run)}")
    began = line.get("began")
    if isinstance(began, bool) or not isinstance(began, (int, float)) or not 0 <= began < 1e11:
        raise _error(f"must say when it began, in seconds; was {shown(began)}")
    return Header(run, _text(line.get("name"), "name", NAME) or "run", float(began))


def _text(value, what, most):
    try:
        return plain_text(FIELD, value, most)
    except ConfigError as error:
        raise _error(f"must have plain text as its {what}: {error.message}") from None


def _whole_number(value, what, most, least=0):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _error(f"must have a whole number from {least} to {most:,} as its {what}; was {shown(value)}")
    return value


def _shape(value, what):
    good = isinstance(value, list) and len(value) <= AXES
    if not good or any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST_STEPS for n in value):
        raise _error(f"must have up to {AXES} whole numbers from 0 as the shape of {shown(what)}; was {shown(value)}")
    return tuple(value)


def _listed(entries, size):
    """[(name, dtype, shape)], once it is sure that they take exactly `size` bytes together."""
    if not isinstance(entries, list) or len(entries) > ARRAYS:
        raise _error(f"must list up to {ARRAYS:,} arrays in a record; was {shown(entries)}")
    listed, total = [], 0
    for entry in entries:
        if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[1], str) and entry[1] in DTYPES):
            raise _error(f"must list each array as [name, one of {', '.join(DTYPES)}, shape]; was {shown(entry)}")
        name, dtype, shape = _text(entry[0], "array's name", NAME + 20), DTYPES[entry[1]], _shape(entry[2], entry[0])
        total += math.prod(shape) * dtype.itemsize
        listed.append((name, dtype, shape))
        if total > size:
            break
    if total != size:
        raise _error(f"must have {size:,} bytes of arrays, as a record says; their shapes say otherwise")
    if len({name for name, _, _ in listed}) < len(listed):
        raise _error("must have each array of a record once; some are there twice")
    return listed


def _arrays(raw, at, listed):
    arrays = {}
    for name, dtype, shape in listed:
        cells = math.prod(shape)
        arrays[name] = np.frombuffer(raw, dtype, cells, at).reshape(shape) if cells else np.zeros(shape, dtype)
        at += cells * dtype.itemsize
    return arrays


# The kinds of records


def _record(line, arrays):
    kind = line.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _error(f"must have records of the kinds {', '.join(KINDS)}; was {shown(kind)}")
    return Record(kind, *KINDS[kind](line, arrays))


def _wanted(arrays, wanted):
    """The arrays by their names, each with the wanted (kinds of dtype, shape), where None stands for any size."""
    for name, (kinds, shape) in wanted.items():
        array = arrays.get(name)
        if array is None or array.dtype.kind not in kinds or array.ndim != len(shape):
            raise _error(f"must have an array {name} with {len(shape)} axes in a record; was {_described(array)}")
        if any(size is not None and size != there for size, there in zip(shape, array.shape)):
            raise _error(f"must have the shape {shape} in its array {name}; was {array.shape}")
    return {name: arrays[name] for name in wanted}


def _described(array):
    return "missing" if array is None else f"{array.dtype} of the shape {shown(array.shape)}"


def _step(line):
    return {"step": _whole_number(line.get("step"), "step", MOST_STEPS, 1)}


def _tensors(line, arrays):
    names, shapes, gradients = (line.get(name) for name in ("names", "shapes", "gradient_shapes"))
    if not isinstance(names, list) or not 1 <= len(names) <= TENSORS:
        raise _error(f"must name 1 to {TENSORS:,} tensors; was {shown(names)}")
    if not all(isinstance(part, list) and len(part) == len(names) for part in (shapes, gradients)):
        raise _error("must have a shape, and a gradient's shape, for each of its tensors")
    names = tuple(_text(name, "tensor's name", NAME) for name in names)
    if len(set(names)) < len(names):
        raise _error("must have a name of its own for each tensor; some are there twice")
    about = {
        "names": names,
        "shapes": tuple(_shape(shape, name) for name, shape in zip(names, shapes)),
        "gradient_shapes": tuple(None if shape is None else _shape(shape, name) for name, shape in zip(names, gradients)),
    }
    return about, {}


def _scalars(line, arrays):
    steps = arrays.get("step")
    rows = None if steps is None else len(steps) if steps.ndim == 1 else None
    found = _wanted(arrays, _columns(rows))
    steps = found["step"]
    if steps.size and (steps[0] < 0 or steps[-1] > MOST_STEPS or (np.diff(steps) < 0).any()):
        raise _error("must have steps that count upwards from 0")
    return {}, found


def _columns(rows):
    return {"step": ("i", (rows,)), **{name: ("f", (rows,)) for name in ("loss", "learning_rate", "test_loss")}}


def _norms(line, arrays):
    count = len(arrays["parameter"]) if "parameter" in arrays and arrays["parameter"].ndim == 1 else None
    wanted = {name: ("f", (count,)) for name in ("parameter", "gradient", "update", "alike")} | {"finite": ("u", (count, 2))}
    about: dict[str, Any] = _step(line) | {"layers": ()}
    if "units" in arrays:
        layers = line.get("layers")
        if not isinstance(layers, list) or not 1 <= len(layers) <= LAYERS:
            raise _error(f"must name 1 to {LAYERS} layers of units; was {shown(layers)}")
        about["layers"] = tuple(_text(name, "layer's name", NAME) for name in layers)
        wanted["units"] = ("f", (len(layers), 2))
    return about, _wanted(arrays, wanted)


def _histograms(line, arrays):
    ends = arrays.get("parameter_range")
    count = len(ends) if ends is not None and ends.ndim else None
    wanted = {f"{kind}_range": ("f", (count, 2)) for kind in ("parameter", "gradient")}
    wanted |= {f"{kind}_counts": ("u", (count, BINS)) for kind in ("parameter", "gradient")}
    return _step(line), _wanted(arrays, wanted)


WHOLE = re.compile(r"(params|grads)\.(0|[1-9]\d{0,3})|X|Y|outputs|loss|learning_rate|activations\..+", re.DOTALL)


def _whole(line, arrays):
    """One step as a whole: every tensor, its gradient, and the batch."""
    for name in arrays:
        if not WHOLE.fullmatch(name):
            raise _error(f"must have params, grads, X, Y, outputs, activations, loss and learning_rate in a whole step; had {shown(name)}")
    _wanted(arrays, {"loss": ("f", ()), "learning_rate": ("f", ())})
    names = line.get("activations")
    if not isinstance(names, list) or len(names) > LAYERS:
        raise _error(f"must have up to {LAYERS} names as its activations; was {shown(names)}")
    about = {
        "loss_name": _text(line.get("loss_name"), "loss_name", NAME),
        "activations": tuple(_text(name, "activation", NAME) for name in names),
    }
    return _step(line) | about, arrays


def _event(line, arrays):
    if line.get("event") not in EVENTS:
        raise _error(f"must have one of {', '.join(EVENTS)} as its event; was {shown(line.get('event'))}")
    texts = {"tensor": _text(line.get("tensor"), "tensor's name", NAME), "text": _text(line.get("text"), "event's text", TEXT)}
    return _step(line) | {"event": line["event"]} | texts, {}


KINDS = {"tensors": _tensors, "scalars": _scalars, "norms": _norms, "histograms": _histograms, "whole": _whole, "event": _event}
