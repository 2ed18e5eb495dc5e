"""Training loops as people write them, right ones and wrong ones, for the tests of the probe and of what is made of it."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np

from core import watch

PROBE = Path(__file__).parents[1] / "probe" / "descent_probe.py"
_spec = importlib.util.spec_from_file_location("descent_probe", PROBE)
descent_probe = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(descent_probe)

ACTIVATIONS = {
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(z.dtype)),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z, a: np.where(z > 0, 1.0, 0.01).astype(z.dtype)),
}


def watched(program, path, name="test", **settings):
    """The WatchedRun of what `program(probe, **settings)` tells."""
    probe = descent_probe.Probe(name, file=path)
    program(probe, **settings)
    probe.close()
    return watch.read(Path(path).read_bytes())


def told(program, path, **settings):
    """(the report on it, the WatchedRun)."""
    run = watched(program, path, **settings)
    return watch.report(run), run


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def perceptron(
    probe, sizes=(2, 8, 1), hidden="tanh", task="binary", optimizer="sgd", rate=0.1, steps=60, batch=40, rows=120, seed=0, after=False,
    form="dict", features_first=False, biases=True, dtype=float, bug=None, tell=("X", "Y", "outputs", "learning_rate"), scale=1.0,
    decay=0.0, clip=None, dropout=0.0, schedule=None, summed=False, labels="columns", say=False, gradients=True,
):  # fmt: skip
    """Any multi-layer perceptron, samples first inside. `bug` names what is wrong with it, `form` how its tensors are handed over."""
    rng = np.random.default_rng(seed)
    X, Y = _data(rng, rows, sizes, task, dtype)
    f, slope = ACTIVATIONS[hidden]
    layers = len(sizes) - 1
    W = [(scale * rng.normal(0, (2 / (a + b)) ** 0.5, (a, b))).astype(dtype) for a, b in itertools.pairwise(sizes)]
    b = [np.zeros((1, k), dtype) for k in sizes[1:]]
    if bug == "symmetric":
        W = [np.full_like(w, 0.3) for w in W]
    state, sums = {}, None
    output = {"binary": ACTIVATIONS["sigmoid"][0], "classes": _softmax, "regression": lambda z: z}[task]
    if bug == "softmax_over_samples":
        output = lambda z: _softmax(z.T).T  # noqa: E731
    for step in range(1, steps + 1):
        chosen = np.arange(rows) if batch is None else rng.choice(rows, batch, replace=False)
        x, y = X[chosen], Y[chosen]
        activations, zs, masks = [x], [], []
        for at in range(layers):
            z = activations[-1] @ W[at] + b[at]
            a = output(z) if at == layers - 1 else f(z)
            if dropout and at < layers - 1:
                masks.append((rng.random(a.shape) >= dropout) / (1 - dropout))
                a = a * masks[-1]
            activations.append(a.astype(dtype))
            zs.append(z)
        out = activations[-1]
        loss = _loss(task, out, y) * (len(x) if summed else 1)
        m = 1 if summed else len(x)
        delta = {"binary": out - y, "classes": out - y, "regression": 2 * (out - y) / out.shape[1]}[task]
        dW, db = [None] * layers, [None] * layers
        for at in range(layers - 1, -1, -1):
            share = 1 if bug == "missing_mean" and at == 0 else m
            dW[at] = activations[at].T @ delta / share
            db[at] = delta.sum(axis=0, keepdims=True) / m
            if bug == "scalar_bias":
                db[at] = np.asarray(delta.sum() / m)
            if at:
                delta = delta @ W[at].T
                if dropout:
                    delta = delta * masks[at - 1]
                if bug != "no_slope":
                    delta = delta * slope(zs[at - 1], activations[at])
        if bug == "sign":
            dW[0] = -dW[0]
        grads = [g for pair in zip(dW, db) for g in pair]
        if decay:
            for at, w in enumerate(W):
                grads[2 * at] = grads[2 * at] + decay * w
        if bug == "stale":
            sums = [g.copy() for g in grads] if sums is None else [s + g for s, g in zip(sums, grads)]
            grads = [g.copy() for g in sums]
        if clip:
            length = np.sqrt(sum((g**2).sum() for g in grads))
            grads = [g * min(1, clip / length) for g in grads]
        now = rate * (schedule(step) if schedule else 1)
        params = [p for pair in zip(W, b) for p in pair]
        told = _handed(params, grads, form, features_first, biases)
        extra = {"X": x, "Y": y, "outputs": out}
        if labels == "numbers":
            extra["Y"] = y.argmax(axis=1) if task == "classes" else y.ravel()
        if features_first:
            extra = {key: np.ascontiguousarray(np.asarray(value).T) for key, value in extra.items()}
        extra = {key: value for key, value in extra.items() if key in tell}
        if "learning_rate" in tell:
            extra["learning_rate"] = now
        if say:
            extra |= {"activations": [hidden] * (layers - 1) + [{"binary": "sigmoid", "classes": "softmax", "regression": "linear"}[task]]}
            extra |= {"loss_name": {"binary": "bce", "classes": "cross-entropy", "regression": "mse"}[task]}
        if not gradients:
            told = (told[0], None)
        if not after:
            probe.step(loss=float(loss), params=told[0], grads=told[1], **extra)
        if bug == "not_updated":
            W = [w.copy() for w in W]
        else:
            _update(params, grads, optimizer, now, state, step, bug, biases)
        if after:
            told = (_handed(params, grads, form, features_first, biases)[0], told[1])
            probe.step(loss=float(loss), params=told[0], grads=told[1], **extra)
    return loss


def _data(rng, rows, sizes, task, dtype):
    X = rng.normal(size=(rows, sizes[0]))
    if task == "regression":
        Y = np.sin(X[:, :1] * np.arange(1, sizes[-1] + 1)) + 0.3 * X[:, -1:]
    else:
        Y = (X[:, :1] * X[:, -1:] > 0).astype(float)
        if task == "classes":
            Y = np.eye(sizes[-1])[(rng.integers(sizes[-1], size=rows) * 0 + (X[:, 0] > 0) + (X[:, -1] > 0.5)) % sizes[-1]]
    return X.astype(dtype), Y.astype(dtype)


def _loss(task, out, y):
    if task == "regression":
        return np.mean((out - y) ** 2)
    if task == "binary":
        return -np.mean(y * np.log(out + 1e-12) + (1 - y) * np.log(1 - out + 1e-12))
    return -np.mean((y * np.log(out + 1e-12)).sum(axis=1))


def _handed(params, grads, form, features_first, biases):
    if features_first:
        params, grads = [p.T for p in params], [g if np.ndim(g) == 0 else g.T for g in grads]
    if not biases:
        params, grads = params[::2], grads[::2]
        return {"dict": ({f"W{n}": p for n, p in enumerate(params, 1)}, {f"dW{n}": g for n, g in enumerate(grads, 1)})}.get(
            form, (params, grads)
        )
    names = [f"{kind}{n}" for n in range(1, len(params) // 2 + 1) for kind in "Wb"]
    match form:
        case "dict":
            return dict(zip(names, params)), {f"d{name}": g for name, g in zip(names, grads)}
        case "flat":
            return [p if at % 2 == 0 else p.ravel() for at, p in enumerate(params)], [
                g if at % 2 == 0 else np.ravel(g) for at, g in enumerate(grads)
            ]
        case "pairs":
            return list(zip(params[::2], params[1::2])), list(zip(grads[::2], grads[1::2]))
        case "weights first":
            return [*params[::2], *params[1::2]], [*grads[::2], *grads[1::2]]
        case "objects":
            return [Layer(p, g) for p, g in zip(zip(params[::2], params[1::2]), zip(grads[::2], grads[1::2]))], None
    return params, grads


class Layer:
    """What a person's own layer looks like."""

    def __init__(self, params, grads):
        self.params = {"W": params[0], "b": params[1]}
        self.grads = {"W": grads[0], "b": grads[1]}


