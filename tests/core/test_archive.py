"""A run as one file: what goes out comes in again to the bit, and nothing else does."""

import io
import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from core.experiments import archive
from core.experiments.store import Store
from core.limits import ConfigError
from tests.core.stored_runs import recorded, restored, same_arrays, saved, trained


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def exported(store):
    id, _ = recorded(store, 100, 20, pin=40)
    store.rename(id, "<b>mine</b>")
    store.annotate(id, "a note")
    return store.load(id), archive.export(store.load(id))


def changed(raw, **members):
    """The file with these members replaced (bytes, or a function of what they were) or, with None, left out."""
    members = {name.replace("__", "/").replace("_dot_", "."): value for name, value in members.items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        contents = dict.fromkeys(members, b"") | {name: old.read(name) for name in old.namelist()}
        for name, content in contents.items():
            value = members.get(name, content)
            value = value(content) if callable(value) else value
            if value is not None:
                new.writestr(name, value)
    return packed.getvalue()


def told(**values):
    """A changed run.json or config.json."""
    return lambda raw: json.dumps(json.loads(raw) | values).encode()


def npz(**arrays):
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


def with_arrays(**arrays):
    return lambda raw: npz(**(dict(np.load(io.BytesIO(raw))) | arrays))


def claiming(shape, name="vector"):
    """An NPZ whose header promises more than there is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(f"{name}.npy", header.getvalue() + bytes(80))
    return packed.getvalue()


def test_a_run_comes_in_as_it_went_out(exported, tmp_path):
    run, raw = exported
    other = Store(tmp_path / "other")
    id = archive.take_in(other, archive.read(raw), owner="me")
    again = other.load(id)
    assert id != run.id and again.owner == "me" and (again.name, again.note) == ("<b>mine</b>", "a note")
    for field in ("config", "status", "step", "epoch", "seconds", "figures", "findings", "interventions"):
        assert getattr(again, field) == getattr(run, field), field
    same_arrays(again.history, run.history)
    assert [moment[2:] for moment in again.moments] == [moment[2:] for moment in run.moments]
    for ours, theirs in zip(again.moments, run.moments):
        same_arrays(ours.state, theirs.state)
    assert np.array_equal(restored(again).run(30).network.vector, restored(run).run(30).network.vector)
    assert archive.export(run) == raw and np.isfinite(other.table("me")["final"]).all()


def test_all_its_moments_come_in(store, tmp_path):
    run = store.load(recorded(store, 150, 1)[0])
    other = Store(tmp_path / "other")
    again = other.load(archive.take_in(other, archive.read(archive.export(run))))
    assert [moment.step for moment in again.moments] == [moment.step for moment in run.moments] == list(range(151))


def test_a_run_on_an_upload_brings_its_data(store, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(40)))
    digest = store.keep_upload(path.name, path.read_bytes())
    raw = archive.export(store.load(saved(store, trained(9, data={"source": "file", "path": str(path)}), upload=digest)))
    assert str(tmp_path).encode() not in b"".join(zipfile.ZipFile(io.BytesIO(raw)).read(name) for name in ("config.json", "run.json"))
    other = Store(tmp_path / "other")
    again = other.load(archive.take_in(other, archive.read(raw)))
    assert again.file == ("points.csv", path.read_bytes()) and restored(again, str(path)).run(3).step == 12
    wider = path.read_bytes().replace(b"a,b,y", b"a,b,c,y").replace(b",", b",1,", 1)
    for upload in (wider, None, b""):
        with pytest.raises(ConfigError):
            archive.read(changed(raw, upload=upload))


def test_a_run_of_which_only_figures_were_kept_can_be_handed_on(store, tmp_path):
    run = archive.read(changed(archive.export(store.load(saved(store, trained(5)))),
                               run_dot_json=told(checkpoints=[]), history_dot_npz=None, checkpoints__5_dot_npz=None))  # fmt: skip
    again = Store(tmp_path / "other")
    assert again.load(archive.take_in(again, run)).figures == run.figures


def test_of_a_large_run_the_present_and_the_first_go_first(exported, monkeypatch):
    run, _ = exported
    size = sum(array.nbytes for array in run.moments[0].state.values())
    for room, steps in ((0, []), (1, [100]), (2, [0, 100]), (3, [0, 40, 100]), (4, [0, 40, 80, 100])):
        monkeypatch.setattr(archive, "ROOM", room * size)
        assert [moment.step for moment in archive.read(archive.export(run)).moments] == steps


HOSTILE = {
    "no zip": b"not a zip",
    "nothing": b"",
    "a pickle": pickle.dumps({"config": {}}),
    "a path out of it": lambda raw: changed(raw, **{"../../etc/passwd": b"x"}),
    "an absolute path": lambda raw: changed(raw, **{"/tmp/x": b"x"}),
    "another member": lambda raw: changed(raw, **{"evil.py": b"import os"}),
    "cut short": lambda raw: raw[: len(raw) // 2],
    "no configuration": lambda raw: changed(raw, config_dot_json=None),
    "a wrong configuration": lambda raw: changed(raw, config_dot_json=told(seed=-1)),
    "an unknown setting": lambda raw: changed(raw, config_dot_json=told(os="rm")),
    "a path of its own": lambda raw: changed(raw, config_dot_json=told(data={"source": "file", "path": "/etc/passwd"})),
    "another network": lambda raw: changed(raw, config_dot_json=told(layers=[{"units": 9}, {"units": 1, "activation": "sigmoid"}])),
    "deep JSON": lambda raw: changed(raw, config_dot_json=b"[" * 100_000),
    "no JSON": lambda raw: changed(raw, run_dot_json=b"\xff\xfe"),
    "a list": lambda raw: changed(raw, run_dot_json=b"[]"),
    "no format": lambda raw: changed(raw, run_dot_json=told(format=None)),
    "another format": lambda raw: changed(raw, run_dot_json=told(format=2)),
    "a long name": lambda raw: changed(raw, run_dot_json=told(name="x" * 81)),
    "a name that is none": lambda raw: changed(raw, run_dot_json=told(name={"$": 1})),
    "an infinite step": lambda raw: changed(raw, run_dot_json=told(step=float("inf"))),
    "a negative step": lambda raw: changed(raw, run_dot_json=told(step=-1)),
    "a step of truth": lambda raw: changed(raw, run_dot_json=told(step=True)),
    "figures of text": lambda raw: changed(raw, run_dot_json=told(figures={"final": "low"})),
    "a deed unheard of": lambda raw: changed(raw, run_dot_json=told(interventions=[[1, "restore", [{}]]])),
    "findings of numbers": lambda raw: changed(raw, run_dot_json=told(findings=[1, 2])),
    "a missing checkpoint": lambda raw: changed(raw, checkpoints__40_dot_npz=None),
    "a checkpoint of text": lambda raw: changed(raw, checkpoints__40_dot_npz=b"text"),
    "not a number": lambda raw: changed(raw, checkpoints__40_dot_npz=with_arrays(vector=np.full(13, np.nan))),
    "the wrong shape": lambda raw: changed(raw, checkpoints__40_dot_npz=with_arrays(vector=np.zeros(12))),
    "the wrong type": lambda raw: changed(raw, checkpoints__40_dot_npz=with_arrays(vector=np.zeros(13, np.float32))),
    "another step inside": lambda raw: changed(raw, checkpoints__40_dot_npz=with_arrays(position=np.array([41.0, 0, 41, 0]))),
    "a slot too many": lambda raw: changed(raw, checkpoints__40_dot_npz=with_arrays(slot0=np.zeros(13))),
    "an object": lambda raw: changed(raw, checkpoints__40_dot_npz=npz(vector=np.array([print], object))),
    "a gigabyte promised": lambda raw: changed(raw, checkpoints__40_dot_npz=claiming((1 << 27,))),
    "more than promised": lambda raw: changed(raw, checkpoints__40_dot_npz=claiming((1,))),
    "a history of text": lambda raw: changed(raw, history_dot_npz=with_arrays(events=np.array(["x", "y"]))),
    "a history of other layers": lambda raw: changed(raw, history_dot_npz=with_arrays(samples=np.zeros((5, 23)))),
    "steps that are no numbers": lambda raw: changed(raw, history_dot_npz=with_arrays(frames=np.full((3, 5), np.nan))),
    "a history that is too long": lambda raw: changed(raw, history_dot_npz=with_arrays(samples=np.zeros((5000, 16)))),
    "an upload nobody asked for": lambda raw: changed(raw, upload=b"x", run_dot_json=told(upload="x.csv")),
}  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_a_sentence(exported, hostile):
    raw = hostile(exported[1]) if callable(hostile) else hostile
    with pytest.raises(ConfigError) as refusal:
        archive.read(raw)
    assert refusal.value.message and len(str(refusal.value)) < 300


@pytest.mark.parametrize("member", ["config_dot_json", "history_dot_npz", "checkpoints__40_dot_npz"])
def test_what_unpacks_to_a_flood_is_refused_unread(exported, member):
    raw = changed(exported[1], **{member: bytes(archive.UNPACKED + 1)})
    assert len(raw) < 1 << 20
    tracemalloc.start()
    with pytest.raises(ConfigError, match=r"must unpack to at most|must have at most"):
        archive.read(raw)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_any_change_of_a_byte_is_refused_or_harmless(exported):
    _, raw = exported
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(raw), 150):
        damaged = bytearray(raw)
        damaged[at] ^= int(rng.integers(1, 256))
        try:
            run = archive.read(bytes(damaged))
        except ConfigError:
            continue
        assert run.step == 100 and np.isfinite(run.moments[-1].state["vector"]).all()
