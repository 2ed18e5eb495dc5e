"""Toy sources in the plane, in TensorFlow Playground's ranges: (samples, noise, rng) -> points (m, 2) and their targets.

Targets are class labels (m,) or values (m,) within [-1, 1]. `noise` is the deviation of a normal displacement of each point,
in units of the axes; a displaced point keeps the class or value of the place it came from. Rows come sorted by class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.dataset import Samples

if TYPE_CHECKING:
    from core.config import DataConfig

RADIUS = 5.0
TURNS = 1.75  # of each spiral arm
PETALS = 4  # per class of the flower, which is also its radius
CLOUD = 0.7  # deviation of a cloud of points before any noise


def planar(
    make: Callable[[int, float, np.random.Generator], tuple[np.ndarray, np.ndarray]],
    outputs: int,
    task: str,
    data: DataConfig,
    rng: np.random.Generator,
) -> Samples:
    """Samples of one of the makers below. A class is named by its number."""
    points, targets = make(data.samples, data.noise, rng)
    if task == "regression":
        return Samples(points, targets[:, None], ("x1", "x2"), ("value",))
    return Samples(points, targets, ("x1", "x2"), tuple(map(str, range(outputs))))


def circle(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 fills the inner half of the disc, class 0 a ring around it, with a gap in between."""
    labels = _classes(samples)
    radius = RADIUS * np.where(labels == 1, rng.uniform(0, 0.5, samples), rng.uniform(0.7, 1, samples))
    return _displaced(_polar(radius, rng.uniform(0, 2 * np.pi, samples)), noise, rng), labels


def xor(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 where both coordinates have the same sign; a gap of 0.3 keeps the axes clear."""
    labels = _classes(samples)
    size = rng.uniform(0, RADIUS, (samples, 2)) + 0.3
    sign = rng.choice((-1.0, 1.0), samples)
    points = size * np.column_stack([sign, np.where(labels == 1, sign, -sign)])
    return _displaced(points, noise, rng), labels


def truth_table(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The four corners of the unit square; class 1 where the coordinates differ."""
    labels = _classes(samples)
    x1 = _ranks(labels) % 2
    return _displaced(np.column_stack([x1, x1 ^ labels]).astype(float), noise, rng), labels


def gaussian(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 around (2, 2), class 0 around (-2, -2)."""
    labels = _classes(samples)
    centres = np.where(labels == 1, 2.0, -2.0)[:, None]
    return centres + np.hypot(CLOUD, noise) * rng.standard_normal((samples, 2)), labels


def spiral(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two arms of 1.75 turns, half a turn apart; class 1 is the one that leaves the centre upwards."""
    labels = _classes(samples)
    along = _ranks(labels) / np.bincount(labels)[labels]
    angle = 2 * np.pi * TURNS * along + np.where(labels == 1, 0, np.pi)
    return _displaced(_polar(RADIUS * along, angle), noise, rng), labels


def moons(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's two interleaved half-moons, centred and stretched to the common radius."""
    from sklearn.datasets import make_moons

    made: Any = make_moons(samples, shuffle=False)
    points, labels = made
    return _displaced((points - (0.5, 0.25)) * (RADIUS / 1.5), noise, rng), labels


def flower(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Petals of radius 4 sin(4 angle); each class takes half of the circle of angles. Noise of deviation `noise` is on
    angle (in radians) and on radius: 0.2 gives the data set well known from courses."""
    labels = _classes(samples)
    along = _ranks(labels) / np.maximum(np.bincount(labels)[labels] - 1, 1)
    angle = np.pi * (labels + along) + noise * rng.standard_normal(samples)
    radius = PETALS * np.sin(PETALS * angle) + noise * rng.standard_normal(samples)
    return _polar(radius, angle), labels


def blobs(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three round clouds on the corners of a triangle."""
    from sklearn.datasets import make_blobs

    corners = _polar(np.full(3, 0.7 * RADIUS), 2 * np.pi * np.arange(3) / 3)
    made: Any = make_blobs(samples, centers=corners, cluster_std=np.hypot(CLOUD, noise), random_state=int(rng.integers(2**31)))
    return made


def plane(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the two coordinates over the radius: -1 in one corner, 1 in the opposite one."""
    points = _square(samples, rng)
    return _displaced(points, noise, rng), points.sum(axis=1) / (2 * RADIUS)


def hills(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Six Gaussian bumps of unit width on a 3 x 2 grid, up and down by turns."""
    points = _square(samples, rng)
    values = np.zeros(samples)
    for column, x1 in enumerate((-4.0, 0.0, 4.0)):
        for row, x2 in enumerate((-2.5, 2.5)):
            squared_distance = ((points - (x1, x2)) ** 2).sum(axis=1)
            values += (-1) ** (row + column) * np.exp(-squared_distance / 2)
    return _displaced(points, noise, rng), values


def sine(samples: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A sine wave along the diagonal, of wavelength 2 pi."""
    points = _square(samples, rng)
    return _displaced(points, noise, rng), np.sin(points.sum(axis=1) / np.sqrt(2))


def _classes(samples):
    """Labels 0 and 1, half of each, sorted; class 0 has the odd one."""
    return np.arange(samples) * 2 // samples


def _ranks(labels):
    """How many rows of the same class come before each row, for sorted labels."""
    return np.arange(len(labels)) - np.searchsorted(labels, labels)


def _polar(radius, angle):
    """Points at this radius and angle, the angle measured from the upward axis as in the Playground."""
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])


def _square(samples, rng):
    return rng.uniform(-RADIUS, RADIUS, (samples, 2))


def _displaced(points, noise, rng):
    return points + noise * rng.standard_normal(points.shape)
