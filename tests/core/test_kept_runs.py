"""Live runs that the store keeps: from their first steps on, whatever becomes of the page, the worker or the server."""

import os
import signal
import sqlite3
import time

import pytest

from core.config import RunConfig
from core.diagnosis.forecast import forecast
from core.limits import ConfigError
from core.live import store_writer
from core.live.client import LiveRun, WorkerDied
from core.live.registry import living
from core.settings import Settings
from core.store.store import NoSuchRun, Store
from core.training.recorder import FlightRecorder
from core.training.trainer import Trainer
from tests.core.live_runs import MODEST, TOO_FAST, children, dead, stand, until


@pytest.fixture
def settings(tmp_path):
    return Settings(checkpoint_folder=tmp_path / "runs", data_folder=tmp_path / "data", checkpoint_every=0.5)


@pytest.fixture
def start(settings):
    """Begins kept runs, of a configuration or, by its id, of the store."""
    runs = []

    def started(config=MODEST, run_id=None, **details):
        runs.append(LiveRun(config, settings, run_id=run_id, **{"kept": True, **details}))
        return runs[-1]

    yield started
    for run in runs:
        run.close()


@pytest.fixture
def store(settings):
    return Store(settings.data_folder)


def kept(run):
    """The id of a run that stands still, as soon as the store has it."""
    return until(lambda: run.snapshot().run_id)


def stored(store, id, step):
    """The StoredRun, once it is saved at this step."""
    return until(lambda: (found := store.load(id)).step == step and found)


@pytest.mark.parametrize(("bytes", "most"), [(store_writer.NEW_BYTES, 31), (1, 2)])
def test_one_saving_takes_few_moments_of_a_large_network(settings, store, monkeypatch, bytes, most):
    monkeypatch.setattr(store_writer, "NEW_BYTES", bytes)
    trainer = Trainer(MODEST)
    recorder = FlightRecorder(trainer)
    for _ in range(30):
        trainer.advance(1)
        recorder.record()
    keeping = store_writer.StoreWriter(settings)
    keeping.keep(trainer, recorder, "paused", ())
    keeping.finish()
    steps = [moment.step for moment in store.load(keeping.id).moments]
    assert steps[0] == 0 and steps[-1] == 30 and len(steps) == most


def test_a_run_that_has_not_begun_leaves_nothing_behind(start, store):
    run = start()
    run.pause()
    assert run.snapshot().run_id is None
    run.close()
    assert len(store.table()) == 0


def test_a_run_goes_on_from_the_store_as_it_would_have(start, store):
    run = start()
    stand(run, 700)
    id = kept(run)
    stored(store, id, 700)
    run.close()
    again = start(RunConfig(), run_id=id)
    assert again.config == MODEST and again.snapshot().status == "paused" and again.snapshot().step == 700
    stand(again, 1500)
    straight = Trainer(MODEST).advance(1500)
    found = stored(store, id, 1500)
    assert found.moments[-1].state["vector"].tobytes() == straight.network.vector.tobytes()
    assert found.history["samples"].tobytes() == straight.telemetry.to_arrays()["samples"].tobytes()


def test_what_was_changed_and_the_past_come_back(start, store):
    run = start()
    stand(run, 400)
    run.change({"optimizer": {"learning_rate": 0.02}})
    stand(run, 900)
    id = kept(run)
    stored(store, id, 900)
    there = run.snapshot(at=650)
    run.close()
    again = start(run_id=id)
    assert again.config.optimizer.learning_rate == 0.02
    assert [event.text for event in again.snapshot().events] == [event.text for event in there.events]
    back = again.snapshot(at=650)
    assert back.moment == 650 and back.train_loss == there.train_loss


def test_a_killed_worker_costs_no_more_than_the_time_between_two_savings(start, store):
    run = start()
    run.play()
    id = until(lambda: run.snapshot().run_id)
    looks = []
    until(lambda: looks.append((time.monotonic(), run.snapshot().step)) or time.monotonic() > looks[0][0] + 2)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    dead(run)
    step = store.load(id).step
    assert step >= max(step for when, step in looks if when < looks[-1][0] - 1.0)
    run.recover()
    now = run.snapshot()
    assert now.run_id == id and now.step >= step and now.status == "paused"


def test_what_is_begun_anew_is_another_run_and_the_old_one_stays(start, store):
    run = start()
    stand(run, 300)
    first = kept(run)
    run.reset()
    assert run.snapshot().run_id is None
    stand(run, 200)
    second = kept(run)
    run.configure(RunConfig())
    stand(run, 100)
    third = kept(run)
    until(lambda: store.load(third).step == 100)  # its id is known from its first saving on
    assert {id: store.load(id).step for id in (first, second, third)} == {first: 300, second: 200, third: 100}


