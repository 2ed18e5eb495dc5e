"""What the tests of live runs share. `settings`, `start` and `pid` are fixtures of the test files."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from core.config import RunConfig
from core.live import checkpoint
from core.live.client import LiveRun, WorkerDied
from core.settings import Settings
from core.training.trainer import Trainer

PATIENCE = 30.0  # seconds after which something that must happen counts as not happening

ADAM = RunConfig.from_dict(
    {"layers": [{"units": 6, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}], "optimizer": {"name": "adam"}, "batch_size": 32}
)

MODEST = RunConfig.from_dict(
    {
        "data": {"source": "hills"},
        "layers": [{"units": 8, "activation": "relu"}, {"units": 8, "activation": "relu"}, {"units": 1, "activation": "linear"}],
        "optimizer": {"learning_rate": 0.01},
    }
)
TOO_FAST = {"optimizer": {"learning_rate": 50.0}}


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
    """Process numbers of a process' workers, zombies too: these have lost their command line. Other tests' servers do not count."""
    pids = {int(pid) for listed in Path(f"/proc/{parent}/task").glob("*/children") for pid in listed.read_text().split()}
    commands = {pid: _command(pid) for pid in pids}
    return {pid for pid, command in commands.items() if command == "" or "core.live" in (command or "")}


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def checkpoints(settings):
    return list(settings.checkpoint_folder.glob("*"))


def restored(settings, config, step):
    """A Trainer as the only checkpoint has it, once that is of this step."""
    path = until(lambda: [path for path in settings.checkpoint_folder.glob("*.npz") if checkpoint.saved(path)[0] == step])[0]
    trainer = Trainer(config)
    trainer.restore(checkpoint.load(path))
    return trainer


def stand(run, step):
    """Train exactly up to this step."""
    run.step(step - run.snapshot().step)
    until(lambda: run.snapshot().status != "running")
    assert run.snapshot().step == step


def blown_up(run):
    """A run that was well for 2,000 updates and then given too large a learning rate; its snapshot."""
    stand(run, 2000)
    run.change(TOO_FAST)
    run.play()
    return until(lambda: (now := run.snapshot()).status == "nonfinite" and now)


def dead(run):
    """The WorkerDied that a run whose worker was killed raises at a poll."""
    with pytest.raises(WorkerDied) as death:
        until(lambda: run.snapshot() and None)
    return death.value


def same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert np.array_equal(values, theirs[name]), name


def settings(tmp_path):
    return Settings(checkpoint_folder=tmp_path / "runs", trial_niceness=1)


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


def pid(start):
    """The process number of the only worker there is."""

    def only():
        (number,) = children()
        return number

    return only
