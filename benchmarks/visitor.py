"""Somebody in front of a tab who acts at random, and what becomes of the run meanwhile: a visitor of benchmarks/soak.py."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import suppress

import numpy as np
import pandas as pd

from benchmarks.tab import GONE, Tab
from core.data.sources import SOURCES
from core.presets import PRESETS
from pages.shell.identity import COOKIE

ACTIONS = {
    "idle": 6,
    "play": 5,
    "pause": 2,
    "rate": 2,
    "step": 2,
    "epoch": 1,
    "reset": 1,
    "refresh": 2,
    "upload": 1,
}  # how often, among each other
ROWS = (60, 4000)  # of a table that is uploaded
RATES = (0.002, 0.007, 0.04, 0.09)  # no configuration's default, so that each stands in the address
PATIENCE = 20.0  # seconds after which a click was not answered, a page did not come back, or a page that plays stands still


class Course:
    """What was seen of one run's training: its steps, and when on a clock that goes only while it trains."""

    def __init__(self):
        self._seen = [(0.0, 0)]
        self._before = None  # the time of the last reading, if it trained then

    def note(self, step, training):
        """A reading. Returns how many seconds of training were lost before it, or 0."""
        now = time.monotonic()
        clock, last = self._seen[-1]
        lost = 0.0
        if step < last:
            lost = clock - float(np.interp(step, [seen for _, seen in self._seen], [when for when, _ in self._seen]))
            self._seen = [(when, seen) for when, seen in self._seen if seen < step] or [(0.0, 0)]
            clock -= lost
        elif self._before is not None:
            clock += now - self._before
        self._seen.append((clock, step))
        self._before = now if training else None
        return lost

    def stand(self):
        """What comes next is seen after a pause."""
        self._before = None


