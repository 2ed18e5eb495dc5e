"""Points that a person has placed on the plane, each with its class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import Samples
from core.limits import ConfigError, shown

if TYPE_CHECKING:
    from core.config import DataConfig

MOST = 500  # points: a link still holds them
CLASSES = 10
FARTHEST = 1000.0  # of a coordinate from the centre
# Two hooks that reach into each other, 24 points each: what there is before anybody has drawn
EXAMPLE = tuple(
    (round(side * (3 * math.cos(turn) - 1.2), 2), round(side * (3 * math.sin(turn) - 1), 2), number)
    for number, side in ((0, 1), (1, -1))
    for turn in (math.pi * place / 23 for place in range(24))
)


def checked(field: str, value: object) -> tuple[tuple[float, float, int], ...] | None:
    """((x1, x2, class), ...) of a list of such lists: finite coordinates within FARTHEST and whole numbers below CLASSES, 1 to MOST points;
    None, which stands for the EXAMPLE. Raises ConfigError(field)."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise ConfigError(field, f"must be a list of [x1, x2, class]; was {shown(value)}")
    if not 1 <= len(value) <= MOST:
        raise ConfigError(field, f"must hold 1 to {MOST} points; {'there are none' if not value else f'had {len(value):,}'}")
    return tuple(_point(field, number, entry) for number, entry in enumerate(value, 1))


def _point(field, number, entry):
    if not isinstance(entry, (list, tuple)) or len(entry) != 3 or not all(map(_is_number, entry)):
        raise ConfigError(field, f"must be [x1, x2, class], three numbers each; point {number} was {shown(entry)}")
    x1, x2, label = entry
    if not max(abs(x1), abs(x2)) <= FARTHEST:  # also not of NaN
        raise ConfigError(field, f"must lie between -{FARTHEST:g} and {FARTHEST:g} both ways; point {number} was {shown(entry)}")
    if label not in range(CLASSES):
        raise ConfigError(field, f"must have a class from 0 to {CLASSES - 1}, a whole number; that of point {number} was {shown(label)}")
    return float(x1), float(x2), int(label)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def points_of(data: DataConfig) -> tuple[tuple[float, float, int], ...]:
    """The points of a DataConfig, ((x1, x2, class), ...)."""
    return EXAMPLE if data.points is None else data.points


def classes(data: DataConfig) -> int:
    """How many classes there are: up to the highest that a point has, two at least."""
    return max(2, 1 + max(label for _, _, label in points_of(data)))


def drawn(data: DataConfig, rng: np.random.Generator) -> Samples:
    """The points as Samples, exactly where they were placed: `noise` moves none of them. A class is named by its number."""
    points = np.array([point[:2] for point in points_of(data)])
    labels = np.array([label for _, _, label in points_of(data)])
    return Samples(points, labels, ("x1", "x2"), tuple(map(str, range(classes(data)))))
