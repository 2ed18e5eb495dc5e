"""Loss functions: value and gradient side by side.

`value` is elementwise and plain; `gradient(a, y, d)` gives calls that write d = dvalue/da up to the constant `factor`.
Where the output activation and the loss belong together (`fused`), the gradient with respect to the pre-activation is
simply a - y, and the value is taken from the pre-activation, where it cannot overflow. Arrays are features-first:
(outputs, samples). The loss of a batch is the mean over samples, and over outputs too unless `over_outputs` is "sum".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from core.nn.activations import const, div, mul, sub
from core.nn.buffers import aligned, aligned_like

CLIP = 1e-7  # probabilities are kept this far from 0 and 1 inside logarithms, as Keras does
HUBER_DELTA = 1.0


def difference(a, y, d):
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
class Loss:
    """`fused` maps the output activation it belongs to, to its value from the pre-activation; `matches` lists the
    activations it makes sense with, best first. `curvature(a, y)` is the second derivative d2value/da2 up to the same `factor`,
    plain and elementwise (None: zero but for kinks)."""

    value: Callable
    gradient: Callable
    matches: tuple[str, ...]
    factor: float = 1.0
    over_outputs: str = "mean"
    fused: dict[str, Callable] = field(default_factory=dict)
    kinks: bool = False
    curvature: Callable | None = None

    def mean(self, values):
        """The batch loss from elementwise `values` (outputs, samples)."""
        return float(values.sum() / (values.shape[1] * self.divisor(values.shape[0])))

    def divisor(self, outputs):
        """What sums over outputs are divided by."""
        return outputs if self.over_outputs == "mean" else 1


LOSSES = {
    "mse": Loss(
        lambda a, y: (a - y) ** 2, difference, ("linear", "tanh", "sigmoid", "relu"), factor=2.0, curvature=lambda a, y: np.ones_like(a)
    ),
    "mae": Loss(lambda a, y: np.abs(a - y), _sign_of_difference, ("linear",), kinks=True),
    "huber": Loss(_huber, _clipped_difference, ("linear",), kinks=True, curvature=_huber_curvature),
    "binary_cross_entropy": Loss(
        _binary_cross_entropy,
        _binary_cross_entropy_gradient,
        ("sigmoid",),
        fused={"sigmoid": _binary_cross_entropy_from_z},
        curvature=_binary_cross_entropy_curvature,
    ),
    "categorical_cross_entropy": Loss(
        lambda a, y: -y * np.log(_probability(a)),
        _categorical_cross_entropy_gradient,
        ("softmax",),
        over_outputs="sum",
        fused={"softmax": _softmax_cross_entropy_from_z},
        curvature=_categorical_cross_entropy_curvature,
    ),
    "hinge": Loss(lambda a, y: np.maximum(0, 1 - y * a), _hinge_gradient, ("linear", "tanh"), kinks=True),
}
