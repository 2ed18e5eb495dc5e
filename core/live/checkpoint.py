"""Checkpoints on disk: one NPZ file a run, without pickles, replaced as a whole."""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

KEPT_FOR = 24 * 3600  # seconds: files this old belong to servers that are gone, whoever has their number now


def new_path(folder: Path) -> Path:
    """Where a new run will keep its checkpoint: a name nobody can guess, after this process' number, in `folder`, which only we may enter.

    Makes the folder and clears out of it what servers that are gone have left. PermissionError when the folder belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"The checkpoint folder {folder} must be a directory that only this user may enter")
    for path in folder.glob("*.npz*"):
        with suppress(FileNotFoundError):  # another server clears the same folder
            if path.stat().st_mtime < time.time() - KEPT_FOR or not _lives(path.name.partition("-")[0]):
                path.unlink()
    return folder / f"{os.getpid()}-{secrets.token_hex(16)}.npz"


def _lives(pid):
    """Whether there is a process of this number, a text; of a text that is none it is not known."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError, PermissionError):
        return True
    return True


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write `arrays` (name -> array, no objects). Whenever the process dies, `path` holds a whole checkpoint: the last or this one."""
    temporary = _temporary(path)
    try:
        with open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint. Raises OSError or ValueError; nothing in the file is ever executed."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def saved(path: Path) -> tuple[int, float] | None:
    """(step, time of writing in seconds since 1970) of a checkpoint; None when there is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return int(file["position"][0]), path.stat().st_mtime
    except FileNotFoundError:
        return None


def taken(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, which is removed. Raises OSError or ValueError."""
    arrays = load(path)
    remove(path)
    return arrays


def beside(path: Path) -> Path:
    """Where a run whose checkpoint is at `path` leaves another one for somebody else to take."""
    return path.with_suffix(".start.npz")


def remove(path: Path) -> None:
    """Remove a checkpoint and what an interrupted writing may have left."""
    path.unlink(missing_ok=True)
    _temporary(path).unlink(missing_ok=True)


def _temporary(path):
    return path.with_suffix(".npz.tmp")
