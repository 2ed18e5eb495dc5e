"""A fixed handful of training samples that every observation passes through the network."""

from __future__ import annotations

import math

import numpy as np

from core.nn.activations import ACTIVATIONS, replay
from core.nn.buffers import aligned
from core.nn.network import with_ones
from core.training.telemetry import DEAD_SLOPE, SATURATED_SLOPE

PROBE_SAMPLES = 128
PROBE_ELEMENTS = 1 << 18  # fewer samples for wide networks: inputs and activations together stay below 2 MB


def norm(vector):
    """Euclidean norm of a flat vector, right even where its square overflows."""
    square = float(vector.dot(vector))
    if math.isfinite(square):
        return math.sqrt(square)
    largest = float(np.abs(vector).max())
    return largest * float(np.linalg.norm(vector / largest)) if math.isfinite(largest) else largest


class Probe:
    """Activation statistics of all layers, from the first training samples."""

    def __init__(self, network, inputs):
        self.samples = min(len(inputs), PROBE_SAMPLES, max(8, PROBE_ELEMENTS // sum(network.sizes)))
        x = with_ones(inputs[: self.samples], network.dtype)
        self._calls, self._layers = [], []
        for layer, (matrix, activation) in enumerate(zip(network.matrices, network.activations), 1):
            units, hidden = len(matrix), layer < len(network.matrices)
            rows = aligned((units + hidden, self.samples), network.dtype, fill=1)
            a = rows[:units]
            z = aligned(a.shape, network.dtype) if activation.needs_z else a
            s = None if activation.slope is None or activation is ACTIVATIONS["linear"] else aligned(a.shape, network.dtype)
            self._calls += [(matrix.dot, (x, z)), *activation.value(z, a), *(activation.slope(z, a, s) if s is not None else [])]
            self._layers.append((a.reshape(-1), np.ones(a.size, network.dtype), s, activation.steepest))
            x = rows

    def measure(self):
        """(layers, 4): activation mean, activation deviation, share of dead units, share of saturated activations."""
        replay(self._calls)
        rows = []
        for values, ones, slopes, steepest in self._layers:
            mean = float(values.dot(ones)) / len(values)
            deviation = math.sqrt(max(float(values.dot(values)) / len(values) - mean * mean, 0.0))
            dead = saturated = 0.0
            if slopes is not None:
                sizes = np.abs(slopes, slopes)
                dead = np.count_nonzero(np.maximum.reduce(sizes, axis=1) < DEAD_SLOPE) / len(sizes)
                if steepest:
                    saturated = np.count_nonzero(sizes < SATURATED_SLOPE * steepest) / sizes.size
            rows.append((mean, deviation, dead, saturated))
        return np.array(rows)
