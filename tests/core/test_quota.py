"""What one visitor may take, who gives way when the server is full, and that all workers together keep to the memory there is."""

import dataclasses
import time

import pytest

from core.config import RunConfig
from core.limits import ConfigError
from core.live import process, quota
from core.live.client import LiveRun, WorkerDied
from core.live.experiment_client import ExperimentClient
from core.live.process import TooManyRuns
from core.live.registry import put_away
from core.settings import Settings, machine_memory
from core.store.budget import used_bytes_of
from core.store.store import Store, StoreError
from tests.core.live_runs import until
from tests.core.stored_runs import recorded, saved, trained

ANN, BEN = "browser:ann", "browser:ben"
WIDE = RunConfig.from_dict({"layers": [{"units": 4000, "activation": "relu"}] * 2 + [{"units": 1, "activation": "sigmoid"}]})


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Nothing was taken yet; the minutes of the accounts go by as `clock` says."""
    monkeypatch.setattr(quota, "_taken", type(quota._taken)(quota._taken.default_factory))
    minutes = [0]
    monkeypatch.setattr(quota, "_part", lambda: minutes[0])
    return minutes


@pytest.fixture
def start(tmp_path):
    """Begins runs of a person's, with changes of the settings."""
    runs, settings = [], Settings(checkpoint_folder=tmp_path / "runs", data_folder=tmp_path / "data")

    def started(owner=None, config=None, kept=True, run_id=None, **changes):
        runs.append(LiveRun(config or RunConfig(), dataclasses.replace(settings, **changes), run_id=run_id, kept=kept, owner=owner))
        return runs[-1]

    yield started
    for run in runs:
        run.close()


def test_what_is_taken_is_forgotten_after_an_hour_and_is_each_persons_own(clock):
    quota.charge(ANN, quota.PROCESSOR, 10.0)
    clock[0] += 30
    quota.charge(ANN, quota.PROCESSOR, 5.0)
    quota.charge(None, quota.PROCESSOR, 5.0)
    assert [quota.taken(person, quota.PROCESSOR) for person in (ANN, BEN, None)] == [15.0, 0, 0]
    clock[0] += 30
    assert quota.taken(ANN, quota.PROCESSOR) == 5.0
    clock[0] += 30
    quota.charge(BEN, quota.UPLOADS, 1)
    assert list(quota._taken) == [(BEN, quota.UPLOADS)]  # who has gone takes no memory


def test_one_visitor_cannot_hold_every_place(start):
    first = start(ANN, visitor_runs=1)
    with pytest.raises(TooManyRuns, match="You already run 1 networks here, the limit for each visitor") as full:
        start(ANN, visitor_runs=1)
    assert full.value.person == ANN
    start(BEN, visitor_runs=1)
    first.close()
    start(ANN, visitor_runs=1)


def test_the_run_that_was_idle_longest_gives_way_and_goes_on_later(start):
    runs = [start(owner) for owner in (ANN, BEN, ANN)]
    for run in runs:
        run.step(20)
    seen = [until(lambda run=run: (now := run.snapshot()).status == "paused" and now.run_id) for run in runs]
    for pressed, run in zip((50, 100, 40), runs):
        run.pressed_at = time.monotonic() - pressed
    assert not put_away(lambda driver: True, 200)
    assert put_away(lambda driver: True, 30, ANN)  # not the longest of all, but of hers
    assert runs[0].over and not runs[1].over and not runs[2].over
    with pytest.raises(WorkerDied, match="closed to make room for others") as gone:
        runs[0].snapshot()
    assert gone.value.put_away
    assert start(ANN, run_id=seen[0]).snapshot().step == 20
    runs[1].set_speed(5.0)
    runs[1].play()
    assert runs[1].snapshot().status == "running"
    runs[1].pressed_at = time.monotonic() - 100
    assert put_away(lambda driver: True, 30) and not runs[1].over and runs[2].over  # one that plays stays