class Visitor:
    """Somebody in front of a tab, who acts at random."""

    def __init__(self, soak, number):
        self._soak, self._random = soak, random.Random(f"{soak.seed} {number}")
        self._query = self._random.choice(list(PRESETS.values())).link
        self._cookie = f"{COOKIE}={self._random.randbytes(32).hex()[:43]}" if soak.shared else ""
        self._tab = None
        self._begin_anew()

    async def stay(self, until):
        """Act until that time, then close the tab."""
        await self._visit()
        while time.monotonic() < until:
            await self._think()
            if not self._tab.connected:
                await self._come_back()
            elif not await self._mended():
                await self._act(self._random.choices(list(ACTIONS), ACTIONS.values())[0])
        await self._leave()

    async def _think(self):
        await asyncio.sleep(self._random.expovariate(1 / self._soak.thinking))

    def _begin_anew(self):
        self._course, self._run, self._leaving = Course(), None, False
        self._read = time.monotonic()

    # What is on the page

    @property
    def _status(self):
        return self._tab.readings.get("Status", "")

    @property
    def _step(self):
        return int(re.sub(r"\D", "", self._tab.readings.get("Step", "")) or 0)

    @property
    def _in_trouble(self):
        return any(map(self._tab.widget, ("start again", "try again", "own run", "drive here")))

    def _see(self):
        self._read = time.monotonic()
        if self._leaving:
            if self._step == 0:
                self._begin_anew()
            return
        lost = self._course.note(self._step, self._status == "Running")
        if lost:
            self._soak.losses.append(lost)

    def _see_run(self, run):
        if self._leaving:
            return
        if self._run is not None and run != self._run:
            self._soak.lose(f"{self._run} became {run}")
            self._begin_anew()
        self._run = run

    # Coming and going

    async def _visit(self):
        """Open a tab where the last one was, and wait for the run."""
        began = time.monotonic()
        if self._tab is not None:
            await self._leave()
            self._query = self._tab.query
        self._tab = Tab(self._soak.host, self._query, self._see, self._see_run, cookie=self._cookie)
        await self._connected()
        while time.monotonic() < began + 3 * PATIENCE and not self._tab.readings:
            await self._tab.until(lambda: self._tab.readings or self._in_trouble, PATIENCE)
            if not self._tab.connected:
                return
            if not self._tab.readings and self._in_trouble:
                await self._think()
                await self._mended()
        if self._tab.readings:
            self._soak.returns.append(time.monotonic() - began)
        else:
            self._soak.lose(f"{self._run}: the page did not come")

    async def _come_back(self):
        """The server is gone: wait for the next, as the browser does by itself, or load the page again."""
        self._course.stand()
        if self._leaving:  # one run or the other
            self._begin_anew()
        if self._random.random() < 0.5:
            await self._visit()
        else:
            began, before = time.monotonic(), self._tab.pages
            await self._connected()
            await self._answered("the page", began, lambda: self._tab.pages > before, self._soak.returns)

    async def _connected(self):
        while True:
            with suppress(*GONE):
                return await self._tab.connect()
            await asyncio.sleep(0.5)

    async def _leave(self):
        self._course.stand()
        self._soak.exceptions += self._tab.exceptions
        self._tab.exceptions = []
        await self._tab.close()

    async def _mended(self):
        """Do what the page asks for when something is the matter; whether it did."""
        can_press = self._tab.can_press
        if can_press("dismiss"):
            self._soak.notices.update(self._tab.alerts())
            await self._click("dismiss", lambda: not self._tab.widget("dismiss"))
        if can_press("recover"):
            self._course.stand()
            pages = self._tab.pages  # the button may be there again at once, when the next process is killed as well
            await self._click("recover", lambda: self._tab.pages > pages, self._soak.returns)
        elif can_press("drive here"):
            await self._click("drive here", lambda: self._tab.can_press("play") or self._tab.can_press("pause"))
        elif can_press("try again"):
            self._soak.notices["The server had no room"] += 1
            await self._click("try again", lambda: self._tab.can_press("play") or self._tab.can_press("pause"), self._soak.returns)
        elif can_press("own run") or (can_press("start again") and self._run is not None):
            self._soak.notices[
                "The run could only be looked at" if can_press("own run") else "The run had to be opened from the store"
            ] += 1
            await self._visit()
        elif can_press("start again"):
            self._soak.losses.append(self._course.note(0, False))
            await self._click("start again", lambda: not self._tab.widget("start again"), self._soak.returns)
        else:
            return False
        return True

    # Acting

    async def _act(self, action):
        if self._status == "Running" and time.monotonic() > self._read + PATIENCE:
            self._soak.stuck += 1
            await self._visit()
        elif action == "refresh":
            await self._visit()
        elif action == "rate":
            await self._change_rate(self._random.choice(RATES))
        elif action == "upload":
            await self._upload()
        elif action == "reset" or self._status.startswith("✕ Not"):
            await self._reset()
        elif action in ("play", "pause") and self._tab.can_press(action):
            await self._click(action, lambda: not self._tab.can_press(action))
        elif action in ("step", "epoch") and self._tab.can_press("play"):
            before = self._step
            await self._click(action, lambda: self._step > before or not self._tab.can_press(action))

    async def _change_rate(self, rate):
        before, query = self._tab.pages, f"optimizer.learning_rate={rate:g}"
        if query not in self._tab.query and self._tab.widget("optimizer.learning_rate"):
            began = time.monotonic()
            await self._tab.enter("optimizer.learning_rate", f"{rate:g}")
            await self._answered("the learning rate", began, lambda: query in self._tab.query and self._tab.pages > before)

    async def _reset(self):
        if self._step > 0 and self._tab.can_press("reset"):
            self._leaving = True
            await self._click("reset", lambda: self._step == 0)  # an answer that comes later is one, too: see _see

    async def _upload(self):
        """Train on a table of one's own from now on."""
        with suppress(*GONE):
            if not self._tab.widget("file") and self._tab.widget("data.source"):
                await self._tab.choose("data.source", list(SOURCES).index("file"))
                await self._tab.until(lambda: self._tab.widget("file") or self._in_trouble, PATIENCE)
            if self._tab.widget("file") and not self._in_trouble:
                began, before, self._leaving = time.monotonic(), _path(self._tab.query), True
                await self._tab.upload("file", "table.csv", self._table())
                await self._answered("an upload", began, lambda: _path(self._tab.query) not in (None, before), self._soak.uploads)

    def _table(self):
        """The bytes of a table whose last column is told by the others."""
        rng = np.random.default_rng(self._random.randrange(2**32))
        inputs = rng.normal(size=(self._random.randint(*ROWS), 3))
        classes = np.where(inputs[:, 0] * inputs[:, 1] > 0, "up", "down")
        return pd.DataFrame(inputs, columns=["length", "width", "height"]).assign(kind=classes).to_csv(index=False).encode()

    async def _click(self, key, answered, times=None):
        began = time.monotonic()
        await self._tab.press(key)
        await self._answered(key, began, answered, times)

    async def _answered(self, what, began, answered, times=None):
        """Wait for the answer, which does not come when a process is killed meanwhile."""
        mending = self._in_trouble
        await self._tab.until(lambda: answered() or (self._in_trouble and not mending), PATIENCE)
        if not self._tab.connected or (self._in_trouble and not answered() and not mending):
            return
        (self._soak.answers if times is None else times).append(time.monotonic() - began)
        if not answered():
            self._soak.notices[f"No answer to {what}; the page at {self._tab.query} said {self._tab.readings}"] += 1


def _path(query):
    """The file that an address names, or None."""
    return next((part for part in query.split("&") if part.startswith("data.path=")), None)
