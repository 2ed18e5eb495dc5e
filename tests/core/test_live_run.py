"""The live run: what can be done with it. Everything here runs real processes."""

import dataclasses
import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe

import pytest

from core.config import RunConfig
from core.limits import ConfigError
from core.live import registry
from core.live.client import LiveRun, WorkerDied
from core.live.commands import play, snapshot
from core.live.pacing import GROWING, GROWTH, LONGEST_REST, Pacing
from core.live.start_request import StartRequest
from core.live.worker import Worker
from core.settings import Settings
from core.training.trainer import Trainer
from tests.core import live_runs
from tests.core.live_runs import ADAM, PATIENCE, checkpoints, children, restored, same_bits, until

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)
pid = pytest.fixture(live_runs.pid)

EXPLODING = RunConfig.from_dict(
    {
        "data": {"source": "plane", "samples": 100},
        "layers": [{"units": 8, "activation": "relu"}, {"units": 1, "activation": "linear"}],
        "loss": "mse",
        "optimizer": {"learning_rate": 1e6},
    }
)


def test_a_run_starts_paused_plays_and_pauses(start):
    run = start()
    first = run.snapshot()
    assert (first.status, first.step, first.steps_per_second) == ("paused", 0, 0.0)
    run.play()
    playing = until(lambda: (now := run.snapshot()).step > 100 and now)
    assert playing.status == "running"
    assert playing.steps_per_second > 0
    run.pause()
    still = run.snapshot()
    assert (still.status, still.steps_per_second) == ("paused", 0.0)
    assert run.snapshot().step == still.step


def test_step_makes_exactly_these_updates(start):
    run = start()
    run.step()
    assert run.snapshot().step == 1
    run.step(5)
    assert until(lambda: (now := run.snapshot()).status == "paused" and now).step == 6


def test_step_while_playing_pauses(start):
    run = start()
    run.play()
    until(lambda: run.snapshot().step > 10)
    run.step()
    assert run.snapshot().status == "paused"


def test_epoch_ends_with_the_epoch(start):
    run = start()
    run.step(3)
    for epoch in (1, 2):
        run.epoch()
        after = until(lambda: (now := run.snapshot()).status == "paused" and now)
        assert after.epoch == pytest.approx(epoch)
        assert after.step == epoch * 25  # 250 training samples in batches of 10


def test_reset_starts_over_with_the_same_weights(start, settings):
    run = start()
    run.step(3)
    run.reset()
    now = run.snapshot()
    assert (now.step, now.status) == (0, "paused")
    run.step(40)
    same_bits(restored(settings, RunConfig(), 40).parameters(), Trainer(RunConfig()).run(40).parameters())


def test_new_seed_takes_other_weights(start, settings):
    run = start()
    run.step(3)
    config = run.new_seed()
    assert config.seed == 1
    assert run.config == config
    assert run.snapshot().step == 0
    same_bits(restored(settings, config, 0).parameters(), Trainer(dataclasses.replace(RunConfig(), seed=1)).parameters())


def test_the_last_seed_is_followed_by_the_first(start):
    assert start(RunConfig(seed=2**31 - 1)).new_seed().seed == 0


def test_change_while_it_runs_is_an_event(start):
    run = start()
    run.play()
    config = run.change({"optimizer": {"learning_rate": 0.5}})
    assert config.optimizer.learning_rate == run.config.optimizer.learning_rate == 0.5
    now = run.snapshot()
    assert now.status == "running"
    assert now.config["optimizer"]["learning_rate"] == 0.5
    assert len(now.events) == 1


def test_change_refuses_what_needs_a_new_run(start):
    run = start()
    with pytest.raises(ConfigError) as refusal:
        run.change({"dtype": "float32"})
    assert "dtype" in refusal.value.field
    assert run.snapshot().step == 0
    assert run.config == RunConfig()


