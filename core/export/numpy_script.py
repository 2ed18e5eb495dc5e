"""A run as a script from scratch: NumPy alone, forward, backward and update written out."""

from __future__ import annotations

from typing import NamedTuple

from core.export import pieces
from core.export.pieces import Run
from core.nn.activations import GELU_C, GELU_CUBE, LEAK, SELU_ALPHA, SELU_SCALE
from core.nn.losses import CLIP, HUBER_DELTA, LOSSES


class Code(NamedTuple):
    """Bodies of an activation's two functions: of `z`, and of whatever the slope is computed `of`; for softmax that is all of d."""

    value: str
    slope: str
    of: str = "a"


SIGMOID = "0.5 * np.tanh(0.5 * z) + 0.5"
GELU_TANH = f"np.tanh({float(GELU_C)!r} * (z + {GELU_CUBE} * z**3))"

ACTIVATIONS = {
    "linear": None,
    "sigmoid": Code(f"return {SIGMOID}  # 1 / (1 + exp(-z)), which would overflow", "return a * (1 - a)"),
    "tanh": Code("return np.tanh(z)", "return 1 - a**2"),
    "relu": Code("return np.maximum(z, 0)", "return a > 0"),
    "leaky_relu": Code(f"return np.maximum(z, {LEAK} * z)", f"return np.where(a > 0, np.ones_like(a), {LEAK})"),
    "elu": Code("return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))", "return np.minimum(a, 0) + 1"),
    "selu": Code(
        f"return {SELU_SCALE} * np.where(z > 0, z, {SELU_ALPHA} * np.expm1(np.minimum(z, 0)))",
        f"return np.where(a > 0, {SELU_SCALE}, a + {SELU_SCALE} * {SELU_ALPHA})",
    ),
    "gelu": Code(
        f"return 0.5 * z * (1 + {GELU_TANH})",
        f"t = {GELU_TANH}\n    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * {float(GELU_C)!r} * (1 + 3 * {GELU_CUBE} * z**2)",
        of="z",
    ),
    "silu": Code(f"return z * ({SIGMOID})", f"s = {SIGMOID}\n    return s + z * s * (1 - s)", of="z"),
    "softplus": Code("return np.logaddexp(0, z)  # log(1 + exp(z))", "return -np.expm1(-a)"),
    "softmax": Code(
        "e = np.exp(z - z.max(axis=1, keepdims=True))\n    return e / e.sum(axis=1, keepdims=True)",
        "return a * (d - (d * a).sum(axis=1, keepdims=True))  # each unit's share depends on all z",
        of="a, d",
    ),
}


class LossCode(NamedTuple):
    """The mean loss of outputs `a`, and its derivative by each of them."""

    value: str
    gradient: str


CLIPPED = f"p = np.clip(a, {CLIP}, 1 - {CLIP})"
LOSS_CODE = {
    "mse": LossCode("return np.mean((a - y) ** 2)", "return 2 * (a - y) / y.size"),
    "mae": LossCode("return np.mean(np.abs(a - y))", "return np.sign(a - y) / y.size"),
    "huber": LossCode(
        f"r = np.abs(a - y)\n    return np.mean(np.where(r <= {HUBER_DELTA}, 0.5 * r**2, {HUBER_DELTA} * (r - {0.5 * HUBER_DELTA})))",
        f"return np.clip(a - y, -{HUBER_DELTA}, {HUBER_DELTA}) / y.size",
    ),
    "binary_cross_entropy": LossCode(
        f"{CLIPPED}\n    return -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))",
        f"{CLIPPED}\n    return (p == a) * (p - y) / (p * (1 - p)) / y.size  # flat where it is clipped",
    ),
    "categorical_cross_entropy": LossCode(
        f"{CLIPPED}\n    return -np.sum(y * np.log(p)) / len(y)",
        f"{CLIPPED}\n    return -y / p * (p == a) / len(y)  # flat where it is clipped",
    ),
    "hinge": LossCode("return np.mean(np.maximum(0, 1 - y * a))", "return -y * (y * a < 1) / y.size"),
}

# (loss, output) that belong together -> the loss from the output's z, where nothing overflows, and its derivative by z
FUSED = {
    ("binary_cross_entropy", "sigmoid"): LossCode("return np.mean(np.logaddexp(0, z) - y * z)", "(a[{last}] - y) / y.size"),
    ("categorical_cross_entropy", "softmax"): LossCode(
        "z = z - z.max(axis=1, keepdims=True)\n    return np.sum(y * (np.log(np.exp(z).sum(axis=1, keepdims=True)) - z)) / len(y)",
        "(a[{last}] - y) / len(y)",
    ),
}


