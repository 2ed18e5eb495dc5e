"""The store's file in trouble: damaged, foreign, newer, older, locked, read-only, on a full disk. Nothing is lost, all is told."""

import dataclasses
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from core.limits import ConfigError
from core.store import archive, database
from core.store.record import record_of
from core.store.store import NAME_LENGTH, NOTE_LENGTH, Store, StoreError
from tests.core.stored_runs import FILES, saved, trained


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


@pytest.fixture
def older(tmp_path, monkeypatch):
    """The path of a store that the next version of Descent would bring forward."""
    monkeypatch.setattr(database, "MIGRATIONS", [*database.MIGRATIONS, "ALTER TABLE runs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'"])
    path = tmp_path / "runs.db"
    shutil.copy(FILES / "runs.db", path)
    return path


def rows(path):
    """(version, every row of the runs) of the file at `path`."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0], connection.execute("SELECT * FROM runs").fetchall()


def test_an_older_store_is_copied_before_it_is_brought_forward(older, tmp_path):
    before = rows(older)
    stores = [Store(tmp_path) for _ in range(3)]
    assert all(one.warning is None and one.load("circle").step == 240 for one in stores)
    stores[0].rename("circle", "later")
    copy = tmp_path / "runs.version-1.db"
    assert rows(copy) == before and rows(older)[0] == len(database.MIGRATIONS) and copy.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} <= {"runs.db", "runs.db-wal", "runs.db-shm", "runs.version-1.db"}


def test_what_was_written_last_is_in_the_copy_too(older, tmp_path):
    with closing(sqlite3.connect(older)) as other:  # another program still has it open: its last transaction is in the log beside the file
        other.execute("UPDATE runs SET note = 'last'")
        other.commit()
        Store(tmp_path)
    assert {row[6] for row in rows(tmp_path / "runs.version-1.db")[1]} == {"last"}


def test_the_copy_can_be_put_back(older, tmp_path, monkeypatch):
    Store(tmp_path).close()
    monkeypatch.setattr(database, "MIGRATIONS", database.MIGRATIONS[:-1])
    assert "newer version" in Store(tmp_path).warning
    (tmp_path / "runs.version-1.db").rename(older)
    again = Store(tmp_path)
    assert again.warning is None and again.path == older and again.load("circle").step == 240


def test_a_store_that_cannot_be_copied_is_not_brought_forward(older, tmp_path):
    before = rows(older)
    blocking = tmp_path / "runs.version-1.unfinished"
    blocking.mkdir()
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=r"the store runs\.db is of an older version of Descent, and it cannot be copied .*directory"):
        store.table()
    assert store.warning.count(".") == 2 and rows(older) == before
    assert {path.name for path in tmp_path.glob("*.db")} == {"runs.db"}
    blocking.rmdir()
    assert len(store.table()) == 3 and store.warning is None and rows(older)[0] == len(database.MIGRATIONS)


def test_no_other_store_is_copied(store, tmp_path):
    saved(store, trained(3))
    closed(store)
    Store(tmp_path).table()
    assert not list(tmp_path.glob("*version*"))


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


# All that comes in, or nothing


@pytest.fixture
def exported(tmp_path):
    """The file of a run that has a name, a note, two moments and data of its own."""
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(40)))
    store = Store(tmp_path / "from")
    wide = [{"units": 900, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]
    trainer = trained(3, data={"source": "file", "path": str(path)}, layers=wide)
    id = saved(store, trainer, upload=store.keep_upload(path.name, path.read_bytes()))
    saved(store, trainer.run(5), id, upload=store.load(id).upload)
    store.rename(id, "mine")
    store.annotate(id, "a note")
    return archive.export(store.load(id))


def contents(store):
    """Every row of every table."""
    with store._database.reading() as connection:
        return [connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("runs", "histories", "checkpoints", "uploads")]


class FailingAt:
    """A connection whose statement number `at` fails with `error`."""

    def __init__(self, real, at, error):
        self.real, self._left, self._error = real, at, error

    def execute(self, *arguments):
        return self._tried(self.real.execute, arguments)

    def executemany(self, *arguments):
        return self._tried(self.real.executemany, arguments)

    def _tried(self, method, arguments):
        self._left -= 1
        if self._left == 0:
            raise self._error
        return method(*arguments)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), MemoryError(), KeyboardInterrupt()], ids=repr)
def test_an_import_that_fails_at_any_statement_leaves_nothing(store, exported, error):
    saved(store, trained(2))
    before, run, real = contents(store), archive.read(exported), store._database._connection
    for at in range(1, 50):
        store._database._connection = FailingAt(real, at, error)
        try:
            archive.import_run(store, run)
            break
        except (StoreError, MemoryError, KeyboardInterrupt):
            assert contents(store) == before
    store._database._connection = real
    assert at > 8 and contents(store) != before
    again = store.load(run.id)
    assert (again.name, again.note, again.file[0], len(again.moments)) == ("mine", "a note", "points.csv", 2)


def test_an_import_that_finds_the_disk_full_leaves_nothing(store, exported):
    before = contents(store)
    with store._database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall()
    with pytest.raises(StoreError, match="disk is full"):
        archive.import_run(store, archive.read(exported))
    assert contents(store) == before


@pytest.mark.parametrize("brought", [{"name": "x" * (NAME_LENGTH + 1)}, {"name": "\ud800"}, {"name": "two\nlines"}, {"note": "\x07"},
                                     {"note": "x" * (NOTE_LENGTH + 1)}, {"file": ("\ud800.csv", b"1")}, {"name": 7}])  # fmt: skip
def test_a_run_is_not_kept_under_what_is_no_name(store, brought):
    before = contents(store)
    with pytest.raises(ConfigError, match="must be"):
        store.save(dataclasses.replace(record_of(trained(1), "id", status="paused", seconds=1.0), **brought))
    assert contents(store) == before


# One bad row among the others

BAD = {
    "name": ["x'EDA080'", "CAST(x'EDA080' AS TEXT)", "CAST(x'FF00FE' AS TEXT)", "7", "'a' || char(7) || 'b'"],
    "note": ["x'00'", "CAST(x'80' AS TEXT)"],
    "config": ["'{'", "'[]'", "'7'", "x'80'", "CAST(x'7B80' AS TEXT)", "json_set(config, '$.data.source', 'nowhere')",
               "json_remove(config, '$.layers[0].units', '$.layers')", "json_set(config, '$.data.target', json('\"\\ud800\"'))"],
    "findings": ["'{'", "NULL", "'[7]'", "'[{}]'", "x'80'", "replace('[' || char(34) || '@ud800' || char(34) || ']', '@', char(92))"],
    "status": ["'unheard of'", "NULL", "x'80'", "7"],
    "metric": ["NULL", "x'80'", "'unheard of'"],
    "final": ["'low'", "x'80'", "9e999", "-9223372036854775808", "NULL"],
    "updated": ["'now'", "9e999", "1e300", "-1e300", "x'80'"],
    "step": ["'many'", "NULL", "x'80'", "1.5", "9223372036854775807"],
    "spark": ["x'0102'", "NULL", "'text'", "7", "x'0000c07f0000807f'"],
    "starred": ["'yes'", "x'80'"],
    "epoch": ["'text'"],
    "forked_at": ["'text'"],
    "parent": ["x'80'", "'gone'"],
}  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [(column, value) for column, values in BAD.items() for value in values])
def test_one_bad_row_hides_nothing(store, column, value):
    bad, good = saved(store, trained(2)), saved(store, trained(3))
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute(f"UPDATE runs SET {column} = {value} WHERE id = ?", (bad,))
    connection.commit()
    connection.close()
    table = store.table().set_index("id")
    assert set(table.index) == {bad, good} and (table.loc[good, "step"], table.loc[good, "metric"]) == (3, "accuracy")
    for name in ("name", "note", "status", "metric", "findings", "config"):
        assert all(isinstance(text, str) and text.encode() is not None for text in table[name])
    assert table["final"].dtype == table["updated"].dtype == float and table["starred"].dtype == bool
    for look in (store.load, store.settings_of, store.access):
        with suppress(StoreError):
            look(bad)
    store.rename(bad, "mended")
    store.star(bad, True)
    assert store.table().set_index("id").loc[bad, "name"] == "mended" and store.load(good).step == 3
    store.delete([bad])
    assert store.table()["id"].tolist() == [good]


AS_NOBODY = """
import os, sys
from pathlib import Path
from tests.core.stored_runs import saved, trained
from core.store.store import Store, StoreError
trainer = trained(1)  # before its rights are gone: all that it takes is imported
Store(Path(sys.argv[1]) / "other").table()
if os.geteuid() == 0:
    os.setuid(65534)
store = Store(Path(sys.argv[1]))
print(store.table()["step"].tolist(), "|", store.warning)
for action in (lambda: saved(store, trainer), lambda: store.lock_run("a"), lambda: store.rename(sys.argv[2], "b"), store.purge):
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
