"""The store: runs that stay, in one SQLite file that several threads and processes use at the same time.

What trains a run saves it; name, note, star and deletion are the person's, and no saving changes them. Of a run's states the newest is its
present; the others are moments to go back to, within a budget for each run and one for all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import RunConfig
from core.limits import LIMITS, ConfigError, legible, plain_text
from core.settings import Settings
from core.store import run_lock
from core.store.array_codec import DecodeError, decode, encode
from core.store.budget import LIVING, chosen_moments, keep_to_budgets
from core.store.database import Database, StoreError
from core.store.record import FIGURES, Moment, StoredRun
from core.store.validation import InvalidRun, validated

if TYPE_CHECKING:
    import pandas as pd

    from core.store.record import RunRecord, WatchedRecord
    from core.store.run_lock import RunLock

__all__ = ["NoSuchRun", "Store", "StoreError"]

NAME_LENGTH, NOTE_LENGTH = 80, 2000  # characters
UNDO = 3600.0  # seconds for which a deleted run can be had back
GIVEN_BACK = 20_000  # pages (of 4 KiB) that one purge gives back to the disk: a third of a second
HISTORY_BYTES = 64 << 20  # unpacked; the tables of the deepest network take 4 MiB
LISTED = [
    *("number", "id", "owner", "parent", "forked_at", "name", "note", "starred", "created", "updated"),
    *("status", "step", "epoch", "seconds", *FIGURES, "metric", "findings", "config", "spark", "kind"),
]
TEXTS = ("id", "parent", "name", "note", "status", "metric", "findings", "config", "kind")
GONE = "There is no such run; it may have been deleted."
TRAINED, WATCHED = "trained", "watched"  # kinds of runs: Descent's own, and programs that a probe watched
WHOLE, NUMBERS = ("forked_at", "step"), ("created", "updated", "epoch", "seconds", *FIGURES)


class NoSuchRun(StoreError):
    """There is no such run, or it was deleted."""


@dataclass(frozen=True)
class Access:
    """Whose a run is, and whether its owner shares it with everybody who has its id."""

    owner: str | None
    shared: bool

    def may_take(self, person: str | None) -> bool:
        """Whether this person may have what the run is made of."""
        return self.owner == person or self.shared


class Store:
    """The runs under a folder. `run_bytes` is the budget for one run's moments, `store_bytes` that for the whole file, and
    `visitor_bytes` that for all that one visitor of a shared server keeps.

    Never raises on opening: what is wrong is in `warning`, and whatever cannot be done raises StoreError.
    """

    def __init__(
        self,
        folder: str | Path,
        run_bytes: int = Settings.run_bytes,
        store_bytes: int = Settings.store_bytes,
        visitor_bytes: int = Settings.visitor_store_bytes,
    ) -> None:
        self._database = Database(Path(folder))
        self._run_bytes, self._store_bytes, self._visitor_bytes = run_bytes, store_bytes, visitor_bytes

    @property
    def path(self) -> Path:
        """The file in use."""
        return self._database.path

    @property
    def identity(self) -> tuple[int, int] | None:
        """What tells the file in use from another that is put in its place. Raises StoreError when none can be opened."""
        with self._database.reading():
            return self._database.identity

    @property
    def warning(self) -> str | None:
        """One sentence when the store is not as it should be, else None."""
        return self._database.warning

    def close(self) -> None:
        """Let go of the file; it is opened again when it is used."""
        self._database.close()

    @staticmethod
    def new_id() -> str:
        """An id for a run that nobody can guess."""
        return secrets.token_urlsafe(12)

    # Saving and loading

    def save(self, record: RunRecord) -> None:
        """Insert or update a run, all of it with what it brings, or nothing. Thins its moments to the budget, then older runs to that of
        the store, and of its owner. Raises StoreError, also when the owner's budget does not do, and ConfigError when its name, note or
        file's name is no plain text."""
        history = encode(record.history), json.dumps(record.interventions)
        with self._database.reading() as connection:
            query = "SELECT checkpoints.step, size, pinned FROM checkpoints JOIN runs ON run = number WHERE id = ?"
            moments, dropped = chosen_moments(record, connection.execute(query, (record.id,)).fetchall(), self._run_bytes)
        values = _row(record) | {"updated": time.time()}
        with self._database.writing() as connection:
            if record.file is not None:
                _keep_upload(connection, *record.file)
            number = _upsert(connection, values)
            connection.execute("REPLACE INTO histories(arrays, interventions, run) VALUES (?, ?, ?)", (*history, number))
            connection.execute("DELETE FROM checkpoints WHERE run = ? AND step > ?", (number, record.step))
            connection.executemany("DELETE FROM checkpoints WHERE run = ? AND step = ?", [(number, step) for step in dropped])
            connection.executemany(
                "REPLACE INTO checkpoints(run, step, spent, done, pinned, size, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_encoded(number, moment) for moment in moments),  # one at a time: those of large networks take hundreds of megabytes
            )
            keep_to_budgets(connection, number, record.owner, self._store_bytes, self._visitor_bytes)

    def save_watched(self, record: WatchedRecord) -> None:
        """Insert or update a WatchedRecord: its name is the person's once it is stored. Raises StoreError, also when the owner's budget
        does not do, and ConfigError when its name is no plain text or it is another owner's."""
        values = _watched_row(record)
        with self._database.writing() as connection:
            known = connection.execute("SELECT owner, kind FROM runs WHERE id = ?", (record.id,)).fetchone()
            if known not in (None, (record.owner, WATCHED)):
                raise ConfigError("probe", "must be a run of its own; another person's has this id")
            number = _upsert(connection, values if known else values | {"name": plain_text("name", record.name, NAME_LENGTH)})
            probe = encode({WATCHED: np.frombuffer(record.probe, np.uint8)})
            connection.execute("REPLACE INTO histories(run, interventions, arrays) VALUES (?, '[]', ?)", (number, probe))
            keep_to_budgets(connection, number, record.owner, self._store_bytes, self._visitor_bytes)

    def load_watched(self, id: str, owner: str | None = None) -> bytes:
        """What save_watched was given of this owner's run as `probe`. Raises NoSuchRun, and StoreError when what is stored is damaged or
        only the figures were kept."""
        with self._database.reading() as connection:
            row = _found(connection, id, "number, owner", WATCHED)
            if row["owner"] != owner:
                raise NoSuchRun(GONE)
            number = row["number"]
            history = connection.execute("SELECT arrays FROM histories WHERE run = ?", (number,)).fetchone()
        if history is None:
            raise StoreError("Of this run only the figures were kept.")
        try:
            return decode(history[0], HISTORY_BYTES)[WATCHED].tobytes()
        except (DecodeError, KeyError) as error:
            raise StoreError("What is stored of this run cannot be used: it is damaged.") from error

    def load(self, id: str) -> StoredRun:
        """The StoredRun with this id, validated throughout. Raises NoSuchRun, and StoreError when what is stored is damaged."""
        with self._database.reading() as connection:
            row = _found(connection, id, "*", TRAINED)
            number = row["number"]
            history = connection.execute("SELECT interventions, arrays FROM histories WHERE run = ?", (number,)).fetchone()
            moments = connection.execute(
                "SELECT step, state, spent, done, pinned FROM checkpoints WHERE run = ? ORDER BY step", (number,)
            ).fetchall()
            file = connection.execute("SELECT name, bytes FROM uploads WHERE digest = ?", (row["upload"],)).fetchone()
        try:
            return validated(_stored(row, history, moments, file))
        except (DecodeError, InvalidRun) as error:
            raise StoreError(f"What is stored of this run cannot be used: {error}.") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError("What is stored of this run cannot be used: it is damaged.") from error

    def settings_of(self, id: str) -> tuple[dict[str, Any], tuple[str, bytes] | None]:
        """(configuration's dict, (name, bytes) of the file that it trains on or None) of a run. Raises as `load` does."""
        with self._database.reading() as connection:
            row = _found(connection, id, "config, upload", TRAINED)
            file = connection.execute("SELECT name, bytes FROM uploads WHERE digest = ?", (row["upload"],)).fetchone()
        try:
            return RunConfig.from_dict(json.loads(row["config"])).to_dict(), file
        except (ValueError, RecursionError) as error:
            raise StoreError("What is stored of this run cannot be used: its settings are damaged.") from error

    def name_of(self, id: str) -> str:
        """The name that a person gave a run, or "". Raises NoSuchRun."""
        with self._database.reading() as connection:
            return _found(connection, id, "name")["name"] or ""

    # Who may take data, scripts and weights out of a run; whoever has its id may look at it

    def access(self, id: str) -> Access:
        """Whose run it is, and whom it is shared with: an Access. Raises NoSuchRun."""
        with self._database.reading() as connection:
            row = _found(connection, id, "owner, shared")
        return Access(row["owner"], bool(row["shared"]))

    def share(self, id: str, person: str | None, shared: bool) -> None:
        """Share this person's run with everybody who has its id, or no longer. Raises NoSuchRun, also where it is not this person's."""
        if self.access(id).owner != person:
            raise NoSuchRun("This run is somebody else's: only its owner can share it.")
        self._set(id, "shared", bool(shared))

    # Who trains a run

    def lock_run(self, id: str) -> RunLock | None:
        """The RunLock to train this run, which ends with `release()` or with the process; None while another one has it."""
        with self._database.writing() as connection:
            now = time.time()
            connection.execute("INSERT OR IGNORE INTO runs(id, created, updated) VALUES (?, ?, ?)", (id, now, now))
            number = connection.execute("SELECT number FROM runs WHERE id = ?", (id,)).fetchone()[0]
        try:
            return run_lock.acquire(self.path.with_suffix(".lock"), number)
        except OSError as error:
            raise StoreError(f"Runs cannot be kept now: {error.strerror}.") from error

    # Uploads

    def keep_upload(self, name: str, raw: bytes) -> str:
        """Keep the bytes of a file that a run trains on; its digest. It goes with the last run that uses it."""
        with self._database.writing() as connection:
            return _keep_upload(connection, name[:NAME_LENGTH], raw)

    # The list, and what a person does with it

    def table(self, owner: str | None = None) -> pd.DataFrame:
        """The owner's runs as a DataFrame, the newest first: the columns LISTED. `config` and `findings` should be JSON texts, `spark` is
        float32 bytes, times seconds since 1970; `status` is running only of a run that was saved within a minute.

        Whatever is stored, texts are plain texts and numbers are numbers: what is of another type is empty, or missing."""
        import pandas as pd  # here alone: the processes that train only save, and start sooner without it

        query = f"SELECT {', '.join(LISTED)} FROM runs WHERE owner IS ? AND deleted IS NULL AND config IS NOT NULL ORDER BY updated DESC"
        with self._database.reading() as connection:
            rows = connection.execute(query, (owner,)).fetchall()
        columns = dict(zip(LISTED, zip(*rows) if rows else [()] * len(LISTED)))
        columns |= {name: [legible(text, lines=True) for text in _only(str, columns[name], "")] for name in TEXTS}
        columns |= {name: pd.array(_only(int, columns[name], None), "Int64") for name in WHOLE}
        columns |= {name: np.array(_only((int, float), columns[name], np.nan), float) for name in NUMBERS}
        table = pd.DataFrame(columns | {"spark": _only(bytes, columns["spark"], b""), "starred": list(map(bool, columns["starred"]))})
        table = table.astype({"starred": bool})
        stopped = (table["status"] == "running") & (table["updated"] < time.time() - LIVING)
        table.loc[stopped, "status"] = np.where(table.loc[stopped, "kind"] == WATCHED, "ended", "paused")
        return table

    def rename(self, id: str, text: str) -> None:
        """Give a run a name of at most NAME_LENGTH characters; an empty one takes it away. Raises ConfigError."""
        self._set(id, "name", plain_text("name", " ".join(text.split()), NAME_LENGTH))

    def annotate(self, id: str, text: str) -> None:
        """Give a run a note of at most NOTE_LENGTH characters. Raises ConfigError."""
        self._set(id, "note", plain_text("note", text.strip(), NOTE_LENGTH, lines=True))

    def star(self, id: str, starred: bool) -> None:
        """Star a run, or take the star away: a starred run is never thinned."""
        self._set(id, "starred", bool(starred))

    def _set(self, id, column, value):
        with self._database.writing() as connection:
            _found(connection, id, "number")
            connection.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, id))

    def delete(self, ids: Iterable[str]) -> None:
        """Take runs out of the list; `undelete` has them back for an hour."""
        _mark_deleted(self._database, ids, time.time())

    def undelete(self, ids: Iterable[str]) -> None:
        """Have deleted runs back."""
        _mark_deleted(self._database, ids, None)

    def purge(self) -> None:
        """Have really gone what was deleted more than an hour ago, and uploads that no run uses, and give their room back to the disk."""
        before = time.time() - UNDO
        with self._database.writing() as connection:
            connection.execute("DELETE FROM runs WHERE (deleted < ? OR config IS NULL) AND updated < ?", (before, before))
            connection.execute(
                "DELETE FROM uploads WHERE kept < ? AND digest NOT IN (SELECT upload FROM runs WHERE upload IS NOT NULL)", (before,)
            )
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            for _ in range(min(free, GIVEN_BACK)):
                connection.execute("PRAGMA incremental_vacuum(1)")  # one page a statement: sqlite3 does not ask for more


