"""One training step written out: a table from (tensor, layer) to the formula that gives it.

The compiled step (program.py) is the same arithmetic in fewer calls. Here every factor stands by itself, where people write it and
leave it out, so that a mistake in a backward pass is one edited entry. Arrays are features-first: (units, samples). Layers count from
1; the activation of layer 0 is the batch's inputs.

    pre_activation[l]  = W[l] activation[l-1] + b[l]
    activation[l]      = f(pre_activation[l])
    slope[l]           = f'(pre_activation[l])
    output_gradient[L] = d loss / d activation[L], of each output and sample
    error[l]           = backward_weights[l+1]^T delta[l+1], with backward_weights[l] = W[l]
    delta[l]           = error[l] * slope[l], and at the output output_gradient[L] * slope[L] * outputs_mean
    outer[l]           = delta[l] input[l]^T, with input[l] = activation[l-1]
    dW[l]              = outer[l] * weights_mean[l]
    db[l]              = sum of delta[l] over the samples * bias_mean[l]

Where a layer is normalized (core/nn/normalization.py), that stands between its weighted sums and its pre-activation, and `sum_delta` takes
the place of delta behind it. With dropout, `output` takes the place of the activation in the next layer:

    weighted_sum[l]    = W[l] activation[l-1] + b[l]
    normalized[l]      = (weighted_sum[l] - mean[l]) / deviation[l]
    pre_activation[l]  = scale[l] * normalized[l] + shift[l]
    sum_delta[l]       = (g - mean(g) - normalized[l] * mean(g * normalized[l])) / deviation[l], with g = delta[l] * scale[l]
    output[l]          = activation[l] * mask[l], and error[l] is multiplied by mask[l] as well
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import ACTIVATIONS, replay
from core.nn.losses import LOSSES
from core.nn.normalization import EPSILON

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.nn.activations import Activation
    from core.nn.losses import Loss

Tensors = dict[tuple[str, int], np.ndarray]  # by name and layer: ("W", 1), ("dW", 1), ("delta", 2)


@dataclass(frozen=True)
class Plan:
    """What the formulas of a run's step depend on. `sizes` are the units of all layers, inputs first; `activations` has a
    name for each layer."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    batch_size: int | None = None
    clip_norm: float | None = None
    layers: tuple = ()  # LayerConfigs; none: layers without normalization and dropout

    @classmethod
    def of(cls, config: RunConfig, inputs: int) -> Plan:
        """The plan of a RunConfig on `inputs` columns."""
        sizes = (inputs, *(layer.units for layer in config.layers))
        return cls(
            sizes, tuple(layer.activation for layer in config.layers), config.loss, config.batch_size, config.clip_norm, config.layers
        )

    def normalization(self, layer: int) -> str:
        """How a layer is normalized: none, batch or layer."""
        return self.layers[layer - 1].normalization if self.layers else "none"

    def drops(self, layer: int) -> bool:
        """Whether a layer has dropout."""
        return bool(self.layers and layer and self.layers[layer - 1].dropout)

    @property
    def last(self) -> int:
        """The output layer."""
        return len(self.activations)

    @property
    def fused(self) -> bool:
        """Whether loss and output activation belong together: then delta[L] is simply a - y."""
        return self.activations[-1] in LOSSES[self.loss].fused


