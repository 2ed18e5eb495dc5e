"""The live run: a worker process trains, a client asks. Everything here runs real processes."""

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.config import RunConfig
from core.limits import ConfigError
from core.settings import Settings
from core.training import checkpoint
from core.training.client import LiveRun, TooManyRuns, WorkerDied
from core.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds after which something that must happen counts as not happening

ADAM = RunConfig.from_dict(
    {"layers": [{"units": 6, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}], "optimizer": {"name": "adam"}, "batch_size": 32}
)
EXPLODING = RunConfig.from_dict(
    {
        "data": {"source": "plane", "samples": 100},
        "layers": [{"units": 8, "activation": "relu"}, {"units": 1, "activation": "linear"}],
        "loss": "mse",
        "optimizer": {"learning_rate": 1e6},
    }
)


def until(condition):
    """What `condition` returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def state(pid):
    """The process' state letter ("Z": a zombie), None when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(parent="self"):
    """Process numbers of a process' children, zombies too."""
    return {int(pid) for listed in Path(f"/proc/{parent}/task").glob("*/children") for pid in listed.read_text().split()}


def checkpoints(settings):
    return list(settings.checkpoint_folder.glob("*"))


@pytest.fixture
def settings(tmp_path):
    return Settings(checkpoint_folder=tmp_path / "runs")


@pytest.fixture
def start(settings):
    """Starts a run with these changes of the settings; all are closed in the end."""
    runs = []

    def started(config=None, **changes):
        runs.append(LiveRun(config or RunConfig(), dataclasses.replace(settings, **changes)))
        return runs[-1]

    before = children()
    yield started
    for run in runs:
        run.close()
    assert children() == before
    assert checkpoints(settings) == []


@pytest.fixture
def pid(start):
    """The process number of the only worker there is."""

    def only():
        (number,) = children()
        return number

    return only


def restored(settings, config, step):
    """A Trainer as the only checkpoint has it, once that is of this step."""
    path = until(lambda: [path for path in settings.checkpoint_folder.glob("*.npz") if checkpoint.saved(path)[0] == step])[0]
    trainer = Trainer(config)
    trainer.restore(checkpoint.load(path))
    return trainer


def dead(run):
    """The WorkerDied that a run whose worker was killed raises at a poll."""
    with pytest.raises(WorkerDied) as death:
        until(lambda: run.snapshot() and None)
    return death.value


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


def same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert np.array_equal(values, theirs[name]), name


def test_speed_is_not_exceeded(start):
    run = start()
    run.set_speed(50.0)
    began = time.monotonic()
    run.play()
    step = until(lambda: (step := run.snapshot().step) >= 25 and step)
    assert step <= 1 + 50.0 * (time.monotonic() - began)
    run.set_speed(None)
    until(lambda: run.snapshot().step > 1000)


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


def test_a_killed_worker_is_noticed_and_recovered(start, settings, pid):
    run = start(checkpoint_every=1.0)
    run.set_speed(200.0)
    run.play()
    looks = []
    began = time.monotonic()
    while time.monotonic() < began + 3.0:
        looks.append((time.monotonic(), run.snapshot().step))
    killed = time.monotonic()
    os.kill(pid(), signal.SIGKILL)
    death = dead(run)
    assert "signal 9" in death.message
    old_enough = [step for when, step in looks if when < killed - 1.5]  # the setting, and half a second for a busy machine
    assert 0 < old_enough[-1] <= death.checkpoint_step <= looks[-1][1] + 200
    assert 0 <= death.seconds_lost <= 1.0
    with pytest.raises(WorkerDied, match="signal 9"):
        run.play()
    run.recover()
    now = run.snapshot()
    assert (now.step, now.status) == (death.checkpoint_step, "paused")
    run.step()
    assert run.snapshot().step == now.step + 1
    same_bits(restored(settings, RunConfig(), now.step + 1).parameters(), Trainer(RunConfig()).run(now.step + 1).parameters())


def test_a_worker_killed_after_configure_does_not_wake_up_in_the_old_run(start, pid):
    run = start()
    run.step(3)
    run.configure(ADAM)
    os.kill(pid(), signal.SIGKILL)
    assert dead(run).checkpoint_step == 0
    run.recover()
    assert run.config == ADAM
    assert run.snapshot().config == ADAM.to_dict()


def test_recover_leaves_a_living_worker_alone(start, pid):
    run = start()
    worker = pid()
    run.step()
    run.recover()
    assert pid() == worker
    assert run.snapshot().step == 1


