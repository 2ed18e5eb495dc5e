"""How live runs end: killed, hung, out of memory, forgotten, left alone, or with their server."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from core.config import RunConfig
from core.limits import ConfigError
from core.live import checkpoint
from core.live.client import LiveRun, WorkerDied
from core.live.process import ROOT, TooManyRuns
from core.training.trainer import Trainer
from tests.core import live_runs
from tests.core.live_runs import ADAM, checkpoints, children, dead, restored, same_bits, state, until

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)
pid = pytest.fixture(live_runs.pid)


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
    run = start()
    began = time.monotonic()
    os.kill(pid(), signal.SIGSTOP)
    with pytest.raises(WorkerDied, match="stood still for 4 seconds"):
        run.snapshot()
    assert time.monotonic() < began + 7.0
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
    run = start(pause_after=1.0, checkpoint_every=60.0)
    run.play()
    whole = settings.checkpoint_folder.glob
    until(lambda: any(checkpoint.saved(path)[0] for path in whole("*.npz")))  # nobody asks the worker anything meanwhile
    now = run.snapshot()
    assert now.status == "paused"
    assert [event.text for event in now.events] == ["Paused: not looked at for 1 seconds"]
    assert now.events[0].step == now.step
    run.play()
    assert run.snapshot().status == "running"


def test_a_run_nobody_looks_at_leaves_and_can_be_fetched_back(start, pid):
    run = start(pause_after=0.5, exit_after=1.5)
    run.play()
    worker = pid()
    until(lambda: state(worker) == "Z")
    with pytest.raises(WorkerDied, match=r"not looked at for 1[.]5 seconds and was put away") as death:
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
from core.live.client import LiveRun
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


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(start, settings):
    run = start()
    until(lambda: checkpoints(settings))
    shutil.rmtree(settings.checkpoint_folder)
    for step in (1, 2):
        run.step()
        events = until(lambda: run.snapshot().events)
        assert [event.text for event in events] == ["The checkpoint could not be written: No such file or directory"]
        assert run.snapshot().step == step
