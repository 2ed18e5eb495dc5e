"""Two moons with functions and a dict. Bug: the error goes back through the hidden layer without the slope of tanh."""

import numpy as np
from descent_probe import Probe

rng = np.random.default_rng(0)
t = rng.uniform(0, np.pi, 200)
X = np.vstack([np.c_[np.cos(t), np.sin(t)][:100], np.c_[1 - np.cos(t), 0.5 - np.sin(t)][100:]]) + rng.normal(0, 0.1, (200, 2))
y = np.r_[np.zeros(100), np.ones(100)].reshape(-1, 1)


def forward(params, X):
    hidden = np.tanh(X @ params["W1"] + params["b1"])
    return hidden, 1 / (1 + np.exp(-(hidden @ params["W2"] + params["b2"])))


def backward(params, X, y, hidden, output):
    delta = (output - y) / len(X)
    back = delta @ params["W2"].T  # here * (1 - hidden**2) is missing
    return {"dW1": X.T @ back, "db1": back.sum(axis=0), "dW2": hidden.T @ delta, "db2": delta.sum(axis=0)}


params = {"W1": rng.normal(0, 0.7, (2, 8)), "b1": np.zeros(8), "W2": rng.normal(0, 0.7, (8, 1)), "b2": np.zeros(1)}
learning_rate = 0.5
probe = Probe("numpy_functions")
for _ in range(400):
    hidden, output = forward(params, X)
    loss = -np.mean(y * np.log(output) + (1 - y) * np.log(1 - output))
    grads = backward(params, X, y, hidden, output)
    probe.step(loss=loss, params=params, grads=grads, X=X, Y=y, outputs=output, learning_rate=learning_rate)
    for name in params:
        params[name] -= learning_rate * grads["d" + name]
print(f"loss {loss:.4f}")
