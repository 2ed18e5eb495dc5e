"""A watched program outlives its server: the store keeps it in the probe's own form, and reads the same run back."""

import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from core import watch
from core.limits import ConfigError
from core.store import budget
from core.store.record import WatchedRecord
from core.store.store import NoSuchRun, Store, StoreError
from tests.core.stored_runs import saved, trained
from tests.watched import perceptron, watched

EVERYTHING = 64 << 20


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data")


@pytest.fixture
def run(tmp_path):
    return watched(perceptron, tmp_path / "run.probe", steps=80, bug="no_slope")


def record(run, owner=None, **changed):
    told = {"status": "running", "step": run.steps, "seconds": 1.5, "figures": {"final": 0.25}, "spark": np.ones(3), "findings": ()}
    return WatchedRecord(
        **{"id": run.run_id, "owner": owner, "name": run.name, **told, "probe": watch.to_bytes(run, EVERYTHING), **changed}
    )


def same(one, other):
    for name in ("scalars", "norms", "finite", "units"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("names", "shapes", "gradient_shapes", "norm_steps", "layers", "events", "steps", "run_id", "name", "began"):
        assert getattr(one, name) == getattr(other, name)
    np.testing.assert_equal(one.histograms, other.histograms)
    assert list(one.whole) == list(other.whole)
    for step in one.whole:
        np.testing.assert_equal(vars(one.whole[step]), vars(other.whole[step]))


def test_a_run_is_read_back_as_it_was(run):
    again = watch.read(watch.to_bytes(run, EVERYTHING))
    same(run, again)
    assert watch.report(again) == watch.report(run)


@pytest.mark.parametrize(
    "settings", [{"gradients": False, "biases": False}, {"tell": ()}, {"dtype": np.float32, "say": True, "bug": "symmetric"}]
)
def test_so_is_one_of_which_less_or_more_is_known(settings, tmp_path):
    run = watched(perceptron, tmp_path / "run.probe", steps=20, **settings)
    same(run, watch.read(watch.to_bytes(run, EVERYTHING)))


@pytest.mark.parametrize("kept", [0, 1, 2, 5])
def test_whole_steps_keep_to_the_room_that_there_is(run, kept):
    one = next(iter(run.whole.values())).nbytes
    again = watch.read(watch.to_bytes(run, kept * one))
    assert len(again.whole) == kept < len(run.whole) and len(again.scalars) == len(run.scalars)
    if kept > 1:
        assert {min(run.whole), max(run.whole)} <= set(again.whole)


def test_the_store_keeps_it_beside_the_others(store, run):
    id = saved(store, trained(2))
    store.save_watched(record(run))
    table = store.table().set_index("id")
    assert table.loc[run.run_id, ["kind", "name", "status", "step", "final"]].tolist() == ["watched", "test", "running", 80, 0.25]
    assert table.loc[id, "kind"] == "trained"
    same(run, watch.read(store.load_watched(run.run_id)))
    for ask in (store.load, store.settings_of):
        with pytest.raises(NoSuchRun):
            ask(run.run_id)
    for other, owner in ((id, None), (run.run_id, "another")):
        with pytest.raises(NoSuchRun):
            store.load_watched(other, owner)


def test_its_name_is_the_persons_from_then_on(store, run):
    store.save_watched(record(run))
    store.rename(run.run_id, "mine")
    store.save_watched(record(run, step=90))
    assert store.table()[["name", "step"]].values.tolist() == [["mine", 90]]


def test_nobody_saves_in_anothers_place(store, run):
    store.save_watched(record(run, "ann"))
    with pytest.raises(ConfigError, match="another person's"):
        store.save_watched(record(run, "bob", step=1))
    assert store.table("ann")["step"].tolist() == [80] and store.table("bob").empty
    id = saved(store, trained(2))
    with pytest.raises(ConfigError):
        store.save_watched(record(run, id=id))


def test_one_that_fell_silent_has_ended(store, run, monkeypatch):
    store.save_watched(record(run))
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert store.table()["status"].tolist() == ["ended"]


def test_what_is_damaged_or_thinned_is_told(store, run):
    store.save_watched(record(run))
    for damage, words in (("UPDATE histories SET arrays = X'00'", "damaged"), ("DELETE FROM histories", "only the figures")):
        with closing(sqlite3.connect(store.path)) as connection:
            connection.execute(damage)
            connection.commit()
        with pytest.raises(StoreError, match=words):
            store.load_watched(run.run_id)
    assert len(store.table()) == 1


def test_what_a_visitor_watches_keeps_to_their_share_of_the_store(store, run, monkeypatch):
    monkeypatch.setattr(budget, "LIVING", -1.0)  # none of them goes on
    for id in ("first", "second"):
        store.save_watched(record(run, "ann", id=id))
    with store._database.reading() as connection:
        used = budget.used_bytes_of(connection, "ann")
    tight = Store(store.path.parent, visitor_bytes=used)
    tight.save_watched(record(run, "ann", id="third"))
    with pytest.raises(StoreError, match="only the figures"):
        store.load_watched("first", "ann")  # the oldest gave way
    assert store.load_watched("second", "ann") and store.load_watched("third", "ann")
    with pytest.raises(StoreError, match="more than the 0 MiB"):
        Store(store.path.parent, visitor_bytes=100).save_watched(record(run, "ben", id="fourth"))
    assert set(store.table("ben")["id"]) == set()