def _update(params, grads, optimizer, rate, state, step, bug, biases):
    for at, (p, g) in enumerate(zip(params, grads)):
        if (bug == "frozen_bias" or not biases) and at % 2:
            continue
        v = state.setdefault(at, [np.zeros_like(p), np.zeros_like(p)])
        sign = -1 if bug == "added_update" else 1
        match optimizer:
            case "sgd":
                p -= sign * rate * g
            case "momentum":
                v[0][:] = 0.9 * v[0] - rate * g
                p += v[0]
            case "nesterov":
                v[0][:] = 0.9 * v[0] - rate * g
                p += 0.9 * v[0] - rate * g
            case "weight decay":
                p -= rate * (g + (0.01 * p if at % 2 == 0 else 0))
            case "adam":
                v[0][:] = 0.9 * v[0] + 0.1 * g
                v[1][:] = 0.999 * v[1] + 0.001 * g * g
                p -= rate * (v[0] / (1 - 0.9**step)) / (np.sqrt(v[1] / (1 - 0.999**step)) + 1e-8)
            case "rmsprop":
                v[0][:] = 0.9 * v[0] + 0.1 * g * g
                p -= rate * g / (np.sqrt(v[0]) + 1e-8)
            case "adagrad":
                v[0] += g * g
                p -= rate * g / (np.sqrt(v[0]) + 1e-8)
