"""The steps of a watched perceptron as they were made: which weights, batch, gradients and update belong together.

A program may tell of a step before its update or after it. Told before, its outputs come from the weights that are told with them; told
after, from those of the step before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.watch.perceptron import recognise

if TYPE_CHECKING:
    from core.watch.history import WholeStep
    from core.watch.perceptron import Perceptron

LEAST_STEPS = 2  # that a network must be recognised at


@dataclass(frozen=True)
class Moment:
    """One step as it was made: the parameters before its update (and after it, where known), its batch, gradients and loss."""

    step: int
    params: list
    grads: list | None
    after: list | None
    X: np.ndarray
    Y: np.ndarray
    loss: float
    learning_rate: float | None
    derived: bool = False  # the gradients are worked out from the update


def placed(names: tuple[str, ...], whole: list[WholeStep]) -> tuple[Perceptron, list[Moment]] | None:
    """(Perceptron, [Moment]) of consecutive WholeSteps; None where no perceptron gives their outputs, or losses."""
    for after in (False, True):
        pairs = [(whole[at], whole[at - 1] if after else whole[at]) for at in range(1 if after else 0, len(whole))]
        pairs = [(own, weights) for own, weights in pairs if not after or own.step == weights.step + 1]
        steps = [_with_params(own, weights.params) for own, weights in pairs]
        networks = [recognise(names, step) for step in steps[: LEAST_STEPS + 1]]
        networks = [network for network in networks if network]
        if networks and len(networks) >= min(LEAST_STEPS, len(steps)):
            if len({(network.plan.activations, network.plan.loss, network.inputs_first) for network in networks}) > 1:
                told = bool(steps[0].activations) or steps[0].outputs is not None
                networks = networks if told else []
            if networks:
                return networks[0], _moments(steps, whole, after)
    return None


def _with_params(step, params):
    return type(step)(**{**vars(step), "params": params})


def _moments(steps, whole, after):
    own = {step.step: step.params for step in whole}
    moments = []
    for step in steps:
        next_params = own.get(step.step) if after else own.get(step.step + 1)
        rate = step.learning_rate if np.isfinite(step.learning_rate) and step.learning_rate > 0 else None
        grads, derived = (None, False) if any(gradient is None for gradient in step.grads) else (step.grads, False)
        if grads is None and next_params is not None and rate:
            grads, derived = [(old.astype(float) - new) / rate for old, new in zip(step.params, next_params)], True
        moments.append(Moment(step.step, step.params, grads, next_params, step.X, step.Y, step.loss, rate, derived))
    return moments
