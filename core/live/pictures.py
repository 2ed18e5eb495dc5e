"""What is shown of a live run: pictures of it as it is and as it was, with what its recorder and its forecaster have to say."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from core.diagnosis.failures import attempt
from core.diagnosis.forecast import LIVE
from core.limits import ConfigError
from core.live.forecaster import Forecaster, forecast_or_none
from core.snapshot.maker import SnapshotMaker
from core.training.recorder import last_sound_step
from core.training.replay import Replay

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from core.training.recorder import FlightRecorder
    from core.training.trainer import Trainer

SHARE = 0.3  # of the time at most, while training: of a large network not every look brings a new picture
LOOK_REPLAY = 0.3  # seconds of training that may be replayed to show a moment of the past


class Pictures:
    """Snapshots of `trainer`, whose states `recorder` keeps. `last` is the newest of the present, None before the first."""

    def __init__(self, trainer: Trainer, recorder: FlightRecorder) -> None:
        self._trainer, self._recorder = trainer, recorder
        self.forecaster = Forecaster(trainer)
        self._maker = SnapshotMaker(trainer, lambda _: self.forecaster.first)
        self._replay = None
        self._sound = 0, 0  # (first step of trouble, the last healthy step before it), as last worked out
        self.last = None
        self.expire()

    def expire(self) -> None:
        """Something was done to the run: the next picture is made anew."""
        self._shown, self._next = None, 0.0

    def leave_past(self) -> None:
        """Nobody looks back any more: give the memory for that free."""
        self._replay = None

    def forget_after(self, step: int) -> None:
        """The run goes on from `step`, on another path."""
        self._maker.forget_after(step)
        self.forecaster.forget_after(step)
        self._replay = self.last = None
        self._sound = 0, 0

    def present(self, status: str, rate: float, unit: tuple[int, int] | None) -> Snapshot:
        """The run as it is: the last picture again while nothing has happened since, or while it trains and pictures take their share."""
        began, trainer = time.monotonic(), self._trainer
        shown = unit, status, trainer.step, len(trainer.telemetry.events), self.forecaster.first
        soon = self._shown and self._shown[:2] == shown[:2] == (unit, "running") and began < self._next
        if self._shown != shown and not soon:
            self.last = self._maker.make(status, rate, unit)
            self._shown, self._next = shown, began + (time.monotonic() - began) / SHARE
        last = dataclasses.replace(self.last, step=trainer.step, epoch=trainer.epoch, steps_per_second=rate)  # pyright: ignore[reportArgumentType]
        return self._on_record(last)

    def past(self, at: int, status: str, rate: float, unit: tuple[int, int] | None) -> Snapshot:
        """The run as it was at step `at`, or near it."""
        past = self.replayed(at, LOOK_REPLAY)
        now = self._on_record(self.last) if self.last else self.present(status, rate, None)
        picture, failures = self._maker.make(status, rate, unit, past), []
        return dataclasses.replace(
            picture,
            kept_steps=now.kept_steps,
            healthy_step=now.healthy_step,
            first_crossing=now.first_crossing,
            forecast=forecast_or_none(past, failures, LIVE),
            forecast_history=now.forecast_history,
            failures=(*picture.failures, *failures),
        )

    def replayed(self, at: int, most: float) -> Trainer:
        """A Trainer at step `at` of the run's past, or at a kept one near it if more than `most` seconds of training lie between."""
        try:
            self._replay = self._replay or Replay(self._trainer, self._recorder)
            return self._replay.go(min(max(at, 0), self._trainer.step), most).trainer
        except MemoryError:
            raise ConfigError("", "Going back needs more memory than one run may take here") from None

    def _on_record(self, picture):
        """The picture with what recorder and forecaster have to say."""
        failures = [*picture.failures, *self.forecaster.failures]
        healthy = attempt("The last healthy step", failures, None, self._healthy_step, picture)
        return dataclasses.replace(
            picture,
            kept_steps=self._recorder.overview(healthy),
            healthy_step=healthy,
            forecast=self.forecaster.forecast,
            forecast_history=self.forecaster.history(),
            forecast_due=self.forecaster.outdated and picture.status != "running",
            failures=tuple(failures),
        )

    def _healthy_step(self, picture):
        """The last kept step before a sign of trouble, which is kept for good; None where there is none."""
        troubles = [finding.step for finding in picture.findings if finding.severity != "info" and not finding.mistake]
        if picture.first_crossing:
            troubles.append(picture.first_crossing[0])
        trouble = min(troubles, default=0)
        if trouble and self._sound != (trouble, self._recorder.at(self._sound[1]).step):
            self._sound = trouble, last_sound_step(self._trainer, self._recorder, trouble)
            self._recorder.pin(self._sound[1])
        return self._sound[1] if trouble else None
