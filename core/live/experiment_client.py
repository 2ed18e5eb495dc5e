"""A preflight, a range test, a loss surface or a map beside a live run: a process that makes it, and what it has found so far."""

from __future__ import annotations

import dataclasses
import time
import weakref
from dataclasses import dataclass

from core.config import RunConfig
from core.experiments.map import MapPlan
from core.experiments.surface import SurfaceTask
from core.live import quota
from core.live.memory import expected_bytes
from core.live.process import ChildProcess, TooManyRuns
from core.settings import Settings

Task = RunConfig | MapPlan | SurfaceTask
SECONDS = 120.0  # that an experiment may take; a large network's takes about 20


@dataclass(frozen=True)
class Experiment:
    """A `kind` out of core.live.experiment_worker.KINDS, of a configuration (None: none was begun), and its `results` so far; `problem` is
    one sentence where it could not be finished."""

    kind: str | None = None
    config: RunConfig | None = None
    running: bool = False
    results: tuple = ()
    problem: str | None = None


class ExperimentClient:
    """One experiment at a time. Not for several threads at once. Garbage-collected, it leaves no process behind."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.from_environment()
        self._process = ChildProcess("core.live.experiment_worker")
        self._experiment, self._until = Experiment(), 0.0
        weakref.finalize(self, self._process.end)

    def start(self, kind: str, task: Task, person: str | None = None) -> None:
        """Begin, for this visitor; what runs still is cancelled. Raises TooManyRuns: it takes the place of a run while it lasts, and there
        are so many of them for each visitor."""
        self.cancel()
        self._begin(kind, task, person, ())

    def renew(self, task: Task, person: str | None = None) -> None:
        """Make the last one again, of another task; what it found stays until then. Where that is not allowed, `problem` says why."""
        kind, kept = self._experiment.kind, self._experiment.results[-1:]
        self._process.end()
        try:
            self._begin(kind, task, person, kept)
        except TooManyRuns as refused:
            self._experiment = dataclasses.replace(self._experiment, running=False, problem=str(refused))

    def _begin(self, kind, task, person, kept):
        config = getattr(task, "config", task)
        if reached := quota.exhausted(person, self._settings) or quota.may_experiment(person, self._settings):
            raise TooManyRuns(reached, person)
        self._process.start(self._settings, person, expected_bytes(config))
        self._process.send((self._settings, kind, task))
        self._experiment, self._until = Experiment(kind, config, running=True, results=kept), time.monotonic() + SECONDS

    def look(self) -> Experiment:
        """The Experiment: what it has found so far."""
        while self._experiment.running and self._process.has_spoken:
            match self._process.receive(0):
                case None:
                    self._end(self._process.story(0))
                case ("ended", problem):
                    self._end(problem)
                case result:
                    self._experiment = dataclasses.replace(self._experiment, results=(*self._experiment.results, result))
        if self._experiment.running and time.monotonic() > self._until:
            self._end(f"It took longer than {SECONDS:g} seconds and was stopped.")
        return self._experiment

    def stop(self) -> None:
        """Stop it and keep what it found."""
        if self.look().running:
            self._end(None)

    def cancel(self) -> None:
        """Stop it and forget what it found."""
        self._process.end()
        self._experiment = Experiment()

    def _end(self, problem):
        self._process.end()
        self._experiment = dataclasses.replace(self._experiment, running=False, problem=problem)
