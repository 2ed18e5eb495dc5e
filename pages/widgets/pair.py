"""Two live runs of a case beside each other, moved on together: both are always the same share of the way along."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import streamlit as st

from core.limits import ConfigError
from core.training.client import LiveRun, TooManyRuns, WorkerDied

KEY = "pair"
SHARES = 60  # parts in which a run is played, so that even a short one can be watched


def pair():
    """This tab's pair of runs."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Pair()
    return st.session_state[KEY]


class Side:
    """One of the two. `snapshot` is the last one, None until the run has begun; `problem` says why there is none."""

    def __init__(self):
        self.variant = self.snapshot = self.problem = self._run = None
        self._moving = False

    def begin(self, variant):
        """Have the run at step 0 of a variant, in the process that there is or in a new one, beside the page."""
        before, self._run = self._run, Future()
        self.variant, self.snapshot, self.problem = variant, None, None
        threading.Thread(target=_begin, args=(self._run, before, variant.config), daemon=True).start()

    @property
    def loading(self):
        """Whether the run has not begun yet."""
        return self.snapshot is None and self.problem is None

    @property
    def over(self):
        """Whether there is nothing more to train."""
        return self.problem is not None or (
            self.snapshot is not None and (self.snapshot.nonfinite is not None or self.snapshot.step >= self.variant.steps)
        )

    def look(self):
        """Take a snapshot, if the run has begun and there may be something new."""
        if not self._run.done() or self.problem or (self.snapshot and not self._moving):
            return
        try:
            self.snapshot = self._run.result().snapshot()
            self._moving = self.snapshot.status == "running"
        except (WorkerDied, TooManyRuns, ConfigError) as error:
            self.problem = str(error)

    def train_to(self, share):
        """Train up to this share of the variant's steps."""
        missing = round(share * self.variant.steps) - self.snapshot.step
        if not self.over and missing > 0:
            self._moving = True
            self._act("step", missing)

    def stop(self):
        """Stand still."""
        if self.snapshot is not None and not self.problem:
            self._act("pause")

    def _act(self, action, *arguments):
        try:
            getattr(self._run.result(), action)(*arguments)
        except WorkerDied as death:
            self.problem = str(death)

    def close(self):
        """End the run's process."""
        if self._run is not None and self._run.exception() is None:
            self._run.result().close()


def _begin(future, before, config):
    try:
        if before is not None and before.exception() is None:
            try:
                before.result().configure(config)
                future.set_result(before.result())
                return
            except WorkerDied:
                pass
        future.set_result(LiveRun(config))
    except Exception as error:
        future.set_exception(error)


class Pair:
    """`sides` are left and right; `playing`: both are on their way."""

    def __init__(self):
        self.sides = Side(), Side()
        self.playing = False
        self._share = 0

    def show(self, *variants):
        """Have these variants, left and right; what changes begins both anew."""
        if variants != tuple(side.variant for side in self.sides):
            self.reset(variants)

    def reset(self, variants=None):
        """Both at step 0, standing."""
        self.playing, self._share = False, 0
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
    def restless(self):
        """Whether anything will change by itself."""
        return self.playing or any(side.loading for side in self.sides)

    def tick(self):
        """Look at both and, while playing, send both on when both have arrived."""
        for side in self.sides:
            side.look()
        if not self.playing or any(side.loading for side in self.sides):
            return
        if self.over or self._share > SHARES:
            self.playing = False
        elif not any(side.snapshot.status == "running" for side in self.sides):
            self._share += 1
            for side in self.sides:
                side.train_to(self._share / SHARES)

    def close(self):
        """End both processes."""
        for side in self.sides:
            side.close()
