"""Programs of other people, watched from outside: what a probe sends, validated; what goes wrong in it; and a right copy that trains along.

What comes from a probe is hostile until `read_batch` has validated it.
"""

from core.watch.history import WatchedRun
from core.watch.probe_format import FILE_BYTES, Header, Record, read_batch, write_batch
from core.watch.report import Examined, examine, report, told
from core.watch.watched_runs import WatchedRuns

__all__ = [
    "FILE_BYTES",
    "Examined",
    "Header",
    "Record",
    "WatchedRun",
    "WatchedRuns",
    "examine",
    "read",
    "read_batch",
    "report",
    "to_bytes",
    "told",
]


def read(raw: bytes) -> WatchedRun:
    """The run in the bytes of a RUN.probe. Raises ConfigError("probe", message) where they are not one."""
    header, records = read_batch(raw, FILE_BYTES)
    run = WatchedRun(header)
    for record in records:
        run.add(record)
    return run


def to_bytes(run: WatchedRun, whole_bytes: int) -> bytes:
    """What `read` makes this run of, with as many of its whole steps as take up to `whole_bytes`."""
    return write_batch(run.header, run.records(whole_bytes))
