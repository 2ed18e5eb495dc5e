"""How often pages are drawn: all that play share the server, and a click comes before another picture."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

SHARE = 0.4  # of one processor at most goes into pictures; Python runs one thread at a time
MEMORY = 1.0  # seconds after which a page that was not drawn no longer counts

_drawn = {}  # page -> (when it was last drawn, processor seconds that took)
_lock = threading.Lock()


def due(page):
    """Whether `page` may be drawn again: the more pages play, and the longer they take, the seldomer each."""
    now = time.monotonic()
    with _lock:
        for other in [other for other, (when, _) in _drawn.items() if when < now - MEMORY]:
            del _drawn[other]
        load = sum(cost for _, cost in _drawn.values())
        return page not in _drawn or now >= _drawn[page][0] + load / SHARE


def at_once(page):
    """Have `page` drawn the next time, whatever else there is to do."""
    with _lock:
        _drawn.pop(page, None)


@contextmanager
def drawing(page):
    """Around what draws `page`, so that its cost is known."""
    began = time.thread_time()
    yield
    with _lock:
        _drawn[page] = time.monotonic(), time.thread_time() - began
