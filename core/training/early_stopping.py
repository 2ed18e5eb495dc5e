"""Early stopping (Prechelt 1998): when a run stops by itself, and the weights that it then goes back to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from core.training.evaluation import LOOKED_AT
from core.training.telemetry import Event

if TYPE_CHECKING:
    from core.config import StopConfig
    from core.training.batches import Batches
    from core.training.evaluation import Evaluator
    from core.training.telemetry import Telemetry


class EarlyStopping:
    """Watches the test loss of a run at the end of each epoch, or the training loss where nothing is held back. `stopped` once it has not
    been lower by more than `min_delta` for `patience` epochs; never where the StopConfig `config` is None.

    `vector` are the run's parameters (flat), copied whenever they are the best so far. `due` is the step at which it is to look next.
    """

    def __init__(self, config: StopConfig | None, evaluator: Evaluator, vector: np.ndarray) -> None:
        self._config, self._evaluator, self._vector = config, evaluator, vector
        self.due, self.stopped = math.inf, False
        if config:
            self._part = "train" if evaluator.loss("test") is None else "test"
            self._best = vector.copy()
            self._lowest, self._waited, self._best_step = math.inf, 0, 0

    def plan(self, batches: Batches, step: int) -> None:
        """Look next at the end of the epoch that goes on after `step` updates."""
        if self._config:
            self.due = batches.epoch_end(step)

    def look(self, batches: Batches, step: int, telemetry: Telemetry) -> None:
        """An epoch has ended after `step` updates. Once the run stops, its parameters are the best ones again, and an event says so."""
        self.plan(batches, step)
        loss = self._evaluator.evaluate(self._part, LOOKED_AT)[0]
        if loss < self._lowest - self._config.min_delta:
            self._lowest, self._waited, self._best_step = loss, 0, step
            np.copyto(self._best, self._vector)
            return
        self._waited += 1
        if self._waited >= self._config.patience:
            self.stopped = True
            np.copyto(self._vector, self._best)
            text = f"Stopped early: no lower loss for {self._waited} epochs; weights of step {self._best_step:,} kept"
            telemetry.events.append(Event(step, text))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Copies of what it needs to go on."""
        if not self._config:
            return {}
        return {"best": self._best.copy(), "stopping": np.array([self._lowest, self._waited, self._best_step, self.stopped])}

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `to_arrays` gave."""
        if self._config:
            np.copyto(self._best, arrays["best"])
            self._lowest, waited, step, stopped = arrays["stopping"].tolist()
            self._waited, self._best_step, self.stopped = int(waited), int(step), bool(stopped)
