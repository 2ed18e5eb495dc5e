"""When a run trains, and for how long: its speed, and what it leaves to others."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Final, Literal

GROWING: Final = "growing"  # the speed for eyes: slow at first, when each update shows, and then faster and faster
GROWTH = 23.0  # a growing run has made GROWTH * seconds^3 updates: the opening spiral, at 23,000 of them, takes ten seconds
SLOWEST = 10.0  # updates a second with which it begins
CHUNK = 0.010  # seconds of training between two looks at the connection
HAD_ENOUGH = 1 / 3  # of the time on a processor: a run that gets less gives way to pages
REST, LONGEST_REST = 2.0, 0.1  # seconds that it then rests for every one that it went short, and at most
RATE_WINDOW = 1.0  # seconds that steps_per_second looks back
Speed = float | Literal["growing"] | None


class Pacing:
    """`speed` is updates a second while playing (None: as many as can be made; GROWING: see there); `share` of the time at most goes into
    these. What a run computes depends on its steps alone, and not on when they are made."""

    def __init__(self, speed: Speed) -> None:
        self.speed: Speed = speed
        self.share = 1.0
        self._full_speed = 0.0  # updates a second, as last measured
        self._grows_from = 0  # the step of the last change: what that does is seen slowly, too
        self.start(0, math.inf)

    def start(self, step: int, until: float) -> None:
        """The run, at `step`, is to be trained up to step `until`: at its speed if there is no end, as fast as it can to another one."""
        now = time.monotonic()
        self.until = until
        self._due = self._rested = now  # when the next updates may be made: for the speed, and for others who need the processors
        self._marks = deque([(now, step)])

    def forget(self, step: int) -> None:
        """The settings were changed at this step, and how long an update takes is no longer known: another batch size may take a thousand
        times as long."""
        self._full_speed, self._grows_from = 0.0, step

    @property
    def wake(self) -> float:
        """When the next updates may be made."""
        return max(self._due, self._rested)

    def updates_due(self, step: int) -> int:
        """How many updates to make now: a chunk at most, and of what could not be made in time nothing is made up for."""
        now = time.monotonic()
        if now < self.wake:
            return 0
        updates = max(1, int(CHUNK * self._full_speed))
        if wanted := self._wanted(step):
            updates = min(updates, max(1, int(CHUNK * wanted)) + int((now - self._due) * wanted))
            self._due = max(self._due + updates / wanted, now)
        return int(min(updates, self.until - step))

    def _wanted(self, step: int) -> float | None:
        """Updates a second from `step` on; None for as many as can be made."""
        if self.until != math.inf:
            return None
        if self.speed != "growing":
            return self.speed
        return max(SLOWEST, 3 * GROWTH ** (1 / 3) * max(0, step - self._grows_from) ** (2 / 3))  # the slope of GROWTH * seconds^3

    def trained(self, step: int, updates: int, seconds: float, worked: float) -> None:
        """So many updates up to `step` took so many seconds, for `worked` of which the processor was there."""
        now = time.monotonic()
        if self.until == math.inf:  # a number of steps is waited for, and gets no rests
            short = max(0.0, seconds - worked / HAD_ENOUGH)
            self._rested = now + max(min(REST * short, LONGEST_REST), seconds * (1 / self.share - 1))
        self._full_speed = updates / seconds
        self._marks.append((now, step))
        while self._marks[1][0] < now - RATE_WINDOW:
            self._marks.popleft()

    @property
    def steps_per_second(self) -> float:
        """Updates a second of late."""
        (started, first), (now, step) = self._marks[0], self._marks[-1]
        return (step - first) / (now - started) if len(self._marks) > 1 else 0.0
