"""Mini-batches and Adam, a list of (W, b) pairs. No bug."""

import numpy as np
from descent_probe import Probe

rng = np.random.default_rng(3)
X = rng.uniform(-3, 3, (600, 1))
y = np.sin(X)
sizes = [1, 24, 24, 1]
network = [(rng.normal(0, 1 / np.sqrt(a), (a, b)), np.zeros(b)) for a, b in zip(sizes[:-1], sizes[1:])]
m = [(np.zeros_like(W), np.zeros_like(b)) for W, b in network]
v = [(np.zeros_like(W), np.zeros_like(b)) for W, b in network]
rate, beta1, beta2, t = 0.005, 0.9, 0.999, 0
probe = Probe("minibatch_adam")
for epoch in range(20):
    order = rng.permutation(len(X))
    for start in range(0, len(X), 32):
        x, target = X[order[start : start + 32]], y[order[start : start + 32]]
        activations = [x]
        for at, (W, b) in enumerate(network):
            z = activations[-1] @ W + b
            activations.append(np.tanh(z) if at < len(network) - 1 else z)
        error = activations[-1] - target
        loss = (error**2).mean()
        delta, grads = 2 * error / len(x), []
        for at in range(len(network) - 1, -1, -1):
            grads.insert(0, (activations[at].T @ delta, delta.sum(axis=0)))
            if at:
                delta = delta @ network[at][0].T * (1 - activations[at] ** 2)
        probe.step(loss=loss, params=network, grads=grads, X=x, Y=target, outputs=activations[-1], activations=activations[1:-1])
        t += 1
        for pair, gradients, means, squares in zip(network, grads, m, v):
            for p, g, mean, square in zip(pair, gradients, means, squares):
                mean[:] = beta1 * mean + (1 - beta1) * g
                square[:] = beta2 * square + (1 - beta2) * g**2
                p -= rate * (mean / (1 - beta1**t)) / (np.sqrt(square / (1 - beta2**t)) + 1e-8)
print(f"loss {loss:.5f}")
