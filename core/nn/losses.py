"""Loss functions: value and gradient side by side.

`value` is elementwise and plain; `gradient(a, y, d)` gives calls that write d = dvalue/da up to the constant `factor`.
Where the output activation and the loss belong together (`fused`), the gradient with respect to the pre-activation is
simply a - y, and the value is taken from the pre-activation, where it cannot overflow. Arrays are features-first:
(outputs, samples). The loss of a batch is the mean over samples, and over outputs too unless `over_outputs` is "sum".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import const, div, mul, sub
from core.nn.buffers import aligned, aligned_like
from core.nn.code import LossCode

if TYPE_CHECKING:
    from core.nn.activations import Call

CLIP = 1e-7  # probabilities are kept this far from 0 and 1 inside logarithms, as Keras does
HUBER_DELTA = 1.0


def difference(a: np.ndarray, y: np.ndarray, d: np.ndarray) -> list[Call]:
    """d = a - y: also the whole gradient at the pre-activation where loss and output activation belong together."""
    return [(sub, (a, y, d))]


def _sign_of_difference(a, y, d):
    return [(sub, (a, y, d)), (np.sign, (d, d))]


def _clipped_difference(a, y, d):
    return [(sub, (a, y, d)), (np.fmin, (d, const(d, HUBER_DELTA), d)), (np.fmax, (d, const(d, -HUBER_DELTA), d))]


def _huber(a, y):
    r = np.abs(a - y)
    return np.where(r <= HUBER_DELTA, 0.5 * r * r, HUBER_DELTA * (r - 0.5 * HUBER_DELTA))


def _huber_curvature(a, y):
    return (np.abs(a - y) < HUBER_DELTA).astype(a.dtype)


def _hinge_gradient(a, y, d):
    """-y where y * a < 1, else 0."""
    t = aligned_like(d)
    return [
        (mul, (a, y, t)), (sub, (const(d, 1), t, t)), (np.heaviside, (t, const(d, 0), t)),
        (mul, (t, y, d)), (np.negative, (d, d)),
    ]  # fmt: skip


def _probability(a):
    return np.clip(a, CLIP, 1 - CLIP)


def _inside(a, d, gradient):
    """Calls that clip `a` into `t`, run `gradient(t)`, and zero `d` where the clip held: outside, the loss is flat."""
    t, inside = aligned_like(d), aligned(d.shape, bool)
    return [
        (np.fmax, (a, const(d, CLIP), t)), (np.fmin, (t, const(d, 1 - CLIP), t)), (np.equal, (a, t, inside)),
        *gradient(t), (mul, (d, inside, d)),
    ]  # fmt: skip


def _binary_cross_entropy_gradient(a, y, d):
    """(a - y) / (a (1 - a))."""
    u = aligned_like(d)
    return _inside(a, d, lambda t: [(sub, (t, y, d)), (mul, (t, t, u)), (sub, (t, u, u)), (div, (d, u, d))])


def _categorical_cross_entropy_gradient(a, y, d):
    """-y / a."""
    return _inside(a, d, lambda t: [(div, (y, t, d)), (np.negative, (d, d))])


def _is_inside(a):
    """Where the clip does not hold: only there do probabilities carry a gradient and a curvature."""
    return (a >= CLIP) & (a <= 1 - CLIP)


def _binary_cross_entropy_curvature(a, y):
    p = _probability(a)
    return _is_inside(a) * (y / p**2 + (1 - y) / (1 - p) ** 2)


def _categorical_cross_entropy_curvature(a, y):
    return _is_inside(a) * y / _probability(a) ** 2


def _binary_cross_entropy(a, y):
    p = _probability(a)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def _binary_cross_entropy_from_z(z, y):
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))


def _softmax_cross_entropy_from_z(z, y):
    shifted = z - z.max(axis=0)
    return y * (np.log(np.exp(shifted).sum(axis=0)) - shifted)


@dataclass(frozen=True)
class Fused:
    """A loss and the output activation that belongs to it, as one: the `value(z, y)` from the pre-activation, and how others write it."""

    value: Callable
    code: LossCode = LossCode()


def _mean(targets):
    return targets.mean(axis=0)


def _median(targets):
    return np.median(targets, axis=0)


@dataclass(frozen=True)
class Loss:
    """All that is known of a loss.

    `fused` maps the output activation it belongs to, to its Fused form; `matches` lists the activations it makes sense with, best first.
    `curvature(a, y)` is the second derivative d2value/da2 up to the same `factor`, plain and elementwise (None: zero but for kinks).
    `kink(a, y)` says where the gradient jumps (None: nowhere), and `sides` are functions of y that give what may stand there instead.

    `classes` tells what it takes class labels for: "exclusive" (a share for each), "independent" (a yes or no for each output), "signed"
    (-1 or +1); None: it is for values. `logarithms`: it is the cross-entropy of such labels. `constants` are functions of the targets
    (samples, outputs), one of which gives the constant output with the lowest loss. `word` is its name on the screen, `aliases` are those
    in other people's files, `definition` says which of several in use it is, and `code` how others write it.
    """

    value: Callable
    gradient: Callable
    matches: tuple[str, ...]
    factor: float = 1.0
    over_outputs: str = "mean"
    fused: dict[str, Fused] = field(default_factory=dict)
    curvature: Callable | None = None
    kink: Callable | None = None
    sides: tuple[Callable, ...] = ()
    classes: str | None = None
    logarithms: bool = False
    constants: tuple[Callable, ...] = (_mean,)
    word: str | None = None
    aliases: tuple[str, ...] = ()
    definition: str | None = None
    code: LossCode = LossCode()

    def mean(self, values: np.ndarray) -> float:
        """The batch loss from elementwise `values` (outputs, samples)."""
        return float(values.sum() / (values.shape[1] * self.divisor(values.shape[0])))

    def divisor(self, outputs: int) -> int:
        """What sums over outputs are divided by."""
        return outputs if self.over_outputs == "mean" else 1


NUMPY_CLIPPED = f"p = np.clip(a, {CLIP}, 1 - {CLIP})\n    "
PYTORCH_CLIPPED = f"p = a.clamp({CLIP}, 1 - {CLIP})\n    "
KERAS_CLIPPED = f"p = keras.ops.clip(a, {CLIP}, 1 - {CLIP})\n    "

LOSSES = {
    "mse": Loss(
        lambda a, y: (a - y) ** 2, difference, ("linear", "tanh", "sigmoid", "relu"), factor=2.0, curvature=lambda a, y: np.ones_like(a),
        word="mean squared error", aliases=("mean_squared_error", "squared_error", "quadratic", "sse", "l2"),
        code=LossCode(
            "return np.mean((a - y) ** 2)", "return 2 * (a - y) / y.size",
            pytorch="return nn.functional.mse_loss(a, y)", keras="keras.losses.MeanSquaredError()",
        ),
    ),
    "mae": Loss(
        lambda a, y: np.abs(a - y), _sign_of_difference, ("linear",),
        kink=lambda a, y: a == y, sides=(lambda y: 1.0, lambda y: -1.0), constants=(_median,),
        word="mean absolute error", aliases=("mean_absolute_error", "absolute_error", "l1"),
        code=LossCode(
            "return np.mean(np.abs(a - y))", "return np.sign(a - y) / y.size",
            pytorch="return nn.functional.l1_loss(a, y)", keras="keras.losses.MeanAbsoluteError()",
        ),
    ),
    "huber": Loss(
        _huber, _clipped_difference, ("linear",), curvature=_huber_curvature,
        constants=(_median, _mean),  # the best lies between the two, of which the better stands in
        word="Huber", aliases=("smooth_l1",), definition="huber with delta 1",
        code=LossCode(
            "r = np.abs(a - y)\n    "
            f"return np.mean(np.where(r <= {HUBER_DELTA}, 0.5 * r**2, {HUBER_DELTA} * (r - {0.5 * HUBER_DELTA})))",
            f"return np.clip(a - y, -{HUBER_DELTA}, {HUBER_DELTA}) / y.size",
            pytorch=f"return nn.functional.huber_loss(a, y, delta={HUBER_DELTA})", keras=f"keras.losses.Huber(delta={HUBER_DELTA})",
        ),
    ),
    "binary_cross_entropy": Loss(
        _binary_cross_entropy, _binary_cross_entropy_gradient, ("sigmoid",), curvature=_binary_cross_entropy_curvature,
        classes="independent", logarithms=True, aliases=("bce", "binary_crossentropy", "log_loss", "bce_with_logits"),
        fused={
            "sigmoid": Fused(
                _binary_cross_entropy_from_z,
                LossCode(
                    "return np.mean(np.logaddexp(0, z) - y * z)", "(a[{last}] - y) / y.size",
                    pytorch="return nn.functional.binary_cross_entropy_with_logits(z, y)",
                    keras="keras.losses.BinaryCrossentropy(from_logits=True)",
                ),
            )
        },
        code=LossCode(
            f"{NUMPY_CLIPPED}return -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))",
            f"{NUMPY_CLIPPED}return (p == a) * (p - y) / (p * (1 - p)) / y.size  # flat where it is clipped",
            pytorch=f"{PYTORCH_CLIPPED}return -(y * p.log() + (1 - y) * (-p).log1p()).mean()",
            keras=f"{KERAS_CLIPPED}return -keras.ops.mean(y * keras.ops.log(p) + (1 - y) * keras.ops.log1p(-p), axis=-1)",
        ),
    ),
    "categorical_cross_entropy": Loss(
        lambda a, y: -y * np.log(_probability(a)), _categorical_cross_entropy_gradient, ("softmax",), over_outputs="sum",
        curvature=_categorical_cross_entropy_curvature, classes="exclusive", logarithms=True,
        aliases=("cce", "categorical_crossentropy", "sparse_categorical_crossentropy", "softmax_cross_entropy"),
        fused={
            "softmax": Fused(
                _softmax_cross_entropy_from_z,
                LossCode(
                    "z = z - z.max(axis=1, keepdims=True)\n    "
                    "return np.sum(y * (np.log(np.exp(z).sum(axis=1, keepdims=True)) - z)) / len(y)",
                    "(a[{last}] - y) / len(y)",
                    pytorch="return nn.functional.cross_entropy(z, y)",
                    keras="keras.losses.CategoricalCrossentropy(from_logits=True)",
                ),
            )
        },
        code=LossCode(
            f"{NUMPY_CLIPPED}return -np.sum(y * np.log(p)) / len(y)",
            f"{NUMPY_CLIPPED}return -y / p * (p == a) / len(y)  # flat where it is clipped",
            pytorch=f"{PYTORCH_CLIPPED}return -(y * p.log()).sum(dim=1).mean()",
            keras=f"{KERAS_CLIPPED}return -keras.ops.sum(y * keras.ops.log(p), axis=-1)",
        ),
    ),
    "hinge": Loss(
        lambda a, y: np.maximum(0, 1 - y * a), _hinge_gradient, ("linear", "tanh"),
        kink=lambda a, y: a * y == 1, sides=(lambda y: -y,), constants=(lambda targets: np.sign(targets.mean(axis=0)),), classes="signed",
        code=LossCode(
            "return np.mean(np.maximum(0, 1 - y * a))", "return -y * (y * a < 1) / y.size",
            pytorch="return (1 - y * a).relu().mean()", keras="return keras.ops.mean(keras.ops.relu(1 - y * a), axis=-1)",
        ),
    ),
}  # fmt: skip


def suited_output(task: str, exclusive: bool) -> tuple[str, str]:
    """(output activation, loss) that belong to a task: regression, classes of which one holds (`exclusive`), or a yes or no each."""
    if task == "regression":
        return "linear", "mse"
    return ("softmax", "categorical_cross_entropy") if exclusive else ("sigmoid", "binary_cross_entropy")