class UpdateCode(NamedTuple):
    """An optimizer's memory and what it does with each weight matrix and bias vector `name`; `once` goes before."""

    memory: tuple[str, ...]
    lines: tuple[str, ...]
    once: str = ""


STEP_OF_ROOT = "p[name] -= {rate} * g[name] / (np.sqrt(s[name]) + EPSILON)"
UPDATES = {
    "sgd": UpdateCode((), ("p[name] -= {rate} * g[name]",)),
    "momentum": UpdateCode(("v",), ("v[name] = MOMENTUM * v[name] - {rate} * g[name]", "p[name] += v[name]")),
    "nesterov": UpdateCode(
        ("v",), ("v[name] = MOMENTUM * v[name] - {rate} * g[name]", "p[name] += MOMENTUM * v[name] - {rate} * g[name]  # a look ahead")
    ),
    "adagrad": UpdateCode(("s",), ("s[name] += g[name] ** 2", STEP_OF_ROOT)),
    "rmsprop": UpdateCode(("s",), ("s[name] = RHO * s[name] + (1 - RHO) * g[name] ** 2", STEP_OF_ROOT)),
    "adam": UpdateCode(
        ("m", "v"),
        (
            "m[name] = BETA1 * m[name] + (1 - BETA1) * g[name]",
            "v[name] = BETA2 * v[name] + (1 - BETA2) * g[name] ** 2",
            "p[name] -= {rate} * correction * m[name] / (np.sqrt(v[name]) + EPSILON)",
        ),
        once="correction = (1 - BETA2**step) ** 0.5 / (1 - BETA1**step)  # m and v begin at zero",
    ),
}


def make(config, dataset, parameters, steps):
    """The script's bytes. It begins with the first weights, whatever `parameters` are now."""
    run = Run(config, dataset, steps)
    return pieces.script(
        run,
        "A neural network from scratch, in NumPy: a run of Descent.",
        "descent_run.py",
        "import numpy as np",
        *_activations(run),
        _forward(run),
        _loss(run),
        _penalty(run),
        _backward(run),
        _clip(run),
        pieces.schedule(run),
        _update(run),
        pieces.batches(run),
        _main(run),
    )


def _activations(run):
    names = [layer.activation for layer in run.config.layers]
    sloped = names[:-1] if run.fused(FUSED) else names
    for name in dict.fromkeys(names):
        code = ACTIVATIONS[name]
        if code:
            yield f"def {name}(z):\n    {code.value}"
            if name in sloped:
                yield f"def {name}_slope({code.of}):\n    {code.slope}"


def _forward(run):
    lines = []
    for layer, entry in enumerate(run.config.layers, 1):
        value = f"z[{layer}]" if entry.activation == "linear" else f"{entry.activation}(z[{layer}])"
        lines += [
            f'    z[{layer}] = a[{layer - 1}] @ p["W{layer}"] + p["b{layer}"]  # (samples, {entry.units})',
            f"    a[{layer}] = {value}",
        ]
    return f'''
def forward(p, X):
    """Weighted sums z and activations a of every layer, for samples X (samples, {run.sizes[0]})."""
    z, a = {{}}, {{0: X}}
{chr(10).join(lines)}
    return z, a
'''


def _loss(run):
    fused, code = run.fused(FUSED), LOSS_CODE[run.config.loss]
    penalty = " + penalty(p)" if run.penalized else ""
    of, values = ("z", "z, _") if fused else ("a", "_, a")
    gradient = "" if fused else f'\n\n\ndef loss_gradient(a, y):\n    """d loss / d a, of each output."""\n    {code.gradient}'
    return f'''
def loss({of}, y):
    """{pieces.plain(run.config.loss).capitalize()}, the mean over samples{_from(run)}."""
    {(fused or code).value}{gradient}


def evaluate(p, X, y):
    """The loss on these samples{", penalty included" if penalty else ""}."""
    {values} = forward(p, X)
    return loss({of}[{run.last}], y){penalty}
'''


def _from(run):
    over = " and outputs" if run.sizes[-1] > 1 and LOSSES[run.config.loss].over_outputs == "mean" else ""
    return over + (f", from the {run.output}'s z: its logarithm cannot overflow" if run.fused(FUSED) else "")


