"""The store keeps runs to the bit, within its budgets, and leaves alone what is the person's."""

import dataclasses
import time

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis import diagnose
from core.limits import ConfigError
from core.store import budget
from core.store import store as store_module
from core.store.array_codec import DecodeError, decode, encode
from core.store.record import record_of
from core.store.store import NoSuchRun, Store, StoreError
from core.training.trainer import Trainer
from tests.core.stored_runs import SMALL, recorded, restored, same_arrays, saved, trained


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


RUNS = [
    {},
    {"optimizer": {"name": "adam"}, "dtype": "float32"},
    {"optimizer": {"name": "momentum", "schedule": {"name": "cosine", "steps": 90}}, "batch_size": 7, "penalty": {"l2": 0.01}},
    {"data": {"source": "iris"}, "layers": [{"units": 5, "activation": "relu"}, {"units": 3, "activation": "softmax"}]},
    {"faults": ["missing_mean"]},
]


@pytest.mark.parametrize("values", RUNS)
def test_a_run_goes_on_bit_for_bit_as_it_would_have(store, values):
    trainer = trained(150, **({} if "layers" in values else SMALL) | values)
    id = saved(store, trainer, findings=diagnose(trainer))
    run = Store(store.path.parent).load(id)
    assert (run.step, run.status, run.config, run.figures["final"]) == (150, "paused", trainer.config.to_dict(), trainer.loss())
    same_arrays(run.history, trainer.telemetry.to_arrays())
    again = restored(run)
    for one in (trainer, again):
        one.run(77)
    same_arrays(again.checkpoint(), trainer.checkpoint())


def test_a_run_that_broke_is_kept_as_it_broke(store):
    trainer = trained(200, data={"source": "hills"}, layers=[{"units": 4, "activation": "relu"}, {"units": 1, "activation": "linear"}],
                      loss="mse", optimizer={"learning_rate": 50.0})  # fmt: skip
    run = store.load(saved(store, trainer, status="nonfinite", findings=diagnose(trainer)))
    assert trainer.nonfinite and restored(run).nonfinite == trainer.nonfinite
    assert "nonfinite" in {finding["code"] for finding in run.findings} and store.table()["status"].tolist() == ["nonfinite"]


def test_what_was_done_to_a_run_is_done_again(store):
    trainer = trained(30)
    trainer.change({"batch_size": 11, "optimizer": {"learning_rate": 0.3}})
    trainer.edit(1, 2, 0, 1.5)
    deeds = [(30, "change", ({"batch_size": 11},)), (30, "edit", (1, 2, 0, 1.5))]
    run = store.load(saved(store, trainer.run(21), interventions=deeds))
    assert run.interventions == ([30, "change", [{"batch_size": 11}]], [30, "edit", [1, 2, 0, 1.5]])
    again = restored(run)
    assert again.config == trainer.config and again.telemetry.events == trainer.telemetry.events
    same_arrays(again.run(9).state(), trainer.run(9).state())


def test_saving_leaves_the_persons_own_alone(store):
    trainer = trained(10)
    id = saved(store, trainer)
    store.rename(id, "  <b>my</b>   run ")
    store.annotate(id, "why\nnot")
    store.star(id, True)
    saved(store, trainer.run(10), id)
    run = store.load(id)
    assert (run.name, run.note, run.starred, run.step) == ("<b>my</b> run", "why\nnot", True, 20)
    store.delete([id])
    saved(store, trainer.run(10), id)
    assert store.table().empty
    with pytest.raises(NoSuchRun):
        store.load(id)
    store.undelete([id])
    assert store.load(id).step == 30 and len(store.table()) == 1


@pytest.mark.parametrize(("method", "text"), [("rename", "x" * 81), ("annotate", "x" * 2001), ("rename", "a\0b")])
def test_names_and_notes_are_bounded(store, method, text):
    id = saved(store, trained(1))
    with pytest.raises(ConfigError, match="must be"):
        getattr(store, method)(id, text)
    assert store.load(id).name == "" and store.load(id).note == ""


