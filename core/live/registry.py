"""The live runs of this server: which there are, which may be closed, and how they share the processors."""

from __future__ import annotations

import os
import threading
import weakref

_listing = threading.Lock()  # pages begin runs while others count them
_runs = weakref.WeakSet()  # all that were begun and are still held by a page


def register(run):
    """This LiveRun is about to begin."""
    with _listing:
        _runs.add(run)


def living(run_id):
    """The LiveRun of this server that keeps the stored run of this id, or None."""
    return next((live for live in _held() if live.run_id == run_id and live.kept and not live.over), None)


def training_share():
    """The share of the time that each run at full speed may train: together they leave one processor to the pages and to each other's
    answers, which would wait behind them."""
    playing = sum(run.plays and run.speed is None for run in _held())
    return min(1.0, max(1, os.cpu_count() - 1) / max(1, playing))


def put_away(is_there):
    """Close the run that was not looked at for longest, of those that stand still and whose `driver` is not there any more; whether there
    was one."""
    left = [run for run in _held() if not (run.over or run.plays or run.driver is None or is_there(run.driver))]
    oldest = min(left, key=lambda run: run.looked_at, default=None)
    if oldest is not None:
        oldest.close("The run was put away when others needed the room. Load the page again to go on with it.")
    return oldest is not None


def _held():
    with _listing:
        return list(_runs)
