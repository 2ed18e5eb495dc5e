"""What a network makes of the plane, for data with two raw inputs: every unit's activation on a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from core.nn.network import with_ones

if TYPE_CHECKING:
    from core.nn.network import Network
    from core.training.trainer import Trainer

UNIT_MAP, PLANE_MAP = 24, 60  # sides of a unit's map and of the decision boundary, in cells
SMALLEST_MAP = 12
SMALLEST_SCALE = 1e-30  # what is smaller everywhere is drawn as nothing
MAP_WORK = 1 << 28  # cells times parameters at the most: larger networks get coarser maps


class PlaneMaps:
    """Two grids over the plane of a Trainer's data, passed through the network together: a coarse one for units, a fine one for the output.

    They are passed in float32, five times as fast as in float64 and more than maps can show.
    """

    def __init__(self, trainer: Trainer) -> None:
        data, finest = trainer.dataset, max(SMALLEST_MAP, int((MAP_WORK / trainer.network.vector.size) ** 0.5))
        self.side, self.fine_side = min(UNIT_MAP, finest), min(PLANE_MAP, finest)
        points = np.concatenate([plane_points(data.extent, side) for side in (self.side, self.fine_side)])  # pyright: ignore[reportArgumentType]
        self._x = with_ones(data.encode(points), np.float32)
        self._network = trainer.network.copy(np.float32)
        self.inputs = self._x[:-1, : self.side**2]

    def passed(self, network: Network) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each layer of `network` its activations on both grids [((units, side^2), (units, fine_side^2))]."""
        np.copyto(self._network.vector, network.vector, casting="same_kind")
        layers = self._network.forward(self._x)
        if not all(math.isfinite(z.sum()) for z, _ in layers):  # numbers that only the network's own type can hold
            layers = network.forward(self._x.astype(network.dtype))
        return [(a[:, : self.side**2], a[:, self.side**2 :]) for _, a in layers]


def plane_points(extent: tuple[float, float], side: int) -> np.ndarray:
    """Raw coordinates (side * side, 2) of a grid over the square, rows from low x2 to high x2."""
    axis = np.linspace(*extent, side)
    x1, x2 = np.meshgrid(axis, axis)
    return np.column_stack([x1.ravel(), x2.ravel()])


def as_int8(values: np.ndarray, side: int, scale: float) -> np.ndarray:
    """Maps (units, side * side) as int8, 127 = `scale`, the largest magnitude; zeros where that is not finite."""
    if not math.isfinite(scale):
        return np.zeros((len(values), side, side), np.int8)
    return (values * (127 / max(scale, SMALLEST_SCALE))).astype(np.int8).reshape(-1, side, side)
