"""The forms in which people save one step of a right program: functions of a Program and a seed for orientation and shapes, that give
the arrays of RUN.npz."""

from __future__ import annotations

import numpy as np


def updated(program, gradients, sign=-1):
    """(weights, biases) after an update with these gradients."""
    return tuple({i: now[i] + sign * program.lr * part[i] for i in now} for now, part in zip((program.W, program.b), gradients))


def without_biases(program, form):
    program.b = {i: 0 * array for i, array in program.b.items()}
    return {name: array for name, array in saved(program, form).items() if name.lstrip("d")[0] != "b"}


def biases_inside(program, form):
    program.m, program.X, program.Y = 17, np.repeat(program.X, 2, axis=0)[:17], np.repeat(program.Y, 2, axis=0)[:17]
    dW, db = program.gradients()
    arrays = {name: array for name, array in saved(program, form).items() if name.lstrip("d")[0] not in "Wb"}
    for i in program.layers:
        arrays |= {f"W{i}": np.vstack([program.W[i], program.b[i]]), f"dW{i}": np.vstack([dW[i], db[i]])}
    return arrays


def from_zero(program, form):
    return {
        name.replace(digits, str(int(digits) - 1)) if (digits := name.lstrip("dWb")).isdigit() else name: array
        for name, array in saved(program, form).items()
    }


def lower_case(program, form):
    return {name.lower(): array for name, array in saved(program, form).items()}


def update_alone(program, form):
    gradients = program.gradients()
    arrays = program.arrays(*gradients, after=updated(program, gradients), form=form)
    return {name: array for name, array in arrays.items() if not name.startswith("d")}


def after_the_update(program, form):
    program.summed = False
    gradients, value = program.gradients(), program.loss_value()
    program.W, program.b = updated(program, gradients)
    return program.arrays(*gradients, loss_value=value, form=form) | {"learning_rate": np.array(program.lr)}


def penalised_in_silence(program, form):
    program.l2 = 0.1
    arrays = saved(program, form)
    return {name: array for name, array in arrays.items() if name != "l2"}


def five_times(program, form):
    dW, db = program.gradients()
    times = [{i: 5 * array for i, array in part.items()} for part in (dW, db)]
    return program.arrays(*times, loss_value=program.loss_value(), form=form)


def infinite_loss(program, form):
    return saved(program, form) | {"loss_value": np.array(np.inf)}


def uphill(program, form):
    gradients = [{i: -array for i, array in part.items()} for part in program.gradients()]
    return program.arrays(*gradients, after=updated(program, gradients, sign=1), form=form)


def other_steps(program, form):
    gradients = program.gradients()
    rng = np.random.default_rng(0)
    moved = [{i: array * rng.uniform(0.5, 2, array.shape) for i, array in part.items()} for part in gradients]
    return program.arrays(*gradients, after=updated(program, moved), form=form)


def saved(program, form):
    return program.arrays(*program.gradients(), form=form)


# Form -> the remarks that belong to it
FORMS = {
    saved: set(),
    without_biases: {"no_bias"},
    biases_inside: set(),
    from_zero: set(),
    lower_case: set(),
    update_alone: {"gradients_from_update"},
    after_the_update: {"saved_after_update"},
    penalised_in_silence: {"undeclared_l2"},
    five_times: {"scaled_gradients"},
    infinite_loss: {"loss_not_finite"},
    uphill: {"ascent_convention"},
    other_steps: {"update_not_plain_sgd"},
}
