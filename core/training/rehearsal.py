"""A run tried out: real updates on a copy of it, at the same or at another learning rate, unseen by its telemetry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.nn.updater import Updater
from core.training.compiled_steps import programs_for
from core.training.cost_model import activation_cost, step_cost

if TYPE_CHECKING:
    from core.training.trainer import Trainer


class Rehearsal:
    """A copy of a Trainer at its present step that goes through the same batches; the run itself is not touched.

    `learning_rate` replaces the configuration's, `factor` its schedule (see Updater).
    """

    def __init__(
        self, trainer: Trainer, learning_rate: float | None = None, factor: Callable[[float, int, float], float] | None = None
    ) -> None:
        self._trainer, self._config = trainer, trainer.config
        if learning_rate is not None:
            self._config = trainer.config.patched({"optimizer": {"learning_rate": learning_rate}})
        self.network = trainer.network.copy()
        self.updates = 0
        self._updater = Updater(self.network, self._config, factor)
        self._updater.updates = trainer.step
        for slot, value in zip(self.slots, trainer.updater.slots):
            np.copyto(slot, value)
        self._programs = {}

    @property
    def slots(self) -> list[np.ndarray]:
        """The optimizer's vectors of state."""
        return self._updater.slots

    @property
    def update_cost(self) -> float:
        """Estimated microseconds of an update."""
        size = self._trainer.batches.size
        return step_cost(self.network, self._program(size).calls, size) + activation_cost(self.network, size)

    def advance(self, updates: int) -> Rehearsal:
        """Make this many updates, whatever becomes of them."""
        batches, step = self._trainer.batches, self._trainer.step + self.updates
        with np.errstate(all="ignore"):
            for index in batches.order(step, updates):
                x, y = batches[index]
                for function, arguments in self._program(y.shape[1]).bind(x, y):
                    function(*arguments)
        self.updates += updates
        return self

    def _program(self, size):
        if size not in self._programs:
            (self._programs[size],) = programs_for(self.network, self._updater, self._config, size, (None,))
        return self._programs[size]
