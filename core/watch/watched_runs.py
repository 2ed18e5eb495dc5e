"""The watched runs of one server: what probes sent, by whom, in a bounded amount of memory."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from core.limits import ConfigError
from core.watch.history import WatchedRun
from core.watch.probe_format import BATCH_BYTES, FIELD, FILE_BYTES, read_batch
from core.watch.report import Examined, examine
from core.watch.twin import STEPS

MOST = 8  # runs that are kept: the one that was silent for longest goes first
LIVE = 3.0  # seconds after the last batch for which a program counts as running
LOOK = 1.0  # seconds from one search for what is wrong to the next


@dataclass
class Entry:
    """One run with what is known of it. `lock` guards the run while a batch is taken in."""

    run: WatchedRun
    owner: str | None
    lock: threading.RLock = field(default_factory=threading.RLock)
    heard: float = 0.0  # when its last batch came, by time.monotonic
    examined: Examined = Examined((), None, ())
    _version: int = -1
    _looked: float = -LOOK
    _twin_of: tuple = ()

    @property
    def live(self) -> bool:
        """Whether its program seems to run."""
        return time.monotonic() < self.heard + LIVE

    def look(self, now: bool = False) -> tuple[WatchedRun, Examined]:
        """(the run as it stands, as a copy that stays so; the Examined), worked out anew at most once in LOOK seconds, or `now`."""
        with self.lock:
            run = self.run.frozen()
        if run.version != self._version and (now or time.monotonic() > self._looked + LOOK):
            twin_of = tuple(run.whole)[:STEPS]
            self.examined = examine(run, True if twin_of != self._twin_of else self.examined.twin)
            self._version, self._looked, self._twin_of = run.version, time.monotonic(), twin_of
        return run, self.examined

    @property
    def settled(self) -> bool:
        """Whether all that came has been looked at."""
        return self._version == self.run.version


class WatchedRuns:
    """The Entries by run id. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._entries, self._lock = {}, threading.Lock()

    def take(self, raw: bytes, owner: str | None = None, file: bool = False) -> Entry:
        """Take a batch in, or a whole file. Raises ConfigError("probe") on what is none, and on a run that is another owner's."""
        header, records = read_batch(raw, FILE_BYTES if file else BATCH_BYTES)
        with self._lock:
            entry = self._entries.get(header.run)
            if entry is None:
                entry = Entry(WatchedRun(header), owner)
                self._entries[header.run] = entry
                while len(self._entries) > MOST:
                    del self._entries[min((run for run in self._entries if run != header.run), key=lambda run: self._entries[run].heard)]
        if entry.owner != owner:
            raise ConfigError(FIELD, "must be a run of its own; another person's has this id")
        with entry.lock:
            entry.heard = time.monotonic()
            try:
                for record in records:
                    entry.run.add(record)
            finally:
                if not entry.run.version:  # nothing of it was any good
                    with self._lock:
                        self._entries.pop(header.run, None)
        return entry

    def of(self, owner: str | None) -> list[Entry]:
        """This owner's Entries, the newest first."""
        with self._lock:
            entries = list(self._entries.values())
        return sorted((entry for entry in entries if entry.owner == owner), key=lambda entry: (entry.live, entry.run.began), reverse=True)
