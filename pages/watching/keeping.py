"""Watched runs are kept in the store beside the others: a few seconds after something came, and again as long as more comes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from core import watch
from core.limits import ConfigError
from core.store.record import FINDING_FIELDS, WatchedRecord, spark
from core.store.store import StoreError
from core.watch.curves import frames
from core.watch.watched_runs import Entry
from pages.shell.identity import store

WHOLE_BYTES = 8 << 20  # of whole steps in the store: they are written again at each saving
AFTER = 3.0  # seconds from what came to its saving: what a killed server loses at most

_waiting, _lock = set(), threading.Lock()


def keep_soon(entry: Entry) -> None:
    """Have this run saved in AFTER seconds, if that is not about to happen anyway."""
    with _lock:
        if entry.run.run_id in _waiting:
            return
        _waiting.add(entry.run.run_id)
    timer = threading.Timer(AFTER, _keep, (entry,))
    timer.daemon = True
    timer.start()


def _keep(entry):
    with _lock:
        _waiting.discard(entry.run.run_id)
    with suppress(StoreError, ConfigError):  # the run is watched all the same; what is wrong with the store is told on the page Runs
        keep(entry)


def keep(entry: Entry) -> None:
    """Save this run as it stands. Raises StoreError, and ConfigError where it is another owner's already."""
    run, examined = entry.look(now=True)
    heard = time.time() - (time.monotonic() - entry.heard)
    store().save_watched(
        WatchedRecord(
            id=run.run_id,
            owner=entry.owner,
            name=run.name,
            status="nonfinite" if examined.status == "nonfinite" else "ended" if not entry.live or run.events else "running",
            step=run.steps,
            seconds=max(0.0, heard - run.began) if entry.heard else 0.0,
            figures=watch.report(run, examined)["loss"],
            spark=spark(frames(run)) if len(run.scalars) else frames(run)[:, 1],
            findings=tuple({name: getattr(finding, name) for name in FINDING_FIELDS} for finding in examined.findings),
            probe=watch.to_bytes(run, WHOLE_BYTES),
        )
    )
