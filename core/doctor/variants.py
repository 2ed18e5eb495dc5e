"""Where right programs may differ: slopes at a kink, and what keeps a logarithm away from zero.

Each variant is an edit of the right formulas. Those at kinks are only tried where values lie exactly there.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import ACTIVATIONS
from core.nn.formulas import Formulas, Values, slope
from core.nn.losses import LOSSES

if TYPE_CHECKING:
    from core.doctor.readings import Reading

# What people add inside logarithms, or clip probabilities with
EPSILONS = (*(10.0**-digits for digits in range(3, 17)), float(np.finfo(np.float32).eps), float(np.finfo(float).eps))


def variants(reading: Reading) -> tuple[list[Formulas], list[Formulas]]:
    """(formulas of right programs that differ at kinks, Descent's own first; those that differ in their logarithms)."""
    plan = reading.plan
    with np.errstate(all="ignore"):
        values = Values(Formulas(plan), reading.given)
        kinked = _kinked_layers(plan, values)
        losses = _kinked_losses(plan, values)
    at_kinks = []
    for edit_slope in (None, _slope_from_above, _slope_between) if kinked else (None,):
        for edit_loss in (None, *losses):
            formulas = Formulas(plan)
            for layer in kinked if edit_slope else ():
                edit_slope(formulas, layer)
            if edit_loss:
                edit_loss(formulas, plan.last)
            at_kinks.append(formulas)
    return at_kinks, [_edited(formulas, edit) for edit in _logarithms(LOSSES[plan.loss]) for formulas in at_kinks]


def _edited(formulas, edit):
    formulas = copy.copy(formulas)
    edit(formulas, formulas.plan.last)
    return formulas


def _kinked_layers(plan, values):
    """Layers of which a pre-activation lies exactly on the kink."""
    layers = range(1, plan.last + 1)
    return [at for at in layers if ACTIVATIONS[plan.activations[at - 1]].kinks and (values["pre_activation", at] == 0).any()]


def _above(formulas, layer):
    """The layer's right slope, at zero that of positive numbers."""
    f = ACTIVATIONS[formulas.plan.activations[layer - 1]]
    one = np.ones((1, 1))

    def slopes(v):
        z = v["pre_activation", layer]
        return np.where(z == 0, slope(f, one, one), slope(f, z, v["activation", layer]))

    return slopes


def _slope_from_above(formulas, layer):
    formulas["slope", layer] = _above(formulas, layer)


def _slope_between(formulas, layer):
    below, above = formulas["slope", layer], _above(formulas, layer)
    formulas["slope", layer] = lambda v: (below(v) + above(v)) / 2


def _kinked_losses(plan, values):
    a, y = values["activation", plan.last], values["targets", plan.last]
    loss = LOSSES[plan.loss]
    return [_gradient_where(loss.kink, side) for side in loss.sides] if loss.kink and loss.kink(a, y).any() else []


def _logarithms(loss):
    if not loss.logarithms:
        return []
    binary = loss.classes == "independent"
    return [_guarded(binary, guard, epsilon) for epsilon in (0.0, *EPSILONS) for guard in (clipped, added, _flat)]


def _gradient_where(condition, side):
    """The output gradient replaced where `condition(a, y)` holds, by `side(y)`."""

    def edit(formulas, layer):
        right = formulas["output_gradient", layer]

        def gradient(v):
            a, y = v["activation", layer], v["targets", layer]
            return np.where(condition(a, y), side(y), right(v))

        formulas["output_gradient", layer] = gradient

    return edit


def clipped(a: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray, float]:
    """(p, 1 - p, the slope of p in a) of probabilities clipped to [epsilon, 1 - epsilon], the slope as many forget it."""
    return np.clip(a, epsilon, 1 - epsilon), np.clip(1 - a, epsilon, 1 - epsilon), 1.0


def added(a: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The same with epsilon added to both."""
    return a + epsilon, 1 - a + epsilon, 1.0


def _flat(a, epsilon):
    """The same, clipped, with the slope 0 where the clip holds."""
    p, q, _ = clipped(a, epsilon)
    return p, q, (p == a).astype(float)


def _guarded(binary, guard, epsilon):
    """Cross-entropy's gradient straight from guarded probabilities, not as a - y."""

    def edit(formulas, layer):
        def gradient(v):
            a, y = v["activation", layer], v["targets", layer]
            p, q, passes = guard(a, epsilon)
            return ((1 - y) / q - y / p if binary else -y / p) * passes

        formulas["output_gradient", layer] = gradient
        formulas.write_out_output_delta()

    return edit
