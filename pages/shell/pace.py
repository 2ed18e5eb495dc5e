"""How often pages are drawn: all that play share the server, and a click comes before another picture."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

SHORTEST, LONGEST = 0.11, 1.76  # seconds from one picture to the next; in between by doubling
SHARE = 0.15  # of one processor at most goes into the pictures of several pages: Python runs one thread at a time
SLACK = 4  # times too long an interval gets before it is halved, so that it does not go to and fro
MEMORY = 2.0  # seconds after which a page that was not drawn no longer counts


class Pace:
    """The intervals of all pages that play."""

    def __init__(self):
        self._drawn = {}  # page -> (when it was last drawn, processor seconds that took)
        self._intervals = {}
        self._lock = threading.Lock()

    def interval(self, page):
        """Seconds from one picture of `page` to the next, to be asked for again when they no longer suit."""
        with self._lock:
            self._intervals[page] = self._fitting(self._intervals.get(page, SHORTEST))
            return self._intervals[page]

    def suits(self, page):
        """Whether the interval that `page` asked for still does."""
        with self._lock:
            interval = self._intervals.get(page, SHORTEST)
            return self._fitting(interval) == interval

    @contextmanager
    def drawing(self, page):
        """Around what draws `page`, so that its cost is known."""
        began = time.thread_time()
        yield
        with self._lock:
            self._drawn[page] = time.monotonic(), time.thread_time() - began

    def _fitting(self, interval):
        now = time.monotonic()
        for page in [page for page, (when, _) in self._drawn.items() if when < now - MEMORY]:
            del self._drawn[page]
            self._intervals.pop(page, None)
        needed = sum(cost for _, cost in self._drawn.values()) / SHARE if len(self._drawn) > 1 else 0
        while needed > interval < LONGEST:
            interval *= 2
        return max(interval / 2, SHORTEST) if needed < interval / SLACK else interval


pace = Pace()
