"""Mistakes in the last step of backprop, from the delta of a layer to its gradients. Each edits the table of core/nn/formulas.py."""

from __future__ import annotations

import numpy as np

from core.faults.fault import BOTH, Fault, bent, fits
from core.nn.activations import ACTIVATIONS
from core.nn.formulas import slope, value

MEAN = "dW[l], db[l] = delta[l] @ a[l-1].T / m, delta[l].sum(axis=1) / m"


def _one(v):
    return 1.0


def _mean_twice(v):
    return 1 / v.samples**2


def _factor(formula, *names):
    """An edit that puts `formula` in the place of these factors of the layer."""

    def edit(formulas, layer):
        for name in names:
            formulas[name, layer] = formula

    return edit


def _turn_sign(*names):
    """An edit that turns these gradients of the layer round."""

    def edit(formulas, layer):
        for name in names:
            right = formulas[name, layer]
            formulas[name, layer] = lambda v, right=right: -right(v)

    return edit


def _no_bias_gradient(formulas, layer):
    formulas["db", layer] = lambda v: np.zeros_like(v["b", layer])


def _summed_over_units(formulas, layer):
    right = formulas["db", layer]
    formulas["db", layer] = lambda v: np.full_like(v["b", layer], right(v).sum())


def _weights_as_input(formulas, layer):
    formulas["outer", layer] = lambda v: v["delta", layer].sum(axis=1, keepdims=True) * v["W", layer]


def _inner_product(formulas, layer):
    formulas["outer", layer] = lambda v: np.full_like(v["W", layer], (v["delta", layer] * v["input", layer]).sum())


def _bias_slope_at_bias(formulas, layer):
    f = ACTIVATIONS[formulas.plan.activations[layer - 1]]
    right = formulas["db", layer]

    def gradient(v):
        if layer < formulas.plan.last:
            error = v["error", layer]
        else:
            error = v["output_gradient", layer] * v["outputs_mean", layer]
        return error.sum(axis=1, keepdims=True) * v["bias_mean", layer] * slope(f, v["b", layer], value(f, v["b", layer]))

    formulas["db", layer] = gradient if not f.pullback else right


def _other_count(*names):
    """An edit that divides by the number of the network's inputs in the place of the samples."""

    def edit(formulas, layer):
        for name in names:
            formulas[name, layer] = lambda v: 1 / formulas.plan.sizes[0]

    return edit


def _twofold(*names):
    def edit(formulas, layer):
        for name in names:
            right = formulas[name, layer]
            formulas[name, layer] = lambda v, right=right: 2 * right(v)

    return edit


def _input_from(tensor, offset):
    """A single unit's row is spread over all inputs, as NumPy's broadcasting does when the weights are updated."""

    def edit(formulas, layer):
        width = formulas.plan.sizes[layer - 1]
        formulas["input", layer] = lambda v: np.broadcast_to(v[tensor, layer + offset], (width, v.samples))

    return edit


