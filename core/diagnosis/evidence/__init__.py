"""What a detector looks at: one run's telemetry, and the facts that follow from it, each worked out when first asked for.

Two questions decide nearly everything. Is the run learning: does it do better than the best constant output, or does its loss
at least still fall? And is it stable: did the loss stay away from where it had been?
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from core.diagnosis.evidence.data import Data
from core.diagnosis.evidence.losses import Losses
from core.diagnosis.evidence.progress import Progress
from core.diagnosis.evidence.signals import Signals

if TYPE_CHECKING:
    from core.diagnosis.forecast import Forecast
    from core.training.trainer import Trainer


class Evidence:
    """A read-only view of a Trainer, by what is measured. `foresee(trainer)` gives the Forecast for the run's beginning, or None."""

    def __init__(self, trainer: Trainer, foresee: Callable[[Trainer], Forecast | None] = lambda trainer: None) -> None:
        self.trainer = trainer
        self._foresee = foresee
        self.config = trainer.config
        self.dataset = trainer.dataset
        self.telemetry = trainer.telemetry
        self.nonfinite = trainer.telemetry.nonfinite
        self.step = trainer.step
        self.data = Data(trainer)
        self.signals = Signals(trainer)
        self.losses = Losses(trainer, self.signals)
        self.progress = Progress(trainer, self.data, self.signals, self.losses)

    @cached_property
    def forecast(self) -> Forecast | None:
        """The Forecast for the beginning of the run, or None."""
        return self._foresee(self.trainer)
