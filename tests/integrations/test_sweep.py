"""Sweeps over processes that are killed: nothing is lost, nothing counted twice, on this machine and on a Dask cluster."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.experiments.sweep_results import Results
from core.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
VALUES = {
    "base": {"data": {"source": "circle", "samples": 60}},
    "grid": {"layers.0.units": [1, 2, 3, 4]},
    "random": {"optimizer.learning_rate": {"low": 1e-3, "high": 1, "log": True}},
    "draws": 5,
    "seeds": 2,
    "steps": 2000,
}
RUNS = 40


@contextlib.contextmanager
def started(*command, **options):
    """A process of its own, which is killed at the end."""
    with subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def sweeping(folder, name, *options):
    """A sweep's process that keeps its runs in a store of this name and writes its results down there."""
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(VALUES))
    command = ("core", "sweep", str(folder / "sweep.json"), "--json", "--keep", "--out", str(folder / f"{name}.jsonl"), *options)
    return started(*command, env=os.environ | {"DESCENT_DATA_FOLDER": str(folder / name)}, stdout=subprocess.PIPE, text=True)


def written(path, least, process, seconds=300):
    """Wait until so many results are in a file."""
    until = time.monotonic() + seconds
    while not path.exists() or len(path.read_bytes().splitlines()) <= least:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)


def whole(process, folder, name):
    """The answer of a sweep whose runs are all there, each once."""
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    answer = json.loads(out, parse_constant=pytest.fail)
    assert len(answer["runs"]) == len({run["id"] for run in answer["runs"]}) == RUNS
    assert len((folder / f"{name}.jsonl").read_text().splitlines()) == RUNS + 1
    assert sorted(Store(folder / name).table()["id"]) == sorted(run["id"] for run in answer["runs"])
    return [{key: value for key, value in run.items() if key != "id"} for run in answer["runs"]]


def test_a_killed_sweep_goes_on_and_a_cluster_that_loses_a_worker_finds_the_same(tmp_path):
    with sweeping(tmp_path, "here") as first:
        written(tmp_path / "here.jsonl", 3, first)
        trains = [pid for file in Path(f"/proc/{first.pid}/task").glob("*/children") for pid in file.read_text().split()]
        first.kill()
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in trains):  # none is left behind
        assert trains and time.monotonic() < until
        time.sleep(0.1)
    assert 3 <= len(Results.read(tmp_path / "here.jsonl").known) < RUNS
    with sweeping(tmp_path, "here") as second:
        here = whole(second, tmp_path, "here")
    assert cluster(tmp_path) == here


def cluster(folder):
    """The runs as a scheduler and two workers make them, of which one is killed in the middle."""
    pytest.importorskip("distributed")
    told = folder / "scheduler.json"
    scheduler = ("distributed.cli.dask_scheduler", "--scheduler-file", str(told), "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with started(*scheduler) as process:
        until = time.monotonic() + 120
        while not told.exists() or not told.read_text():
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        address = json.loads(told.read_text())["address"]
        worker = (
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--local-directory",
            str(folder),
        )
        one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (
            started(*worker, env=one_thread) as lost,
            started(*worker, env=one_thread),
            sweeping(folder, "cluster", "--scheduler", address) as sweep,
        ):
            written(folder / "cluster.jsonl", 3, sweep)
            lost.kill()
            return whole(sweep, folder, "cluster")
