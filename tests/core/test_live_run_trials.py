"""Fixes tried out beside a live run. Everything here runs real processes."""

import gc
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

import pytest

from core.config import RunConfig
from core.live.client import LiveRun
from core.live.process import ROOT, TooManyRuns
from core.settings import Settings
from core.training.trainer import Trainer
from tests.core import live_runs
from tests.core.live_runs import MODEST, blown_up, checkpoints, children, state, until

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)
pid = pytest.fixture(live_runs.pid)

ENDLESS = RunConfig.from_dict({"layers": [{"units": 700, "activation": "relu"}] * 2 + [{"units": 1, "activation": "sigmoid"}]})


def finished(run):
    return until(lambda: (trials := run.trials) and not trials.running and trials)


def test_what_broke_a_run_is_mended_from_its_last_healthy_state(start, settings):
    run = start(MODEST)
    broken = blown_up(run)
    run.try_fixes(at=broken.healthy_step)
    assert run.trials.running
    trials = finished(run)
    assert trials.done and trials.progress == 1 and trials.problem is None
    found = {trial.title: trial for trial in trials.trials}
    assert found["As it is"].status == "nonfinite" and found["As it is"].steps == broken.step
    back = found["Learning rate 0.01"]  # what it was then
    assert back.mended
    alone = Trainer(MODEST).run(back.steps)
    assert alone.loss() == back.loss
    assert trials.trials[0].mended
    run.fork(broken.healthy_step, trials.trials[0].patch)
    assert run.snapshot().step in (0, broken.healthy_step)
    assert not run.trials.trials


def test_the_page_stays_awake_and_sees_progress(start, pid):
    run = start(MODEST)
    worker = pid()
    run.play()
    run.try_fixes()
    seen = set()
    while (trials := run.trials).running:
        seen.add(trials.progress)
        assert run.snapshot().status == "running"
    assert len(seen) > 3 and sorted(seen)[-1] <= 1
    assert len(trials.trials) > 3 and trials.done
    assert children() == {worker}
    assert [trial.rank for trial in trials.trials] == sorted(trial.rank for trial in trials.trials)


def test_cancelled_trials_are_gone(start, settings, pid):
    run = start(ENDLESS)
    worker = pid()
    run.step(3)
    until(lambda: run.snapshot().status == "paused")
    run.try_fixes(at=1)
    run.cancel_trials()
    assert children() == {worker}
    trials = run.trials
    assert (trials.running, trials.done, trials.trials, trials.progress) == (False, False, (), 0)
    assert run.snapshot().step == 3


def test_another_run_ends_the_trials_of_this_one(start, pid):
    run = start(ENDLESS)
    worker = pid()
    for begin_anew in (lambda: run.configure(MODEST), run.new_seed, lambda: run.fork(0)):
        run.try_fixes()
        assert len(children()) == 2
        begin_anew()
        assert children() == {worker} and not run.trials.running


def test_trials_take_the_place_of_a_run(start, pid):
    run = start(ENDLESS, max_runs=2)
    run.try_fixes()
    with pytest.raises(TooManyRuns):
        start(max_runs=2)
    run.cancel_trials()
    other = start(max_runs=2)
    with pytest.raises(TooManyRuns):
        run.try_fixes()
    assert not run.trials.running
    other.close()
    run.try_fixes()
    assert run.trials.running


def test_killed_trials_say_so_and_leave_the_run_alone(start, pid):
    run = start(ENDLESS)
    worker = pid()
    run.try_fixes()
    (trial_worker,) = children() - {worker}
    os.kill(trial_worker, signal.SIGKILL)
    trials = finished(run)
    assert "signal 9" in trials.problem and not trials.done
    assert children() == {worker}
    run.step()
    assert run.snapshot().step == 1


def test_trials_give_way(start, pid):
    run = start(ENDLESS, trial_niceness=Settings().trial_niceness)
    worker = pid()
    run.try_fixes()
    (trial_worker,) = children() - {worker}
    until(lambda: os.getpriority(os.PRIO_PROCESS, trial_worker) >= os.getpriority(os.PRIO_PROCESS, worker) + 10)


def test_a_forgotten_run_leaves_no_trials(settings):
    run = LiveRun(ENDLESS, settings)
    run.try_fixes()
    workers = children()
    assert len(workers) == 2
    del run
    gc.collect()
    assert all(state(worker) is None for worker in workers)
    assert checkpoints(settings) == []


def test_trials_end_with_their_server(start, pid):
    run = start(ENDLESS)
    worker = pid()
    run.try_fixes()
    (trial_worker,) = children() - {worker}
    run._trials._process._connection.close()
    until(lambda: state(trial_worker) == "Z")


def test_an_experiment_that_ends_when_nobody_listens_any_more_is_silent(settings):
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "core.live.experiment_worker", str(theirs.fileno())]
    missing = RunConfig.from_dict({"data": {"source": "file", "path": "/no/such/file"}})  # refused before it looks whether anybody listens
    with Connection(ours.detach()) as connection:
        connection.send((settings, "preflight", missing))
    with theirs:
        done = subprocess.run(command, cwd=ROOT, pass_fds=[theirs.fileno()], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
