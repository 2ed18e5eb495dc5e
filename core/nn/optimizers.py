"""Optimizers: pure functions of the flat parameter vector.

`update(p, g, slots, scratch, c)` gives the calls of one update; `g` and `scratch` may be overwritten. `c` holds 0-d
constants, whose values for update number t (1, 2, ...) come from `constants(hyperparameters, rate, t)`; `timed` says
that they change with t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.nn.activations import add, div, mul, sub


def _sgd(p, g, slots, scratch, c):
    """p -= rate * g."""
    return [(mul, (g, c["rate"], g)), (sub, (p, g, p))]


def _momentum(p, g, slots, scratch, c):
    """v = momentum * v - rate * g; p += v (Polyak 1964, in the form of Sutskever et al. 2013)."""
    (v,) = slots
    return [(mul, (v, c["momentum"], v)), (mul, (g, c["rate"], g)), (sub, (v, g, v)), (add, (p, v, p))]


def _nesterov(p, g, slots, scratch, c):
    """v = momentum * v - rate * g; p += momentum * v - rate * g (Sutskever et al. 2013)."""
    (v,) = slots
    return [
        (mul, (v, c["momentum"], v)), (mul, (g, c["rate"], g)), (sub, (v, g, v)),
        (mul, (v, c["momentum"], scratch)), (sub, (scratch, g, scratch)), (add, (p, scratch, p)),
    ]  # fmt: skip


def _adagrad(p, g, slots, scratch, c):
    """s += g^2; p -= rate * g / (sqrt(s) + epsilon) (Duchi et al. 2011)."""
    (s,) = slots
    return [(mul, (g, g, scratch)), (add, (s, scratch, s)), *_scaled_step(p, g, s, scratch, c)]


def _rmsprop(p, g, slots, scratch, c):
    """s = rho * s + (1 - rho) * g^2; p -= rate * g / (sqrt(s) + epsilon) (Tieleman & Hinton 2012)."""
    (s,) = slots
    return [
        (mul, (g, g, scratch)), (mul, (scratch, c["1-rho"], scratch)), (mul, (s, c["rho"], s)), (add, (s, scratch, s)),
        *_scaled_step(p, g, s, scratch, c),
    ]  # fmt: skip


def _adam(p, g, slots, scratch, c):
    """Kingma & Ba 2015, with m and v kept without their factors (1 - beta): the constants make up for it."""
    m, v = slots
    return [
        (mul, (m, c["beta1"], m)), (add, (m, g, m)), (mul, (g, g, g)), (mul, (v, c["beta2"], v)), (add, (v, g, v)),
        *_scaled_step(p, m, v, scratch, c),
    ]  # fmt: skip


def _scaled_step(p, direction, squares, scratch, c):
    """p -= rate * direction / (sqrt(squares) + epsilon)."""
    return [
        (np.sqrt, (squares, scratch)), (add, (scratch, c["epsilon"], scratch)), (div, (direction, scratch, scratch)),
        (mul, (scratch, c["rate"], scratch)), (sub, (p, scratch, p)),
    ]  # fmt: skip


def _adam_constants(h, rate, t):
    """The form with epsilon outside the bias correction (end of section 2 of the paper), as scikit-learn and Keras have it."""
    root = (1 - h.beta2) ** 0.5  # sqrt(v) = root * sqrt(sum of squares)
    corrected = rate * (1 - h.beta2**t) ** 0.5 / (1 - h.beta1**t)
    return {"beta1": h.beta1, "beta2": h.beta2, "epsilon": h.epsilon / root, "rate": corrected * (1 - h.beta1) / root}


def _adam_preconditioner(slots, h, t):
    """Of the update's form above; its factor 1 - beta1^t (Cohen et al. 2022) is left out, being 1 before long."""
    return (np.sqrt(slots[1] * (1 - h.beta2)) + h.epsilon) / (1 - h.beta2**t) ** 0.5


def _root_preconditioner(slots, h, t):
    return np.sqrt(slots[0]) + h.epsilon


@dataclass(frozen=True)
class Optimizer:
    """`slots` is how many vectors of state it keeps, each as long as the parameters; `folds`: the update is linear in the
    gradient, so that the learning rate may be folded into it.

    `stability(h)` is the largest product of learning rate and curvature under which a quadratic is not left: gradient descent 2 and
    Polyak's and Nesterov's momentum from Cohen et al. 2021, the others from Cohen et al. 2022, whose curvature
    is that of the Hessian preconditioned by `preconditioner(slots, h, t)` (parameters,), as it stands after update t.
    """

    update: Callable
    constants: Callable
    stability: Callable
    slots: int = 0
    hyperparameters: tuple[str, ...] = ()
    timed: bool = False
    folds: bool = False
    preconditioner: Callable | None = None


OPTIMIZERS = {
    "sgd": Optimizer(_sgd, lambda h, rate, t: {"rate": rate}, lambda h: 2.0, folds=True),
    "momentum": Optimizer(
        _momentum, lambda h, rate, t: {"rate": rate, "momentum": h.momentum}, lambda h: 2 + 2 * h.momentum, 1, ("momentum",)
    ),
    "nesterov": Optimizer(
        _nesterov,
        lambda h, rate, t: {"rate": rate, "momentum": h.momentum},
        lambda h: (2 + 2 * h.momentum) / (1 + 2 * h.momentum),
        1,
        ("momentum",),
    ),
    "adagrad": Optimizer(
        _adagrad,
        lambda h, rate, t: {"rate": rate, "epsilon": h.epsilon},
        lambda h: 2.0,
        1,
        ("epsilon",),
        preconditioner=_root_preconditioner,
    ),
    "rmsprop": Optimizer(
        _rmsprop,
        lambda h, rate, t: {"rate": rate, "rho": h.rho, "1-rho": 1 - h.rho, "epsilon": h.epsilon},
        lambda h: 2.0,
        1,
        ("rho", "epsilon"),
        preconditioner=_root_preconditioner,
    ),
    "adam": Optimizer(
        _adam,
        _adam_constants,
        lambda h: (2 + 2 * h.beta1) / (1 - h.beta1),
        2,
        ("beta1", "beta2", "epsilon"),
        timed=True,
        preconditioner=_adam_preconditioner,
    ),
}
