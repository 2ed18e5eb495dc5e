"""What a sampled step records of each layer: a row of MEASURES for each metric, its name and how it is measured."""

from __future__ import annotations

import math

import numpy as np

DEAD_SLOPE = 1e-3  # no sample passes a thousandth of its gradient back (a leaky ReLU's 0.01 is alive)
SATURATED_SLOPE = 0.0266  # of the steepest slope: |z| > 5 for a sigmoid (DeepDiagnosis), |z| > 2.5 for tanh


class ObservedLayer:
    """A layer in an update: its `gradient` (times `gradient_scale`), its parameters `before` the update and their `change` by it, flat; and
    its `activations` (units, samples) on the observer's samples with their `slopes`, None where these are 1 everywhere.

    `steepest` is the largest slope of a bounded activation. All arrays are the observer's own; `renew` takes over what it has put there.
    """

    def __init__(
        self,
        gradient: np.ndarray,
        before: np.ndarray,
        change: np.ndarray,
        activations: np.ndarray,
        slopes: np.ndarray | None,
        steepest: float | None,
    ) -> None:
        self.gradient, self.before, self.change = gradient, before, change
        self.activations, self.slopes, self.steepest = activations.reshape(-1), slopes, steepest
        self._ones = np.ones_like(self.activations)

    def renew(self, gradient_scale: float) -> None:
        """Work out what several metrics need."""
        self.gradient_scale = gradient_scale
        self.weight_norm = norm(self.before)
        self.mean = self.mean_of(self.activations)
        if self.slopes is not None:
            np.abs(self.slopes, self.slopes)

    def mean_of(self, values: np.ndarray) -> float:
        """Mean of values in the shape of `activations`, in one pass."""
        return float(values.dot(self._ones)) / len(values)


def norm(vector: np.ndarray) -> float:
    """Euclidean norm of a flat vector, right even where its square overflows."""
    square = float(vector.dot(vector))
    if math.isfinite(square):
        return math.sqrt(square)
    largest = float(np.abs(vector).max())
    return largest * float(np.linalg.norm(vector / largest)) if math.isfinite(largest) else largest


def _update_ratio(layer):
    return norm(layer.change) / layer.weight_norm if layer.weight_norm > 0 else math.nan


def _deviation(layer):
    values, mean = layer.activations, layer.mean
    return math.sqrt(max(float(values.dot(values)) / len(values) - mean * mean, 0.0))


def _dead(layer):
    slopes = layer.slopes
    return 0.0 if slopes is None else np.count_nonzero(np.maximum.reduce(slopes, axis=1) < DEAD_SLOPE) / len(slopes)


def _saturated(layer):
    if layer.slopes is None or not layer.steepest:
        return 0.0
    return np.count_nonzero(layer.slopes < SATURATED_SLOPE * layer.steepest) / layer.slopes.size


# In the order of the table's columns: the name of a metric, and a function of the ObservedLayer
MEASURES = {
    # Euclidean norm of the layer's gradient, weights and biases
    "gradient_norm": lambda layer: norm(layer.gradient) / layer.gradient_scale,
    # Euclidean norm of its parameters before the update
    "weight_norm": lambda layer: layer.weight_norm,
    # norm of the update over norm of the parameters before it
    "update_ratio": _update_ratio,
    # over the observer's samples and all units
    "activation_mean": lambda layer: layer.mean,
    "activation_deviation": _deviation,
    # share of units whose slope is below DEAD_SLOPE on every sample
    "dead": _dead,
    # share of (unit, sample) pairs on the flat ends of a bounded activation
    "saturated": _saturated,
}
