"""The process that makes a page's sweep, as its client begins it: what it makes, what is left when it is cancelled, and that it ends."""

import collections
import json
import time

import pytest

from core.config import RunConfig
from core.experiments.sweep import Sweep
from core.experiments.sweep_results import Results
from core.experiments.sweep_runs import sweep_runs
from core.live.process import TooManyRuns
from core.live.sweep_client import SweepClient
from core.settings import Settings
from core.store.store import Store
from tests.core.live_runs import children
from tests.core.test_sweep import BASE

VALUES = {
    "base": RunConfig.from_dict(BASE).to_dict(),
    "grid": {"optimizer.learning_rate": [0.1, 0.3, 1.0]},
    "seeds": 2,
    "steps": 20,
}  # six runs


@pytest.fixture
def client(tmp_path):
    found = SweepClient("somebody", Settings(data_folder=tmp_path, sweep_processes=1))
    yield found
    found.cancel()


def until(condition):
    """What `condition` returns as soon as it is true: the process imports all libraries first, at low priority."""
    deadline = time.monotonic() + 150
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def test_a_sweep_is_made_cancelled_and_resumed_and_each_run_is_made_once(client, tmp_path):
    before = children()
    client.start(VALUES)
    until(lambda: client.look().done or not client.look().running)
    client.cancel()
    cancelled = client.look()
    assert not cancelled.running and cancelled.problem is None and 0 < cancelled.done <= 6 and children() == before
    client.resume()
    done = until(lambda: (state := client.look()) and not state.running and state)
    assert done.problem is None and done.done == len(done.known) == done.sweep.total == 6 and children() == before
    here = Results()
    collections.deque(sweep_runs(Sweep.from_dict(VALUES), here, processes=1), 0)
    assert {key: result["metric"] for key, result in done.known.items()} == {key: result["metric"] for key, result in here.known.items()}
    (path,) = (tmp_path / "sweeps").glob("*.jsonl")
    keys = [json.loads(line).get("key") for line in path.read_text().splitlines()[1:]]
    assert sorted(keys) == sorted(done.known)  # nothing twice
    assert {result["id"] for result in done.known.values()} == set(Store(tmp_path).table("somebody")["id"])


def test_what_one_visitor_may_begin_is_bounded(tmp_path):
    client = SweepClient("another", Settings(data_folder=tmp_path, visitor_experiments=0))
    with pytest.raises(TooManyRuns, match="the limit for each visitor"):
        client.start(VALUES)
    assert not client.look().running
