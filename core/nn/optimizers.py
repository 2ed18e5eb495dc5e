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
from core.nn.code import OptimizerCode


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
    return [*_running_mean_of_squares(s, g, scratch, c), *_scaled_step(p, g, s, scratch, c)]


def _adam(p, g, slots, scratch, c):
    """Kingma & Ba 2015, with m and v kept without their factors (1 - beta): the constants make up for it."""
    m, v = slots
    return [
        (mul, (m, c["beta1"], m)), (add, (m, g, m)), (mul, (g, g, g)), (mul, (v, c["beta2"], v)), (add, (v, g, v)),
        *_scaled_step(p, m, v, scratch, c),
    ]  # fmt: skip


def _adamw(p, g, slots, scratch, c):
    """p -= rate * weight_decay * p, then as Adam: the decay is kept out of the gradient (Loshchilov & Hutter 2019)."""
    return [(mul, (p, c["decay"], p)), *_adam(p, g, slots, scratch, c)]


def _adadelta(p, g, slots, scratch, c):
    """s = rho * s + (1 - rho) * g^2; v = sqrt(u + epsilon) / sqrt(s + epsilon) * g; u = rho * u + (1 - rho) * v^2; p -= rate * v
    (Zeiler 2012, whose rate is 1)."""
    s, u = slots
    return [
        *_running_mean_of_squares(s, g, scratch, c),
        (add, (u, c["epsilon"], scratch)), (np.sqrt, (scratch, scratch)), (mul, (g, scratch, g)),
        (add, (s, c["epsilon"], scratch)), (np.sqrt, (scratch, scratch)), (div, (g, scratch, g)),
        *_running_mean_of_squares(u, g, scratch, c),
        (mul, (g, c["rate"], g)), (sub, (p, g, p)),
    ]  # fmt: skip


def _running_mean_of_squares(s, g, scratch, c):
    """s = rho * s + (1 - rho) * g^2."""
    return [(mul, (g, g, scratch)), (mul, (scratch, c["1-rho"], scratch)), (mul, (s, c["rho"], s)), (add, (s, scratch, s))]


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


def _adamw_constants(h, rate, t):
    return _adam_constants(h, rate, t) | {"decay": 1 - rate * h.weight_decay}


def _rho_constants(h, rate, t):
    return {"rate": rate, "rho": h.rho, "1-rho": 1 - h.rho, "epsilon": h.epsilon}


def _adadelta_preconditioner(slots, h, t):
    return np.sqrt(slots[0] + h.epsilon) / np.sqrt(slots[1] + h.epsilon)


def _adam_preconditioner(slots, h, t):
    """Of the update's form above; its factor 1 - beta1^t (Cohen et al. 2022) is left out, being 1 before long."""
    return (np.sqrt(slots[1] * (1 - h.beta2)) + h.epsilon) / (1 - h.beta2**t) ** 0.5


def _root_preconditioner(slots, h, t):
    return np.sqrt(slots[0]) + h.epsilon


@dataclass(frozen=True)
class Optimizer:
    """All that is known of an optimizer.

    `slots` is how many vectors of state it keeps, each as long as the parameters; `folds`: the update is linear in the
    gradient, so that the learning rate may be folded into it.

    `stability(h)` is the largest product of learning rate and curvature under which a quadratic is not left: gradient descent 2 and
    Polyak's and Nesterov's momentum from Cohen et al. 2021, the others from Cohen et al. 2022, whose curvature
    is that of the Hessian preconditioned by `preconditioner(slots, h, t)` (parameters,), as it stands after update t.

    `usual_rate` is the largest learning rate in common use. `word` is its name on the screen, `code` how others write it.
    """

    update: Callable
    constants: Callable
    stability: Callable
    usual_rate: float
    slots: int = 0
    hyperparameters: tuple[str, ...] = ()
    timed: bool = False
    folds: bool = False
    preconditioner: Callable | None = None
    word: str | None = None
    code: OptimizerCode = OptimizerCode()


WHOLE_MEMORY = "PyTorch multiplies the whole memory by the present rate, Descent each gradient by the rate of its time"
BIAS_BEFORE = "PyTorch corrects the bias before it adds EPSILON, Descent after: seen only where gradients are as small"
STEP_OF_ROOT = "p[name] -= {rate} * g[name] / (np.sqrt(s[name]) + EPSILON)"

CORRECTION = "correction = (1 - BETA2**step) ** 0.5 / (1 - BETA1**step)  # m and v begin at zero"
ADAM_LINES = (
    "m[name] = BETA1 * m[name] + (1 - BETA1) * g[name]",
    "v[name] = BETA2 * v[name] + (1 - BETA2) * g[name] ** 2",
    "p[name] -= {rate} * correction * m[name] / (np.sqrt(v[name]) + EPSILON)",
)

