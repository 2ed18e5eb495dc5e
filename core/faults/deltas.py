"""Mistakes in the deltas, which go on to all layers before. Each edits the table of core/nn/formulas.py."""

from __future__ import annotations

import numpy as np

from core.faults.fault import BOTH, Fault, bent, fits
from core.nn.activations import ACTIVATIONS
from core.nn.formulas import slope, value
from core.nn.losses import LOSSES


def _activation(formulas, layer):
    return ACTIVATIONS[formulas.plan.activations[layer - 1]]


def _no_hidden_derivative(formulas, layer):
    formulas["delta", layer] = lambda v: v["error", layer]


def _no_output_derivative(formulas, layer):
    formulas["delta", layer] = lambda v: v["output_gradient", layer] * v["outputs_mean", layer]


def _extra_output_derivative(formulas, layer):
    right = formulas["delta", layer]
    formulas["delta", layer] = lambda v: right(v) * v["slope", layer]


def _softmax_derivative_elementwise(formulas, layer):
    formulas["delta", layer] = lambda v: v["output_gradient", layer] * v["slope", layer] * v["outputs_mean", layer]


def _sum_over_outputs(formulas, layer):
    formulas["outputs_mean", layer] = lambda v: 1.0


def _slope_at(arguments):
    """An edit that takes the slope of `arguments(z, a, f)` instead of that of (z, a)."""

    def edit(formulas, layer):
        f = _activation(formulas, layer)
        formulas["slope", layer] = lambda v: slope(f, *arguments(v["pre_activation", layer], v["activation", layer], f))
        if layer == formulas.plan.last:
            formulas.write_out_output_delta()

    return edit


def _derivative_before_weights(formulas, layer):
    width, next_width = formulas.plan.sizes[layer : layer + 2]

    def delta(v):
        product = v["delta", layer + 1] * v.dot(v["backward_weights", layer + 1], v["slope", layer])
        return product if width == next_width else np.repeat(product.sum(axis=0, keepdims=True), width, axis=0)

    formulas["delta", layer] = delta


def _derivative_before_transposed_weights(formulas, layer):
    formulas["delta", layer] = lambda v: v["delta", layer + 1] * v.dot(v["backward_weights", layer + 1].T, v["slope", layer])


def _slope_of(offset):
    def edit(formulas, layer):
        formulas["delta", layer] = lambda v: v["error", layer] * v["slope", layer + offset]

    return edit


def _own_slope_at(offset):
    def edit(formulas, layer):
        f = _activation(formulas, layer)

        def delta(v):
            z = v["pre_activation", layer + offset]
            return v["error", layer] * slope(f, z, value(f, z))

        formulas["delta", layer] = delta

    return edit


def _untransposed_weights(formulas, layer):
    formulas["error", layer] = lambda v: v.dot(v["backward_weights", layer + 1], v["delta", layer + 1])


def _error_without_slope(formulas, layer):
    above = layer + 1

    def error(v):
        at_output = above == formulas.plan.last
        sent = v["output_gradient", above] * v["outputs_mean", above] if at_output else v["error", above]
        return v.dot(v["backward_weights", above].T, sent)

    formulas["error", layer] = error


def _half_of_the_square(formulas, layer):
    right = formulas["output_gradient", layer]
    formulas["output_gradient", layer] = lambda v: right(v) / 2


def _labels_broadcast(formulas, layer):
    """Every output meets every label: the loss being linear in the labels (but for their variance), their mean takes their place."""
    formulas["targets", layer] = lambda v: np.full_like(v["labels", layer], v["labels", layer].mean())
    if formulas.plan.loss == "mse":
        right = formulas["loss", layer]
        formulas["loss", layer] = lambda v: right(v) + v["labels", layer].var()


def _hidden(plan, layer):
    return layer < plan.last


def _output(plan, layer):
    return layer == plan.last


def _curved(plan, layer):
    """Whether the slope depends on more than the sign: where not, it comes out the same when it is fed the wrong argument. Softmax has no
    slope of its own."""
    return ACTIVATIONS[plan.activations[layer - 1]].curvature is not None


def _sends_back_a_slope(plan, layer):
    return layer < plan.last and bent(plan, layer + 1) and not (layer + 1 == plan.last and plan.fused)


def _square_above(plan, layer):
    return layer < plan.last and plan.sizes[layer] == plan.sizes[layer + 1]


def _next_slope_fits(plan, layer):
    return layer < plan.last and fits(plan, layer, layer + 1) and (bent(plan, layer) or bent(plan, layer + 1))


