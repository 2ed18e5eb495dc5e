"""Formulas that are right on paper and overflow in floating point. Each edits the table of core/nn/formulas.py."""

from __future__ import annotations

import numpy as np

from core.faults.fault import Fault
from core.nn.losses import LOSSES


def _naive_sigmoid(formulas, layer):
    def activation(v):
        power = np.exp(v["pre_activation", layer])
        return power / (1 + power)

    formulas["activation", layer] = activation


def _naive_softmax(formulas, layer):
    def activation(v):
        powers = np.exp(v["pre_activation", layer])
        return powers / powers.sum(axis=0)

    formulas["activation", layer] = activation


def _naive_log_loss(formulas, layer):
    """Loss and gradient straight from the outputs, with no clipping and no a - y."""
    if LOSSES[formulas.plan.loss].classes == "independent":
        formulas["loss", layer] = lambda v: _binary(v["activation", layer], v["targets", layer])
        formulas["output_gradient", layer] = lambda v: _binary_gradient(v["activation", layer], v["targets", layer])
    else:
        formulas["loss", layer] = lambda v: -v["targets", layer] * np.log(v["activation", layer])
        formulas["output_gradient", layer] = lambda v: -v["targets", layer] / v["activation", layer]
    formulas.write_out_output_delta()


def _binary(a, y):
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def _binary_gradient(a, y):
    return (1 - y) / (1 - a) - y / a


FAULTS = [
    Fault(
        name="naive_sigmoid",
        title="Sigmoid as exp(z) / (1 + exp(z))",
        kind="numerics",
        edits="formulas",
        edit=_naive_sigmoid,
        applies=lambda plan, layer: plan.activations[layer - 1] == "sigmoid",
        needs="a sigmoid layer",
        wrong="a[l] = exp(z[l]) / (1 + exp(z[l]))",
        right="a[l] = 0.5 * tanh(0.5 * z[l]) + 0.5",
        origin="The textbook's formula: for z above 709 (88 in float32) it is infinity divided by infinity.",
        watch="All is well until one unit is driven far enough; then everything is NaN within a step.",
    ),
    Fault(
        name="naive_softmax",
        title="Softmax without subtracting the maximum",
        kind="numerics",
        edits="formulas",
        edit=_naive_softmax,
        applies=lambda plan, layer: plan.activations[layer - 1] == "softmax",
        needs="a softmax output",
        wrong="a[l] = exp(z[l]) / exp(z[l]).sum(axis=0)",
        right="a[l] = exp(z[l] - z[l].max(axis=0)) / exp(z[l] - z[l].max(axis=0)).sum(axis=0)",
        origin="The textbook's formula: for z above 709 (88 in float32) it is infinity divided by infinity.",
        watch="NaN as soon as the weights or the inputs are large, never before.",
    ),
    Fault(
        name="naive_log_loss",
        title="Logarithm of the outputs",
        kind="numerics",
        edits="formulas",
        edit=_naive_log_loss,
        applies=lambda plan, layer: layer == plan.last and LOSSES[plan.loss].logarithms,
        needs="a cross-entropy loss",
        wrong="C = -mean(y * log(a[L]) + (1 - y) * log(1 - a[L]))",
        right="C = mean(maximum(z[L], 0) - y * z[L] + log1p(exp(-abs(z[L]))))",
        origin="An output that has been rounded to 0 or 1 gives log(0), and 0 / 0 in the gradient.",
        watch="Trains well, and then, when it has become sure of itself, is NaN.",
    ),
]