def test_a_worker_that_hangs_counts_as_dead(start, pid):
    run = start(reply_timeout=0.5)
    os.kill(pid(), signal.SIGSTOP)
    with pytest.raises(WorkerDied, match=r"did not answer for 0[.]5 seconds"):
        run.snapshot()
    assert children() == set()
    run.recover()
    assert run.snapshot().step == 0


def test_an_error_in_the_worker_is_reported_as_such(start):
    run = start()
    run.step(3)
    with pytest.raises(WorkerDied, match=r"failed: .*Error") as death:
        run.edit(None, None, None, None)
    assert "\n" not in death.value.message
    run.recover()
    assert run.snapshot().step == death.value.checkpoint_step


def test_memory_is_capped_and_the_old_run_survives(start):
    run = start(worker_memory_bytes=600 << 20)
    run.step(3)
    with pytest.raises(ConfigError, match="memory"):
        run.configure(
            RunConfig.from_dict({"layers": [{"units": 4000, "activation": "relu"}] * 2 + [{"units": 1, "activation": "sigmoid"}]})
        )
    run.step()
    assert run.snapshot().step == 4


def test_a_run_nobody_looks_at_pauses(start, settings):
    run = start(pause_after=0.3, checkpoint_every=60.0)
    run.play()
    until(lambda: any(checkpoint.saved(path)[0] for path in checkpoints(settings)))  # nobody asks the worker anything meanwhile
    now = run.snapshot()
    assert now.status == "paused"
    assert [event.text for event in now.events] == ["Paused: not looked at for 0.3 seconds"]
    assert now.events[0].step == now.step
    run.play()
    assert run.snapshot().status == "running"


def test_a_run_nobody_looks_at_leaves_and_can_be_fetched_back(start, pid):
    run = start(pause_after=0.2, exit_after=0.6)
    run.play()
    worker = pid()
    until(lambda: state(worker) == "Z")
    with pytest.raises(WorkerDied, match=r"not looked at for 0[.]6 seconds and was put away") as death:
        run.snapshot()
    assert state(worker) is None
    assert death.value.seconds_lost == 0
    assert death.value.checkpoint_step > 0
    run.recover()
    now = run.snapshot()
    assert (now.step, now.status) == (death.value.checkpoint_step, "paused")


def test_too_many_runs(start):
    run = start(max_runs=1)
    with pytest.raises(TooManyRuns, match="already runs 1 networks"):
        start(max_runs=1)
    run.close()
    start(max_runs=1)


def test_a_dead_worker_takes_no_place(start, pid):
    run = start(max_runs=1)
    os.kill(pid(), signal.SIGKILL)
    dead(run)
    other = start(max_runs=1)
    with pytest.raises(TooManyRuns):
        run.recover()
    with pytest.raises(WorkerDied, match="signal 9"):
        run.snapshot()
    other.close()
    run.recover()
    assert run.snapshot().step == 0


def test_close_leaves_nothing(start, settings, pid):
    run = start()
    run.play()
    worker = pid()
    run.close()
    assert state(worker) is None
    assert checkpoints(settings) == []
    with pytest.raises(WorkerDied, match="closed"):
        run.snapshot()
    run.recover()
    assert children() == set()


def test_a_forgotten_run_leaves_nothing(settings):
    run = LiveRun(RunConfig(), settings)
    run.play()
    (worker,) = children()
    del run
    gc.collect()
    assert state(worker) is None
    assert checkpoints(settings) == []


SERVER = """
import sys, time
from pathlib import Path
from core.config import RunConfig
from core.settings import Settings
from core.training.client import LiveRun
runs = [LiveRun(RunConfig(), Settings(checkpoint_folder=Path(sys.argv[1]))) for _ in range(2)]
for run in runs:
    run.play()
while any(run.snapshot().step == 0 for run in runs):
    pass
print("playing", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_server(tmp_path, way):
    folder = tmp_path / "runs"
    with subprocess.Popen([sys.executable, "-c", SERVER, folder], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout.readline() == b"playing\n"
        workers = children(server.pid)
        assert len(workers) == 2
        server.send_signal(way)
    for worker in workers:
        until(lambda worker=worker: state(worker) in (None, "Z"))
    if way == signal.SIGKILL:
        assert [checkpoint.saved(path)[0] > 0 for path in folder.glob("*")] == [True, True]