def test_a_fork_knows_where_it_comes_from(start, store):
    run = start()
    stand(run, 600)
    first = kept(run)
    run.fork(250, {"optimizer": {"learning_rate": 0.5}})
    second = kept(run)
    found = stored(store, second, 250)
    assert (found.parent, found.forked_at) == (first, 250) and store.load(first).step == 600


def test_findings_are_saved(start, store):
    run = start()
    stand(run, 500)
    run.change(TOO_FAST)
    run.play()
    until(lambda: run.snapshot().status == "nonfinite")
    id = kept(run)
    found = until(lambda: (found := store.load(id)) and "nonfinite" in [finding["code"] for finding in found.findings] and found)
    assert found.status == "nonfinite"
    assert any(moment.pinned for moment in found.moments)


def test_one_drives_and_others_look(start, store):
    run = start()
    stand(run, 300)
    id = kept(run)
    assert living(id) is run
    with pytest.raises(ConfigError, match="another window"):
        start(run_id=id)
    look = start(run_id=id, kept=False)
    stand(look, 350)
    assert look.snapshot().run_id is None and store.load(id).step == 300
    run.close()
    assert living(id) is None and start(run_id=id).snapshot().step == 300


def test_a_run_that_is_not_there_is_refused(start, store):
    with pytest.raises(ConfigError, match="no such run"):
        start(run_id="none")
    run = start()
    stand(run, 100)
    id = kept(run)
    run.close()
    store.delete([id])
    with pytest.raises(NoSuchRun):
        store.load(id)
    with pytest.raises(ConfigError, match="no such run"):
        start(run_id=id)


def test_a_run_trains_on_its_own_file(start, store, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,c\n" + "\n".join(f"{i % 7},{i % 5},{i % 2}" for i in range(60)))
    config = RunConfig.from_dict({"data": {"source": "file", "path": str(path)}, "layers": [{"units": 1, "activation": "sigmoid"}]})
    run = start(config)
    stand(run, 100)
    id = kept(run)
    stored(store, id, 100)
    assert store.settings_of(id)[1][1] == path.read_bytes()
    run.close()
    moved = path.rename(tmp_path / "elsewhere.csv")
    again = start(RunConfig.from_dict({"data": {"source": "file", "path": str(moved)}}), run_id=id)
    stand(again, 150)
    assert again.config.data.path == str(moved)


def test_training_goes_on_when_nothing_can_be_kept(start, settings):
    settings.data_folder.mkdir()
    (settings.data_folder / "runs.db").mkdir()  # what SQLite cannot open, whoever asks
    for number in range(2, 100):
        (settings.data_folder / f"runs-{number}.db").mkdir()
    run = start()
    stand(run, 200)
    told = until(lambda: run.snapshot().store_error)
    assert "not being kept" in told or "store" in told.lower()
    stand(run, 400)


def test_a_closed_run_that_plays_loses_nothing(start, store):
    run = start()
    run.play()
    id = until(lambda: run.snapshot().run_id)
    step = run.snapshot().step
    run.close()
    assert store.load(id).step >= step and not children()


def test_the_forecast_of_a_run_that_came_back_is_that_of_its_present(start, store):
    run = start()
    stand(run, 300)
    id = kept(run)
    run.close()
    again = start(run_id=id)
    seen = until(lambda: again.snapshot().forecast)
    assert seen.sharpness == pytest.approx(forecast(Trainer(MODEST).advance(300)).sharpness)


def test_two_servers_use_one_store(start, store, settings):
    runs = [start() for _ in range(2)]
    for run in runs:
        run.play()
    ids = {until(lambda run=run: run.snapshot().run_id) for run in runs}
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(ids) == 2 and set(store.table()["id"]) == ids
    with pytest.raises(WorkerDied):
        runs[0].close()
        runs[0].play()


@pytest.mark.parametrize("plays", [True, False])
def test_a_run_whose_data_folder_goes_is_saved_whole_in_the_new_one(start, settings, store, tmp_path, plays):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(40)))
    run = start(RunConfig.from_dict({"data": {"source": "file", "path": str(path)}}))
    stand(run, 300)
    id = kept(run)
    if plays:
        run.set_speed(200.0)
        run.play()
    settings.data_folder.rename(tmp_path / "away")
    until(lambda: "removed or replaced while" in (run.snapshot().store_error or ""))
    found = until(lambda: id in store.table()["id"].tolist() and store.load(id))
    assert found.step >= 300 and found.file[1] == path.read_bytes()
    assert found.moments[0].step == 0 and len(found.history["samples"]) > 10
    run.close()
    assert start(run_id=id, config=RunConfig.from_dict({"data": {"source": "file", "path": str(path)}})).snapshot().step >= found.step
