"""The file that runs are kept in: found or begun, brought to the present schema, and every trouble with it told in one sentence.

Only its owner may read it. Where it is removed or replaced while it is open, the file that is now in its place, or a new one, is used from
the next transaction on; SQLite would go on in what nobody finds any more.

A file that is damaged, or that a newer Descent wrote, is never touched: a fresh one is begun beside it, runs-2.db and so on, and the same
one is chosen at the next opening. Of one that an older Descent wrote a copy is made, runs.version-1.db, before its schema changes.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

BUSY = 5.0  # seconds to wait for another process that writes
LOOKED_AFTER = 2.0  # seconds from one look at the file's beginning to the next: SQLite itself may never read it again

# Applied in order to a file whose user_version is smaller than its place; only ever add to the end
MIGRATIONS = [
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT,
        parent TEXT,
        forked_at INTEGER,
        name TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        starred INTEGER NOT NULL DEFAULT 0,
        deleted REAL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        config TEXT,
        status TEXT,
        step INTEGER,
        epoch REAL,
        seconds REAL,
        findings TEXT,
        healthy INTEGER,
        initial REAL,
        final REAL,
        best REAL,
        test REAL,
        metric TEXT,
        train_metric REAL,
        test_metric REAL,
        spark BLOB,
        upload TEXT REFERENCES uploads(digest)
    );
    CREATE INDEX runs_of_owner ON runs(owner, updated);
    CREATE TABLE histories (
        run INTEGER PRIMARY KEY REFERENCES runs(number) ON DELETE CASCADE,
        interventions TEXT NOT NULL,
        arrays BLOB NOT NULL
    );
    CREATE TABLE checkpoints (
        run INTEGER NOT NULL REFERENCES runs(number) ON DELETE CASCADE,
        step INTEGER NOT NULL,
        spent REAL NOT NULL,
        done INTEGER NOT NULL,
        pinned INTEGER NOT NULL,
        size INTEGER NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (run, step)
    );
    CREATE TABLE uploads (
        digest TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        kept REAL NOT NULL,
        bytes BLOB NOT NULL
    );
    """,
    "ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'trained'",  # or watched
    "ALTER TABLE runs ADD COLUMN shared INTEGER NOT NULL DEFAULT 0",  # whether its data and weights are everybody's who has the link
]


DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StoreError(RuntimeError):
    """The store cannot do what was asked; the message is a sentence for the person."""


class _Unusable(Exception):
    """This file is not one to work with; the message says why, after "runs.db"."""


class Database:
    """The open file: `path` is where it is, `warning` a sentence when it is not the usual one or cannot be written, else None.

    One connection, used by one thread at a time; other processes have their own. `reading` and `writing` give it within a transaction and
    raise StoreError, and nothing else, for whatever SQLite meets.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._connection: Any = None
        self.warning = self._refusal = self._moved = None
        self._looked_after = 0.0
        self.path = folder / "runs.db"
        self.identity = None  # device and inode of the file in use
        with suppress(StoreError):  # tried again, and told, when it is used
            self._open()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, within one view of the file."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, within a transaction that is kept as a whole, or not at all."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            if self._refusal:
                raise StoreError(self._refusal)
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, begin) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._look_after()
            if self._connection is None:
                self._open()
            try:
                self._connection.execute("BEGIN" if self._refusal else begin)
                yield self._connection  # pyright: ignore[reportReturnType]
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise self._told(error) from error
            except BaseException:
                self._roll_back()
                raise

    def _look_after(self):
        """Let go of the file if another one, or none, is in its place by now. Raises StoreError when it turned out to be damaged."""
        if self._connection is None:
            return
        if _identity(self.path) != self.identity:
            self.close()
            there = f"The data folder {self._folder} was removed or replaced while Descent ran"
            self._moved = f"{there}: runs are kept in what is there now, and those that are open are saved there again."
        elif not self._refusal and time.monotonic() > self._looked_after + LOOKED_AFTER:
            try:
                with closing(_connected(self.path)) as fresh:  # of its own: the open one has what it read before in its memory
                    _version(fresh)
                    _schema(fresh)
            except sqlite3.Error as error:
                if _code(error) in DAMAGED:
                    raise self._told(error) from error
            self._looked_after = time.monotonic()

    def _roll_back(self):
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")

    def _told(self, error):
        """The StoreError for what SQLite raised. A file that turns out to be damaged is left for good."""
        code = _code(error)
        if code in DAMAGED:
            with suppress(OSError):
                _mark(self.path).touch()
            self.close()
            return StoreError(f"The store {self.path.name} is damaged. It is left as it is, and runs are kept in a new one from now on.")
        return StoreError(f"Runs cannot be kept now: {_REASONS.get(code, str(error))}.")

    # Opening

    def _open(self):
        try:
            self._find()
        finally:
            self.identity, self._looked_after = _identity(self.path), time.monotonic()
        self.warning = " ".join(filter(None, (self._moved, self.warning, _seen_by_others(self._folder, self.path)))) or None

    def _find(self):
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._open_nothing(error.strerror)
            return
        passed = []
        for number in itertools.count(1):
            self.path = self._folder / ("runs.db" if number == 1 else f"runs-{number}.db")
            try:
                self._connection = _opened(self.path)
                break
            except _Unusable as reason:
                passed.append(f"{self.path.name} {reason}")
            except StoreError as error:
                self.warning = str(error)
                raise
            except sqlite3.Error as error:
                if _code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                    self._open_for_reading()
                    return
                self.warning = str(self._told(error))
                raise StoreError(self.warning) from error
        self._refusal = None
        self.warning = f"The store {', '.join(passed)}. It was left as it is, and runs are kept in {self.path.name}." if passed else None

    def _open_for_reading(self):
        """Of a folder that cannot be written, what is there."""
        self.warning = self._refusal = f"Runs cannot be kept: the folder {self._folder} cannot be written to."
        for options in ("mode=ro", "immutable=1"):  # a store in WAL mode needs files beside it, unless nobody writes
            with suppress(sqlite3.Error):
                connection = _connected(f"{self.path.absolute().as_uri()}?{options}", uri=True)
                connection.execute("SELECT id FROM runs LIMIT 1")
                self._connection = connection
                return
        self._open_nothing("cannot be written to")

    def _open_nothing(self, reason):
        """An empty store that takes nothing."""
        self.warning = self._refusal = f"Runs cannot be kept: the folder {self._folder} cannot be used ({reason})."
        self._connection = _connected(":memory:")
        _migrate(self._connection)


_REASONS = {
    sqlite3.SQLITE_BUSY: f"another program has held the store for {BUSY:g} seconds",
    sqlite3.SQLITE_LOCKED: f"another program has held the store for {BUSY:g} seconds",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the store cannot be written to",
    sqlite3.SQLITE_CANTOPEN: "the store cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk cannot be written to, or is full",
    sqlite3.SQLITE_TOOBIG: "the run is too large",
}


def _code(error):
    """SQLite's primary code of an error, 0 of one that has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _mark(path):
    """The file that says that `path` turned out to be damaged."""
    return path.with_name(f"{path.name}.damaged")