def test_processor_time_is_counted_and_a_run_waits_when_it_is_used_up(start):
    run = start(ANN, visitor_processor_seconds=1.0)
    run.play()
    until(lambda: run.exhausted or not run.snapshot())
    assert run.exhausted.startswith("You have used the 0.0166667 minutes of processor time")
    until(lambda: run.snapshot().status == "paused")
    assert "processor time" in run.snapshot().events[-1].text
    for press in (run.play, run.step, run.epoch):
        with pytest.raises(ConfigError, match="You have used"):
            press()
    assert start(BEN, visitor_processor_seconds=1.0).exhausted is None
    with pytest.raises(TooManyRuns, match="You have used"):
        run.try_fixes()


def test_uploads_and_experiments_within_an_hour_are_bounded(clock):
    settings = Settings(visitor_upload_bytes=3 << 20, visitor_experiments=1)
    quota.take_upload(ANN, "data.path", 2 << 20, settings)
    with pytest.raises(ConfigError, match=r"within an hour to 3 MiB, the limit for each visitor; with it this would be 4[.]0 MiB"):
        quota.take_upload(ANN, "data.path", 2 << 20, settings)
    quota.take_upload(ANN, "data.path", 1 << 20, settings)  # what was refused does not count
    quota.take_upload(None, "data.path", 1 << 40, settings)
    client = ExperimentClient(settings)
    client.start("preflight", RunConfig(), ANN)
    with pytest.raises(TooManyRuns, match="1 preflights, range tests and trials of fixes within an hour"):
        client.start("preflight", RunConfig(), ANN)
    clock[0] += 60
    client.start("preflight", RunConfig(), ANN)
    client.cancel()


def test_what_one_visitor_keeps_is_bounded_and_others_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("core.store.budget.LIVING", -1.0)
    store = Store(tmp_path)
    theirs, old, starred = (recorded(store, 200, 5, owner=owner)[0] for owner in (BEN, ANN, ANN))
    store.star(starred, True)
    with store._database.reading() as connection:
        used = used_bytes_of(connection, ANN)
    tight = Store(tmp_path, visitor_bytes=used - 1000)
    new = saved(tight, trained(1), owner=ANN)
    assert [len(store.load(id).moments) for id in (theirs, old, starred, new)] == [41, 1, 41, 1]
    with pytest.raises(StoreError, match="more than the 0 MiB that each visitor may keep here; delete some under Runs"):
        saved(Store(tmp_path, visitor_bytes=1000), trained(1), owner=ANN)
    saved(Store(tmp_path, visitor_bytes=1), trained(1))  # on one's own machine there are no visitors


def test_all_workers_together_keep_to_the_memory_there_is(start):
    memory = 3 * process.IDLE_BYTES
    run = start(memory_bytes=memory)
    run.step()
    start(memory_bytes=memory)
    with pytest.raises(TooManyRuns, match="MiB of memory; of the 288 MiB that all networks of this server may take") as full:
        start(memory_bytes=memory)
    assert full.value.person is None
    with pytest.raises(ConfigError, match="Try again in some minutes, or with a smaller network"):
        run.configure(WIDE)
    assert run.snapshot().step == 1  # the old run is untouched


def test_the_memory_of_a_container_counts(tmp_path):
    (tmp_path / "cgroup").write_text("0::/docker/a\n")
    (tmp_path / "docker" / "a").mkdir(parents=True)
    (tmp_path / "docker" / "memory.max").write_text(f"{1 << 30}\n")
    (tmp_path / "docker" / "a" / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path / "cgroup", tmp_path) == 1 << 30
    (tmp_path / "old").write_text("4:memory:/b\n")
    (tmp_path / "memory" / "b").mkdir(parents=True)
    (tmp_path / "memory" / "b" / "memory.limit_in_bytes").write_text(f"{1 << 29}\n")
    assert machine_memory(tmp_path / "old", tmp_path) == 1 << 29
    assert 0 < Settings().memory_bytes < machine_memory(tmp_path / "none", tmp_path)