def _penalty(run):
    if not run.penalized:
        return ""
    l1, l2 = run.config.penalty.l1, run.config.penalty.l2
    cost = " + ".join(["L1 * np.abs(w).sum()"] * bool(l1) + ["L2 * (w**2).sum()"] * bool(l2))
    slope = " + ".join(["L1 * np.sign(p[name])"] * bool(l1) + ["2 * L2 * p[name]"] * bool(l2))
    return f'''
def penalty(p):
    """What large weights cost; biases are free."""
    weights = [w for name, w in p.items() if name.startswith("W")]
    return sum({cost} for w in weights)


def add_penalty(g, p):
    """Add its derivative to the gradient."""
    for name in g:
        if name.startswith("W"):
            g[name] += {slope}
'''


def _backward(run):
    return f'''
def backward({_backward_arguments(run)}):
    """The gradient: d loss / d W and d loss / d b of every layer. delta is d loss / d z, from the output back."""
    g = {{}}
{_backward_lines(run)}
    return g
'''


def _backward_lines(run):
    lines = [f"    delta = {_output_delta(run)}  # (samples, {run.sizes[-1]})"]
    for layer in range(run.last, 0, -1):
        if layer < run.last:
            lines.append(f"    delta = {_hidden_delta(run, layer)}  # (samples, {run.sizes[layer]})")
        inputs, units = run.sizes[layer - 1 : layer + 1]
        lines.append(f'    g["W{layer}"] = a[{layer - 1}].T @ delta  # ({inputs}, {units})')
        lines.append(f'    g["b{layer}"] = delta.sum(axis=0)')
    return "\n".join(lines)


def _backward_arguments(run, y="y"):
    """What its lines use; `y` is what the targets are called."""
    lines = _backward_lines(run)
    return ", ".join([*(name for name in ("p", "z", "a") if f"{name}[" in lines), y])


def _output_delta(run):
    last = run.last
    if fused := run.fused(FUSED):
        return fused.gradient.format(last=last)
    gradient, code = f"loss_gradient(a[{last}], y)", ACTIVATIONS[run.output]
    if code is None:
        return gradient
    if run.output == "softmax":
        return f"softmax_slope(a[{last}], {gradient})"
    return f"{gradient} * {run.output}_slope({code.of}[{last}])"


def _hidden_delta(run, layer):
    name = run.config.layers[layer - 1].activation
    back = f'delta @ p["W{layer + 1}"].T'
    return f"({back}) * {name}_slope({ACTIVATIONS[name].of}[{layer}])" if ACTIVATIONS[name] else back


def _clip(run):
    if not run.config.clip_norm:
        return ""
    return '''
def clip(g):
    """Shorten the whole gradient to CLIP_NORM if it is longer."""
    norm = sum(float((values**2).sum()) for values in g.values()) ** 0.5
    if norm > CLIP_NORM:
        for name in g:
            g[name] *= CLIP_NORM / norm
'''


def _update(run):
    code = UPDATES[run.config.optimizer.name]
    rate = "rate" if run.scheduled else "LEARNING_RATE"
    lines = [f"        {line.format(rate=rate)}" for line in code.lines]
    once = f"    {code.once}\n" if code.once else ""
    return f'''
def update({_update_arguments(run)}):
    """One update of all weights and biases by {pieces.plain(run.config.optimizer.name)}."""
{once}    for name in p:
{chr(10).join(lines)}
'''


def _update_arguments(run):
    code = UPDATES[run.config.optimizer.name]
    return ", ".join(["p", "g", *code.memory, *["step"] * bool(code.once), *["rate"] * run.scheduled])


def _main(run):
    memory = UPDATES[run.config.optimizer.name].memory
    zeros = "".join(f"    {name} = {{key: np.zeros_like(values) for key, values in p.items()}}\n" for name in memory)
    X, y = ("X", "y") if run.batches > 1 else ("X_train", "y_train")
    arguments = _backward_arguments(run, y)
    values = "z, a" if "z" in arguments.split(", ") else "_, a"
    penalty = "        add_penalty(g, p)\n" if run.penalized else ""
    clip = "        clip(g)\n" if run.config.clip_norm else ""
    return f"""
def main():
    {run.data_names} = data()
    p = first_parameters()
{zeros}{pieces.report(run, "evaluate(p, {}, {})")}
    report(0)
{pieces.order(run)}    for step in range(1, STEPS + 1):
{pieces.next_batch(run)}        {values} = forward(p, {X})
        g = backward({arguments})
{penalty}{clip}        update({_update_arguments(run).replace("rate", "learning_rate(step)")})
{pieces.printing(run)}"""
