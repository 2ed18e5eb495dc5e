"""Who trains a run: one process at a time, by a lock that goes with the process however it ends."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

_held = {}  # path of a lock file -> (descriptor, numbers locked): closing any descriptor of the file would free all of this process' locks
_guard = threading.Lock()


class RunLock:
    """Held by who trains run `number`, until `release` or the end of the process."""

    def __init__(self, descriptor: int, numbers: set[int], number: int) -> None:
        self._descriptor, self._numbers, self.number = descriptor, numbers, number

    def release(self) -> None:
        """Let others train the run; a second time does nothing."""
        with _guard:
            if self.number in self._numbers:
                self._numbers.remove(self.number)
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self.number)


def acquire(path: str | Path, number: int) -> RunLock | None:
    """The RunLock of run `number` by the lock file at `path`; None while anybody has it, this process included. Raises OSError."""
    path = os.path.realpath(path)
    with _guard:
        if path not in _held or not _in_place(path, _held[path][0]):  # one that was replaced stays open: it may be locked
            _held[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), set()
        descriptor, numbers = _held[path]
        if number in numbers:
            return None
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except BlockingIOError:
            return None
        except PermissionError:  # some systems say so of a lock that is held
            return None
        numbers.add(number)
        return RunLock(descriptor, numbers, number)


def _in_place(path, descriptor):
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False
