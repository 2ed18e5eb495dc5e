"""A watched perceptron as a run of Descent: network, training, the rows that were kept, and the weights that its twin starts from."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.nn.optimizers import OPTIMIZERS
from core.watch.twin import STEPS

if TYPE_CHECKING:
    from core.watch.history import WatchedRun
    from core.watch.twin import Twin

SCALED_BY_GRADIENT = ("sgd", "momentum", "nesterov")  # where a loss that is summed and not averaged comes to a larger rate
PLAIN_RATE = 0.01  # where the program told none


@dataclass(frozen=True)
class Rebuilt:
    """`config` is that of a RunConfig, but for `data.path`; `table` the bytes of its file, an NPZ; `parameters` the first weights, in the
    shapes of Trainer.parameters()."""

    config: dict[str, Any]
    table: bytes
    parameters: dict[str, np.ndarray]


def rebuilt(run: WatchedRun, twin: Twin) -> Rebuilt:
    """The Rebuilt of a WatchedRun, as its Twin begins."""
    network, plan = twin.perceptron, twin.perceptron.plan
    steps = [step for step in run.whole.values() if step.step >= twin.start][:STEPS]
    batches = [
        given for step in steps if step.X is not None and step.Y is not None and (given := network.given(step.params, step.X, step.Y))
    ]
    rows = np.hstack([np.vstack([given["activation", 0], given["labels", plan.last]]) for given in batches]).T
    rows = rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
    X, Y = np.split(rows, [plan.sizes[0]], axis=1)
    file = io.BytesIO()
    np.savez(file, X=X, y=Y if plan.sizes[-1] > 1 else Y[:, 0])
    first, size = batches[0], batches[0]["activation", 0].shape[1]
    name = twin.rule if twin.rule in OPTIMIZERS else "sgd"
    rate = steps[0].learning_rate if np.isfinite(steps[0].learning_rate) and steps[0].learning_rate > 0 else PLAIN_RATE
    if name in SCALED_BY_GRADIENT:
        rate *= abs(network.factor or 1.0)
    classes = (-1.0, 1.0) if plan.activations[-1] == "tanh" or plan.loss == "hinge" else (0.0, 1.0)
    config = {
        "data": {
            "source": "file", "samples": len(rows), "test_fraction": 0.0,
            "task": "classification" if set(np.unique(Y)) == set(classes) else "regression",
        },
        "layers": [
            {"units": units, "activation": activation, "bias": layer.bias is not None}
            for units, activation, layer in zip(plan.sizes[1:], plan.activations, network.layers)
        ],
        "loss": plan.loss,
        "optimizer": {"name": name, "learning_rate": float(rate)},
        "batch_size": size if size < len(rows) else None,
    }  # fmt: skip
    parameters = {f"W{number}": first["W", number].T for number in range(1, plan.last + 1)}
    parameters |= {f"b{number}": first["b", number][:, 0] for number in range(1, plan.last + 1)}
    return Rebuilt(config, file.getvalue(), parameters)