def _mark_deleted(database, ids, when):
    with database.writing() as connection:
        connection.executemany("UPDATE runs SET deleted = ? WHERE id = ?", [(when, id) for id in ids])


def _only(kinds, values, otherwise):
    return [value if isinstance(value, kinds) else otherwise for value in values]


def _encoded(number, moment):
    state = encode(moment.state)
    return number, moment.step, moment.spent, moment.done, moment.pinned, len(state), state


def _row(record):
    """The columns that saving sets."""
    findings = [dict(finding) for finding in record.findings]
    row = {
        "id": record.id,
        "owner": record.owner,
        "parent": record.parent,
        "forked_at": record.forked_at,
        "config": json.dumps(record.config),
        "status": record.status,
        "step": record.step,
        "epoch": record.epoch,
        "seconds": record.seconds,
        "findings": json.dumps(findings),
        "healthy": all(finding["severity"] == "info" for finding in findings),
        **record.figures,
        "spark": record.spark.astype("<f4").tobytes(),
        "upload": record.upload,
    }
    if record.name is not None:
        row["name"] = plain_text("name", record.name, NAME_LENGTH)
    if record.note is not None:
        row["note"] = plain_text("note", record.note, NOTE_LENGTH, lines=True)
    return row


def _keep_upload(connection, name, raw):
    digest = hashlib.sha256(raw).hexdigest()
    connection.execute(
        "INSERT INTO uploads(digest, name, kept, bytes) VALUES (?, ?, ?, ?) ON CONFLICT(digest) DO UPDATE SET kept = excluded.kept",
        (digest, plain_text("upload", name, NAME_LENGTH), time.time(), raw),
    )
    return digest


