"""An Elman network that learns to say the running sign of a sum. No bug."""

import numpy as np
from descent_probe import Probe

rng = np.random.default_rng(4)
units, length, rate = 16, 8, 0.05
params = {
    "Wx": rng.normal(0, 0.5, (1, units)),
    "Wh": np.linalg.qr(rng.normal(size=(units, units)))[0] * 0.9,
    "bh": np.zeros(units),
    "Wy": rng.normal(0, 0.2, (units, 1)),
    "by": np.zeros(1),
}
probe = Probe("recurrent")
for _ in range(500):
    x = rng.normal(size=(32, length, 1))
    target = (x.sum(axis=1) > 0).astype(float)
    states = [np.zeros((32, units))]
    for time in range(length):
        states.append(np.tanh(x[:, time] @ params["Wx"] + states[-1] @ params["Wh"] + params["bh"]))
    output = 1 / (1 + np.exp(-(states[-1] @ params["Wy"] + params["by"])))
    loss = -np.mean(target * np.log(output + 1e-12) + (1 - target) * np.log(1 - output + 1e-12))
    grads = {name: np.zeros_like(array) for name, array in params.items()}
    delta = (output - target) / 32
    grads["Wy"], grads["by"] = states[-1].T @ delta, delta.sum(axis=0)
    back = delta @ params["Wy"].T
    for time in range(length - 1, -1, -1):
        back = back * (1 - states[time + 1] ** 2)
        grads["Wx"] += x[:, time].T @ back
        grads["Wh"] += states[time].T @ back
        grads["bh"] += back.sum(axis=0)
        back = back @ params["Wh"].T
    for name in params:
        params[name] -= rate * grads[name]
    probe.step(loss=loss, params=params, grads=grads, learning_rate=rate)
print(f"loss {loss:.4f}")
