"""A dense network: its parameters in one flat vector, and the plain forward pass used wherever speed is not the point.

Arrays are features-first: (features, samples). Each layer's weights and biases form one matrix (units, inputs + 1) whose
last column is the bias, so that inputs and activations carry a last row of ones. Behind the matrices the vector holds scale and
shift of each normalized layer, and last, moved by no optimizer, the running mean and variance of each that is normalized over batches.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from core.nn.activations import ACTIVATIONS, replay
from core.nn.buffers import aligned
from core.nn.initializers import initial_parameters
from core.nn.losses import LOSSES
from core.nn.normalization import in_evaluation, in_training

if TYPE_CHECKING:
    from core.config import LayerConfig, RunConfig

TESTED = 0  # seed of the masks that a fault puts into the forward pass: the same ones each time, so that what is found is as well


def with_ones(columns: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """(samples, features) -> (features + 1, samples), contiguous, last row ones."""
    rows = aligned((columns.shape[1] + 1, len(columns)), dtype, fill=1)
    rows[:-1] = columns.T
    return rows


def parts_of_vector(layers: tuple[LayerConfig, ...], inputs: int) -> tuple[slice, list[slice | None], list[slice | None]]:
    """Where in the flat vector of these LayerConfigs lie: (matrices of all layers, scale and shift of each layer, its running statistics),
    as slices; None for a layer without."""
    sizes = [inputs, *(layer.units for layer in layers)]
    weights = slice(0, sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(sizes)))
    end, kinds = weights.stop, []
    for names in (("batch", "layer"), ("batch",)):
        slices = []
        for layer in layers:
            there = layer.normalization in names
            slices.append(slice(end, end + 2 * layer.units) if there else None)
            end += 2 * layer.units * there
        kinds.append(slices)
    return weights, *kinds


def vector_size(layers: tuple[LayerConfig, ...], inputs: int) -> int:
    """How many numbers a network of these LayerConfigs is."""
    weights, *kinds = parts_of_vector(layers, inputs)
    return max(part.stop for part in itertools.chain([weights], *kinds) if part)


class Network:
    """Parameters of `config.layers` on `inputs` columns, initialised from the configuration's seed.

    Of each layer there is one of the `matrices`, and in `scales` and `running` scale and shift, running mean and variance, (2, units) or
    None. The optimizer moves the first `trained` numbers of the `vector`. `weigh` gives the weights (samples,) with which samples of the
    targets (outputs, samples) count in training; None: all count alike. `drops_in_testing` and `batch_in_testing` are layers (from 1) where
    a fault leaves training on in `forward`.
    """

    weigh: Callable[[np.ndarray], np.ndarray] | None = None
    drops_in_testing = batch_in_testing = frozenset()

    def __init__(self, config: RunConfig, inputs: int) -> None:
        self.layers = config.layers
        self.activations = [ACTIVATIONS[layer.activation] for layer in config.layers]
        self.loss = LOSSES[config.loss]
        self.sizes = [inputs, *(layer.units for layer in config.layers)]
        fused = self.loss.fused.get(config.layers[-1].activation)
        self.fused_value = fused and fused.value
        weights, self.scale_parts, self._running_parts = parts_of_vector(config.layers, inputs)
        self.trained = max(part.stop for part in (weights, *self.scale_parts) if part)
        self.hold(aligned(vector_size(config.layers, inputs), config.dtype))
        self.load(initial_parameters(config, inputs))

    def hold(self, vector: np.ndarray) -> None:
        """Have this for the vector of all parameters."""
        self.vector, self.dtype, self.matrices = vector, vector.dtype, self.matrices_of(vector)
        self.scales = self.scales_of(vector)
        self.running = [part and vector[part].reshape(2, -1) for part in self._running_parts]

    def copy(self, dtype: DTypeLike | None = None) -> Network:
        """The same network with parameters of its own, of another type if it is given."""
        twin = copy.copy(self)
        twin.hold(aligned(self.vector.shape, dtype or self.dtype))
        twin.vector[:] = self.vector
        return twin

    @property
    def trains_differently(self) -> bool:
        """Whether outputs are others in training: by dropout, or by statistics of the batch."""
        return any(layer.dropout or layer.normalization == "batch" for layer in self.layers)

    def stored_of(self, vector: np.ndarray) -> list[np.ndarray]:
        """The layers of a flat vector as they lie in memory: the long side of the matrix runs over the rows."""
        views, start = [], 0
        for fan_in, fan_out in itertools.pairwise(self.sizes):
            shape = (fan_in + 1, fan_out) if self.is_tall(fan_in, fan_out) else (fan_out, fan_in + 1)
            views.append(vector[start : start + shape[0] * shape[1]].reshape(shape))
            start += shape[0] * shape[1]
        return views

    def flat_layers(self, vector: np.ndarray) -> list[np.ndarray]:
        """The layers of a flat vector as one-dimensional views: weights and biases."""
        return [view.reshape(-1) for view in self.stored_of(vector)]

    def matrices_of(self, vector: np.ndarray) -> list[np.ndarray]:
        """The layers of a flat vector (parameters, gradients, ...) as (units, inputs + 1) views."""
        tall = [self.is_tall(*pair) for pair in itertools.pairwise(self.sizes)]
        return [view.T if is_tall else view for view, is_tall in zip(self.stored_of(vector), tall)]

    def scales_of(self, vector: np.ndarray) -> list[np.ndarray | None]:
        """Scale and shift of each layer of a flat vector, (2, units) views; None for a layer without."""
        return [part and vector[part].reshape(2, -1) for part in self.scale_parts]

    def zero_untrained(self, vector: np.ndarray) -> np.ndarray:
        """Set to zero what in a flat vector stands for no parameter that is trained: biases of layers without, running statistics."""
        for layer, matrix in zip(self.layers, self.matrices_of(vector)):
            if not layer.bias:
                matrix[:, -1] = 0
        vector[self.trained :] = 0
        return vector

    def broken_layer(self, vector: np.ndarray) -> int | None:
        """The first layer (from 1) that is not finite in a flat vector; None if all are."""
        parts = zip(self.flat_layers(vector), self.scales_of(vector))
        for layer, (matrix, scale) in enumerate(parts, 1):
            if not (np.isfinite(matrix).all() and (scale is None or np.isfinite(scale).all())):
                return layer
        return None

    @staticmethod
    def is_tall(fan_in: int, fan_out: int) -> bool:
        """Whether a layer is stored as (inputs + 1, units): BLAS is fastest along the long side, measured from 8:1 on."""
        return fan_in > 8 * fan_out

    def load(self, parameters: dict[str, np.ndarray]) -> None:
        """Take over arrays of the names and shapes of `parameters()`; raises ValueError naming a wrong or missing one."""
        for name, view in self._named():
            if name not in parameters or np.shape(parameters[name]) != view.shape:
                had = np.shape(parameters[name]) if name in parameters else "missing"
                raise ValueError(f"{name} must have the shape {view.shape}; was {had}")
            if name[0] == "b" and not self.layers[int(name[1:]) - 1].bias and np.any(parameters[name]):
                raise ValueError(f"{name} must be zeros, since the layer has no biases; was not")
        for name, view in self._named():
            view[...] = parameters[name]

    def parameters(self) -> dict[str, np.ndarray]:
        """Copies as {"W1": (inputs, units), "b1": (units,), ...}; of a normalized layer also "scale1", "shift1", "mean1" and "variance1"
        (units,)."""
        return {name: view.copy() for name, view in self._named()}

    def _named(self):
        """(name, view) of all parameters."""
        for index, matrix in enumerate(self.matrices, 1):
            yield f"W{index}", matrix[:, :-1].T
            yield f"b{index}", matrix[:, -1]
            for names, pair in ((("scale", "shift"), self.scales[index - 1]), (("mean", "variance"), self.running[index - 1])):
                if pair is not None:
                    yield from ((f"{name}{index}", values) for name, values in zip(names, pair))

    def forward(self, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each layer (pre-activations, activations) of inputs `x` (features + 1, samples), outside training: (units, samples)."""
        passed = []
        for index, (matrix, activation) in enumerate(zip(self.matrices, self.activations), 1):
            z = self._normalized(index, matrix.dot(x))
            x = np.ones((len(z) + (index < len(self.matrices)), z.shape[1]), self.dtype)
            a = x[: len(z)]
            replay(activation.value(z, a))
            if index in self.drops_in_testing:
                kept = 1 - self.layers[index - 1].dropout
                a *= (np.random.default_rng([TESTED, index]).random(a.shape) < kept) / self.dtype.type(kept)
            passed.append((z, a))
        return passed

    def _normalized(self, layer, z):
        """The pre-activations of a layer outside training, from its weighted sums."""
        scale, running = self.scales[layer - 1], self.running[layer - 1]
        if scale is None:
            return z
        if layer in self.batch_in_testing:
            return in_training(z, scale, batch=True)
        return in_evaluation(z, scale, running)

    def loss_values(self, z: np.ndarray | None, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Elementwise loss (units, samples) of the output layer; from `z` where loss and activation belong together."""
        return self.fused_value(z, y) if self.fused_value else self.loss.value(a, y)
