"""The store's file in trouble: damaged, foreign, newer, older, locked, read-only, on a full disk. Nothing is lost, all is told."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from core.experiments import database
from core.experiments.store import Store, StoreError
from tests.core.stored_runs import saved, trained


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def closed(store):
    """The path of a store's file, with nothing left in files beside it."""
    store.close()
    return store.path


def rewritten(path, begin, length):
    """Fill part of a file with other bytes."""
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xa5" * length)


def test_it_begins_with_its_folder(tmp_path):
    store = Store(tmp_path / "not" / "there")
    assert store.table().empty and store.warning is None
    assert store.path == tmp_path / "not" / "there" / "runs.db" and store.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\0" + bytes(1000), os.urandom(5000)])
def test_a_file_that_is_no_database_is_left_and_a_fresh_one_begun_beside(tmp_path, content):
    (tmp_path / "runs.db").write_bytes(content)
    store = Store(tmp_path)
    id = saved(store, trained(3))
    assert "runs.db is damaged" in store.warning and "runs-2.db" in store.warning
    again = Store(tmp_path)
    assert again.path.name == "runs-2.db" and again.load(id).step == 3
    assert (tmp_path / "runs.db").read_bytes() == content


def test_another_programs_database_is_left(tmp_path):
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute("CREATE TABLE runs (mine)")
    before = (tmp_path / "runs.db").read_bytes()
    store = Store(tmp_path)
    assert "no store of Descent" in store.warning and store.path.name == "runs-2.db"
    assert (tmp_path / "runs.db").read_bytes() == before


def test_a_store_of_a_newer_version_is_left_even_beside_a_damaged_one(store, tmp_path):
    saved(store, trained(3))
    path = closed(store)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(database.MIGRATIONS) + 1}")
    connection.close()
    (tmp_path / "runs-2.db").write_bytes(b"damaged")
    newer = Store(tmp_path)
    assert newer.path.name == "runs-3.db" and newer.table().empty
    assert "runs.db is of a newer version of Descent, runs-2.db is damaged" in newer.warning


def test_a_schema_that_somebody_changed_counts_as_damage(store, tmp_path):
    with store._database.writing() as connection:
        connection.execute("ALTER TABLE runs RENAME COLUMN note TO remark")
    closed(store)
    assert "runs.db is damaged" in Store(tmp_path).warning


def test_damage_that_shows_later_is_told_once_and_the_next_runs_are_kept_beside(store, tmp_path):
    ids = [saved(store, trained(50)) for _ in range(20)]
    path = closed(store)
    size = path.stat().st_size
    rewritten(path, 60_000, size - 60_000)
    damaged = path.read_bytes()
    again = Store(tmp_path)
    with pytest.raises(StoreError, match="damaged"):
        for id in ids:
            again.load(id)
    assert saved(again, trained(2)) in again.table()["id"].tolist() and again.path.name == "runs-2.db"
    assert Store(tmp_path).path.name == "runs-2.db" and "runs.db is damaged" in again.warning
    assert path.read_bytes() == damaged


def test_an_older_store_is_brought_forward_with_its_runs(store, tmp_path, monkeypatch):
    id = saved(store, trained(7))
    closed(store)
    monkeypatch.setattr(database, "MIGRATIONS", [*database.MIGRATIONS, "ALTER TABLE runs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'"])
    stores = [Store(tmp_path) for _ in range(2)]
    assert all(one.warning is None and one.load(id).step == 7 for one in stores)
    with stores[0]._database.reading() as connection:
        assert connection.execute("SELECT mood FROM runs").fetchall() == [("calm",)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(store, tmp_path, monkeypatch):
    id = saved(store, trained(7))
    closed(store)
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", [*database.MIGRATIONS, "ALTER TABLE runs ADD COLUMN mood TEXT; UPDATE nothing SET x = 1"])
        broken = Store(tmp_path)
        assert broken.warning is not None
        with pytest.raises(StoreError):
            broken.load(id)
    assert Store(tmp_path).warning is None and Store(tmp_path).load(id).step == 7


def test_a_store_that_another_program_holds_is_told_and_works_again_after(store, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY", 0.05)
    id = saved(store, trained(3))
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    other = Store(tmp_path)
    with pytest.raises(StoreError, match="another program has held the store"):
        saved(other, trained(4), id)
    assert other.load(id).step == 3
    holder.execute("ROLLBACK")
    saved(other, trained(4), id)
    assert store.load(id).step == 4
    holder.close()


def test_a_store_that_cannot_be_opened_yet_is_opened_later(store, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY", 0.05)
    path = closed(store)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    other = Store(tmp_path)
    with pytest.raises(StoreError, match="another program"):
        other.table()
    holder.execute("ROLLBACK")
    holder.close()
    assert other.table().empty and other.warning is None and other.path.name == "runs.db"


def test_a_full_disk_is_told_and_what_was_kept_stays(store):
    id = saved(store, trained(20))
    with store._database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall()
    with pytest.raises(StoreError, match="disk is full"):
        saved(store, trained(3, layers=[{"units": 900, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]))
    assert store.load(id).step == 20 and len(store.table()) == 1
    with store._database.reading() as connection:
        connection.execute("PRAGMA max_page_count = 100000").fetchall()
    saved(store, trained(30), id)
    assert store.load(id).step == 30


AS_NOBODY = """
import os, sys
from pathlib import Path
from tests.core.stored_runs import saved, trained
from core.experiments.store import Store, StoreError
trainer = trained(1)  # before its rights are gone: all that it takes is imported
Store(Path(sys.argv[1]) / "other").table()
if os.geteuid() == 0:
    os.setuid(65534)
store = Store(Path(sys.argv[1]))
print(store.table()["step"].tolist(), "|", store.warning)
for action in (lambda: saved(store, trainer), lambda: store.claim("a"), lambda: store.rename(sys.argv[2], "b"), store.purge):
    try:
        action()
    except StoreError as error:
        print(error)
"""


@pytest.fixture
def readable():
    """A folder that everybody may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("there", [True, False])
def test_what_lies_in_a_read_only_folder_can_be_read_and_nothing_else(readable, there):
    folder, id = readable / "data", "none"
    folder.mkdir()
    if there:
        store = Store(folder)
        id = saved(store, trained(9))
        closed(store).chmod(0o444)
    folder.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, folder, id], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, *refusals = done.stdout.splitlines()
    assert head.startswith("[9] |" if there else "[] |") and "cannot be kept" in head and str(folder) in head
    assert len(refusals) == 4 and all("cannot be kept" in line for line in refusals)


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "folder")
    assert store.table().empty and "cannot be used" in store.warning
    with pytest.raises(StoreError):
        saved(store, trained(1))


def test_threads_share_one_store(store):
    ids, trouble = [Store.new_id() for _ in range(4)], []

    def work(id):
        try:
            for step in range(1, 6):
                saved(store, trained(step), id)
                assert store.load(id).step == step
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble and sorted(store.table()["step"]) == [5, 5, 5, 5]