OPTIMIZERS = {
    "sgd": Optimizer(
        _sgd, lambda h, rate, t: {"rate": rate}, lambda h: 2.0, usual_rate=0.1, folds=True, word="SGD",
        code=OptimizerCode(
            ("p[name] -= {rate} * g[name]",),
            pytorch="torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)", keras="SGD(LEARNING_RATE{})",
        ),
    ),
    "momentum": Optimizer(
        _momentum, lambda h, rate, t: {"rate": rate, "momentum": h.momentum}, lambda h: 2 + 2 * h.momentum, usual_rate=0.01,
        slots=1, hyperparameters=("momentum",),
        code=OptimizerCode(
            ("v[name] = MOMENTUM * v[name] - {rate} * g[name]", "p[name] += v[name]"), ("v",),
            pytorch="torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)",
            keras="SGD(LEARNING_RATE, momentum=MOMENTUM{})", scheduled_remark=WHOLE_MEMORY,
        ),
    ),
    "nesterov": Optimizer(
        _nesterov, lambda h, rate, t: {"rate": rate, "momentum": h.momentum},
        lambda h: (2 + 2 * h.momentum) / (1 + 2 * h.momentum), usual_rate=0.01,
        slots=1, hyperparameters=("momentum",), word="Nesterov",
        code=OptimizerCode(
            ("v[name] = MOMENTUM * v[name] - {rate} * g[name]", "p[name] += MOMENTUM * v[name] - {rate} * g[name]  # a look ahead"), ("v",),
            pytorch="torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True)",
            keras="SGD(LEARNING_RATE, momentum=MOMENTUM, nesterov=True{})", scheduled_remark=WHOLE_MEMORY,
        ),
    ),
    "adagrad": Optimizer(
        _adagrad, lambda h, rate, t: {"rate": rate, "epsilon": h.epsilon}, lambda h: 2.0, usual_rate=0.05,
        slots=1, hyperparameters=("epsilon",), preconditioner=_root_preconditioner, word="AdaGrad",
        code=OptimizerCode(
            ("s[name] += g[name] ** 2", STEP_OF_ROOT), ("s",),
            pytorch="torch.optim.Adagrad(model.parameters(), lr=LEARNING_RATE, eps=EPSILON)",
            keras="Adagrad(LEARNING_RATE, initial_accumulator_value=0.0, epsilon=EPSILON**2{})",
        ),
    ),
    "rmsprop": Optimizer(
        _rmsprop, _rho_constants, lambda h: 2.0, usual_rate=0.01,
        slots=1, hyperparameters=("rho", "epsilon"), preconditioner=_root_preconditioner, word="RMSProp",
        code=OptimizerCode(
            ("s[name] = RHO * s[name] + (1 - RHO) * g[name] ** 2", STEP_OF_ROOT), ("s",),
            pytorch="torch.optim.RMSprop(model.parameters(), lr=LEARNING_RATE, alpha=RHO, eps=EPSILON)",
            keras="RMSprop(LEARNING_RATE, rho=RHO, epsilon=EPSILON**2{})",
        ),
    ),
    "adam": Optimizer(
        _adam, _adam_constants, lambda h: (2 + 2 * h.beta1) / (1 - h.beta1), usual_rate=0.01,
        slots=2, hyperparameters=("beta1", "beta2", "epsilon"), timed=True, preconditioner=_adam_preconditioner, word="Adam",
        code=OptimizerCode(
            ADAM_LINES,
            ("m", "v"), CORRECTION,
            pytorch="torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), eps=EPSILON)",
            keras="Adam(LEARNING_RATE, BETA1, BETA2, EPSILON{})", remark=BIAS_BEFORE,
        ),
    ),
    "adamw": Optimizer(
        _adamw, _adamw_constants, lambda h: (2 + 2 * h.beta1) / (1 - h.beta1), usual_rate=0.01,
        slots=2, hyperparameters=("beta1", "beta2", "epsilon", "weight_decay"), timed=True, preconditioner=_adam_preconditioner,
        word="AdamW",
        code=OptimizerCode(
            ("p[name] *= 1 - {rate} * WEIGHT_DECAY", *ADAM_LINES), ("m", "v"), CORRECTION,
            pytorch="torch.optim.AdamW(\n        model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), eps=EPSILON, "
            "weight_decay=WEIGHT_DECAY\n    )",
            keras="AdamW(LEARNING_RATE, WEIGHT_DECAY, BETA1, BETA2, EPSILON{})", remark=BIAS_BEFORE,
        ),
    ),
    "adadelta": Optimizer(
        _adadelta, _rho_constants, lambda h: 2.0, usual_rate=1.0,
        slots=2, hyperparameters=("rho", "epsilon"), preconditioner=_adadelta_preconditioner, word="AdaDelta",
        code=OptimizerCode(
            (
                "s[name] = RHO * s[name] + (1 - RHO) * g[name] ** 2",
                "v = np.sqrt(u[name] + EPSILON) / np.sqrt(s[name] + EPSILON) * g[name]",
                "u[name] = RHO * u[name] + (1 - RHO) * v**2",
                "p[name] -= {rate} * v",
            ),
            ("s", "u"),
            pytorch="torch.optim.Adadelta(model.parameters(), lr=LEARNING_RATE, rho=RHO, eps=EPSILON)",
            keras="Adadelta(LEARNING_RATE, RHO, EPSILON{})",
        ),
    ),
}  # fmt: skip
