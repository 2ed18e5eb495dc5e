"""What there is of a live run on the disk: its checkpoint, for when its process dies, and what the store keeps of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import RunConfig
from core.limits import ConfigError
from core.live import checkpoint
from core.live.store_writer import StoreWriter
from core.store.store import Store, StoreError
from core.training.recorder import FlightRecorder
from core.training.telemetry import Event
from core.training.trainer import Trainer

if TYPE_CHECKING:
    import numpy as np

    from core.diagnosis.finding import Finding
    from core.live.start_request import StartRequest
    from core.settings import Settings

SHARE = 0.2  # of the processor's time at most goes into saving: a run whose checkpoint takes long is saved less often
AHEAD = 0.5  # of `checkpoint_every` after the last one a saving begins, so that on a busy machine, too, it ends in time


class Persistence:
    """Saves a run's `trainer` and `recorder`, and says when it is time to. `unsaved` tells that it is not as it was saved last."""

    def __init__(self, settings: Settings, path: Path, request: StartRequest) -> None:
        self._settings, self._path = settings, path
        self._writer = StoreWriter(settings, request.owner) if request.kept else None
        self._copy_of = (request.run_id, request.owner) if request.run_id and not request.kept else None
        self._saved = time.monotonic()
        self._took = 0.0  # seconds of processor time, the last time: on a busy machine the clock would count others' work, too
        self._trouble = None  # why the checkpoint could not be written
        self.unsaved = True

    def resumed(self, request: StartRequest) -> tuple[Trainer, FlightRecorder]:
        """(trainer, recorder) as the StartRequest says, or as a newer checkpoint has them. Raises ConfigError."""
        saved = checkpoint.load(self._path) if self._path.exists() else None
        if request.run_id is None:
            trainer = loaded(RunConfig.from_dict(json.loads(str(saved["config"]))) if saved else request.config)
            recorder = None
        else:
            trainer, recorder = self._stored(request)
        if saved and int(saved["position"][0]) > trainer.step:
            trainer.restore(saved)
        return trainer, recorder or FlightRecorder(trainer)

    def _stored(self, request):
        try:
            found = (self._writer.resume if self._writer else StoreWriter(self._settings).look)(request.run_id)
        except StoreError as error:
            raise ConfigError("", str(error)) from None
        if not found.moments:
            raise ConfigError("", "Of this run only the figures are kept: it cannot be gone on with")
        stored = found.placed(request.config.data.path)
        trainer = loaded(RunConfig.from_dict(stored.config))
        trainer.restore(stored.moments[-1].state | stored.history)
        return trainer, FlightRecorder(trainer, moments=stored.moments, interventions=stored.interventions)

    def check_taking(self) -> None:
        """Raise ConfigError where all that may be done is to look: at a copy of somebody else's run, who does not share it (any more)."""
        if self._copy_of is None:
            return
        try:
            id, person = self._copy_of
            granted = Store(self._settings.data_folder).access(id).may_take(person)
        except StoreError as error:
            raise ConfigError("", str(error)) from None
        if not granted:
            raise ConfigError("", "This run is somebody else's: only its charts are to be had")

    @property
    def run_id(self) -> str | None:
        """The run's id in the store; None while it is not there."""
        return self._writer and self._writer.id

    @property
    def problem(self) -> str | None:
        """A sentence about why the store does not keep the run; None when it does."""
        return self._writer and self._writer.trouble

    def look_after(self) -> None:
        """Have a run that stands still saved again if its store was removed or replaced."""
        self.unsaved = self.unsaved or (self._writer is not None and self._writer.moved)

    @property
    def longest_age(self) -> float:
        """Seconds of training that a sudden death could cost at most, while it trains."""
        return max(self._settings.checkpoint_every, self._took / SHARE + self._took)

    @property
    def next(self) -> float:
        """When to begin, so that what is on the disk is never older than `longest_age`."""
        return self._saved + max(AHEAD * self._settings.checkpoint_every, self._took / SHARE)

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.unsaved and time.monotonic() >= self.next

    def resume(self, running: bool) -> None:
        """The run is about to train; `running`, it already does."""
        if self._writer is not None and self._writer.id is None:
            self._saved = -math.inf  # a run is kept from its first steps on
        elif not (running or self.unsaved):
            self._saved = time.monotonic()  # while it stood, what was saved did not grow old

    def hasten(self) -> None:
        """Something was found that is to be saved at once."""
        self._saved, self.unsaved = -math.inf, True

    def save(self, trainer: Trainer, recorder: FlightRecorder, status: str, findings: Sequence[Finding]) -> None:
        """Save it as it is now. A full disk does not end the run: it is told."""
        self._saved, began = time.monotonic(), time.thread_time()
        try:
            checkpoint.save(self._path, trainer.checkpoint())
            self._trouble = None
        except (OSError, MemoryError) as error:
            trouble = getattr(error, "strerror", None) or "out of memory"
            if trouble != self._trouble:
                trainer.telemetry.events.append(Event(trainer.step, f"The checkpoint could not be written: {trouble}"))
            self._trouble = trouble
        if self._writer is not None:
            if status != "running":
                self._writer.finish()  # what was begun while it trained was another state
            self._writer.keep(trainer, recorder, status, findings)
        self._took = time.thread_time() - began
        self.unsaved = False

    def leave(
        self, trainer: Trainer, recorder: FlightRecorder, status: str, findings: Sequence[Finding], forked_at: int | None = None
    ) -> None:
        """The run is about to become another one, with `forked_at` a fork of it at that step: keep what it was."""
        if self._writer is not None:
            self._writer.finish()
            self._writer.keep(trainer, recorder, status, findings)
            self._writer.finish()
            self._writer.begin(self._writer.id if forked_at is not None else None, forked_at)

    def forget(self) -> None:
        """Nobody may wake up in a run that was left behind."""
        checkpoint.remove(self._path)

    def finish(self) -> None:
        """Wait until all is saved."""
        if self._writer is not None:
            self._writer.finish()


def loaded(config: RunConfig, parameters: dict[str, np.ndarray] | None = None) -> Trainer:
    """A Trainer, with these first `parameters` if they are given. Raises ConfigError, also where there is no memory for it."""
    try:
        trainer = Trainer(config)
    except MemoryError:
        raise ConfigError("", "This run needs more memory than one run may take here") from None
    if parameters:
        trainer.load_parameters(parameters)
        trainer.telemetry.events.append(Event(0, "Weights opened from a file"))
    return trainer