def _upsert(connection, values):
    """Insert or update the row; its number. The first owner stays."""
    columns = ", ".join(values)
    changed = ", ".join(f"{name} = excluded.{name}" for name in values if name not in ("id", "owner"))
    connection.execute(
        f"INSERT INTO runs({columns}, created) VALUES ({', '.join('?' * len(values))}, ?) ON CONFLICT(id) DO UPDATE SET {changed}, "
        "owner = CASE WHEN runs.config IS NULL THEN excluded.owner ELSE runs.owner END",
        (*values.values(), values["updated"]),
    )
    return connection.execute("SELECT number FROM runs WHERE id = ?", (values["id"],)).fetchone()[0]


def _watched_row(record):
    """The columns that saving a watched program sets. It has no settings that Descent knows of."""
    findings = [dict(finding) for finding in record.findings]
    return {
        **{name: getattr(record, name) for name in ("id", "owner", "status", "step", "seconds")},
        **{name: record.figures.get(name) for name in FIGURES},
        "config": "{}",
        "kind": WATCHED,
        "findings": json.dumps(findings),
        "healthy": all(finding["severity"] == "info" for finding in findings),
        "spark": record.spark.astype("<f4").tobytes(),
        "updated": time.time(),
    }


def _found(connection, id, columns, kind=None):
    """The row of a run that is there, as a dict; of this kind alone if one is given."""
    query = f"SELECT {columns} FROM runs WHERE id = ? AND deleted IS NULL AND config IS NOT NULL AND kind = COALESCE(?, kind)"
    cursor = connection.execute(query, (id, kind))
    row = cursor.fetchone()
    if row is None:
        raise NoSuchRun(GONE)
    return dict(zip((column[0] for column in cursor.description), row))


def _stored(row, history, moments, file):
    """The StoredRun of what the tables hold, unpacked."""
    names = ("id", "owner", "parent", "forked_at", "name", "note", "created", "updated", "status", "step", "epoch", "seconds", "upload")
    return StoredRun(
        **{name: row[name] for name in names},
        starred=bool(row["starred"]),
        figures={name: row[name] for name in (*FIGURES, "metric")},
        config=json.loads(row["config"]),
        findings=tuple(json.loads(row["findings"])),
        interventions=tuple(json.loads(history[0])) if history else (),
        history=decode(history[1], HISTORY_BYTES) if history else {},
        moments=tuple(
            Moment(step, decode(state, LIMITS["memory_bytes"]), spent, done, bool(pinned)) for step, state, spent, done, pinned in moments
        ),
        file=file,
    )