FAULTS = [
    Fault(
        name="missing_mean",
        title="1/m left out",
        kind="formula",
        edits="formulas",
        edit=_factor(_one, "weights_mean", "bias_mean"),
        wrong="dW[l], db[l] = delta[l] @ a[l-1].T, delta[l].sum(axis=1)",
        right=MEAN,
        origin="The loss is a mean over m samples, and the sum in the matrix product is not divided by m again.",
        watch="This layer learns m times as fast as the others: the loss jumps up, ReLU units die, the rest stalls.",
        tensors=BOTH,
        ratio=lambda m, k: m,
    ),
    Fault(
        name="weights_not_averaged",
        title="1/m left out in the weights",
        kind="formula",
        edits="formulas",
        edit=_factor(_one, "weights_mean"),
        wrong="dW[l] = delta[l] @ a[l-1].T",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="The line for the weights has lost the division that the line for the biases still has.",
        watch="Weights take steps m times too long while biases creep.",
        tensors=("dW",),
        ratio=lambda m, k: m,
        of="missing_mean",
    ),
    Fault(
        name="bias_not_averaged",
        title="1/m left out in the bias",
        kind="formula",
        edits="formulas",
        edit=_factor(_one, "bias_mean"),
        wrong="db[l] = delta[l].sum(axis=1)",
        right="db[l] = delta[l].sum(axis=1) / m",
        origin="The matrix product was divided by m, the sum for the bias was forgotten.",
        watch="Biases swing; the loss is restless long before it diverges.",
        tensors=("db",),
        ratio=lambda m, k: m,
    ),
    Fault(
        name="sign_flip",
        title="Sign turned round",
        kind="formula",
        edits="formulas",
        edit=_turn_sign(*BOTH),
        wrong="dW[l], db[l] = -delta[l] @ a[l-1].T / m, -delta[l].sum(axis=1) / m",
        right=MEAN,
        origin="The error was taken as y - a in one place and as a - y in another, so that this layer climbs.",
        watch="This layer undoes what the others learn; on all layers the loss rises from the first step.",
        tensors=BOTH,
        ratio=lambda m, k: -1,
    ),
    Fault(
        name="sign_of_weights",
        title="Sign of the weights' gradient turned round",
        kind="formula",
        edits="formulas",
        edit=_turn_sign("dW"),
        wrong="dW[l] = -delta[l] @ a[l-1].T / m",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="The minus of the update has found its way into one line of the gradient.",
        watch="Weights climb while biases descend.",
        tensors=("dW",),
        ratio=lambda m, k: -1,
        of="sign_flip",
    ),
    Fault(
        name="sign_of_bias",
        title="Sign of the bias gradient turned round",
        kind="formula",
        edits="formulas",
        edit=_turn_sign("db"),
        wrong="db[l] = -delta[l].sum(axis=1) / m",
        right="db[l] = delta[l].sum(axis=1) / m",
        origin="The minus of the update has found its way into one line of the gradient.",
        watch="Biases climb while weights descend: it may still learn, slowly.",
        tensors=("db",),
        ratio=lambda m, k: -1,
        of="sign_flip",
    ),
    Fault(
        name="bias_gradient_missing",
        title="Bias gradient missing",
        kind="formula",
        edits="formulas",
        edit=_no_bias_gradient,
        wrong="db[l] = 0",
        right="db[l] = delta[l].sum(axis=1) / m",
        origin="The bias takes part in the forward pass and was forgotten in the backward pass.",
        watch="It trains, but every boundary must pass through where the first biases put it.",
        tensors=("db",),
        ratio=lambda m, k: 0,
    ),
    Fault(
        name="double_mean",
        title="1/m twice",
        kind="formula",
        edits="formulas",
        edit=_factor(_mean_twice, "weights_mean", "bias_mean"),
        wrong="dW[l], db[l] = delta[l] @ a[l-1].T / m**2, delta[l].sum(axis=1) / m**2",
        right=MEAN,
        origin="The error was divided by m at the output, and the gradients are divided by m once more.",
        watch="Nothing looks broken, it is only m times too slow: a loss that seems stuck.",
        tensors=BOTH,
        ratio=lambda m, k: 1 / m,
    ),
    Fault(
        name="weights_averaged_twice",
        title="1/m twice in the weights",
        kind="formula",
        edits="formulas",
        edit=_factor(_mean_twice, "weights_mean"),
        wrong="dW[l] = delta[l] @ a[l-1].T / m**2",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="The error was divided by m at the output, and the product is divided by m once more.",
        watch="Biases learn, weights hardly move.",
        tensors=("dW",),
        ratio=lambda m, k: 1 / m,
        of="double_mean",
    ),
    Fault(
        name="bias_averaged_twice",
        title="1/m twice in the bias",
        kind="formula",
        edits="formulas",
        edit=_factor(_mean_twice, "bias_mean"),
        wrong="db[l] = delta[l].sum(axis=1) / m**2",
        right="db[l] = delta[l].sum(axis=1) / m",
        origin="The error was divided by m at the output, and the sum is divided by m once more.",
        watch="Weights learn, biases hardly move.",
        tensors=("db",),
        ratio=lambda m, k: 1 / m,
        of="double_mean",
    ),
    Fault(
        name="wrong_layer_input",
        title="Activations of the wrong layer",
        kind="formula",
        edits="formulas",
        edit=_input_from("activation", 0),
        applies=lambda plan, layer: fits(plan, layer - 1, layer),
        needs="a layer as wide as the one before, or of one unit",
        wrong="dW[l] = delta[l] @ a[l].T / m",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="The list of activations begins with the inputs in one place and without them in another.",
        watch="This layer's weights drift in a direction that does not lower the loss; its biases are right.",
        tensors=("dW",),
    ),
    Fault(
        name="input_two_layers_before",
        title="Activations of the layer before the last one",
        kind="formula",
        edits="formulas",
        edit=_input_from("activation", -2),
        applies=lambda plan, layer: layer >= 2 and fits(plan, layer - 1, layer - 2),
        needs="two layers before it of the same width",
        wrong="dW[l] = delta[l] @ a[l-2].T / m",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="An index that is off by one in the list of activations.",
        watch="This layer's weights drift in a direction that does not lower the loss; its biases are right.",
        tensors=("dW",),
        of="wrong_layer_input",
    ),
    Fault(
        name="pre_activation_as_input",
        title="Pre-activations for activations",
        kind="formula",
        edits="formulas",
        edit=_input_from("pre_activation", -1),
        applies=lambda plan, layer: layer >= 2 and bent(plan, layer - 1),
        needs="a layer behind one whose activation is not linear",
        wrong="dW[l] = delta[l] @ z[l-1].T / m",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="z was kept from the forward pass and taken for a.",
        watch="It learns, but dead and saturated units still move the weights behind them.",
        tensors=("dW",),
        of="wrong_layer_input",
    ),
    Fault(
        name="bias_gradient_summed_over_units",
        title="Bias gradient summed over the units",
        kind="formula",
        edits="formulas",
        edit=_summed_over_units,
        applies=lambda plan, layer: plan.sizes[layer] > 1,
        needs="a layer of several units",
        wrong="db[l] = delta[l].sum() / m",
        right="db[l] = delta[l].sum(axis=1, keepdims=True) / m",
        origin="A sum without an axis adds up the units as well, and NumPy spreads the one number over all biases without a word.",
        watch="All biases of this layer move alike; below a softmax they never move, since its errors add up to zero.",
        tensors=("db",),
    ),
    Fault(
        name="bias_slope_at_bias",
        title="Bias gradient with the slope at the bias",
        kind="formula",
        edits="formulas",
        edit=_bias_slope_at_bias,
        applies=lambda plan, layer: bent(plan, layer) and not ACTIVATIONS[plan.activations[layer - 1]].pullback,
        needs="a layer whose activation is not linear, and has a slope of its own",
        wrong="db[l] = (error[l] * f'(b[l])).sum(axis=1) / m",
        right="db[l] = (error[l] * f'(z[l])).sum(axis=1) / m",
        origin="The slope was taken at the bias alone: it belongs at the whole pre-activation, of which the bias is one term.",
        watch="The weights learn as they should, the biases by steps of the wrong size.",
        tensors=("db",),
    ),
    Fault(
        name="wrong_batch_size",
        title="Divided by another number than that of the samples",
        kind="formula",
        edits="formulas",
        edit=_other_count("weights_mean", "bias_mean"),
        applies=lambda plan, layer: plan.sizes[0] != plan.batch_size,
        needs="another batch size than there are inputs",
        wrong="m = X.shape[0];  dW[l], db[l] = delta[l] @ a[l-1].T / m, delta[l].sum(axis=1) / m    # X is (inputs, m)",
        right="m = X.shape[1];  dW[l], db[l] = delta[l] @ a[l-1].T / m, delta[l].sum(axis=1) / m    # X is (inputs, m)",
        origin="The number of samples was read off the wrong axis, or is that of another batch.",
        watch="The learning rate of this layer is larger or smaller than the one that was set, by the ratio of the two numbers.",
        tensors=BOTH,
    ),
    Fault(
        name="stray_factor",
        title="A factor that does not belong",
        kind="formula",
        edits="formulas",
        edit=_twofold("weights_mean", "bias_mean"),
        wrong="dW[l], db[l] = 2 * delta[l] @ a[l-1].T / m, 2 * delta[l].sum(axis=1) / m",
        right=MEAN,
        origin="A factor that another loss, batch or layer needs was left in this layer's lines, or is missing from them.",
        watch="This layer learns faster or slower than the others, as if it had a learning rate of its own.",
        tensors=BOTH,
    ),
    Fault(
        name="weights_for_activations",
        title="Weights in the place of activations",
        kind="formula",
        edits="formulas",
        edit=_weights_as_input,
        wrong="dW[l] = delta[l].sum(axis=1, keepdims=True) * W[l] / m",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="The derivative of W a with respect to W is a; W is the one with respect to a, which the error sent back needs.",
        watch="Weights grow or shrink in proportion to themselves, whatever the inputs are; zero weights stay zero.",
        tensors=("dW",),
    ),
    Fault(
        name="inner_product_gradient",
        title="Inner product in the place of an outer product",
        kind="formula",
        edits="formulas",
        edit=_inner_product,
        applies=lambda plan, layer: fits(plan, layer, layer - 1) and max(plan.sizes[layer], plan.sizes[layer - 1]) > 1,
        needs="a layer as wide as the one before, or behind one of a single unit",
        wrong="dW[l] = np.dot(delta[l], a[l-1])    # vectors: one number",
        right="dW[l] = np.outer(delta[l], a[l-1])    # (units, inputs)",
        origin="np.dot of two vectors is one number, and NumPy spreads it over all weights without a word.",
        watch="All weights of this layer move alike: its units stay as different as they were at the start.",
        tensors=("dW",),
    ),
]