def test_edit_sets_one_weight(start, settings):
    run = start()
    edits = [(1, 2, 0, 1.25), (2, 0, None, -0.5)]
    run.step()
    for edit in edits:
        run.edit(*edit)
    assert len(run.snapshot().events) == 2
    until(lambda: restored(settings, RunConfig(), 1).parameters()["b2"][0] == -0.5)
    parameters = restored(settings, RunConfig(), 1).parameters()
    one_step = Trainer(RunConfig()).run(1)
    for edit in edits:
        one_step.edit(*edit)
    assert one_step.parameters()["W1"][0, 2] == 1.25
    assert one_step.parameters()["b2"][0] == -0.5
    same_bits(parameters, one_step.parameters())


def test_configure_loads_another_run_into_the_same_process(start, settings, pid):
    run = start()
    worker = pid()
    run.step(3)
    assert run.configure(ADAM) == run.config == ADAM
    now = run.snapshot()
    assert (now.step, now.status) == (0, "paused")
    assert now.config == ADAM.to_dict()
    assert pid() == worker
    same_bits(restored(settings, ADAM, 0).parameters(), Trainer(ADAM).parameters())


def test_a_configuration_that_cannot_be_loaded_leaves_the_old_run_alone(start):
    run = start()
    run.step(3)
    with pytest.raises(ConfigError) as refusal:
        run.configure(missing_file())
    assert refusal.value.field.startswith("data")
    assert run.config == RunConfig()
    assert run.snapshot().step == 3


def missing_file():
    return RunConfig.from_dict({"data": {"source": "file", "path": "/nowhere/at/all.csv"}})


def test_a_configuration_that_cannot_be_loaded_starts_nothing(settings):
    with pytest.raises(ConfigError) as refusal:
        LiveRun(missing_file(), settings)
    assert type(refusal.value) is ConfigError
    assert refusal.value.field.startswith("data")
    assert children() == set()
    assert checkpoints(settings) == []


def test_playing_gives_the_bits_of_the_trainer_alone(start, settings):
    run = start(ADAM)
    run.play()
    until(lambda: run.snapshot().step > 300)
    run.pause()
    step = run.snapshot().step
    same_bits(restored(settings, ADAM, step).parameters(), Trainer(ADAM).run(step).parameters())


def test_speed_is_not_exceeded(start):
    run = start()
    run.set_speed(50.0)
    began = time.monotonic()
    run.play()
    step = until(lambda: (step := run.snapshot().step) >= 25 and step)
    assert step <= 1 + 50.0 * (time.monotonic() - began)
    run.set_speed(None)
    until(lambda: run.snapshot().step > 1000)


def paced(monkeypatch, seconds, change_at=math.inf):
    """The steps after each second of a run that grows, on a clock of its own; its settings are changed at the second `change_at`."""
    now, step, reached = 0.0, 0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pacing = Pacing(GROWING)
    for second in range(1, seconds + 1):
        if second > change_at:
            pacing.forget(step)
            change_at = math.inf
        while now < second:
            now = max(now, pacing.wake)
            step += (updates := pacing.updates_due(step))
            now += updates / 90_000
            if updates:
                pacing.trained(step, updates, updates / 90_000, updates / 90_000)
        reached.append(step)
    return reached


def test_the_speed_for_eyes_begins_slowly_and_grows(monkeypatch):
    reached = paced(monkeypatch, 12)
    assert reached[0] < 60 and reached[2] < 1000
    assert reached[9] == pytest.approx(GROWTH * 10**3, rel=0.2)


def test_what_a_change_of_settings_does_is_seen_slowly(monkeypatch):
    reached = paced(monkeypatch, 11, change_at=10)
    assert reached[10] - reached[9] < 60


def test_the_speed_changes_nothing_that_is_learned(start, settings):
    run = start(ADAM)
    run.set_speed(GROWING)
    run.play()
    until(lambda: run.snapshot().step > 100)
    run.pause()
    step = run.snapshot().step
    same_bits(restored(settings, ADAM, step).parameters(), Trainer(ADAM).run(step).parameters())