FAULTS = [
    Fault(
        name="no_hidden_derivative",
        title="Hidden slope left out",
        kind="formula",
        edits="formulas",
        edit=_no_hidden_derivative,
        applies=lambda plan, layer: _hidden(plan, layer) and bent(plan, layer),
        needs="a hidden layer whose activation is not linear",
        wrong="delta[l] = W[l+1].T @ delta[l+1]",
        right="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l])",
        origin="The error was taken back through the weights, and the activation on the way was forgotten.",
        watch="It often learns all the same; saturated and dead units get gradients they should not have.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="no_output_derivative",
        title="Output slope left out",
        kind="formula",
        edits="formulas",
        edit=_no_output_derivative,
        applies=lambda plan, layer: _output(plan, layer) and bent(plan, layer),
        needs="an output whose activation is not linear",
        wrong="delta[L] = dC/da[L]",
        right="delta[L] = dC/da[L] * f'(z[L])",
        origin="a - y is all there is for cross-entropy on a sigmoid; squared error needs the slope as well.",
        watch="With squared error it even learns faster: the mistake is only seen in a gradient check.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="derivative_of_activation",
        title="Slope of the activated value",
        kind="formula",
        edits="formulas",
        edit=_slope_at(lambda z, a, f: (a, value(f, a))),
        applies=_curved,
        needs="an activation whose slope depends on more than the sign",
        wrong="slope[l] = f'(a[l])",
        right="slope[l] = f'(z[l])",
        origin="The derivative expects z and was handed a: the function is applied twice.",
        watch="Slopes are never as small as they should be: slower, crooked learning.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="output_derivative_of_z",
        title="Slope formula for a, fed with z",
        kind="formula",
        edits="formulas",
        edit=_slope_at(lambda z, a, f: (z, z)),
        applies=lambda plan, layer: _curved(plan, layer) and not ACTIVATIONS[plan.activations[layer - 1]].needs_z,
        needs="an activation whose slope can be had from its output",
        wrong="slope[l] = z[l] * (1 - z[l])    # sigmoid",
        right="slope[l] = a[l] * (1 - a[l])",
        origin="a (1 - a) is the sigmoid's slope in terms of its output; here the pre-activation was put in.",
        watch="Slopes become large and negative: the loss rises or runs away.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="extra_output_derivative",
        title="Output slope once too often",
        kind="formula",
        edits="formulas",
        edit=_extra_output_derivative,
        applies=lambda plan, layer: _output(plan, layer) and plan.fused,
        needs="cross-entropy on a sigmoid or softmax output",
        wrong="delta[L] = (a[L] - y) * a[L] * (1 - a[L])",
        right="delta[L] = a[L] - y",
        origin="The slope of the output has cancelled already in a - y, and was multiplied on top by habit.",
        watch="Confidently wrong outputs get almost no gradient: a slow start and a long plateau.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="derivative_before_weights",
        title="Hadamard product in the wrong place",
        kind="formula",
        edits="formulas",
        edit=_derivative_before_weights,
        applies=_hidden,
        needs="a hidden layer",
        wrong="delta[l] = delta[l+1] * (W[l+1] @ f'(z[l]))",
        right="delta[l] = (W[l+1].T @ delta[l+1]) * f'(z[l])",
        origin="The elementwise and the matrix product have changed places; other widths fit only when summed over the next layer's units.",
        watch="Hidden units all get the same push, or one that has nothing to do with their share in the error.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="derivative_before_transposed_weights",
        title="Hadamard product in the wrong place, weights transposed",
        kind="formula",
        edits="formulas",
        edit=_derivative_before_transposed_weights,
        applies=_square_above,
        needs="a layer as wide as the next",
        wrong="delta[l] = delta[l+1] * (W[l+1].T @ f'(z[l]))",
        right="delta[l] = (W[l+1].T @ delta[l+1]) * f'(z[l])",
        origin="The elementwise and the matrix product have changed places.",
        watch="Hidden units get a push that has nothing to do with their share in the error.",
        tensors=BOTH,
        spreads=True,
        of="derivative_before_weights",
    ),
    Fault(
        name="wrong_layer_derivative",
        title="Slope of the next layer",
        kind="formula",
        edits="formulas",
        edit=_slope_of(1),
        applies=_next_slope_fits,
        needs="a hidden layer as wide as the next, or a next layer of one unit, and an activation that is not linear",
        wrong="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l+1])",
        right="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l])",
        origin="An index that is off by one in the list of pre-activations.",
        watch="It learns, worse than it should; the first layers are pushed by the wrong units.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="own_derivative_at_next_layer",
        title="Slope at the next layer's pre-activations",
        kind="formula",
        edits="formulas",
        edit=_own_slope_at(1),
        applies=lambda plan, layer: _next_slope_fits(plan, layer) and bent(plan, layer),
        needs="a hidden layer as wide as the next, or a next layer of one unit",
        wrong="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l+1])    # f of layer l",
        right="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l])",
        origin="An index that is off by one in the list of pre-activations.",
        watch="It learns, worse than it should; the first layers are pushed by the wrong units.",
        tensors=BOTH,
        spreads=True,
        of="wrong_layer_derivative",
    ),
    Fault(
        name="derivative_of_layer_before",
        title="Slope of the layer before",
        kind="formula",
        edits="formulas",
        edit=_slope_of(-1),
        applies=lambda plan, layer: _hidden(plan, layer) and layer > 1 and fits(plan, layer, layer - 1),
        needs="a hidden layer as wide as the hidden layer before it",
        wrong="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l-1])",
        right="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l])",
        origin="An index that is off by one in the list of pre-activations.",
        watch="It learns, worse than it should; the first layers are pushed by the wrong units.",
        tensors=BOTH,
        spreads=True,
        of="wrong_layer_derivative",
    ),
    Fault(
        name="own_derivative_at_layer_before",
        title="Slope at the pre-activations of the layer before",
        kind="formula",
        edits="formulas",
        edit=_own_slope_at(-1),
        applies=lambda plan, layer: _hidden(plan, layer) and layer > 1 and fits(plan, layer, layer - 1) and bent(plan, layer),
        needs="a hidden layer as wide as the hidden layer before it",
        wrong="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l-1])    # f of layer l",
        right="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l])",
        origin="An index that is off by one in the list of pre-activations.",
        watch="It learns, worse than it should; the first layers are pushed by the wrong units.",
        tensors=BOTH,
        spreads=True,
        of="wrong_layer_derivative",
    ),
    Fault(
        name="untransposed_weights",
        title="Weights not transposed",
        kind="formula",
        edits="formulas",
        edit=_untransposed_weights,
        applies=_square_above,
        needs="a layer as wide as the next",
        wrong="delta[l] = W[l+1] @ delta[l+1] * f'(z[l])",
        right="delta[l] = W[l+1].T @ delta[l+1] * f'(z[l])",
        origin="Between layers of the same width NumPy takes either, so the missing .T goes unnoticed.",
        watch="The first layers learn from an error that was sent to the wrong units.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="output_derivative_not_sent_back",
        title="Error sent back without the output's slope",
        kind="formula",
        edits="formulas",
        edit=_error_without_slope,
        applies=_sends_back_a_slope,
        needs="a hidden layer before one whose slope does not cancel against the loss",
        wrong="delta[l] = W[l+1].T @ error[l+1] * f'(z[l])",
        right="delta[l] = W[l+1].T @ (error[l+1] * f'(z[l+1])) * f'(z[l])",
        origin="The slope stands in the line for the next layer's gradient, and was left out where its error is handed on.",
        watch="It mostly learns; the earlier layers are pushed as hard by saturated outputs as by those that can still move.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="softmax_derivative_elementwise",
        title="Softmax slope elementwise",
        kind="formula",
        edits="formulas",
        edit=_softmax_derivative_elementwise,
        applies=lambda plan, layer: _output(plan, layer) and ACTIVATIONS[plan.activations[-1]].shares,
        needs="a softmax output",
        wrong="delta[L] = dC/da[L] * a[L] * (1 - a[L])",
        right="delta[L] = a[L] * (dC/da[L] - (dC/da[L] * a[L]).sum(axis=0))",
        origin="Softmax was treated like a sigmoid: its Jacobian has more than a diagonal.",
        watch="Only the true class is pushed; the others are never told to step back.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="sum_over_outputs",
        title="Summed, not averaged, over outputs",
        kind="formula",
        edits="formulas",
        edit=_sum_over_outputs,
        applies=lambda plan, layer: _output(plan, layer) and LOSSES[plan.loss].divisor(plan.sizes[-1]) > 1,
        needs="a loss that is a mean over more than one output",
        wrong="delta[L] = dC/da[L] * f'(z[L])",
        right="delta[L] = dC/da[L] * f'(z[L]) / outputs",
        origin="The loss shown is a mean over the outputs, the gradient is that of their sum.",
        watch="As if the learning rate were as many times larger as there are outputs: pictures explode, single outputs do not.",
        tensors=BOTH,
        ratio=lambda m, k: k,
        spreads=True,
    ),
    Fault(
        name="half_of_the_square",
        title="Factor 2 of the square left out",
        kind="formula",
        edits="formulas",
        edit=_half_of_the_square,
        applies=lambda plan, layer: _output(plan, layer) and plan.loss == "mse",
        needs="squared error",
        wrong="delta[L] = (a[L] - y) * f'(z[L]) / outputs",
        right="delta[L] = 2 * (a[L] - y) * f'(z[L]) / outputs",
        origin="a - y is the gradient of half the square, while the loss shown is the square: a convention rather than a mistake.",
        watch="Nothing but half the learning rate.",
        tensors=BOTH,
        ratio=lambda m, k: 0.5,
        spreads=True,
    ),
    Fault(
        name="labels_broadcast",
        title="Labels of shape (m,) against outputs (m, 1)",
        kind="set-up",
        edits="formulas",
        edit=_labels_broadcast,
        applies=lambda plan, layer: _output(plan, layer) and plan.sizes[-1] == 1 and plan.loss in ("mse", "binary_cross_entropy"),
        needs="one output unit, and the loss mse or binary_cross_entropy",
        wrong="C = mean(loss(a[L], y))    # a[L] is (m, 1) and y is (m,): m * m pairs",
        right="C = mean(loss(a[L], y.reshape(m, 1)))",
        origin="NumPy broadcasts (m, 1) against (m,) to (m, m): every output is compared with every label.",
        watch="Every output is pulled towards the mean label: the loss settles at what a constant would get.",
        tensors=BOTH,
        spreads=True,
    ),
]
