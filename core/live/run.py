"""The run of a worker process: its training, its clock and what is saved of it. What it is told to do is in commands.py."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.live.pacing import Pacing
from core.live.persistence import Persistence
from core.live.pictures import Pictures
from core.training.recorder import FlightRecorder

if TYPE_CHECKING:
    from core.diagnosis.finding import Finding
    from core.live.start_request import StartRequest
    from core.settings import Settings
    from core.training.trainer import Trainer

RECORDING_SHARE = 0.02  # of the time at most goes into states for the flight recorder


class Run:
    """One run with its clock, its pictures and its checkpoint.

    It begins as the StartRequest says, or goes on from the checkpoint at `path` if there is a newer one. Raises ConfigError.
    """

    def __init__(self, settings: Settings, path: Path, request: StartRequest) -> None:
        self.path = path
        self.pacing = Pacing(request.speed)
        self.persistence = Persistence(settings, path, request)
        self.begin(*self.persistence.resumed(request))

    @property
    def at_risk(self) -> float:
        """Seconds of training that a sudden death could cost at most."""
        return self.persistence.longest_age if self.running or self.persistence.unsaved else 0.0

    @property
    def forecast_due(self) -> bool:
        """Whether a run that stands still has been seen where it stands, and a forecast is what it lacks."""
        return self.pictures.last is not None and self.pictures.forecaster.outdated

    def train(self) -> None:
        """The updates that are due; then look whether to stand still."""
        started, worked = time.monotonic(), time.thread_time()
        updates = self.pacing.updates_due(self.trainer.step)
        if updates:
            self.trainer.advance(updates)
            self.persistence.unsaved = True
            seconds = time.monotonic() - started
            self.pacing.trained(self.trainer.step, updates, seconds, time.thread_time() - worked)
            self.recorder.spent += seconds
            self._record()
            self.pictures.forecaster.glance()
        if self.trainer.nonfinite is not None:
            self.recorder.forget_after(self.trainer.step)  # what went on for a while with finite weights did so after an overflow
            self.stand()
        elif self.trainer.stopping.stopped or self.trainer.step >= self.pacing.until:
            self.stand()

    def save(self) -> None:
        """Save it as it is now."""
        self.persistence.save(self.trainer, self.recorder, self.status, self.findings)

    def finish(self) -> None:
        """Nobody listens any more: stand still, and wait until all is saved."""
        self.stand()
        self.save()
        self.persistence.finish()

    @property
    def status(self) -> str:
        """The word of its snapshots."""
        if self.trainer.nonfinite is not None:
            return "nonfinite"
        return "finished" if self.trainer.stopping.stopped else "running" if self.running else "paused"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the last picture."""
        return self.pictures.last.findings if self.pictures.last else ()

    def begin(self, trainer: Trainer, recorder: FlightRecorder | None = None) -> None:
        """It is this one from now on, and stands still."""
        self.trainer, self.recorder = trainer, recorder or FlightRecorder(trainer)
        self._next_record = 0.0
        self.pictures = Pictures(trainer, self.recorder)
        self.pacing.forget(0)
        self.stand()

    def leave(self, forked_at: int | None = None) -> None:
        """The run is about to become another one."""
        self.running = False
        self.persistence.leave(self.trainer, self.recorder, self.status, self.findings, forked_at)

    def note(self, method: str, *arguments: Any) -> None:
        """This has just been done to the run."""
        self.recorder.note(method, *arguments)
        self.pictures.forecaster.forget()
        self.persistence.unsaved = True

    def stand(self) -> None:
        """Stand still."""
        self.running = False
        self.persistence.unsaved = True

    def go(self, until: float) -> None:
        """Train up to step `until`."""
        self.persistence.resume(self.running)
        self.running = self.trainer.nonfinite is None and not self.trainer.stopping.stopped
        self.pacing.start(self.trainer.step, until)

    def _record(self):
        began = time.thread_time()  # not the clock: on a busy machine it would count others' work too
        if began >= self._next_record:
            with suppress(MemoryError):  # then the past has a gap
                self.recorder.record()
            self._next_record = began + (time.thread_time() - began) / RECORDING_SHARE