def _connected(target, **options):
    connection = sqlite3.connect(target, timeout=BUSY, isolation_level=None, check_same_thread=False, **options)
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")  # a text that is none must not end the reading of others
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _opened(path):
    """A connection to the file at `path`, of the present schema. Raises _Unusable, and sqlite3.Error for what may pass."""
    if _mark(path).exists():
        raise _Unusable("is damaged")
    _close_to_others(path)
    connection = _connected(path)
    try:
        if not os.access(path, os.W_OK):  # SQLite opens it all the same, and tells only later
            raise _read_only()
        _migrate(connection, path)
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        return connection
    except BaseException as error:
        connection.close()
        if _code(error) in DAMAGED:
            raise _Unusable("is damaged") from error
        raise


def _identity(path):
    """(device, inode) of a file, None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _close_to_others(path):
    """Begin the file, or take from others the right to read it; SQLite gives those beside it the same mode."""
    with suppress(OSError):  # told by what comes next: `_seen_by_others`, or SQLite
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for part in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
        with suppress(OSError):
            if part.stat().st_mode & 0o077:
                part.chmod(0o600)


def _seen_by_others(folder, path):
    """A sentence when other users of the machine can read the file or put another one in its place, else None."""
    with suppress(OSError):
        mode, owner = folder.stat().st_mode, folder.stat().st_uid
        if owner not in (os.getuid(), 0) or (mode & 0o022 and not mode & stat.S_ISVTX):
            return f"Other users of this machine can replace the store: the folder {folder} should be yours, and only yours to write."
        if path.stat().st_mode & 0o077:
            return f"Other users of this machine can read {path.name}, and its mode could not be changed."
    return None


def _read_only():
    error = sqlite3.OperationalError("read-only")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    return error


def _use_wal(connection):
    """Writers and readers do not wait for each other. Two processes that change to it at once do: SQLite itself waits for neither."""
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _migrate(connection, path=None):
    """Bring the file to the present schema, in one transaction, and after a copy of what it was. Raises _Unusable when it is not one of
    ours, or of a newer Descent, and StoreError when it cannot be copied."""
    if _version(connection) < len(MIGRATIONS):
        if not _schema(connection):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # later it would not be heeded
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)  # another process may have been faster
            if version == 0 and _schema(connection):
                raise _Unusable("is no store of Descent")
            if 0 < version < len(MIGRATIONS):
                _copy(path, version)
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                for statement in script.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if _version(connection) > len(MIGRATIONS):
        raise _Unusable("is of a newer version of Descent")
    if _schema(connection) != _present_schema():
        raise _Unusable("is damaged")


def _copy(path, version):
    """Copy the file at `path`, of this version, to a file beside it that only we may read. Raises StoreError."""
    copy = path.with_name(f"{path.stem}.version-{version}{path.suffix}")
    unfinished = copy.with_suffix(".unfinished")
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with closing(_connected(path)) as source, closing(_connected(unfinished)) as target:
            source.backup(target)
        os.replace(unfinished, copy)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            unfinished.unlink()
        reason = _REASONS.get(_code(error)) or getattr(error, "strerror", None) or str(error)
        raise StoreError(
            f"Runs cannot be kept now: the store {path.name} is of an older version of Descent, and it cannot be copied before it is "
            f"changed ({reason})."
        ) from error


def _version(connection):
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _schema(connection):
    return sorted(connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall())


def _present_schema():
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS:
            connection.executescript(script)
        return _schema(connection)
