"""Mistakes around what differs between training and testing, and what is done once too often.

Those that edit the `network` leave training as it is: its outputs outside training are wrong.
"""

from __future__ import annotations

import numpy as np

from core.faults.fault import BOTH, Fault
from core.nn.activations import ACTIVATIONS
from core.nn.formulas import pullback, value
from core.nn.losses import LOSSES


def _drop_in_testing(network, layer):
    network.drops_in_testing |= {layer}


def _batch_in_testing(network, layer):
    network.batch_in_testing |= {layer}


def _constant_statistics(formulas, layer):
    formulas["sum_delta", layer] = lambda v: v["delta", layer] * v["scale", layer] / v["deviation", layer]


def _softmax_twice(formulas, layer):
    """The gradient is that of what is worked out: the loss takes shares for the scores of which it makes shares itself."""
    softmax, from_scores = ACTIVATIONS["softmax"], LOSSES[formulas.plan.loss].fused["softmax"].value
    formulas["shares", layer] = lambda v: value(softmax, v["pre_activation", layer])
    formulas["activation", layer] = lambda v: value(softmax, v["shares", layer])
    formulas["loss", layer] = lambda v: from_scores(v["shares", layer], v["targets", layer])
    formulas["delta", layer] = lambda v: pullback(
        softmax, v["shares", layer], (v["activation", layer] - v["targets", layer]) * v["outputs_mean", layer]
    )


def _softmax_over_samples(formulas, layer):
    """The backward lines are right for what the author thinks is a softmax."""

    def activation(v):
        powers = np.exp(v["pre_activation", layer] - v["pre_activation", layer].max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    formulas["activation", layer] = activation
    if formulas.plan.fused:
        formulas["loss", layer] = lambda v: LOSSES[formulas.plan.loss].value(v["activation", layer], v["targets", layer])


def _normalized_over_batches(plan, layer):
    return plan.normalization(layer) == "batch"


def _in_order(targets):
    """The order of the samples that sorts them by their class, or by their first value."""
    return (targets if targets.ndim == 1 else targets[:, 0]).argsort(kind="stable")


FAULTS = [
    Fault(
        name="batch_norm_constant_statistics",
        title="Batch mean and variance taken as constants",
        kind="formula",
        edits="formulas",
        edit=_constant_statistics,
        applies=_normalized_over_batches,
        needs="a layer with batch normalization",
        wrong="dz[l] = delta[l] * scale[l] / deviation[l]",
        right="dz[l] = (g - mean(g) - normalized[l] * mean(g * normalized[l])) / deviation[l], with g = delta[l] * scale[l]",
        origin="Mean and variance were treated as given, but each sample's z is a part of them.",
        watch="Biases before the normalization get gradients though they change nothing; weights grow without any use.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="softmax_twice",
        title="Softmax twice",
        kind="formula",
        edits="formulas",
        edit=_softmax_twice,
        applies=lambda plan, layer: layer == plan.last and plan.fused and ACTIVATIONS[plan.activations[-1]].shares,
        needs="cross-entropy on a softmax output",
        wrong="C = cross_entropy_of_scores(softmax(z[L]), y)",
        right="C = cross_entropy_of_scores(z[L], y)",
        origin="The network ends in a softmax, and the loss, which expects scores, applies its own on top.",
        watch="It learns slowly, and in training the loss never comes near zero: shares of 0 and 1 are scores only 1 apart.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="softmax_over_samples",
        title="Softmax over the samples",
        kind="formula",
        edits="formulas",
        edit=_softmax_over_samples,
        applies=lambda plan, layer: layer == plan.last and ACTIVATIONS[plan.activations[-1]].shares,
        needs="a softmax output",
        wrong="a[L] = exp(z[L]) / exp(z[L]).sum(axis=1, keepdims=True)    # one column a sample",
        right="a[L] = exp(z[L]) / exp(z[L]).sum(axis=0, keepdims=True)    # one column a sample",
        origin="The sum runs along the wrong axis: each class shares out 1 among the samples, where each sample shares out 1 "
        "among the classes.",
        watch="The outputs of a sample do not add up to 1, and depend on what else is in the batch; learning is slow or stops.",
        tensors=BOTH,
        spreads=True,
    ),
    Fault(
        name="dropout_in_testing",
        title="Dropout left on when testing",
        kind="state",
        edits="network",
        edit=_drop_in_testing,
        applies=lambda plan, layer: plan.drops(layer),
        needs="a layer with dropout",
        wrong="a[l] = a[l] * mask[l] / (1 - rate)    # also when testing",
        right="a[l] = a[l]    # when testing",
        origin="The network was never told that training is over, as by model.eval().",
        watch="Losses and accuracy are worse than the network is, and the boundary is frayed.",
    ),
    Fault(
        name="batch_statistics_in_testing",
        title="Batch statistics used when testing",
        kind="state",
        edits="network",
        edit=_batch_in_testing,
        applies=_normalized_over_batches,
        needs="a layer with batch normalization",
        wrong="normalized[l] = (z[l] - z[l].mean(axis=1)) / z[l].std(axis=1)    # also when testing",
        right="normalized[l] = (z[l] - running_mean[l]) / running_deviation[l]    # when testing",
        origin="The network was never told that training is over, as by model.eval().",
        watch="What it says of a sample depends on the others that are asked about with it; alone, all look alike.",
    ),
    Fault(
        name="unshuffled_classes",
        title="Sorted classes, never shuffled",
        kind="set-up",
        edits="order",
        edit=_in_order,
        applies=lambda plan, layer: plan.batch_size is not None,
        needs="a batch size: with all samples at once their order means nothing",
        whole=True,
        wrong="batches = [X[i : i + batch_size] for i in range(0, m, batch_size)]    # X is sorted by class",
        right="batches are cut from a random order of the samples",
        origin="The file is sorted by class, and batches are taken as they come.",
        watch="The loss swings with each class: the network forgets one while it is shown the next.",
    ),
]