@pytest.mark.parametrize("method", ["rename", "annotate", "star"])
def test_runs_that_are_not_there_are_said_so(store, method):
    with pytest.raises(NoSuchRun):
        getattr(store, method)("nothing", "text")
    with pytest.raises(NoSuchRun):
        store.load("' OR 1=1 --")


def test_moments_become_sparser_into_the_past_and_the_first_newest_and_pinned_stay(store, monkeypatch):
    monkeypatch.setattr(budget, "MOST_MOMENTS", 12)
    id, recorder = recorded(store, 600, 10, pin=230)
    steps = [moment.step for moment in store.load(id).moments]
    assert len(steps) == 12 and steps[0] == 0 and steps[-1] == 600 and 230 in steps
    assert steps[-1] - steps[-3] < steps[3] - steps[1]
    for moment in store.load(id).moments:
        same_arrays(moment.state, recorder.at(moment.step).state)


def test_a_runs_budget_leaves_three_moments_of_a_network_too_large_for_it(tmp_path):
    store = Store(tmp_path, run_bytes=1)
    id, _ = recorded(store, 100, 10, pin=40)
    assert [moment.step for moment in store.load(id).moments] == [0, 40, 100]


def test_a_run_that_went_back_forgets_what_came_after(store):
    id, recorder = recorded(store, 100, 10)
    trainer = Trainer(RunConfig.from_dict(SMALL))
    trainer.restore(recorder.at(40).state)
    saved(store, trainer, id)
    assert [moment.step for moment in store.load(id).moments] == [0, 10, 20, 30, 40]
    saved(store, trainer.advance(35), id)
    assert [moment.step for moment in store.load(id).moments] == [0, 10, 20, 30, 40, 75]


def test_the_oldest_healthy_runs_make_room_first_and_keep_their_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "LIVING", -1.0)
    store = Store(tmp_path)
    finding = dataclasses.replace(diagnose(trained(0, optimizer={"learning_rate": 1e5}))[0], severity="critical")
    broken = recorded(store, 200, 5, findings=[finding])[0]
    old, middle, starred, new = (recorded(store, 200, 5)[0] for _ in range(4))
    store.star(starred, True)
    counts = lambda: [len(store.load(id).moments) for id in (broken, old, middle, starred, new)]  # noqa: E731
    assert counts() == [41] * 5
    with store._database.reading() as connection:
        used = budget.used_bytes(connection)
    tight = Store(tmp_path, store_bytes=used - 10_000)
    saved(tight, trained(1))
    assert counts() == [41, 1, 41, 41, 41]
    saved(Store(tmp_path, store_bytes=1), trained(1))
    assert counts() == [0, 0, 0, 41, 0]
    run = store.load(old)
    assert run.figures["final"] > 0 and run.history == {} and len(store.table()) == 7


def test_uploads_go_with_their_last_run(store, tmp_path, monkeypatch):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(40)))
    digest = store.keep_upload("points.csv", path.read_bytes())
    assert store.keep_upload("again.csv", path.read_bytes()) == digest
    trainer = trained(20, data={"source": "file", "path": str(path)})
    one, two = (saved(store, trainer, upload=digest) for _ in range(2))
    run = store.load(one)
    assert run.file == ("points.csv", path.read_bytes()) and run.config["data"]["path"] == digest
    assert str(tmp_path) not in repr([moment.state for moment in run.moments])
    same_arrays(restored(run, str(path)).run(5).state(), trainer.run(5).state())
    later = time.time() + store_module.UNDO + 1
    monkeypatch.setattr(time, "time", lambda: later)
    for id, left in ((one, True), (two, False)):
        store.delete([id])
        later += store_module.UNDO + 1
        store.purge()
        if left:
            assert store.settings_of(two)[1][0] == "points.csv"
    with store._database.reading() as connection:
        assert connection.execute("SELECT * FROM uploads").fetchall() == []
    store.undelete([one, two])
    assert store.table().empty


def test_what_is_really_gone_gives_its_room_back_to_the_disk(store, monkeypatch):
    wide = trained(3, layers=[{"units": 900, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}])
    ids = [saved(store, wide) for _ in range(9)]
    store.close()
    size = store.path.stat().st_size
    store.delete(ids)
    later = time.time() + store_module.UNDO + 1
    monkeypatch.setattr(time, "time", lambda: later)
    store.purge()
    store.close()
    assert store.path.stat().st_size < size / 4


