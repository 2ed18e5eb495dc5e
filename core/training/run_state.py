"""What updates move, and a copy of it to go back to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.nn.network import Network
    from core.nn.updater import Updater


class RunState:
    """The parameters of `network` and the vectors of state of its `updater`, themselves, with a copy of how they were at a step when all
    was finite."""

    def __init__(self, network: Network, updater: Updater) -> None:
        self._updater = updater
        self.arrays = [network.vector, *updater.slots]
        self._copies = [np.empty_like(array) for array in self.arrays]
        self._step = 0

    @property
    def finite(self) -> bool:
        """Whether all parameters are finite."""
        vector = self.arrays[0]
        return math.isfinite(vector.dot(vector)) or bool(np.isfinite(vector).all())

    @property
    def guarded_vector(self) -> np.ndarray:
        """The parameters of the copy."""
        return self._copies[0]

    def guard(self, step: int) -> None:
        """Copy this state, after `step` updates: everything up to here was finite."""
        self._step = step
        for copy, now in zip(self._copies, self.arrays):
            np.copyto(copy, now)

    def return_to_guarded(self) -> int:
        """Become the copy again; its step."""
        for copy, now in zip(self._copies, self.arrays):
            np.copyto(now, copy)
        self._updater.updates = self._step
        return self._step

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Copies {"vector": the parameters, "slot0": ...}."""
        return {name: array.copy() for name, array in zip(self._names, self.arrays)}

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `to_arrays` gave."""
        for name, array in zip(self._names, self.arrays):
            np.copyto(array, arrays[name])

    @property
    def _names(self):
        return ["vector", *(f"slot{index}" for index in range(len(self.arrays) - 1))]
