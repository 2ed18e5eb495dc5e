"""Backprop in plain NumPy as people write it, samples first, with the mistakes written in by hand: independent of core/.

`Program` makes a network, a batch and the conventions its author keeps to, from a seed. `gradients(bugs)` runs it with mistakes in it;
`arrays(...)` is what its author would save.
"""

from __future__ import annotations

import itertools

import numpy as np

SELU_A, SELU_S = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
GELU_K = np.sqrt(2 / np.pi)


def sigmoid(z):
    return 1 / (1 + np.exp(-np.clip(z, -500, 500)))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def gelu_slope(z):
    t = np.tanh(GELU_K * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * GELU_K * (1 + 3 * 0.044715 * z**2)


F = {
    "linear": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "selu": lambda z: SELU_S * np.where(z > 0, z, SELU_A * (np.exp(np.minimum(z, 0)) - 1)),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(GELU_K * (z + 0.044715 * z**3))),
    "silu": lambda z: z * sigmoid(z),
    "softplus": lambda z: np.logaddexp(0, z),
    "exponential": np.exp,
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "softmax": softmax,
}
SLOPE = {
    "linear": np.ones_like,
    "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0).astype(z.dtype),
    "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
    "elu": lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    "selu": lambda z: SELU_S * np.where(z > 0, 1, SELU_A * np.exp(np.minimum(z, 0))),
    "gelu": gelu_slope,
    "silu": lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    "softplus": sigmoid,
    "exponential": np.exp,
    "hard_tanh": lambda z: (abs(z) < 1).astype(z.dtype),
    "softmax": lambda z: softmax(z) * (1 - softmax(z)),
}
SLOPE_FROM_OUTPUT = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a**2,
    "elu": lambda a: np.where(a > 0, 1, a + 1),
    "selu": lambda a: np.where(a > 0, SELU_S, a + SELU_S * SELU_A),
    "softplus": lambda a: 1 - np.exp(-a),
}
HIDDEN = [name for name in F if name != "softmax"]
DRAWN = [name for name in HIDDEN if name not in ("exponential", "hard_tanh")]  # by a program that is not told which


def binary(a, y, eps=1e-7):
    p = np.clip(a, eps, 1 - eps)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def binary_gradient(a, y, eps=1e-7):
    p = np.clip(a, eps, 1 - eps)
    return (p - y) / (p * (1 - p)) * (p == a)


VALUE = {
    "mse": lambda a, y: (a - y) ** 2,
    "mae": lambda a, y: abs(a - y),
    "huber": lambda a, y: np.where(abs(a - y) <= 1, (a - y) ** 2 / 2, abs(a - y) - 0.5),
    "binary_cross_entropy": binary,
    "categorical_cross_entropy": lambda a, y: -y * np.log(np.clip(a, 1e-7, 1)),
    "hinge": lambda a, y: np.maximum(0, 1 - a * y),
}
GRADIENT = {
    "mse": lambda a, y: 2 * (a - y),
    "mae": lambda a, y: np.sign(a - y),
    "huber": lambda a, y: np.clip(a - y, -1, 1),
    "binary_cross_entropy": binary_gradient,
    "categorical_cross_entropy": lambda a, y: -y / np.clip(a, 1e-7, 1) * (a >= 1e-7) * (a <= 1 - 1e-7),
    "hinge": lambda a, y: -y * (a * y < 1),
}
OUTPUTS = {
    "mse": ["linear", "sigmoid", "tanh", "relu", "softmax", "elu", "softplus"],
    "mae": ["linear", "tanh", "gelu"],
    "huber": ["linear", "silu", "leaky_relu"],
    "binary_cross_entropy": ["sigmoid", "sigmoid", "sigmoid", "tanh"],
    "categorical_cross_entropy": ["softmax", "softmax", "softmax", "sigmoid"],
    "hinge": ["linear", "tanh"],
}
CROSS_ENTROPY = {("binary_cross_entropy", "sigmoid"), ("categorical_cross_entropy", "softmax")}


