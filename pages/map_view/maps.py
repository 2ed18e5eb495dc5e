"""The maps of this server, one a person: they outlive a tab, so that a page loaded again finds its own."""

from __future__ import annotations

import threading

import numpy as np
import streamlit as st

from core.experiments.map import Cells, Map
from core.live.experiment_client import ExperimentClient
from core.settings import Settings
from pages.shell.identity import browser_name, owner

KEPT = 64  # maps of one server; beyond, the one that was begun first goes


class Making:
    """A person's map: the process that makes it, what it has made, and the plans that were left by zooming in."""

    def __init__(self, person=None):
        self._person = person
        self._client, self._lock = ExperimentClient(), threading.RLock()
        self._map, self._taken, self._losses, self.left = None, 0, None, []

    def start(self, plan):
        """Begin; raises TooManyRuns."""
        with self._lock:
            self._map, self._taken = Map(plan), 0
            self._losses = np.full((*plan.shape, 1 + len(plan.looks)), np.nan, np.float32)
            self._client.start("map", plan, self._person)

    def cancel(self):
        """Stop; what is made stays."""
        with self._lock:
            self.look()
            self._client.stop()

    def look(self):
        """(the Map or None, whether it is being made, what ended it too early or None)."""
        with self._lock:
            experiment = self._client.look()
            for part in experiment.results[self._taken :]:
                self._map.take(part)
                if isinstance(part, Cells):
                    self._losses[part.rows, part.columns] = part.losses
            self._taken = len(experiment.results)
            return self._map, experiment.running, experiment.problem

    def losses(self, row, column):
        """The losses (1 + looks,) of a cell's run at step 0 and the plan's `looks`; NaN where none is known, or it is not finite."""
        with self._lock:
            return self._losses[row, column]


@st.cache_resource
def _makings():
    return {}


def making():
    """This person's Making."""
    makings, person = _makings(), owner() or browser_name()
    if person not in makings:
        while len(makings) >= KEPT:
            makings.pop(next(iter(makings)))
        makings[person] = Making(owner())
    return makings[person]


def most_runs():
    """Runs that a map may ask for here."""
    return Settings.from_environment().map_runs
