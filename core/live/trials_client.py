"""The trials of a live run: a process that tries out what might mend it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.diagnosis.trials import Trials
from core.live import checkpoint, quota
from core.live.process import ChildProcess, TooManyRuns

if TYPE_CHECKING:
    from core.settings import Settings


class TrialsClient:
    """The trials of the run whose checkpoint is at `path`, one after another. Not for several threads at once."""

    def __init__(self, settings: Settings, path: Path, person: str | None = None) -> None:
        self._settings, self._path, self._person = settings, path, person
        self._process = ChildProcess("core.live.trial_worker")
        self._trials = Trials()

    def start(self, task: Callable[[], tuple], needs: int = 0) -> None:
        """Begin the trials that `task()`, the worker's `trial_task`, describes, and that take so many bytes; those still running are
        cancelled. Raises TooManyRuns, also when this `person` has begun too many."""
        self.cancel()
        if reached := quota.exhausted(self._person, self._settings) or quota.may_experiment(self._person, self._settings):
            raise TooManyRuns(reached, self._person)
        self._process.start(self._settings, self._person, needs)
        try:
            self._process.send((self._settings, task()))
        except BaseException:
            self.cancel()
            raise
        self._trials = Trials(running=True)

    def look(self) -> Trials:
        """The Trials: how far they are, and what they found so far."""
        while self._trials.running and self._process.has_spoken:
            match self._process.receive(0):
                case None:
                    self._trials = dataclasses.replace(self._trials, running=False, problem=self._process.story(0))
                case float(share):
                    self._trials = dataclasses.replace(self._trials, progress=share)
                case trials:
                    self._trials = trials
        if not self._trials.running:
            self._process.end()
        return self._trials

    def cancel(self) -> None:
        """Stop the trials and forget what they found."""
        self._process.end()
        checkpoint.remove(checkpoint.beside(self._path))
        self._trials = Trials()
