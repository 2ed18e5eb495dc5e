"""A run as one file: what goes out comes in again to the bit, and nothing else does."""

import hashlib
import io
import json
import pickle
import tracemalloc
import unicodedata
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RunConfig
from core.diagnosis.finding import Finding
from core.limits import ConfigError, legible, listed, plain_text, shown
from core.live.apart import apart
from core.store import archive
from core.store.store import Store
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
    id = archive.import_run(other, archive.read(raw), owner="me")
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
    again = other.load(archive.import_run(other, archive.read(archive.export(run))))
    assert [moment.step for moment in again.moments] == [moment.step for moment in run.moments] == list(range(151))


def test_a_run_on_an_upload_brings_its_data(store, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(40)))
    digest = store.keep_upload(path.name, path.read_bytes())
    raw = archive.export(store.load(saved(store, trained(9, data={"source": "file", "path": str(path)}), upload=digest)))
    assert str(tmp_path).encode() not in b"".join(zipfile.ZipFile(io.BytesIO(raw)).read(name) for name in ("config.json", "run.json"))
    other = Store(tmp_path / "other")
    again = other.load(archive.import_run(other, archive.read(raw)))
    assert again.file == ("points.csv", path.read_bytes()) and restored(again, str(path)).run(3).step == 12
    wider = path.read_bytes().replace(b"a,b,y", b"a,b,c,y").replace(b",", b",1,", 1)
    for upload in (wider, None, b""):
        with pytest.raises(ConfigError):
            archive.read(changed(raw, upload=upload))
    for name in ("\ud800.csv", "two\nlines.csv", "x" * 81, 7):
        with pytest.raises(ConfigError, match="its upload's name must be"):
            archive.read(changed(raw, run_dot_json=told(upload=name)))


def test_a_run_of_which_only_figures_were_kept_can_be_handed_on(store, tmp_path):
    run = archive.read(changed(archive.export(store.load(saved(store, trained(5)))),
                               run_dot_json=told(checkpoints=[]), history_dot_npz=None, checkpoints__5_dot_npz=None))  # fmt: skip
    again = Store(tmp_path / "other")
    assert again.load(archive.import_run(again, run)).figures == run.figures


def test_of_a_large_run_the_present_and_the_first_go_first(exported, monkeypatch):
    run, _ = exported
    size = sum(array.nbytes for array in run.moments[0].state.values())
    for room, steps in ((0, []), (1, [100]), (2, [0, 100]), (3, [0, 40, 100]), (4, [0, 40, 80, 100])):
        monkeypatch.setattr(archive, "ROOM", room * size)
        assert [moment.step for moment in archive.read(archive.export(run)).moments] == steps


MANY = np.array([f"column {number}" for number in range(1000)])
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
    "another format": lambda raw: changed(raw, run_dot_json=told(format=archive.FORMAT + 1)),
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
    "columns that are numbers": lambda raw: changed(raw, history_dot_npz=with_arrays(layer_metrics=np.arange(7.0))),
    "one text for all columns": lambda raw: changed(raw, history_dot_npz=with_arrays(layer_metrics=np.array("dead"))),
    "a column twice": lambda raw: changed(raw, history_dot_npz=with_arrays(layer_metrics=np.array(["dead"] * 7))),
    "a column too few": lambda raw: changed(raw, history_dot_npz=with_arrays(layer_metrics=np.array(list("abcdef")))),
    "no column": lambda raw: changed(raw, history_dot_npz=with_arrays(samples=np.zeros((5, 2)), layer_metrics=np.empty(0, "U1"))),
    "a thousand columns": lambda raw: changed(raw, history_dot_npz=with_arrays(samples=np.zeros((5, 2002)), layer_metrics=MANY)),
    "a column that is not plain": lambda raw: changed(raw, history_dot_npz=with_arrays(layer_metrics=np.array([*"abcdef", "\x07"]))),
    "evaluations without steps": lambda raw: changed(raw, history_dot_npz=with_arrays(frame_columns=np.array(list("abcde")))),
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


