"""Several processes on one store: they write at once, are killed in the middle, and never train one run twice."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from core.store.store import Store
from core.training.trainer import Trainer
from tests.core.stored_runs import restored, same_arrays, saved, trained

WRITER = """
import sys
from tests.core.stored_runs import saved, trained
from core.store.store import Store
store, id, until = Store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
trainer = trained(0)
print("ready", flush=True)
for step in range(1, until + 1):
    saved(store, trainer.run(20), id)
    print(step, flush=True)
"""

LOCKER = """
import sys, time
from core.store.store import Store
print(Store(sys.argv[1]).lock_run(sys.argv[2]) is not None, flush=True)
time.sleep(60)
"""


@pytest.fixture
def start():
    """Starts a Python process that runs a text with arguments; all are ended in the end."""
    processes = []

    def started(text, *arguments):
        processes.append(subprocess.Popen([sys.executable, "-c", text, *map(str, arguments)], stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_processes_that_open_a_new_store_and_write_at_once_lose_nothing(tmp_path, start):
    ids = [Store.new_id() for _ in range(3)]
    writers = [start(WRITER, tmp_path, id, 15) for id in ids]
    for writer in writers:
        assert writer.communicate()[0].split()[-1] == "15" and writer.returncode == 0
    store = Store(tmp_path)
    assert store.warning is None and store.table().set_index("id")["step"].to_dict() == dict.fromkeys(ids, 300)


def test_a_process_that_is_killed_in_the_middle_of_saving_leaves_a_whole_run(tmp_path, start):
    store, id, chance = Store(tmp_path), Store.new_id(), random.Random(0)
    for _ in range(6):
        writer = start(WRITER, tmp_path, id, 10_000)
        assert writer.stdout.readline() == "ready\n"
        first = writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.06))
        os.kill(writer.pid, signal.SIGKILL)
        told = [int(line) for line in [first, *writer.stdout.read().splitlines()] if line.strip()]
        run = store.load(id)
        assert run.step in (20 * told[-1], 20 * told[-1] + 20) and run.history["frames"][-1, 0] == run.step
        again = restored(run)
        same_arrays(again.state(), Trainer(again.config).run(run.step).state())
    with store._database.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_run_is_locked_by_one_process_until_that_ends(tmp_path, start):
    store, id = Store(tmp_path), Store.new_id()
    other = start(LOCKER, tmp_path, id)
    assert other.stdout.readline() == "True\n"
    assert store.lock_run(id) is None
    mine = store.lock_run("another")
    assert mine is not None and store.table().empty
    other.kill()
    other.wait()
    ours = store.lock_run(id)
    assert ours is not None
    rival = start(LOCKER, tmp_path, id)
    assert rival.stdout.readline() == "False\n"


def test_releasing_one_lock_keeps_the_others(tmp_path, start):
    one, two = (Store(tmp_path) for _ in range(2))
    kept, released = one.lock_run("kept"), two.lock_run("released")
    assert one.lock_run("released") is None
    released.release()
    released.release()
    assert two.lock_run("kept") is None and kept.number != released.number
    for id, free in (("kept", "False\n"), ("released", "True\n")):
        assert start(LOCKER, tmp_path, id).stdout.readline() == free
    saved(one, trained(1), "kept")
    assert one.table()["number"].tolist() == [kept.number]


def test_a_lock_that_came_to_nothing_is_cleared_away(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.lock_run("nothing")
    later = time.time() + 4000
    monkeypatch.setattr(time, "time", lambda: later)
    store.purge()
    with store._database.reading() as connection:
        assert connection.execute("SELECT COUNT(*) FROM runs").fetchone() == (0,)
