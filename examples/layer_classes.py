"""A small library of one's own: layers with params and grads. No bug."""

import numpy as np
from descent_probe import Probe

rng = np.random.default_rng(1)


class Dense:
    def __init__(self, inputs, units):
        self.params = {"W": rng.normal(0, np.sqrt(2 / inputs), (inputs, units)), "b": np.zeros((1, units))}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, grad):
        self.grads = {"W": self.x.T @ grad, "b": grad.sum(axis=0, keepdims=True)}
        return grad @ self.params["W"].T


class ReLU:
    params, grads = {}, {}

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


X = rng.normal(size=(120, 3))
y = (X[:, :1] * X[:, 1:2] + 0.5 * X[:, 2:]) + rng.normal(0, 0.05, (120, 1))
layers = [Dense(3, 16), ReLU(), Dense(16, 16), ReLU(), Dense(16, 1)]
probe = Probe("layer_classes")
for _ in range(500):
    output = X
    for layer in layers:
        output = layer.forward(output)
    loss = np.mean((output - y) ** 2)
    grad = 2 * (output - y) / len(X)
    for layer in reversed(layers):
        grad = layer.backward(grad)
    for layer in layers:
        for name in layer.params:
            layer.params[name] -= 0.05 * layer.grads[name]
    probe.step(loss=loss, params=layers, X=X, Y=y, outputs=output, loss_name="mse", learning_rate=0.05)
print(f"loss {loss:.4f}")
