"""Two live runs of a case beside each other, moved on together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import streamlit as st

from core.data.sources import SOURCES
from core.fit import parameter_count
from core.limits import ConfigError
from core.live.client import LiveRun, WorkerDied
from core.live.process import TooManyRuns
from pages.shell.identity import owner

KEY = "pair"
SHARES = 60  # parts in which a run is played, so that even a short one can be watched, and both are always as far along
LARGE = 50_000  # parameters from which on a run takes its time anyway: it goes in one


def pair():
    """This tab's pair of runs."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Pair(owner())
    return st.session_state[KEY]


class Side:
    """One of the two. `snapshot` is the last one, None until the run has begun; `problem` says why there is none.

    What is asked of the run is asked in a thread of its own, in turn: a large network may take seconds to answer, and the page goes on.
    """

    def __init__(self, owner):
        self._owner = owner
        self.variant = self.snapshot = self.problem = None
        self._run = self._looking = None
        self._moving = False
        self._thread = ThreadPoolExecutor(1)

    def begin(self, variant):
        """Have the run at step 0 of a variant, in the process that there is or in a new one."""
        self.variant, self.snapshot, self.problem, self._moving = variant, None, None, False
        self._looking = self._thread.submit(self._begin, variant.config)

    def _begin(self, config):
        try:
            if self._run is not None:
                self._run.configure(config)
                return self._run.snapshot()
        except WorkerDied:
            self._run.close()
        self._run = LiveRun(config, owner=self._owner)
        return self._run.snapshot()

    @property
    def loading(self):
        """Whether the run has not begun yet."""
        return self.snapshot is None and self.problem is None

    @property
    def moving(self):
        """Whether it trains, or there is more to see of it."""
        return self._moving or self._looking is not None

    @property
    def over(self):
        """Whether there is nothing more to train."""
        return self.problem is not None or (
            self.snapshot is not None and (self.snapshot.nonfinite is not None or self.snapshot.step >= self.variant.steps)
        )

    def look(self):
        """Take the snapshot that has come, and ask for another while there is something new."""
        if self._looking is not None and self._looking.done():
            looking, self._looking = self._looking, None
            try:
                self.snapshot = looking.result()
                self._moving = self.snapshot.status == "running"
            except (WorkerDied, TooManyRuns, ConfigError) as error:
                self.problem, self._moving = str(error), False
        if self._moving and self._looking is None:
            self._looking = self._thread.submit(lambda: self._run.snapshot())

    def train_to(self, share):
        """Train up to this share of the variant's steps."""
        missing = round(share * self.variant.steps) - self.snapshot.step
        if not self.over and missing > 0:
            self._tell("step", missing)

    def stop(self):
        """Stand still."""
        if not self.loading:
            self._tell("pause")

    def _tell(self, action, *arguments):
        """Have it done, then look; a worker that is gone shows there."""
        self._moving = True
        self._looking = self._thread.submit(self._do, action, arguments)

    def _do(self, action, arguments):
        getattr(self._run, action)(*arguments)
        return self._run.snapshot()

    def close(self):
        """End the run's process."""
        self._thread.shutdown(cancel_futures=True)
        if self._run is not None:
            self._run.close()


class Pair:
    """`sides` are left and right; `playing`: both are on their way."""

    def __init__(self, owner=None):
        self.sides = Side(owner), Side(owner)
        self.playing = False
        self._share = 0.0

    def show(self, *variants):
        """Have these variants, left and right; what changes begins both anew."""
        if variants != tuple(side.variant for side in self.sides):
            self.reset(variants)

    def reset(self, variants=None):
        """Both at step 0, standing."""
        self.playing, self._share = False, 0.0
        for side, variant in zip(self.sides, variants or [side.variant for side in self.sides]):
            side.begin(variant)

    def play(self):
        """Move both on, to the end of their steps; once there, again from the start."""
        if self.over:
            self.reset()
        self.playing = True

    def pause(self):
        """Have both stand still."""
        self.playing = False
        for side in self.sides:
            side.stop()

    @property
    def over(self):
        """Whether both are at the end."""
        return all(side.over for side in self.sides)

    @property
    def needs_updates(self):
        """Whether anything will change by itself."""
        return self.playing or any(side.moving for side in self.sides)

    def tick(self):
        """See how far both are and, while playing, send both on when both have arrived."""
        for side in self.sides:
            side.look()
        if not self.playing or any(side.moving for side in self.sides):
            return
        if self.over:
            self.playing = False
            return
        reached = min(side.snapshot.step / side.variant.steps for side in self.sides if not side.over)
        self._share = min(max(self._share, reached) + self._part, 1.0)
        for side in self.sides:
            side.train_to(self._share)

    @property
    def _part(self):
        return 1.0 if any(_is_large(side.variant.config) for side in self.sides) else 1 / SHARES

    def close(self):
        """End both processes."""
        for side in self.sides:
            side.close()


def _is_large(config):
    return parameter_count(config, SOURCES[config.data.source].inputs or len(config.data.features)) > LARGE