class Program:
    """A person's program: `sizes`, `acts`, `loss`, batch, parameters, dtype and conventions, all from one seed."""

    def __init__(self, seed, **fixed):
        rng = self.rng = np.random.default_rng(seed)
        self.dtype = fixed.get("dtype", rng.choice([np.float64, np.float64, np.float32]))
        self.loss = str(fixed.get("loss", rng.choice(list(OUTPUTS))))
        output = fixed.get("output", str(rng.choice(OUTPUTS[self.loss])))
        several = output == "softmax" or self.loss == "categorical_cross_entropy"
        k = int(rng.integers(2, 6)) if several else int(rng.choice([1, 1, 1, 2, 3]))
        depth = fixed.get("depth", int(rng.integers(0, 5)))
        width = int(rng.integers(2, 13))
        widths = [width if rng.random() < 0.5 else int(rng.integers(1, 13)) for _ in range(depth)]
        self.sizes = fixed.get("sizes", [width if rng.random() < 0.3 else int(rng.integers(1, 9)), *widths, k])
        self.acts = [fixed.get("hidden") or str(rng.choice(DRAWN)) for _ in self.sizes[1:-1]] + [output]
        self.layers = range(1, len(self.sizes))
        self.m = fixed.get("m", int(rng.choice([2, 3, 5, 8, 10, 16, 32, 64])))
        self.fused = (self.loss, output) in CROSS_ENTROPY
        self._fill(fixed)
        self.summed = fixed.get("summed", rng.random() < 0.15)
        self.over_outputs = self.loss == "categorical_cross_entropy" or rng.random() < 0.4
        self.half = self.loss == "mse" and rng.random() < 0.4
        self.above_kink = fixed.get("above_kink", False)
        self.guard, self.epsilon = fixed.get("guard"), fixed.get("epsilon", 1e-8)  # of logarithms: clip, add or None
        self.l2, self.penalty = fixed.get("l2"), fixed.get("penalty", 2.0)
        self.lr = self.dtype(10 ** rng.uniform(-2, 0))

    def _fill(self, fixed):
        rng, sizes, last = self.rng, self.sizes, self.acts[-1]
        scale = fixed.get("scale", rng.choice([0.5, 1, 1, 2]))
        self.X = (fixed.get("inputs", 1) * rng.normal(size=(self.m, sizes[0]))).astype(self.dtype)
        k = sizes[-1]
        if self.loss == "hinge":
            Y = rng.choice([-1, 1], size=(self.m, k))
        elif self.loss == "categorical_cross_entropy" or last == "softmax":
            Y = np.eye(k)[rng.integers(0, k, self.m)]
        elif self.loss == "binary_cross_entropy" or last == "sigmoid":
            Y = rng.integers(0, 2, size=(self.m, k))
        else:
            Y = rng.normal(size=(self.m, k))
        self.Y = Y.astype(self.dtype)
        self.W = {i: (scale * rng.normal(size=(sizes[i - 1], sizes[i])) / np.sqrt(sizes[i - 1])).astype(self.dtype) for i in self.layers}
        self.b = {i: (0.3 * rng.normal(size=(1, sizes[i]))).astype(self.dtype) for i in self.layers}

    # The program

    def forward(self, W=None, b=None):
        W, b = W or self.W, b or self.b
        self.a, self.z = {0: self.X}, {0: self.X}
        for i in self.layers:
            self.z[i] = self.a[i - 1] @ W[i] + b[i]
            self.a[i] = F[self.acts[i - 1]](self.z[i]).astype(self.dtype)
        return self.a[self.layers[-1]]

    def loss_value(self):
        values = VALUE[self.loss](self.forward().astype(float), self.Y)
        divisor = (1 if self.summed else self.m) * (1 if self.over_outputs else self.sizes[-1]) * (2 if self.half else 1)
        return float(values.sum() / divisor)

    def slope(self, i):
        z, name = self.z[i], self.acts[i - 1]
        if self.above_kink and name in ("relu", "leaky_relu", "selu"):
            return np.where(z == 0, SLOPE[name](np.ones_like(z)), SLOPE[name](z))
        return SLOPE[name](z)

    def gradients(self, bugs=None, W=None, b=None):
        """({layer: dW}, {layer: db}) with `bugs` {mistake: layers} in them."""
        bugs, L = bugs or {}, self.layers[-1]

        def has(bug, i):
            return i in bugs.get(bug, ())

        with np.errstate(all="ignore"):
            W = W or self.W
            self.forward(W, b)
            dW, db, backward, delta = {}, {}, dict(W), None
            for i in reversed(self.layers):
                error = None if i == L else self.error_from(i, delta, backward, has)
                delta = self.output_delta(has) if i == L else self.hidden_delta(i, delta, backward, has)
                if has("sign_flip/delta", i):
                    delta = -delta
                m = 1 if self.summed else self.m
                source = self.a[i - 1]
                if has("wrong_layer_input", i):
                    source = np.broadcast_to(self.a[i], source.shape)
                if has("wrong_layer_input/z", i):
                    source = self.z[i - 1]
                if has("wrong_layer_input/before", i):
                    source = np.broadcast_to(self.a[i - 2], source.shape)
                dW[i], db[i] = source.T @ delta / m, delta.sum(axis=0, keepdims=True) / m
                if has("weights_for_activations", i):
                    dW[i] = W[i] * delta.sum(axis=0, keepdims=True) / m
                if has("bias_slope_at_bias", i):
                    db[i] = (error * SLOPE[self.acts[i - 1]](self.b[i])).sum(axis=0, keepdims=True) / m
                if has("stray_factor", i):
                    dW[i], db[i] = 2 * dW[i], 2 * db[i]
                if has("missing_mean", i) or has("missing_mean/weights", i):
                    dW[i] = source.T @ delta
                if has("missing_mean", i) or has("bias_not_averaged", i):
                    db[i] = delta.sum(axis=0, keepdims=True)
                if has("double_mean", i):
                    dW[i], db[i] = dW[i] / self.m, db[i] / self.m
                if has("sign_flip", i):
                    dW[i], db[i] = -dW[i], -db[i]
                if has("sign_flip/weights", i):
                    dW[i] = -dW[i]
                if has("bias_gradient_missing", i):
                    db[i] = 0 * db[i]
                if has("bias_gradient_summed_over_units", i):
                    db[i] = db[i].sum(keepdims=True)
                if has("bias_gradient_summed_over_units/spread", i):
                    db[i] = np.full_like(db[i], db[i].sum())
                if self.l2:
                    dW[i] = dW[i] + self.dtype(self.penalty * self.l2) * W[i]
                if has("update_before_backprop", i):
                    backward[i] = W[i] - self.lr * dW[i]
        return {i: g.astype(self.dtype) for i, g in dW.items()}, {i: g.astype(self.dtype) for i, g in db.items()}

    def in_all_conventions(self, bugs, value=None):
        """Gradients with these mistakes under all means and sums, those that give this loss value if it is known; of squared
        errors also without the 2."""
        kept = self.summed, self.over_outputs, self.half
        for self.summed, self.over_outputs, self.half in itertools.product((False, True), repeat=3):
            possible = all(self.possible(bug, i) for bug, layers in bugs.items() for i in layers)
            fits = value is None or np.isclose(
                self.loss_value() * (1 if self.half == kept[2] else 2 if self.half else 0.5), value, rtol=1e-3
            )
            if possible and fits and (self.loss == "mse" or self.half == kept[2]):
                yield self.gradients(bugs)
        self.summed, self.over_outputs, self.half = kept

    def output_delta(self, has):
        i, name = self.layers[-1], self.acts[-1]
        a, y = self.a[i], self.Y
        if has("labels_broadcast", i):
            y = np.full_like(y, y.mean())
        factor = 1 if self.over_outputs or has("sum_over_outputs", i) else 1 / self.sizes[-1]
        factor = self.dtype(factor * (0.5 if self.half else 1))
        G = self.guarded_gradient(a, y) if self.guard else GRADIENT[self.loss](a, y)
        if has("no_output_derivative", i):
            return G * factor
        if has("softmax_derivative_elementwise", i):
            return G * a * (1 - a) * factor
        if has("derivative_of_activation", i):
            return G * SLOPE[name](a) * factor
        if has("output_derivative_of_z", i):
            return G * SLOPE_FROM_OUTPUT[name](self.z[i]) * factor
        if self.fused and not self.guard:
            delta = a - y
        elif name == "softmax":
            delta = a * (G - (G * a).sum(axis=1, keepdims=True))
        else:
            delta = G * self.slope(i)
        return delta * factor * (a * (1 - a) if has("extra_output_derivative", i) else 1)

    def guarded_gradient(self, a, y):
        """Cross-entropy's gradient with an epsilon, as people keep its logarithms from zero."""
        eps = self.dtype(self.epsilon)
        p, q = (np.clip(a, eps, 1 - eps), np.clip(1 - a, eps, 1 - eps)) if self.guard == "clip" else (a + eps, 1 - a + eps)
        return -y / p + ((1 - y) / q if self.loss == "binary_cross_entropy" else 0)

    def error_from(self, i, delta, W, has):
        """The error that layer `i` gets from the next one."""
        if has("output_derivative_not_sent_back", i):
            delta = delta / self.slope(i + 1)
        return delta @ (W[i + 1] if has("untransposed_weights", i) else W[i + 1].T)

    def hidden_delta(self, i, delta, W, has):
        slope, name = self.slope(i), self.acts[i - 1]
        if has("derivative_before_weights", i):
            product = delta * (slope @ W[i + 1])
            return product if self.sizes[i] == self.sizes[i + 1] else np.repeat(product.sum(axis=1, keepdims=True), self.sizes[i], axis=1)
        if has("derivative_before_weights/transposed", i):
            return delta * (slope @ W[i + 1].T)
        if has("derivative_of_activation", i):
            slope = SLOPE[name](self.a[i])
        if has("output_derivative_of_z", i):
            slope = SLOPE_FROM_OUTPUT[name](self.z[i])
        if has("wrong_layer_derivative", i):
            slope = SLOPE[self.acts[i]](self.z[i + 1])
        if has("wrong_layer_derivative/own", i):
            slope = SLOPE[name](self.z[i + 1])
        if has("wrong_layer_derivative/before", i):
            slope = SLOPE[self.acts[i - 2]](self.z[i - 1])
        if has("no_hidden_derivative", i):
            slope = np.ones_like(slope)
        return self.error_from(i, delta, W, has) * slope

    # What it saves

    def possible(self, bug, i):
        """Whether the mistake can be written in layer `i` so that NumPy runs it."""
        L, name, sizes = self.layers[-1], self.acts[i - 1], self.sizes
        hidden, square = i < L, i < L and sizes[i] == sizes[i + 1]
        return {
            "bias_not_averaged": not self.summed,
            "missing_mean": not self.summed,
            "missing_mean/weights": not self.summed,
            "bias_gradient_summed_over_units": sizes[i] > 1,
            "bias_gradient_summed_over_units/spread": sizes[i] > 1,
            "bias_slope_at_bias": hidden and name != "linear",
            "output_derivative_not_sent_back": hidden and self.acts[i] not in ("linear", "softmax") and not (i + 1 == L and self.fused),
            "no_hidden_derivative": hidden and name != "linear",
            "no_output_derivative": not hidden and name != "linear",
            "extra_output_derivative": not hidden and self.fused,
            "derivative_of_activation": name not in ("linear", "softmax"),
            "output_derivative_of_z": name in SLOPE_FROM_OUTPUT,
            "derivative_before_weights": hidden,
            "derivative_before_weights/transposed": square,
            "wrong_layer_derivative": hidden and (square or sizes[i + 1] == 1),
            "wrong_layer_derivative/own": hidden and (square or sizes[i + 1] == 1),
            "wrong_layer_derivative/before": hidden and i > 1 and sizes[i - 1] in (sizes[i], 1),
            "untransposed_weights": square,
            "wrong_layer_input": sizes[i] in (sizes[i - 1], 1),
            "wrong_layer_input/z": i > 1,
            "wrong_layer_input/before": i > 1 and sizes[i - 2] in (sizes[i - 1], 1),
            "softmax_derivative_elementwise": name == "softmax",
            "sum_over_outputs": not hidden and not self.over_outputs and sizes[-1] > 1,
            "labels_broadcast": not hidden and sizes[-1] == 1 and self.loss in ("mse", "binary_cross_entropy"),
            "update_before_backprop": i > 1,
        }.get(bug, True)

    def arrays(self, dW, db, after=None, loss_value=None, form=None):
        """The arrays of RUN.npz in an orientation and shapes of the author's own (`form`: a seed)."""
        rng = np.random.default_rng(form)
        columns, units_first, shape = rng.random() < 0.5, rng.random() < 0.5, rng.integers(3)
        k, m = self.sizes[-1], self.m
        Y = self.Y.T if columns else self.Y
        one_hot = k > 1 and (self.Y.sum(axis=1) == 1).all() and ((self.Y == 0) | (self.Y == 1)).all()
        if k == 1 and rng.random() < 0.5:
            Y = self.Y.ravel()
        elif one_hot and m != k and m > 1 and rng.random() < 0.3:
            Y = self.Y.argmax(axis=1)
        found = {"X": self.X.T if columns else self.X, "Y": Y, "activations": np.array(self.acts), "loss": np.array(self.loss)}

        def bias(array):
            return [array.reshape(-1), array.reshape(-1, 1), array.reshape(1, -1)][shape]

        def weights(array):
            return array.T if units_first else array

        for i in self.layers:
            found |= {f"W{i}": weights(self.W[i]), f"b{i}": bias(self.b[i]), f"dW{i}": weights(dW[i]), f"db{i}": bias(db[i])}
            if after:
                found |= {f"W{i}_next": weights(after[0][i]), f"b{i}_next": bias(after[1][i])}
        if after or rng.random() < 0.5:
            found["learning_rate"] = np.array(self.lr)
        if self.l2:
            found["l2"] = np.array(self.l2)
        if loss_value is not None:
            found["loss_value"] = np.array(loss_value)
        return found
