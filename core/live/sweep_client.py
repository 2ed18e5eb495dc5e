"""A page's sweep: a process that makes its runs, and what its results file says of it, which outlives page, process and server."""

from __future__ import annotations

import hashlib
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.config import RunConfig
from core.experiments.sweep import Sweep
from core.experiments.sweep_results import Results
from core.limits import ConfigError
from core.live import quota
from core.live.memory import expected_bytes
from core.live.process import ChildProcess, TooManyRuns
from core.settings import Settings

LEAVING = 2.0  # seconds that a cancelled sweep gets to end the processes that train


@dataclass(frozen=True)
class SweepState:
    """`sweep` None: there is none. `known` are its results, {key: result}; `problem` is one sentence where it could not be finished."""

    sweep: Sweep | None = None
    known: dict | None = None
    running: bool = False
    problem: str | None = None

    @property
    def done(self) -> int:
        """How many of `sweep.total` runs are made."""
        wanted = {point.key(steps) for _, steps in self.sweep.rungs for point in self.sweep.points if not point.error}
        return len(wanted & self.known.keys())


class SweepClient:
    """One sweep at a time of one person. Not for several threads at once. Garbage-collected, it leaves no process behind."""

    def __init__(self, owner: str | None = None, settings: Settings | None = None) -> None:
        self._settings, self._owner = settings or Settings.from_environment(), owner
        name = hashlib.sha256((owner or "").encode()).hexdigest()[:24]
        self._path = self._settings.data_folder / "sweeps" / f"{name}.jsonl"
        self._process = ChildProcess("core.live.sweep_worker")
        self._running, self._until, self._problem = False, 0.0, None
        self._seen = self._state = None  # the file as it was read last, and what it said
        weakref.finalize(self, self._process.end)

    def start(self, values: dict[str, Any]) -> None:
        """Begin the sweep of this JSON object; one that was there is forgotten. Raises ConfigError, and TooManyRuns: it takes the place of
        a run while it lasts."""
        sweep = Sweep.from_dict(values, self._settings.sweep_runs)
        for name in ("path", "test_path"):  # of another file nothing is to be learned here
            if any(point.config and getattr(point.config.data, name) != values["base"]["data"][name] for point in sweep.points):
                raise ConfigError(f"data.{name}", "is not swept here: upload the other file and sweep that one")
        self.forget()
        self._begin(values)

    def resume(self) -> None:
        """Go on with a sweep that was cancelled or ended too early. Raises TooManyRuns."""
        self.cancel()
        if (state := self.look()).sweep:
            self._begin(state.sweep.values)

    def _begin(self, values):
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError("data_folder", f"cannot be written: {error.strerror}") from None
        if not self._path.exists():
            Results(self._path, values).close()
        if reached := quota.exhausted(self._owner, self._settings) or quota.may_experiment(self._owner, self._settings):
            raise TooManyRuns(reached, self._owner)
        self._process.start(self._settings, self._owner, expected_bytes(RunConfig.from_dict(values["base"])))
        self._process.send((self._settings, self._path, values, self._owner))
        self._running, self._problem, self._until = True, None, time.monotonic() + self._settings.sweep_seconds

    def look(self) -> SweepState:
        """The SweepState as it stands."""
        if self._running and self._process.has_spoken:
            said = self._process.receive(0)  # nothing but its last word: one that is gone without was killed
            self._end(said[1] if said else self._process.story(0))
        if self._running and time.monotonic() > self._until:
            self._end(f"It took longer than {self._settings.sweep_seconds:g} seconds and was stopped; resume it to go on.")
        state = self._read()
        return SweepState(state.sweep, state.known, self._running, self._problem or state.problem)

    def _read(self):
        """What the file says, read again only when it has changed."""
        try:
            status = self._path.stat()
        except OSError:
            return SweepState()
        if self._seen != (seen := (status.st_ino, status.st_size, status.st_mtime_ns)):
            try:
                results = Results.read(self._path)
                sweep = self._state.sweep if self._state and self._state.sweep and self._state.sweep.values == results.values else None
                sweep = sweep or (Sweep.from_dict(results.values, self._settings.sweep_runs) if results.values else None)
                self._state = SweepState(sweep, results.known)
            except (ConfigError, OSError) as error:
                self._state = SweepState(problem=f"The results of your last sweep cannot be read: {error}.")
            self._seen = seen
        return self._state

    def cancel(self) -> None:
        """Stop it; what it has found stays."""
        self._end(None)

    def forget(self) -> None:
        """Stop it, and forget what it found; its runs stay among those that are kept."""
        self.cancel()
        self._seen = self._state = None
        with suppress(OSError):
            self._path.unlink()

    def _end(self, problem):
        self._process.end(LEAVING)
        self._running, self._problem = False, problem