@pytest.mark.parametrize("speed", [0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(start, speed):
    with pytest.raises(ValueError, match="updates_per_second"):
        start().set_speed(speed)


def test_a_nonfinite_value_pauses_and_play_does_no_harm(start):
    run = start(EXPLODING)
    run.play()
    blown = until(lambda: (now := run.snapshot()).status != "running" and now)
    assert blown.status == "nonfinite"
    assert blown.nonfinite.step == blown.step + 1  # it stands before the update that broke
    run.play()
    run.step()
    again = run.snapshot()
    assert (again.status, again.step) == ("nonfinite", blown.step)
    run.reset()
    assert run.snapshot().status == "paused"


def test_a_long_epoch_does_not_keep_anybody_waiting(start):
    run = start(RunConfig.from_dict({"data": {"samples": 100_000, "test_fraction": 0.0}, "batch_size": 1}))
    run.epoch()
    assert run.snapshot().status == "running"
    run.pause()
    assert 0 < run.snapshot().step < 100_000


def test_a_large_network_trains_on_between_pictures(start):
    wide = {"units": 1500, "activation": "relu"}
    run = start(RunConfig.from_dict({"layers": [wide, wide, {"units": 1, "activation": "sigmoid"}]}))
    run.play()
    between = until(lambda: (now := run.snapshot()).step > now.frames.step[-1] and now)
    assert between.status == "running"
    run.pause()
    still = run.snapshot()
    assert still.step == still.frames.step[-1] >= between.step


def test_many_threads_share_one_run(start):
    with ThreadPoolExecutor(4) as threads:
        run = threads.submit(start).result()
        for done in [threads.submit(run.step) for _ in range(20)]:
            done.result()
        looks = [threads.submit(run.snapshot, (1, unit % 8)) for unit in range(20)]
        assert [look.result().unit.index for look in looks] == [unit % 8 for unit in range(20)]
    assert run.snapshot().step == 20


def test_close_does_not_wait_for_those_who_ask(start, pid):
    run = start()
    os.kill(pid(), signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(run.snapshot)
        run.close()
        with pytest.raises(WorkerDied):
            asked.result(PATIENCE / 2)


@pytest.fixture
def busy(monkeypatch, tmp_path):
    """A Worker in this process; what it trains takes 20 ms."""
    worker = Worker(Pipe()[1], Settings(checkpoint_folder=tmp_path), tmp_path / "run.npz", StartRequest(RunConfig()))
    monkeypatch.setattr(worker.run.trainer, "advance", lambda updates: time.sleep(0.02))
    monkeypatch.setattr(worker.run.pictures.forecaster, "glance", lambda: None)
    return worker


@pytest.mark.parametrize(("processor", "rests"), [(lambda: 0.0, True), (time.monotonic, False)], ids=["short", "enough"])
def test_a_run_that_goes_short_of_a_processor_rests(monkeypatch, busy, processor, rests):
    monkeypatch.setattr(time, "thread_time", processor)
    play(busy.run)
    busy.run.train()
    assert (0 < busy.patience() <= LONGEST_REST) == rests


def test_a_run_trains_for_no_more_than_its_share_of_the_time(monkeypatch, busy):
    monkeypatch.setattr(time, "thread_time", time.monotonic)
    snapshot(busy.run, None, share=0.1)
    play(busy.run)
    busy.run.train()
    assert busy.patience() > 0.15


def test_runs_that_play_leave_one_processor_to_the_pages(monkeypatch, start):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    runs = [start() for _ in range(4)]
    for run in runs:
        run.play()
        run.snapshot()
    assert registry.training_share() == 2 / 4
    runs[0].set_speed(10)  # which takes hardly anything
    runs[0].snapshot()
    assert registry.training_share() == 2 / 3
    runs[1].pause()
    runs[1].snapshot()
    assert registry.training_share() == 1.0
    runs[1].play()
    runs[1].snapshot()
    assert registry.training_share() == 2 / 3
    runs[1].close()
    assert registry.training_share() == 1.0