class Values(dict):
    """The tensors of one step by (name, layer), each worked out from `formulas` when it is first asked for.

    To begin with, it holds what is given: ("activation", 0) and ("labels", L), both with a column for each sample, and for each layer
    ("W", l) (units, inputs) and ("b", l) (units, 1).
    """

    def __init__(self, formulas: Formulas, given: Tensors) -> None:
        super().__init__(given)
        self.formulas = formulas

    def __missing__(self, key):
        self[key] = self.formulas[key](self)
        return self[key]

    @property
    def samples(self) -> int:
        """Samples in the batch."""
        return self["activation", 0].shape[1]

    def dot(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The matrix product."""
        return left @ right


class Formulas(dict):
    """The formulas of a right step, by (tensor, layer): each is a function of the Values so far. Edit the table to break it."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        for layer in range(1, plan.last + 1):
            self._add_layer(layer, ACTIVATIONS[plan.activations[layer - 1]])
        self._add_output(plan.last, LOSSES[plan.loss])

    def _add_layer(self, layer, activation):
        below, above = layer - 1, layer + 1
        given = "output" if self.plan.drops(below) else "activation"
        normalized = self.plan.normalization(layer) != "none"
        at_sums = "sum_delta" if normalized else "delta"
        at_sums_above = "sum_delta" if layer < self.plan.last and self.plan.normalization(above) != "none" else "delta"
        self["weighted_sum" if normalized else "pre_activation", layer] = lambda v: v.dot(v["W", layer], v[given, below]) + v["b", layer]
        if normalized:
            self._add_normalization(layer)
        self["activation", layer] = lambda v: value(activation, v["pre_activation", layer])
        self["slope", layer] = lambda v: slope(activation, v["pre_activation", layer], v["activation", layer])
        self["backward_weights", layer] = lambda v: v["W", layer]
        if self.plan.drops(layer):
            self["output", layer] = lambda v: v["activation", layer] * v["mask", layer]
            self["error", layer] = lambda v: v.dot(v["backward_weights", above].T, v[at_sums_above, above]) * v["mask", layer]
        else:
            self["error", layer] = lambda v: v.dot(v["backward_weights", above].T, v[at_sums_above, above])
        if activation.pullback:
            self["delta", layer] = lambda v: pullback(activation, v["activation", layer], v["error", layer])
        else:
            self["delta", layer] = lambda v: v["error", layer] * v["slope", layer]
        self["input", layer] = lambda v: v[given, below]
        self["weights_mean", layer] = self["bias_mean", layer] = lambda v: 1 / v.samples
        self["outer", layer] = lambda v: v.dot(v[at_sums, layer], v["input", layer].T)
        self["dW", layer] = lambda v: v["outer", layer] * v["weights_mean", layer]
        self["db", layer] = lambda v: v[at_sums, layer].sum(axis=1, keepdims=True) * v["bias_mean", layer]

    def _add_normalization(self, layer):
        axis = 1 if self.plan.normalization(layer) == "batch" else 0

        def mean(values):
            return values.mean(axis=axis, keepdims=True)

        def sum_delta(v):
            g, normalized = v["delta", layer] * v["scale", layer], v["normalized", layer]
            return (g - mean(g) - normalized * mean(g * normalized)) / v["deviation", layer]

        self["mean", layer] = lambda v: mean(v["weighted_sum", layer])
        self["variance", layer] = lambda v: mean((v["weighted_sum", layer] - v["mean", layer]) ** 2)
        self["deviation", layer] = lambda v: np.sqrt(v["variance", layer] + EPSILON)
        self["normalized", layer] = lambda v: (v["weighted_sum", layer] - v["mean", layer]) / v["deviation", layer]
        self["pre_activation", layer] = lambda v: v["scale", layer] * v["normalized", layer] + v["shift", layer]
        self["sum_delta", layer] = sum_delta
        self["dscale", layer] = lambda v: (v["delta", layer] * v["normalized", layer]).mean(axis=1, keepdims=True)
        self["dshift", layer] = lambda v: v["delta", layer].mean(axis=1, keepdims=True)

    def _add_output(self, last, loss):
        outputs = self.plan.sizes[-1]
        self["targets", last] = lambda v: v["labels", last]
        self["output_gradient", last] = lambda v: loss_gradient(loss, v["activation", last], v["targets", last])
        self["outputs_mean", last] = lambda v: 1 / loss.divisor(outputs)
        if self.plan.fused:
            self["delta", last] = lambda v: (v["activation", last] - v["targets", last]) * v["outputs_mean", last]
            from_z = loss.fused[self.plan.activations[-1]].value
            self["loss", last] = lambda v: from_z(v["pre_activation", last], v["targets", last])
        else:
            self.write_out_output_delta()
            self["loss", last] = lambda v: loss.value(v["activation", last], v["targets", last])

    def write_out_output_delta(self) -> None:
        """Give the output's delta as loss gradient times slope (for softmax: through its Jacobian), also where a - y would do."""
        last, activation = self.plan.last, ACTIVATIONS[self.plan.activations[-1]]
        if activation.pullback:
            self["delta", last] = lambda v: (
                pullback(activation, v["activation", last], v["output_gradient", last]) * v["outputs_mean", last]
            )
        else:
            self["delta", last] = lambda v: v["output_gradient", last] * v["slope", last] * v["outputs_mean", last]


def value(activation: Activation, z: np.ndarray) -> np.ndarray:
    """f(z), a new array."""
    a = np.empty_like(z)
    replay(activation.value(z, a))
    return a


def slope(activation: Activation, z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """f'(z) from z and a = f(z), a new array; for softmax the diagonal of its Jacobian."""
    if activation.slope is None:
        return a * (1 - a)
    s = np.empty_like(z)
    replay(activation.slope(z, a, s))
    return s


def pullback(activation: Activation, a: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """`gradient` at the activations taken back to the pre-activations through the whole Jacobian, a new array."""
    d = gradient.copy()
    replay(activation.pullback(a, d))
    return d


def loss_gradient(loss: Loss, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """d loss / d a of each output and sample, neither averaged nor summed."""
    d = np.empty_like(a)
    replay(loss.gradient(a, y, d))
    return d * loss.factor


def scales_given(scales: list[np.ndarray | None]) -> Tensors:
    """The same of (scale, shift) pairs (2, units), None for a layer without: {("scale", 1): (units, 1), ("shift", 1): ..., ...}."""
    there = [(layer, pair) for layer, pair in enumerate(scales, 1) if pair is not None]
    return {(name, layer): values[:, None] for layer, pair in there for name, values in zip(("scale", "shift"), pair)}


def parameters_given(matrices: list[np.ndarray]) -> Tensors:
    """What Values begins with of (units, inputs + 1) matrices, as views: {("W", 1): ..., ("b", 1): ..., ...}."""
    pairs = ((("W", layer), matrix[:, :-1]) for layer, matrix in enumerate(matrices, 1))
    biases = ((("b", layer), matrix[:, -1:]) for layer, matrix in enumerate(matrices, 1))
    return dict(itertools.chain(pairs, biases))
