"""Activation functions: value and slope side by side, each as a short list of NumPy calls on given buffers.

A call is `(function, arguments)` with the output buffer last: a compiled step replays it without allocating anything. Slopes come from
the output `a` wherever they can, so that most layers overwrite `z` in place; `needs_z` marks those that cannot.
Arrays are features-first: (units, samples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from core.nn.buffers import aligned, aligned_like
from core.nn.code import ActivationCode

Call = tuple[Callable, tuple]  # a NumPy function and its arguments, buffers of a run

add, sub, mul, div = np.add, np.subtract, np.multiply, np.divide

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017
LEAK = 0.01  # Maas et al. 2013
GELU_C, GELU_CUBE = np.sqrt(2 / np.pi), 0.044715  # the tanh form of Hendrycks & Gimpel 2016


def const(like: np.ndarray, value: float) -> np.ndarray:
    """`value` as a 0-d array of the same type: NumPy takes it twice as fast as a Python float."""
    return np.array(value, like.dtype)


def replay(calls: Iterable[Call]) -> None:
    """Run a list of calls in order."""
    for function, arguments in calls:
        function(*arguments)


def _linear(z, a):
    return [] if z is a else [(np.copyto, (a, z))]


def _linear_slope(z, a, s):
    return [(s.fill, (1,))]


def _sigmoid(z, a):
    """0.5 * tanh(z / 2) + 0.5: never overflows."""
    half = const(z, 0.5)
    return [(mul, (z, half, a)), (np.tanh, (a, a)), (mul, (a, half, a)), (add, (a, half, a))]


def _sigmoid_slope(z, a, s):
    return [(mul, (a, a, s)), (sub, (a, s, s))]


def _sigmoid_curvature(z, a):
    return a * (1 - a) * (1 - 2 * a)


def _tanh(z, a):
    return [(np.tanh, (z, a))]


def _tanh_slope(z, a, s):
    return [(mul, (a, a, s)), (sub, (const(a, 1), s, s))]


def _tanh_curvature(z, a):
    return -2 * a * (1 - a * a)


def _relu(z, a):
    """fmax against zeros is six times as fast as maximum on small arrays; it turns NaN into 0, so NaN is looked for in z."""
    return [(np.fmax, (z, aligned_like(z) if z.size < 4096 else const(z, 0), a))]


def _relu_slope(z, a, s):
    return [(np.sign, (a, s))]


def _leaky_relu(z, a):
    t = aligned_like(z)
    return [(mul, (z, const(z, LEAK), t)), (np.fmax, (z, t, a))]


def _leaky_relu_slope(z, a, s):
    return [(np.heaviside, (a, const(a, 0), s)), (np.fmax, (s, const(a, LEAK), s))]


def _elu(z, a):
    """max(z, 0) + expm1(min(z, 0))."""
    t, zero = aligned_like(z), const(z, 0)
    return [(np.fmin, (z, zero, t)), (np.expm1, (t, t)), (np.fmax, (z, zero, a)), (add, (a, t, a))]


def _elu_slope(z, a, s):
    return [(np.fmin, (a, const(a, 0), s)), (add, (s, const(a, 1), s))]


def _elu_curvature(z, a):
    return np.where(z < 0, a + 1, 0)


def _selu(z, a):
    t, zero = aligned_like(z), const(z, 0)
    return [
        (np.fmin, (z, zero, t)), (np.expm1, (t, t)), (mul, (t, const(z, SELU_ALPHA), t)),
        (np.fmax, (z, zero, a)), (add, (a, t, a)), (mul, (a, const(z, SELU_SCALE), a)),
    ]  # fmt: skip


def _selu_slope(z, a, s):
    """scale above zero, a + scale * alpha below: at zero from above the negative branch jumps, so the sign picks."""
    t = aligned_like(a)
    return [
        (np.fmin, (a, const(a, 0), s)), (add, (s, const(a, SELU_SCALE * SELU_ALPHA), s)),
        (np.heaviside, (a, const(a, 0), t)), (mul, (t, const(a, SELU_SCALE * (1 - SELU_ALPHA)), t)), (add, (s, t, s)),
    ]  # fmt: skip


def _selu_curvature(z, a):
    return np.where(z < 0, a + SELU_SCALE * SELU_ALPHA, 0)


def _gelu(z, a):
    t, half = aligned_like(z), const(z, 0.5)
    return [*_gelu_tanh(z, t), (mul, (t, half, t)), (add, (t, half, t)), (mul, (z, t, a))]


def _gelu_tanh(z, t):
    """t = tanh(c * (z + k z^3))."""
    return [
        (mul, (z, z, t)), (mul, (t, const(z, GELU_C * GELU_CUBE), t)), (add, (t, const(z, GELU_C), t)),
        (mul, (t, z, t)), (np.tanh, (t, t)),
    ]  # fmt: skip


def _gelu_slope(z, a, s):
    """0.5 (1 + t) + 0.5 z (1 - t^2) c (1 + 3 k z^2)."""
    t, u, half, one = aligned_like(z), aligned_like(z), const(z, 0.5), const(z, 1)
    return [
        *_gelu_tanh(z, t),
        (mul, (z, z, u)), (mul, (u, const(z, 3 * GELU_CUBE * GELU_C), u)), (add, (u, const(z, GELU_C), u)), (mul, (u, z, u)),
        (mul, (t, t, s)), (sub, (one, s, s)), (mul, (s, u, s)), (add, (s, t, s)), (add, (s, one, s)), (mul, (s, half, s)),
    ]  # fmt: skip


def _gelu_curvature(z, a):
    """With u = c (z + k z^3): (1 - t^2) (u' - z t u'^2 + z u'' / 2), u'' = 6 c k z."""
    t, slope = np.tanh(GELU_C * (z + GELU_CUBE * z**3)), GELU_C * (1 + 3 * GELU_CUBE * z * z)
    return (1 - t * t) * (slope - z * t * slope * slope + 3 * GELU_C * GELU_CUBE * z * z)


def _silu(z, a):
    t = aligned_like(z)
    return [*_sigmoid(z, t), (mul, (z, t, a))]


def _silu_slope(z, a, s):
    """g + a (1 - g) with g = sigmoid(z)."""
    t = aligned_like(z)
    return [*_sigmoid(z, s), (sub, (const(z, 1), s, t)), (mul, (t, a, t)), (add, (s, t, s))]


def _silu_curvature(z, a):
    """g (1 - g) (2 + z (1 - 2 g))."""
    g = 0.5 * np.tanh(0.5 * z) + 0.5
    return g * (1 - g) * (2 + z * (1 - 2 * g))


def _softplus(z, a):
    """max(z, 0) + log1p(exp(-|z|)): never overflows."""
    t = aligned_like(z)
    return [
        (np.absolute, (z, t)), (np.negative, (t, t)), (np.exp, (t, t)), (np.log1p, (t, t)),
        (np.fmax, (z, const(z, 0), a)), (add, (a, t, a)),
    ]  # fmt: skip


def _softplus_slope(z, a, s):
    """sigmoid(z) = 1 - exp(-a)."""
    return [(np.negative, (a, s)), (np.expm1, (s, s)), (np.negative, (s, s))]


def _softplus_curvature(z, a):
    """g (1 - g) with g = sigmoid(z)."""
    g = 0.5 * np.tanh(0.5 * z) + 0.5
    return g * (1 - g)


def _exponential(z, a):
    return [(np.exp, (z, a))]


def _exponential_slope(z, a, s):
    return [(np.copyto, (s, a))]


def _exponential_curvature(z, a):
    return a


def _hard_tanh(z, a):
    return [(np.fmin, (z, const(z, 1), a)), (np.fmax, (a, const(z, -1), a))]


def _hard_tanh_slope(z, a, s):
    """1 between the ends, 0 on them."""
    return [(np.absolute, (a, s)), (sub, (const(a, 1), s, s)), (np.sign, (s, s))]


def _softmax(z, a):
    r = aligned(z.shape[1:], z.dtype)
    return [
        (np.maximum.reduce, (z, 0, None, r)), (sub, (z, r, a)), (np.exp, (a, a)), (np.add.reduce, (a, 0, None, r)),
        (div, (a, r, a)),
    ]  # fmt: skip


def _softmax_pullback(a, d):
    """d = a * (d - sum(d * a)): the whole Jacobian, not its diagonal."""
    t, r = aligned_like(a), aligned(a.shape[1:], a.dtype)
    return [(mul, (d, a, t)), (np.add.reduce, (t, 0, None, r)), (sub, (d, r, d)), (mul, (d, a, d))]


def _softmax_pullback_change(a, r, d):
    """How the pullback of a fixed d changes when a changes by r."""
    return r * (d - (a * d).sum(axis=0)) - a * (r * d).sum(axis=0)


@dataclass(frozen=True)
class Activation:
    """All that is known of an activation.

    `value(z, a)` and `slope(z, a, s)` give calls; `low`, `high` bound the output; `steepest` is the largest slope of a
    bounded one (None: it does not saturate); `kinks` says the slope jumps at zero. `curvature(z, a)` is the second derivative,
    plain and elementwise (None: zero but for kinks); an activation with a `pullback` has `pullback_change(a, r, d)` in its place.

    `cancels(z)` is the size of the terms whose sum value and slope are, where that is more than the result: written with exp(z) - 1,
    1 + tanh(z), log(1 + exp(z)) and the like, they are off by units of 1, or of z, however small they are.
    `init` keeps signals at one size through layers of it: the authors' own for selu, He et al. 2015 for what halves them, Glorot for the
    rest. `steadier` names one that is tried where this one stops learning. `word` is its name on the screen, `aliases` are those in other
    people's files, `definition` says which of several in use it is, and `code` how others write it.
    """

    value: Callable
    slope: Callable | None
    low: float
    high: float
    steepest: float | None = None
    needs_z: bool = False
    kinks: bool = False
    pullback: Callable | None = None  # (a, d) -> calls, in place of multiplying d with the slope
    curvature: Callable | None = None
    pullback_change: Callable | None = None
    cancels: Callable | None = None
    init: str = "glorot_uniform"
    steadier: str | None = None
    word: str | None = None
    aliases: tuple[str, ...] = ()
    definition: str | None = None
    code: ActivationCode = ActivationCode()

    @property
    def signed(self) -> bool:
        """Whether outputs go from -1 to 1, so that classes are coded that way."""
        return (self.low, self.high) == (-1, 1)

    @property
    def shares(self) -> bool:
        """Whether the outputs of a layer share 1 among them: each depends on all."""
        return self.pullback is not None


INF = float("inf")
SIGMOID_CODE = "0.5 * np.tanh(0.5 * z) + 0.5"
GELU_CODE = f"np.tanh({float(GELU_C)!r} * (z + {GELU_CUBE} * z**3))"


def _one(z):
    return 1.0


def _one_and_z(z):
    return 1 + np.abs(z)


ACTIVATIONS = {
    "linear": Activation(
        _linear, _linear_slope, -INF, INF, aliases=("identity", "none"),
        code=ActivationCode("", pytorch="", keras="", onnx=("y = Identity(x)",)),
    ),
    "sigmoid": Activation(
        _sigmoid, _sigmoid_slope, 0, 1, steepest=0.25, curvature=_sigmoid_curvature, cancels=_one, steadier="tanh", aliases=("logistic",),
        code=ActivationCode(
            f"return {SIGMOID_CODE}  # 1 / (1 + exp(-z)), which would overflow", "return a * (1 - a)",
            pytorch="nn.Sigmoid()", keras='"sigmoid"', onnx=("y = Sigmoid(x)",),
        ),
    ),
    "tanh": Activation(
        _tanh, _tanh_slope, -1, 1, steepest=1.0, curvature=_tanh_curvature, cancels=_one,
        code=ActivationCode("return np.tanh(z)", "return 1 - a**2", pytorch="nn.Tanh()", keras='"tanh"', onnx=("y = Tanh(x)",)),
    ),
    "relu": Activation(
        _relu, _relu_slope, 0, INF, kinks=True, init="he_normal", steadier="leaky_relu", word="ReLU",
        code=ActivationCode("return np.maximum(z, 0)", "return a > 0", pytorch="nn.ReLU()", keras='"relu"', onnx=("y = Relu(x)",)),
    ),
    "leaky_relu": Activation(
        _leaky_relu, _leaky_relu_slope, -INF, INF, kinks=True, init="he_normal", word="leaky ReLU", aliases=("leakyrelu",),
        definition="leaky_relu with a slope of 0.01",
        code=ActivationCode(
            f"return np.maximum(z, {LEAK} * z)", f"return np.where(a > 0, np.ones_like(a), {LEAK})",
            pytorch=f"nn.LeakyReLU({LEAK})", keras=f"lambda z: keras.activations.leaky_relu(z, negative_slope={LEAK})",
            onnx=(f"y = LeakyRelu <alpha: float = {LEAK}> (x)",),
            onnx_float64=("t = Mul(x, leak)", "y = Max(x, t)"), onnx_numbers={"leak": LEAK},
        ),
    ),
    "elu": Activation(
        _elu, _elu_slope, -1, INF, curvature=_elu_curvature, cancels=_one, word="ELU", definition="elu with alpha 1",
        code=ActivationCode(
            "return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))", "return np.minimum(a, 0) + 1",
            pytorch="nn.ELU()", keras='"elu"', onnx=("y = Elu(x)",),
            onnx_float64=("n = Min(x, zero)", "e = Exp(n)", "m = Sub(e, one)", "p = Max(x, zero)", "y = Add(p, m)"),
            onnx_numbers={"zero": 0.0, "one": 1.0},
        ),
    ),
    "selu": Activation(
        _selu, _selu_slope, -SELU_SCALE * SELU_ALPHA, INF, kinks=True, curvature=_selu_curvature, cancels=_one, init="lecun_normal",
        word="SELU",
        code=ActivationCode(
            f"return {SELU_SCALE} * np.where(z > 0, z, {SELU_ALPHA} * np.expm1(np.minimum(z, 0)))",
            f"return np.where(a > 0, {SELU_SCALE}, a + {SELU_SCALE} * {SELU_ALPHA})",
            pytorch="nn.SELU()", keras='"selu"', onnx=("y = Selu(x)",),
            onnx_float64=(
                "n = Min(x, zero)", "e = Exp(n)", "m = Sub(e, one)", "k = Mul(m, alpha)", "p = Max(x, zero)", "s = Add(p, k)",
                "y = Mul(s, scale)",
            ),
            onnx_numbers={"zero": 0.0, "one": 1.0, "alpha": SELU_ALPHA, "scale": SELU_SCALE},
        ),
    ),
    "gelu": Activation(
        _gelu, _gelu_slope, -0.1701, INF, needs_z=True, curvature=_gelu_curvature, cancels=_one_and_z, init="he_normal", word="GELU",
        definition="gelu in its tanh form",
        code=ActivationCode(
            f"return 0.5 * z * (1 + {GELU_CODE})",
            f"t = {GELU_CODE}\n    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * {float(GELU_C)!r} * (1 + 3 * {GELU_CUBE} * z**2)",
            of="z", pytorch='nn.GELU(approximate="tanh")', keras="lambda z: keras.activations.gelu(z, approximate=True)",
            onnx=('y = Gelu <approximate: string = "tanh"> (x)',),
        ),
    ),
    "silu": Activation(
        _silu, _silu_slope, -0.2785, INF, needs_z=True, curvature=_silu_curvature, cancels=_one_and_z, init="he_normal", word="SiLU",
        aliases=("swish",),
        code=ActivationCode(
            f"return z * ({SIGMOID_CODE})", f"s = {SIGMOID_CODE}\n    return s + z * s * (1 - s)", of="z",
            pytorch="nn.SiLU()", keras='"silu"', onnx=("s = Sigmoid(x)", "y = Mul(x, s)"),
        ),
    ),
    "softplus": Activation(
        _softplus, _softplus_slope, 0, INF, curvature=_softplus_curvature, cancels=_one,
        code=ActivationCode(
            "return np.logaddexp(0, z)  # log(1 + exp(z))", "return -np.expm1(-a)",
            pytorch="nn.Softplus()", keras='"softplus"', onnx=("y = Softplus(x)",),
            onnx_float64=(
                "m = Abs(x)", "n = Neg(m)", "e = Exp(n)", "s = Add(e, one)", "k = Log(s)", "p = Max(x, zero)", "y = Add(p, k)",
            ),
            onnx_numbers={"zero": 0.0, "one": 1.0},
        ),
    ),
    "exponential": Activation(
        _exponential, _exponential_slope, 0, INF, curvature=_exponential_curvature, steadier="softplus", aliases=("exp",),
        code=ActivationCode(
            "return np.exp(z)", "return a", pytorch="Exponential()", keras='"exponential"', onnx=("y = Exp(x)",),
            pytorch_class="class Exponential(nn.Module):\n    def forward(self, z):\n        return z.exp()",
        ),
    ),
    "hard_tanh": Activation(
        _hard_tanh, _hard_tanh_slope, -1, 1, steepest=1.0, steadier="tanh", aliases=("hardtanh",),
        code=ActivationCode(
            "return np.clip(z, -1, 1)", "return np.abs(a) < 1", pytorch="nn.Hardtanh()", keras='"hard_tanh"',
            onnx=("y = Clip(x, low, high)",), onnx_numbers={"low": -1.0, "high": 1.0},
        ),
    ),
    "softmax": Activation(
        _softmax, None, 0, 1, pullback=_softmax_pullback, pullback_change=_softmax_pullback_change,
        code=ActivationCode(
            "e = np.exp(z - z.max(axis=1, keepdims=True))\n    return e / e.sum(axis=1, keepdims=True)",
            "return a * (d - (d * a).sum(axis=1, keepdims=True))  # each unit's share depends on all z", of="a, d",
            pytorch="nn.Softmax(dim=1)", keras='"softmax"', onnx=("y = Softmax <axis: int = 1> (x)",),
        ),
    ),
}  # fmt: skip
