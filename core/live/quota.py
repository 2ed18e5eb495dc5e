"""What one visitor of a shared server may take, so that one alone cannot use it up: live runs, processor time, uploads and experiments.

What is counted is counted within the last hour, in this server's memory; what a visitor keeps is bounded in the store. On one's own
machine, where nobody has a name, nothing is counted. The limits are in core/settings.py.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from core.limits import ConfigError

if TYPE_CHECKING:
    from core.settings import Settings

WINDOW = 3600.0  # seconds
PARTS = 60  # of the window, in which what was taken is added up
PROCESSOR, UPLOADS, EXPERIMENTS = "processor", "uploads", "experiments"

_counting = threading.RLock()  # a run that is collected as garbage is charged wherever that happens to be
_taken = defaultdict(deque)  # (person, what) -> [number of the part, amount], the oldest first


def charge(person: str | None, what: str, amount: float) -> None:
    """Note that this visitor has just taken so much."""
    if person is None or amount <= 0:
        return
    with _counting:
        now = _part()
        if (person, what) not in _taken:  # a good moment to forget those who have gone
            for key in [key for key, parts in list(_taken.items()) if parts[-1][0] <= now - PARTS]:
                del _taken[key]
        parts = _taken[person, what]
        if not parts or parts[-1][0] != now:
            parts.append([now, 0.0])
        parts[-1][1] += amount
        while parts[0][0] <= now - PARTS:
            parts.popleft()


def taken(person: str, what: str) -> float:
    """What this visitor took within the last hour: seconds of a processor, bytes, or how many."""
    with _counting:
        return sum(amount for part, amount in _taken.get((person, what), ()) if part > _part() - PARTS)


def exhausted(person: str | None, settings: Settings) -> str | None:
    """A sentence when this visitor's processor time is used up, else None."""
    if person is None or taken(person, PROCESSOR) < settings.visitor_processor_seconds:
        return None
    return (
        f"You have used the {settings.visitor_processor_seconds / 60:g} minutes of processor time that each visitor has within an hour: "
        "your runs are saved and wait. Press Play again in some minutes."
    )


def take_upload(person: str | None, field: str, size: int, settings: Settings) -> None:
    """Count an upload of so many bytes. ConfigError(field) when that is more than the visitor may upload within an hour."""
    most = settings.visitor_upload_bytes
    if person is not None and (had := taken(person, UPLOADS)) + size > most:
        raise ConfigError(
            field,
            f"must keep what you upload within an hour to {most >> 20:,} MiB, the limit for each visitor; with it this would be "
            f"{int(had + size) / (1 << 20):,.1f} MiB",
        )
    charge(person, UPLOADS, size)


def may_experiment(person: str | None, settings: Settings) -> str | None:
    """Count a preflight, a range test, trials of fixes, or a loss surface, each time that it is made anew; a sentence, and nothing is
    counted, when that is one too many."""
    if person is not None and taken(person, EXPERIMENTS) >= settings.visitor_experiments:
        return (
            f"You have begun {settings.visitor_experiments} preflights, range tests and trials of fixes within an hour, the limit for each "
            "visitor here; try again in some minutes."
        )
    charge(person, EXPERIMENTS, 1)
    return None


def _part():
    return int(time.monotonic() / (WINDOW / PARTS))
