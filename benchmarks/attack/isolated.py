"""Attacks in processes of their own: what each costs and how it fails is measured, and none can harm the next."""

from __future__ import annotations

import os
import pickle
import resource
import time
import traceback
from dataclasses import dataclass

from core.settings import Settings

SECONDS = 2.0  # of processor time, for one input
MEMORY_BYTES = 1 << 30  # that one input may have held at a time: what a run may take, too
HANGS = 60  # seconds of processor time after which a process is ended


@dataclass(frozen=True)
class Outcome:
    """How the input `number` went: processor time in `seconds`, `memory` in bytes beyond what was held before, and how it failed."""

    number: int
    seconds: float
    memory: int
    failure: str | None

    @property
    def slow(self):
        return self.seconds > SECONDS

    @property
    def large(self):
        return self.memory > MEMORY_BYTES

    @property
    def bad(self):
        return self.failure is not None or self.slow or self.large


def outcomes(make, attack, numbers):
    """An Outcome of `attack(make(number))` for each of the numbers, where what the input is made with does not count. Several share a
    process; what is bad, or ends it, goes again by itself."""
    seen = _forked(make, attack, numbers)
    if len(numbers) == 1:
        return seen or [Outcome(numbers[0], 0.0, 0, f"its process ended, after {HANGS} seconds of processor time at most")]
    if seen is None:
        half = len(numbers) // 2
        return outcomes(make, attack, numbers[:half]) + outcomes(make, attack, numbers[half:])
    return [again for one in seen for again in (outcomes(make, attack, [one.number]) if one.bad else [one])]


def _forked(make, attack, numbers):
    """The Outcomes, from a child of this process; None when it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            most = Settings().worker_memory_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            resource.setrlimit(resource.RLIMIT_CPU, (HANGS, HANGS + 1))
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump([_measured(make, attack, number) for number in numbers], pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(told) if told else None


def _measured(make, attack, number):
    given = make(number)
    held, peak, began, failure = _resident(), _peak(), time.process_time(), None
    try:
        attack(given)
    except Exception:
        failure = traceback.format_exc()
    seconds = time.process_time() - began
    return Outcome(number, seconds, _peak() - held if _peak() > peak else 0, failure)


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
