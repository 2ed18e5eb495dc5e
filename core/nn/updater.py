"""The optimizer at work on one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.nn.buffers import aligned_like
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.nn.activations import Call
    from core.nn.network import Network


class Updater:
    """The optimizer at work on a network: its state vectors, its constants and its clock. `factor`, a function of the step as in SCHEDULES,
    takes the place of the configuration's schedule."""

    def __init__(self, network: Network, config: RunConfig, factor: Callable[[float, int, float], float] | None = None) -> None:
        self.optimizer = OPTIMIZERS[config.optimizer.name]
        slots = self.optimizer.slots + bool(config.faults)  # the last one is what a fault carries from step to step
        self.slots = [aligned_like(network.vector) for _ in range(slots)]
        self.clip_norm = config.clip_norm
        self.updates = 0  # finished so far; only `tick` needs it, whoever moves the run sets it
        self._hyperparameters = config.optimizer
        self._factor = factor or SCHEDULES[config.optimizer.schedule.name].factor
        dropping = any(layer.dropout for layer in config.layers)
        self.ticks = self.optimizer.timed or self._factor is not None or dropping or bool(config.faults)
        self.gradient: np.ndarray | None = None  # whole gradients, where they are needed at once: see `gather`
        self._vector = network.vector
        self._penalties = self._penalty_vectors(network, config.penalty)
        self.folds = self.optimizer.folds and not (self.ticks or self._penalties or self.clip_norm)
        self.constants = {name: np.array(value, network.dtype) for name, value in self._values(1).items()}

    def _values(self, t):
        schedule = self._hyperparameters.schedule
        factor = self._factor(t - 1, schedule.steps, schedule.factor) if self._factor else 1.0
        self.rate = self._hyperparameters.learning_rate * factor
        return self.optimizer.constants(self._hyperparameters, self.rate, t)

    def gather(self) -> np.ndarray:
        """The vector for whole gradients, one for all programs of a run."""
        if self.gradient is None:
            self.gradient = aligned_like(self._vector)
        return self.gradient

    def tick(self) -> None:
        """Set the constants for the next update, and count it."""
        self.updates += 1
        for name, value in self._values(self.updates).items():
            self.constants[name][()] = value

    @staticmethod
    def _penalty_vectors(network, penalty):
        """[(weights' function, coefficient of each parameter)]: 2 * l2 * w and l1 * sign(w), nothing for biases."""
        vectors = []
        for strength, function in ((2 * penalty.l2, np.copyto), (penalty.l1, np.sign)):
            if strength:
                vector = aligned_like(network.vector)
                for matrix in network.matrices_of(vector):
                    matrix[:, :-1] = strength
                vectors.append((function, vector))
        return vectors

    def penalty_calls(self, part: slice, gradient: np.ndarray, scratch: np.ndarray) -> list[Call]:
        """Calls that add the penalty's gradient to that `part` (a slice) of the gradient."""
        calls = []
        for function, coefficients in self._penalties:
            w, c = self._vector[part], coefficients[part]
            first = (np.multiply, (w, c, scratch)) if function is np.copyto else (np.sign, (w, scratch))
            second = [] if function is np.copyto else [(np.multiply, (scratch, c, scratch))]
            calls += [first, *second, (np.add, (gradient, scratch, gradient))]
        return calls

    def update_calls(self, part: slice, gradient: np.ndarray, scratch: np.ndarray) -> list[Call]:
        """Calls that update that `part` of the parameters with its gradient."""
        p = self._vector[part]
        if self.folds:
            return [(np.subtract, (p, gradient, p))]
        return self.optimizer.update(p, gradient, [slot[part] for slot in self.slots[: self.optimizer.slots]], scratch, self.constants)

    def clip_calls(self, gradient: np.ndarray) -> list[Call]:
        """Calls that shorten the whole gradient to `clip_norm` (Pascanu et al. 2013)."""

        def clip():
            norm = float(gradient.dot(gradient)) ** 0.5
            if norm > self.clip_norm:
                np.multiply(gradient, self.clip_norm / norm, gradient)

        return [(clip, ())]
