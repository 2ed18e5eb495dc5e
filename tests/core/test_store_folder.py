"""The store's folder among others: who may read and write it, and what becomes of runs when it goes, or the file is damaged."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from core.store import database
from core.store.store import Store, StoreError
from tests.core.stored_runs import saved, trained


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def readable():
    """A folder that everybody may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def closed(store):
    """The path of a store's file, with nothing left in files beside it."""
    store.close()
    return store.path


def modes(folder):
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_only_its_owner_reads_the_file(readable):
    store = Store(readable)
    id = saved(store, trained(3))
    store.lock_run(id).release()
    assert modes(readable) == dict.fromkeys(("runs.db", "runs.db-wal", "runs.db-shm", "runs.lock"), 0o600) and store.warning is None
    closed(store).chmod(0o644)
    again = Store(readable)
    assert again.load(id).step == 3 and set(modes(readable).values()) == {0o600} and again.warning is None


def test_a_folder_that_others_may_write_is_told(readable):
    readable.chmod(0o777)
    store = Store(readable)
    saved(store, trained(3))
    assert "Other users" in store.warning and str(readable) in store.warning


def test_a_mode_that_cannot_be_changed_is_told(store, tmp_path, monkeypatch):
    closed(store).chmod(0o644)
    monkeypatch.setattr(Path, "chmod", lambda *_: (_ for _ in ()).throw(PermissionError()))
    assert "can read runs.db" in Store(tmp_path).warning


@pytest.mark.parametrize("way", ["removed", "replaced", "file removed"])
def test_a_folder_that_goes_while_it_is_open_is_told_and_work_goes_on_in_the_new_one(tmp_path, way):
    folder, other = tmp_path / "data", tmp_path / "other"
    store, elsewhere = Store(folder), Store(other)
    saved(store, trained(3))
    there = saved(elsewhere, trained(4))
    closed(elsewhere)
    if way == "removed":
        shutil.rmtree(folder)
    elif way == "replaced":
        folder.rename(tmp_path / "away")
        other.rename(folder)
    else:
        (folder / "runs.db").unlink()
    assert store.table()["id"].tolist() == ([there] if way == "replaced" else [])
    assert "removed or replaced while Descent ran" in store.warning
    id = saved(store, trained(5))
    assert Store(folder).load(id).step == 5 and (folder / "runs.db").exists()


def test_the_lock_of_a_run_is_one_in_the_folder_that_is_there(tmp_path):
    store = Store(tmp_path / "data")
    id = saved(store, trained(3))
    lock = store.lock_run(id)
    assert store.lock_run(id) is None
    shutil.rmtree(tmp_path / "data")
    fresh = store.lock_run(saved(store, trained(3), id))
    assert fresh is not None and store.lock_run(id) is None
    lock.release()
    assert store.lock_run(id) is None
    fresh.release()
    store.lock_run(id).release()


def test_a_file_that_becomes_damaged_while_it_is_open_is_noticed(store, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "LOOKED_AFTER", 0.0)
    id = saved(store, trained(3))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert store.load(id).step == 3
    with store.path.open("r+b") as file:
        file.write(b"\xa5" * store.path.stat().st_size)
    with pytest.raises(StoreError, match=r"runs\.db is damaged"):
        store.table()
    assert store.load(saved(store, trained(4))).step == 4 and store.path.name == "runs-2.db"