BOMBS = {  # of a few KB each; every one took 60 to 500 MB
    "an array in a checkpoint": lambda raw: changed(raw, checkpoints__0_dot_npz=npz(vector=np.zeros(8 << 20))),
    "many checkpoints": lambda raw: changed(
        raw, run_dot_json=told(checkpoints=[[step, 1.0, 0, False] for step in range(101)]), **dict.fromkeys(
            (f"checkpoints__{step}_dot_npz" for step in range(101)), bytes(3 << 20))),
    "a configuration of a moment": lambda raw: changed(raw, checkpoints__40_dot_npz=with_arrays(config=np.array("[" * (4 << 20)))),
    "lists in run.json": lambda raw: changed(raw, run_dot_json=lambda old: old[:-1] + b',"more":[' + b"[]," * 1_300_000 + b"0]}"),
    "lists in config.json": lambda raw: changed(raw, config_dot_json=b"[" + b"{}," * 1_300_000 + b"0]"),
    "events": lambda raw: changed(raw, history_dot_npz=with_arrays(events=np.array(["[" + "[]," * 1_000_000 + "0]", "null"]))),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_small_file_takes_little_memory(exported, bomb):
    raw = bomb(exported[1])
    assert len(raw) < 1 << 20
    tracemalloc.start()
    with pytest.raises(ConfigError) as refusal:
        archive.read(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 << 20 and len(str(refusal.value)) < 300


def test_a_run_file_is_read_in_a_process_of_its_own(exported):
    assert apart(archive.read, exported[1], field="file").figures == exported[0].figures
    with pytest.raises(ConfigError, match="not a zip archive"):
        apart(archive.read, b"no zip", field="file")
    upload = told(upload="x.csv"), told(data={"source": "file", "path": hashlib.sha256(b"\n" * (64 << 20)).hexdigest()})
    slow = changed(exported[1], run_dot_json=upload[0], config_dot_json=upload[1], upload=b"\n" * (64 << 20))
    with pytest.raises(ConfigError, match=r"within 0\.3 seconds"):
        apart(archive.read, slow, field="file", seconds=0.3)


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


# Texts and numbers, wherever a file has them

NOT_PLAIN = ["\ud800", "\udfff", "\0", "\x07", "\x1b", "\x7f", "\x85", "\u2028", "\n", "\t"]
ENORMOUS = [10**400, -(10**400), 2**63, -(2**63) - 1, 2**64, 1e999, -1e999, float("nan")]
EVENTS = [[3, "learning rate 0.1 \u2192 0.03"], [5, "Weights opened from a file"]], [9, 1, "pre-activation"]


class Whole:
    """A file with every text and number that there can be. `parts` is the JSON of its members, the history's events among them; `into` is
    the store that it comes into."""

    def __init__(self, folder):
        store, self.into = Store(folder / "from"), Store(folder / "into")
        trainer = trained(9, data={"source": "circle", "samples": 60, "target": ["width", "height"]}, seed=1)
        deeds = [(3, "change", ({"optimizer": {"schedule": {"name": "step", "factor": 0.5}}},)), (4, "edit", (1, 2, 0, 1.5))]
        finding = Finding("dead", "critical", 3, 1, "The cause.", "The title", "The advice.")
        id = saved(store, trainer, findings=[finding], interventions=deeds)
        store.rename(id, "a name")
        store.annotate(id, "a note")
        self._raw = archive.export(store.load(id))
        with zipfile.ZipFile(io.BytesIO(self._raw)) as members:
            parts = {name.replace(".", "_dot_"): json.loads(members.read(name)) for name in ("config.json", "run.json")}
        self.parts = parts | {"events": list(EVENTS)}

    def places(self, *kinds):
        """(path, key) of all that is of these kinds: values, whose key is None, and with `str` the names in objects."""
        return [place for name, part in self.parts.items() for place in _places(part, kinds, (name,))]

    def with_one_changed(self, path, key, change):
        """The file with what is at a place changed."""
        parts = _put(self.parts, path, key, change)
        events = with_arrays(events=np.array([json.dumps(part) for part in parts.pop("events")]))
        return self.with_members(history_dot_npz=events, **{name: json.dumps(part).encode() for name, part in parts.items()})

    def with_members(self, **members):
        return changed(self._raw, **members)

    def comes_in(self, raw):
        """Whether the file comes in. If so, all of it can be read and written again; if not, a sentence says so and nothing is left."""
        before = self._counted()
        try:
            id = archive.import_run(self.into, archive.read(raw))
        except ConfigError as error:
            assert error.message.startswith(("must ", "is not a field here")) and "Error" not in error.message
            assert str(error).isprintable() and len(str(error)) < 300 and self._counted() == before
            return False
        run = self.into.load(id)
        assert archive.read(archive.export(run)).step == run.step
        texts = [run.name, run.note, *run.config["data"]["target"], *(finding["title"] for finding in run.findings)]
        assert all(text.encode() and legible(text, lines=True) == text for text in texts)
        assert self.into.table().set_index("id").loc[id, "step"] == run.step
        return True

    def _counted(self):
        with self.into._database.reading() as connection:
            tables = ("runs", "histories", "checkpoints", "uploads")
            return [connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone() for name in tables]


def _places(value, kinds, path):
    if isinstance(value, (dict, list, tuple)):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str) and str in kinds:
                yield path, key
            yield from _places(entry, kinds, (*path, key))
    elif type(value) in kinds:
        yield path, None


def _put(value, path, key, change):
    if path:
        first, *rest = path
        again = value.copy()
        again[first] = _put(value[first], rest, key, change)
        return again
    return change(value) if key is None else {change(name) if name == key else name: entry for name, entry in value.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Whole(tmp_path_factory.mktemp("whole"))


def test_the_file_that_is_changed_comes_in_unchanged(whole):
    assert len(whole.places(str)) > 100 and len(whole.places(int, float)) > 40
    assert whole.comes_in(whole.with_one_changed(("run_dot_json", "name"), None, lambda name: name))


@settings(max_examples=200)
@given(st.data())
def test_a_text_that_is_not_plain_is_refused_wherever_it_is(whole, data):
    path, key = data.draw(st.sampled_from(whole.places(str)))
    bad, at = data.draw(st.sampled_from(NOT_PLAIN)), data.draw(st.integers(0, 3))
    came_in = whole.comes_in(whole.with_one_changed(path, key, lambda text: text[:at] + bad + text[at:]))
    assert came_in == (path == ("run_dot_json", "note") and bad in "\n\t")


@settings(max_examples=200)
@given(st.data())
def test_a_number_that_nothing_holds_is_refused_wherever_it_is(whole, data):
    path, _ = data.draw(st.sampled_from(whole.places(int, float)))
    number = data.draw(st.sampled_from(ENORMOUS))
    assert not whole.comes_in(whole.with_one_changed(path, None, lambda _: number))


def test_texts_have_a_length(whole):
    for path, key in whole.places(str):
        assert not whole.comes_in(whole.with_one_changed(path, key, lambda text: text * 5000)), (path, key)


def test_a_moments_texts_are_plain_too(whole):
    config = json.dumps(whole.parts["config_dot_json"])
    assert whole.comes_in(whole.with_members(checkpoints__9_dot_npz=with_arrays(config=np.array(config))))
    assert not whole.comes_in(whole.with_members(checkpoints__9_dot_npz=with_arrays(config=np.array(config.replace("width", "\\ud800")))))


def test_a_history_that_could_not_be_read_again_is_refused(whole):
    events = np.array([json.dumps([[1, "x" * 900]] * 10_000), "null"])
    assert events.nbytes > archive.MOST_HISTORY
    assert not whole.comes_in(whole.with_members(history_dot_npz=with_arrays(events=events)))


@given(st.text(st.characters(codec=None), max_size=90))
def test_whatever_a_text_is_an_error_about_it_can_be_shown(text):
    plain = all(unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") for character in text)
    for value in (shown(text), shown([text]), shown({text: text}), listed([text] * 5)):
        assert value.encode() and value.isprintable()
    assert (legible(text) == text) == plain and plain_text("name", legible(text), 90) == legible(text)
    for make in (
        lambda: plain_text("name", text, 90),
        lambda: RunConfig.from_dict({"data": {"target": text, "path": text}}),
        lambda: RunConfig.from_dict({"data": {"target": [text]}}),
    ):
        try:
            make()
        except ConfigError as error:
            assert not plain and legible(str(error)) == str(error)
        else:
            assert plain
    with pytest.raises(ConfigError) as refusal:
        RunConfig.from_dict({text: 1})
    assert legible(str(refusal.value)) == str(refusal.value)
