"""Mistakes in what is kept from one line or step to the next. Each edits a PlainProgram (core/nn/plain_program.py).

A gradient check does not see them: the gradients of a step are right, or as good as right, and the step is wrong.
"""

from __future__ import annotations

import numpy as np

from core.faults.fault import Fault
from core.nn.initializers import layer_parameters


def _reinitialized_weights(program, layer):
    matrix, update = program.network.matrices[layer - 1], program.update[layer]

    def draw_and_update():
        weights, biases = layer_parameters(program.config, layer, matrix.shape[1] - 1, program.updater.updates)
        matrix[:, :-1], matrix[:, -1] = weights.T, biases
        update()

    program.update[layer] = draw_and_update


def _update_before_backprop(program, layer):
    program.early.add(layer)


def _stale_gradients(program, layer):
    matrix, gather = program.gradients[layer - 1], program.gather[layer]
    carried = program.network.matrices_of(program.updater.slots[-1])[layer - 1]

    def add_to_what_was_there():
        gather()
        np.add(carried, matrix, carried)
        np.copyto(matrix, carried)

    program.gather[layer] = add_to_what_was_there


def _frozen_bias(program, layer):
    biases, update = program.network.matrices[layer - 1][:, -1], program.update[layer]

    def update_weights_only():
        kept = biases.copy()
        update()
        biases[:] = kept

    program.update[layer] = update_weights_only


def _weights_not_updated(program, layer):
    weights, update = program.network.matrices[layer - 1][:, :-1], program.update[layer]

    def update_biases_only():
        kept = weights.copy()
        update()
        weights[:] = kept

    program.update[layer] = update_biases_only


def _added_update(program, layer):
    matrix, update = program.network.matrices[layer - 1], program.update[layer]

    def step_the_other_way():
        before = matrix.copy()
        update()
        np.subtract(2 * before, matrix, matrix)

    program.update[layer] = step_the_other_way


FAULTS = [
    Fault(
        name="reinitialized_weights",
        title="New weights at every step",
        kind="state",
        edits="program",
        edit=_reinitialized_weights,
        wrong="W[l] = random(units, inputs) - learning_rate * dW[l]",
        right="W[l] = W[l] - learning_rate * dW[l]",
        origin="The line that draws the first weights stands inside the function that is called at every step.",
        watch="The loss is noise around where it began: no step has anything to build on.",
    ),
    Fault(
        name="update_before_backprop",
        title="Updated before the error went through",
        kind="state",
        edits="program",
        edit=_update_before_backprop,
        applies=lambda plan, layer: layer > 1 and plan.clip_norm is None,
        needs="a layer behind the first, and no clipping, which looks at all gradients before any update",
        wrong="W[l] -= learning_rate * dW[l];  delta[l-1] = W[l].T @ delta[l] * f'(z[l-1])",
        right="delta[l-1] = W[l].T @ delta[l] * f'(z[l-1]);  W[l] -= learning_rate * dW[l]",
        origin="Each layer is finished before the next is begun, and its weights are overwritten while they are still needed.",
        watch="Hardly anything with a small learning rate; with a large one the first layers are sent the wrong way.",
    ),
    Fault(
        name="stale_gradients",
        title="Gradients never reset",
        kind="state",
        edits="program",
        edit=_stale_gradients,
        wrong="dW[l] += delta[l] @ a[l-1].T / m",
        right="dW[l] = delta[l] @ a[l-1].T / m",
        origin="The arrays that gradients are added up in are made once, outside the loop.",
        watch="Every gradient there ever was goes on pushing: steps grow, the loss swings ever wider.",
    ),
    Fault(
        name="frozen_bias",
        title="Biases not updated",
        kind="state",
        edits="program",
        edit=_frozen_bias,
        wrong="b[l] = b[l]",
        right="b[l] = b[l] - learning_rate * db[l]",
        origin="The update runs over the weights; the biases were given a gradient and no line of their own.",
        watch="It trains, but every boundary must pass through where the first biases put it.",
    ),
    Fault(
        name="weights_not_updated",
        title="Weights not updated",
        kind="state",
        edits="program",
        edit=_weights_not_updated,
        wrong="W[l] = W[l]",
        right="W[l] = W[l] - learning_rate * dW[l]",
        origin="The update works on a copy, or is assigned to another name than the one that the forward pass reads.",
        watch="The loss falls a little, as far as the biases alone can take it, and stays there.",
    ),
    Fault(
        name="added_update",
        title="Gradient added instead of subtracted",
        kind="state",
        edits="program",
        edit=_added_update,
        wrong="W[l], b[l] = W[l] + learning_rate * dW[l], b[l] + learning_rate * db[l]",
        right="W[l], b[l] = W[l] - learning_rate * dW[l], b[l] - learning_rate * db[l]",
        origin="With an error of y - a the update adds; with a - y it has to subtract.",
        watch="The loss rises from the first step.",
        of="sign_flip",
    ),
]
