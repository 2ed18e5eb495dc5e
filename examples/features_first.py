"""One sample a column. Bug: np.sum without an axis makes the bias gradient one number for all units."""

import numpy as np
from descent_probe import Probe

rng = np.random.default_rng(2)
m = 150
X = rng.normal(size=(2, m))
labels = (X[0] * X[1] > 0).astype(int) + (X[0] > 1)
Y = np.eye(3)[labels].T


def relu(z):
    return np.maximum(z, 0)


def softmax(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


W1, b1 = rng.normal(size=(10, 2)), np.zeros((10, 1))
W2, b2 = rng.normal(size=(3, 10)) * 0.4, np.zeros((3, 1))
probe = Probe("features_first")
for _ in range(600):
    Z1 = W1 @ X + b1
    A1 = relu(Z1)
    A2 = softmax(W2 @ A1 + b2)
    cost = -np.sum(Y * np.log(A2)) / m
    dZ2 = A2 - Y
    dW2, db2 = dZ2 @ A1.T / m, np.sum(dZ2) / m
    dZ1 = W2.T @ dZ2 * (Z1 > 0)
    dW1, db1 = dZ1 @ X.T / m, np.sum(dZ1) / m
    probe.step(loss=cost, params=[W1, b1, W2, b2], grads=[dW1, db1, dW2, db2], X=X, Y=Y, outputs=A2, learning_rate=0.1)
    W1 = W1 - 0.1 * dW1
    b1 = b1 - 0.1 * db1
    W2 = W2 - 0.1 * dW2
    b2 = b2 - 0.1 * db2
print(f"cost {cost:.4f}")
