"""A dense network: its parameters in one flat vector, and the plain forward pass used wherever speed is not the point.

Arrays are features-first: (features, samples). Each layer's weights and biases form one matrix (units, inputs + 1) whose
last column is the bias, so that inputs and activations carry a last row of ones.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np

from core.nn.activations import ACTIVATIONS, replay
from core.nn.buffers import aligned, aligned_like
from core.nn.initializers import initial_parameters
from core.nn.losses import LOSSES


def with_ones(columns, dtype):
    """(samples, features) -> (features + 1, samples), contiguous, last row ones."""
    rows = aligned((columns.shape[1] + 1, len(columns)), dtype, fill=1)
    rows[:-1] = columns.T
    return rows


class Network:
    """Parameters of `config.layers` on `inputs` columns, initialised from the configuration's seed.

    `weigh` gives the weights (samples,) with which samples of the targets (outputs, samples) count in training; None: all count alike.
    """

    weigh = None

    def __init__(self, config, inputs):
        self.dtype = np.dtype(config.dtype)
        self.activations = [ACTIVATIONS[layer.activation] for layer in config.layers]
        self.loss = LOSSES[config.loss]
        self.sizes = [inputs, *(layer.units for layer in config.layers)]
        fused = self.loss.fused.get(config.layers[-1].activation)
        self.fused_value = fused and fused.value
        self.vector = aligned(sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(self.sizes)), self.dtype)
        self.matrices = self.matrices_of(self.vector)
        self.load(initial_parameters(config, inputs))

    def copy(self):
        """The same network with parameters of its own."""
        twin = copy.copy(self)
        twin.vector = aligned_like(self.vector)
        twin.vector[:] = self.vector
        twin.matrices = twin.matrices_of(twin.vector)
        return twin

    def stored_of(self, vector):
        """The layers of a flat vector as they lie in memory: the long side of the matrix runs over the rows."""
        views, start = [], 0
        for fan_in, fan_out in itertools.pairwise(self.sizes):
            shape = (fan_in + 1, fan_out) if self.is_tall(fan_in, fan_out) else (fan_out, fan_in + 1)
            views.append(vector[start : start + shape[0] * shape[1]].reshape(shape))
            start += shape[0] * shape[1]
        return views

    def flat_layers(self, vector):
        """The layers of a flat vector as one-dimensional views."""
        return [view.reshape(-1) for view in self.stored_of(vector)]

    def matrices_of(self, vector):
        """The layers of a flat vector (parameters, gradients, ...) as (units, inputs + 1) views."""
        tall = [self.is_tall(*pair) for pair in itertools.pairwise(self.sizes)]
        return [view.T if is_tall else view for view, is_tall in zip(self.stored_of(vector), tall)]

    @staticmethod
    def is_tall(fan_in, fan_out):
        """Whether a layer is stored as (inputs + 1, units): BLAS is fastest along the long side, measured from 8:1 on."""
        return fan_in > 8 * fan_out

    def load(self, parameters):
        """Take over {"W1": (inputs, units), "b1": (units,), ...}; raises ValueError naming a wrong or missing array."""
        arrays = []
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise(self.sizes), 1):
            for name, shape in ((f"W{index}", (fan_in, fan_out)), (f"b{index}", (fan_out,))):
                if name not in parameters or np.shape(parameters[name]) != shape:
                    had = np.shape(parameters[name]) if name in parameters else "missing"
                    raise ValueError(f"{name} must have the shape {shape}; was {had}")
                arrays.append(parameters[name])
        for matrix, weights, biases in zip(self.matrices, arrays[::2], arrays[1::2]):
            matrix[:, :-1] = np.transpose(weights)
            matrix[:, -1] = biases

    def parameters(self):
        """Copies as {"W1": (inputs, units), "b1": (units,), ...}."""
        return named(self.matrices)

    def forward(self, x):
        """For each layer (pre-activations, activations) of inputs `x` (features + 1, samples): arrays (units, samples)."""
        passed = []
        for index, (matrix, activation) in enumerate(zip(self.matrices, self.activations), 1):
            z = matrix.dot(x)
            x = np.ones((len(z) + (index < len(self.matrices)), z.shape[1]), self.dtype)
            a = x[: len(z)]
            replay(activation.value(z, a))
            passed.append((z, a))
        return passed

    def loss_values(self, z, a, y):
        """Elementwise loss (units, samples) of the output layer; from `z` where loss and activation belong together."""
        return self.fused_value(z, y) if self.fused_value else self.loss.value(a, y)


def named(matrices):
    """(units, inputs + 1) matrices as copies {"W1": (inputs, units), "b1": (units,), ...}."""
    arrays = {}
    for index, matrix in enumerate(matrices, 1):
        arrays[f"W{index}"] = matrix[:, :-1].T.copy()
        arrays[f"b{index}"] = matrix[:, -1].copy()
    return arrays