def test_what_was_deleted_can_be_had_back_for_an_hour(store):
    id = saved(store, trained(1))
    store.delete([id])
    store.purge()
    store.undelete([id])
    assert store.load(id).step == 1


def test_each_owner_sees_their_own(store):
    mine, theirs, nobodys = saved(store, trained(1), owner="me"), saved(store, trained(1), owner="them"), saved(store, trained(1))
    assert [store.table(owner)["id"].tolist() for owner in ("me", "them", None)] == [[mine], [theirs], [nobodys]]
    saved(store, trained(1), mine, owner="them")
    assert store.load(mine).owner == "me"


def test_the_table_has_what_the_list_shows(store):
    trainer = trained(300)
    first, second = saved(store, trainer, status="running"), saved(store, trained(5), parent="other", forked_at=3)
    table = store.table().set_index("id")
    assert table.index.tolist() == [second, first]
    row = table.loc[first]
    assert (row["status"], row["step"], row["final"], row["metric"]) == ("running", 300, trainer.loss(), "accuracy")
    spark = np.frombuffer(row["spark"], np.float32)
    assert 10 < len(spark) <= 60 and spark[-1] == np.float32(trainer.loss()) and spark[0] == np.float32(row["initial"])
    assert (table.loc[second, "parent"], table.loc[second, "forked_at"]) == ("other", 3)
    assert store.table("nobody").empty and store.table("nobody").columns.tolist() == store.table().columns.tolist()


def test_a_run_that_nobody_saves_any_more_is_not_running(store, monkeypatch):
    saved(store, trained(1), status="running")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert store.table()["status"].tolist() == ["paused"]


@pytest.mark.parametrize("change", [
    "UPDATE runs SET config = '{'",
    "UPDATE runs SET config = '{\"seed\": -1}'",
    "UPDATE runs SET config = json_set(config, '$.layers[0].units', 4)",
    "UPDATE runs SET step = 5",
    "UPDATE runs SET status = '<script>'",
    "UPDATE runs SET findings = '[{}]'",
    "UPDATE runs SET findings = '7'",
    "UPDATE histories SET arrays = x'00'",
    "UPDATE histories SET arrays = (SELECT state FROM checkpoints)",
    "UPDATE histories SET interventions = '[[1, \"__init__\", []]]'",
    "UPDATE histories SET interventions = '[[1, \"edit\", [\"a\", 1, 1, 1]]]'",
    "UPDATE checkpoints SET state = substr(state, 1, length(state) - 9)",
    "UPDATE checkpoints SET done = 1",
])  # fmt: skip
def test_whatever_is_damaged_in_a_run_is_told_in_a_sentence(store, change):
    id = saved(store, trained(10))
    with store._database.writing() as connection:
        connection.execute(change)
    with pytest.raises(StoreError, match="cannot be used"):
        store.load(id)
    assert len(store.table()) == 1


@pytest.mark.parametrize("array", [np.array(3.5), np.arange(6).reshape(2, 3), np.array("text"), np.zeros((0, 4)), np.array(["a", "bcd"]),
                                   np.asfortranarray(np.random.default_rng(0).normal(size=(5, 7)))])  # fmt: skip
def test_arrays_are_packed_to_the_bit(array):
    again = decode(encode({"a": array, "b": np.arange(3.0)}), 1000)["a"]
    assert again.dtype == array.dtype and again.shape == array.shape and np.array_equal(again, array)


def test_packed_arrays_never_unpack_to_more_than_was_agreed_on():
    bomb = encode({"a": np.zeros(1 << 18)})
    assert len(bomb) < 20_000
    with pytest.raises(DecodeError, match="more than"):
        decode(bomb, 1 << 20)


def test_objects_are_not_packed():
    with pytest.raises(TypeError):
        encode({"a": np.array([object()])})


def test_figures_of_a_run_on_nothing_but_its_first_evaluation(store):
    record = record_of(trained(0), "id", status="paused", seconds=0.0)
    store.save(record)
    assert store.load("id").figures == record.figures and record.figures["best"] == record.figures["initial"]
