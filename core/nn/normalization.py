"""Normalization of pre-activations: over the samples of a batch, or over the units of each sample, with a learned scale and shift.

    normalized = (z - mean) / sqrt(variance + EPSILON)        pre-activation = scale * normalized + shift

Batch normalization (Ioffe & Szegedy 2015) takes mean and variance of each unit over the batch, and outside training their running means,
which each update moves by MOMENTUM towards the batch's; layer normalization (Ba et al. 2016) those of each sample over the units, always.
Arrays are features-first: (units, samples). Calls are as in activations.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import add, const, mul, replay, sub
from core.nn.buffers import aligned, aligned_like

if TYPE_CHECKING:
    from core.nn.activations import Call

NORMALIZATIONS = ("none", "batch", "layer")
EPSILON, MOMENTUM = 1e-5, 0.1  # as PyTorch has them; its running variance is that of m - 1, this one that of m samples


class Normalization:
    """A layer's normalization in training, for pre-activations `z` (units, samples), with its own buffers.

    `parameters` are (scale, shift) as rows (2, units), `running` (mean, variance) likewise, None for a layer's; both are the network's own.
    `forward` are the calls that turn z into the pre-activation in place, `track` those that move the running statistics. The calls
    `backward(d)` turn d, the loss's gradient by the pre-activation, into that by what was normalized, and leave that by the parameters in
    `gradient` (2, units).
    """

    def __init__(self, z: np.ndarray, parameters: np.ndarray, running: np.ndarray | None = None) -> None:
        self._axis = 0 if running is None else 1  # what is averaged over
        self._count = const(z, z.shape[self._axis])
        self._scale, self._shift = parameters[0][:, None], parameters[1][:, None]
        self._normalized, self._products = aligned_like(z), aligned_like(z)
        self._statistics = aligned((2, z.shape[1 - self._axis]), z.dtype)
        self._mean, self._variance = map(self._spread, self._statistics)
        self._inverse = aligned_like(self._variance)
        self.gradient = aligned((2, len(z)), z.dtype)
        self.forward = self._forward(z)
        self.track = self._track(running) if running is not None else []

    def _spread(self, values):
        """A value for each unit, or for each sample, in the shape that goes with z."""
        return values[:, None] if self._axis else values[None, :]

    def _averaged(self, values, result):
        return [(np.add.reduce, (values, self._axis, None, result)), (np.divide, (result, self._count, result))]

    def _forward(self, z):
        normalized, inverse = self._normalized, self._inverse
        return [
            *self._averaged(z, self._statistics[0]),
            (sub, (z, self._mean, normalized)),
            (mul, (normalized, normalized, z)),
            *self._averaged(z, self._statistics[1]),
            (add, (self._variance, const(z, EPSILON), inverse)),
            (np.sqrt, (inverse, inverse)),
            (np.reciprocal, (inverse, inverse)),
            (mul, (normalized, inverse, normalized)),
            (mul, (normalized, self._scale, z)),
            (add, (z, self._shift, z)),
        ]

    def _track(self, running):
        share = aligned_like(self._statistics)
        return [
            (mul, (running, const(running, 1 - MOMENTUM), running)),
            (mul, (self._statistics, const(share, MOMENTUM), share)),
            (add, (running, share, running)),
        ]

    def backward(self, d: np.ndarray) -> list[Call]:
        """The calls: d = (g - mean(g) - normalized * mean(g * normalized)) / deviation, of g = d * scale; mean and variance depend on z."""
        products, first, second = self._products, *map(self._spread, aligned_like(self._statistics))
        return [
            (mul, (d, self._normalized, products)),
            (np.add.reduce, (products, 1, None, self.gradient[0])),
            (np.add.reduce, (d, 1, None, self.gradient[1])),
            (mul, (d, self._scale, d)),
            *self._averaged(d, first.reshape(-1)),
            (mul, (d, self._normalized, products)),
            *self._averaged(products, second.reshape(-1)),
            (mul, (self._normalized, second, products)),
            (sub, (d, first, d)),
            (sub, (d, products, d)),
            (mul, (d, self._inverse, d)),
        ]


def in_training(z: np.ndarray, parameters: np.ndarray, batch: bool) -> np.ndarray:
    """The pre-activation of `z` with the statistics of these samples, a new array; `batch` says which kind it is."""
    z = z.copy()
    replay(Normalization(z, parameters, aligned_like(parameters) if batch else None).forward)
    return z


def in_evaluation(z: np.ndarray, parameters: np.ndarray, running: np.ndarray | None) -> np.ndarray:
    """The pre-activation of `z`, a new array, with the running statistics; of a layer's (`running` None) as in training."""
    if running is None:
        return in_training(z, parameters, batch=False)
    factor = parameters[0] / np.sqrt(running[1] + z.dtype.type(EPSILON))
    return z * factor[:, None] + (parameters[1] - running[0] * factor)[:, None]
