"""Keeping a live run in the store. The worker says when; what takes long is done in a thread of its own."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.store.record import record_of
from core.store.store import Store, StoreError

if TYPE_CHECKING:
    from core.diagnosis.finding import Finding
    from core.settings import Settings
    from core.store.record import StoredRun
    from core.training.recorder import FlightRecorder
    from core.training.trainer import Trainer

MOST_NEW, NEW_BYTES = 64, 2 << 20  # moments that one saving takes over, but of large networks so many bytes: compressing them takes 50 ms


class StoreWriter:
    """Saves runs of one person. `trouble` is a sentence about why the last saving failed, None when it did not.

    Only runs that have begun to train are kept: a page that was merely opened leaves nothing behind.
    """

    def __init__(self, settings: Settings, owner: str | None = None) -> None:
        self._store = Store(settings.data_folder, settings.run_bytes, settings.store_bytes, settings.visitor_store_bytes)
        self._owner = owner
        self._thread = ThreadPoolExecutor(1)
        self._writing = self._run_lock = self._file = None
        self.trouble = self._store.warning
        self.began = 0.0
        self.begin()

    def begin(self, parent: str | None = None, forked_at: int | None = None) -> None:
        """What is kept from now on is another run."""
        self.finish()
        self._release()
        self._id, self._parent, self._forked_at = Store.new_id(), parent, forked_at
        self._kept, self._upload, self._until = False, None, -1

    @property
    def id(self) -> str | None:
        """The run's id in the store; None while it is not there."""
        self._look()
        return self._id if self._kept else None

    @property
    def busy(self) -> bool:
        """Whether a saving is still going on."""
        self._look()
        return self._writing is not None

    def keep(self, trainer: Trainer, recorder: FlightRecorder, status: str, findings: Sequence[Finding]) -> None:
        """Begin to save the run as it is now, unless a saving is still going on."""
        if trainer.step == 0 or self.busy:
            return
        self.began = time.monotonic()
        path = trainer.config.data.path
        try:
            if self.moved:
                self._begin_in_new_file()
            if path is not None and self._upload is None:
                self._upload = self._store.keep_upload(Path(path).name, Path(path).read_bytes())
        except (StoreError, OSError) as error:
            self._tell(error)
            return
        record = record_of(
            trainer,
            self._id,
            status=status,
            seconds=recorder.spent,
            owner=self._owner,
            parent=self._parent,
            forked_at=self._forked_at,
            upload=self._upload,
            findings=findings,
            interventions=recorder.interventions,
            moments=_spread(recorder.states_after(self._until)),
        )
        self._writing = self._thread.submit(self._write, record)

    @property
    def moved(self) -> bool:
        """Whether another file is used by now than the one that the run was saved in."""
        try:
            return self._file is not None and self._store.identity != self._file
        except StoreError:
            return False

    def _begin_in_new_file(self):
        """The run is to be saved there with all that is in memory of it; its lock and its data are to be had there, too."""
        self._release()
        self._upload, self._until, self._file = None, -1, None

    def finish(self) -> None:
        """Wait until what was begun is saved."""
        if self._writing is not None:
            self._writing.exception()
            self._look()

    def resume(self, id: str) -> StoredRun:
        """The StoredRun of this id, which is kept on from here. Raises StoreError, also when another process trains it, and when
        it is not this person's."""
        lock = self._store.lock_run(id)
        if lock is None:
            raise StoreError("This run is being trained in another window.")
        try:
            stored = self._store.load(id)
            if stored.owner != self._owner:
                raise StoreError("This run is somebody else's: it can only be looked at.")
        except StoreError:
            lock.release()
            raise
        self.begin(stored.parent, stored.forked_at)
        self._id, self._run_lock, self._kept, self._upload, self._until = id, lock, True, stored.upload, stored.step
        self._file = self._store.identity
        return stored

    def look(self, id: str) -> StoredRun:
        """The StoredRun of this id, left as it is."""
        return self._store.load(id)

    def _write(self, record):
        if self.moved:
            raise StoreError("The data folder was removed or replaced; it is saved again in what is there now.")
        self._run_lock = self._run_lock or self._store.lock_run(record.id)
        self._store.save(record)
        self._until, self._file = record.step, self._store.identity

    def _look(self):
        """See what became of a saving."""
        if self._writing is None or not self._writing.done():
            return
        error, self._writing = self._writing.exception(), None
        if error is None:
            self._kept, self.trouble = True, self._store.warning
        else:
            self._tell(error)

    def _tell(self, error):
        if not isinstance(error, (StoreError, OSError, MemoryError)):
            traceback.print_exception(error)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.trouble = f"This run is not being kept: {reason}"

    def _release(self):
        if self._run_lock is not None:
            self._run_lock.release()
            self._run_lock = None


def _spread(moments):
    """As many of the recorder's moments as one saving takes over, evenly, with the pinned ones and the last."""
    if not moments:
        return []
    size = sum(array.nbytes for array in moments[-1][1].values())
    most = min(max(2, NEW_BYTES // size), MOST_NEW, len(moments))
    picked = set(np.rint(np.linspace(0, len(moments) - 1, most)).astype(int).tolist())
    return [moment for index, moment in enumerate(moments) if index in picked or moment[-1]]
