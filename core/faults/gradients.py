"""Mistakes in the last step of backprop, from the delta of a layer to its gradients. Each edits the table of core/nn/formulas.py."""

from __future__ import annotations

import numpy as np

from core.faults.fault import BOTH, Fault, bent, fits

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
]
