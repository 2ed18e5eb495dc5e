"""The live runs of this server: which there are, which may be closed, and how they share the processors."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.live.client import LiveRun

from core.live.pacing import GROWING

_listing = threading.Lock()  # pages begin runs while others count them
_runs = weakref.WeakSet()  # all that were begun and are still held by a page


def register(run: LiveRun) -> None:
    """This LiveRun is about to begin."""
    with _listing:
        _runs.add(run)


def living(run_id: str) -> LiveRun | None:
    """The LiveRun of this server that keeps the stored run of this id, or None."""
    return next((live for live in _held() if live.run_id == run_id and live.kept and not live.over), None)


def training_share() -> float:
    """The share of the time that each run at full speed may train: together they leave one processor to the pages and to each other's
    answers, which would wait behind them."""
    playing = sum(run.plays and run.speed in (None, GROWING) for run in _held())
    return min(1.0, max(1, os.cpu_count() - 1) / max(1, playing))


def put_away(is_there: Callable[[Any], bool], idle_after: float, person: str | None = None) -> bool:
    """Close a run that stands still, for another one to take its place, of all or of this person's; whether there was one. It is the one
    that was not looked at for longest of those whose `driver` is not there any more, else the one at which nothing was pressed for longest,
    if that is `idle_after` seconds. What it was is in the store."""
    standing = [run for run in _held() if not (run.over or run.plays) and (person is None or run.owner == person)]
    left = [run for run in standing if run.driver is not None and not is_there(run.driver)]
    idle = [run for run in standing if run.pressed_at < time.monotonic() - idle_after]
    giving = min(left, key=lambda run: run.looked_at, default=None) or min(idle, key=lambda run: run.pressed_at, default=None)
    if giving is not None:
        giving.close("This run had stood idle longest and was closed to make room for others.")
    return giving is not None


def _held():
    with _listing:
        return list(_runs)
