"""Measures the layers in an update, and passes a fixed handful of training samples through the network for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import ACTIVATIONS, replay
from core.nn.buffers import aligned, aligned_like
from core.nn.network import with_ones
from core.nn.normalization import Normalization
from core.training.layer_metrics import MEASURES, ObservedLayer

if TYPE_CHECKING:
    from core.nn.network import Network

SAMPLES = 128
ELEMENTS = 1 << 18  # fewer samples for wide networks: inputs and activations together stay below 2 MB


class Observer:
    """What MEASURES say of the updates of `network`; `samples` of its training `inputs` are passed through it, normalized as in training.

    The update itself leaves its gradient in `gradient`, multiplied by `gradient_scale`.
    """

    def __init__(self, network: Network, inputs: np.ndarray) -> None:
        self._network = network
        self.samples = min(len(inputs), SAMPLES, max(8, ELEMENTS // sum(network.sizes)))
        self.gradient, self._before, self._change = (aligned_like(network.vector) for _ in range(3))
        self.gradient_scale = 1.0
        self._calls, self._layers = [], []
        vectors = zip(*(network.flat_layers(vector) for vector in (self.gradient, self._before, self._change)))
        x = with_ones(inputs[: self.samples], network.dtype)
        for layer, (matrix, activation) in enumerate(zip(network.matrices, network.activations), 1):
            units, hidden = len(matrix), layer < len(network.matrices)
            rows = aligned((units + hidden, self.samples), network.dtype, fill=1)
            a = rows[:units]
            z = aligned(a.shape, network.dtype) if activation.needs_z else a
            s = None if activation.slope is None or activation is ACTIVATIONS["linear"] else aligned(a.shape, network.dtype)
            scale, running = network.scales[layer - 1], network.running[layer - 1]
            normalize = [] if scale is None else Normalization(z, scale, running).forward
            self._calls += [
                (matrix.dot, (x, z)),
                *normalize,
                *activation.value(z, a),
                *(activation.slope(z, a, s) if s is not None else []),
            ]
            gradient, before, change = next(vectors)
            self._layers.append(ObservedLayer(gradient, before, change, a, s, activation.steepest))
            x = rows

    def begin(self) -> np.ndarray:
        """An update is about to be made; the flat parameters before it, until the next one."""
        np.copyto(self._before, self._network.vector)
        return self._before

    def measure(self) -> np.ndarray:
        """(layers, len(MEASURES)) of the update that has been made since `begin`."""
        np.subtract(self._network.vector, self._before, self._change)
        replay(self._calls)
        for layer in self._layers:
            layer.renew(self.gradient_scale)
        return np.array([[measured(layer) for measured in MEASURES.values()] for layer in self._layers])

    def last_gradient(self) -> np.ndarray:
        """The flat gradient of the last observed update (zeros before the first)."""
        return self.gradient / self.gradient_scale
