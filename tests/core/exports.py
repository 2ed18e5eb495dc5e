"""Configurations that runs are exported of: every activation, loss, optimizer, schedule and initialisation there is."""

import numpy as np

from core.nn.activations import ACTIVATIONS
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES

SMALL = {"source": "moons", "samples": 40}


def _layers(*layers):
    return [{"units": units, "activation": name} for units, name in layers]


def _cases():
    for name in ACTIVATIONS:
        layers = _layers((5, name), (4, name), (1, "sigmoid"))
        yield f"hidden {name}", {"data": SMALL, "layers": layers, "init": {"scale": 0.2}, "optimizer": {"learning_rate": 0.003}}
    for loss in LOSSES:
        for output in ACTIVATIONS:
            yield (
                f"{loss} of {output}",
                {
                    "data": {"source": "blobs", "samples": 60},
                    "layers": _layers((5, "tanh"), (3, output)),
                    "loss": loss,
                    "batch_size": 8,
                    "optimizer": {"learning_rate": 0.01},
                },
            )
    for optimizer in OPTIMIZERS:
        for schedule in SCHEDULES:
            yield (
                f"{optimizer}, {schedule}",
                {
                    "data": {"source": "hills", "samples": 60},
                    "layers": _layers((5, "tanh"), (1, "linear")),
                    "optimizer": {"name": optimizer, "learning_rate": 0.01, "schedule": {"name": schedule, "steps": 20, "factor": 0.3}},
                    "penalty": {"l1": 1e-3, "l2": 1e-3},
                },
            )
    for weights in WEIGHT_INITIALIZERS:
        for bias in BIAS_INITIALIZERS:
            yield f"{weights}, {bias}", {"data": SMALL, "init": {"weights": weights, "scale": 0.7, "bias": bias, "bias_scale": 0.3}}
    yield "default", {}
    yield "clipped", {"clip_norm": 0.1}
    yield "clipped and penalized", {"clip_norm": 0.1, "penalty": {"l1": 0.01}, "optimizer": {"name": "adam"}}
    yield "only l2", {"data": SMALL, "penalty": {"l2": 0.01}}
    yield "full batch", {"data": SMALL, "batch_size": None}
    yield "a batch larger than the data", {"data": SMALL, "batch_size": 1000}
    yield "batches of one", {"data": SMALL, "batch_size": 1}
    yield "a ragged last batch", {"data": SMALL, "batch_size": 7, "seed": 3}
    yield "one layer", {"data": SMALL, "layers": _layers((1, "sigmoid"))}
    yield "nothing held back", {"data": {"source": "truth_table", "test_fraction": 0.0}}
    yield "features", {"data": {"source": "circle", "features": ["x1^2", "sin(x2)"], "scaling": "standard"}}
    yield "two outputs for two classes", {"data": SMALL, "layers": _layers((4, "relu"), (2, "softmax"))}
    yield "signed classes", {"data": SMALL, "layers": _layers((4, "relu"), (1, "tanh")), "loss": "hinge"}
    yield "table", {"data": {"source": "wine", "scaling": "minmax"}, "layers": _layers((6, "selu"), (3, "softmax"))}
    yield "regression", {"data": {"source": "diabetes", "target_scaling": "standard"}, "optimizer": {"learning_rate": 0.1}}
    yield "in order", {"data": SMALL, "batch_size": 7, "shuffle": False, "init": {"weights": "constant", "scale": 0.3}}
    yield "stopped early", {"data": {"source": "truth_table", "test_fraction": 0.0}, "stop": {"patience": 3, "min_delta": 0.01}}
    yield "stopped early by the test loss", {"data": SMALL, "stop": {"patience": 1, "min_delta": 0.001}, "batch_size": 4}
    yield "balanced", {"data": {"source": "breast_cancer", "scaling": "standard"}, "class_weight": "balanced"}
    yield "balanced signs", {"data": SMALL, "class_weight": "balanced", "layers": _layers((1, "tanh")), "loss": "mse"}
    yield "balanced classes", {"data": {"source": "wine", "scaling": "standard"}, "class_weight": "balanced", "batch_size": 7}
    yield "deep", {"data": SMALL, "layers": _layers(*[(3, "tanh")] * 15, (1, "sigmoid"))}


def _options(*options, output=None, **settings):
    """A run whose layers have more than units and activation."""
    layers = [{"units": 5, "activation": "tanh", **entry} for entry in options]
    output = {"units": 3, "activation": "softmax", **(output or {})}
    data = {"source": "wine", "scaling": "standard", "samples": 60}
    return {"data": data, "layers": [*layers, output], "batch_size": 7, **settings}


BATCH, LAYER, DROP = {"normalization": "batch"}, {"normalization": "layer"}, {"dropout": 0.3}
LAYERED = {
    "batch normalization": _options(BATCH, BATCH, penalty={"l1": 1e-3}),
    "layer normalization": _options(LAYER, {**LAYER, "activation": "gelu"}),
    "normalized output": _options({}, output=BATCH, loss="mse"),
    "dropout": _options(DROP, {"dropout": 0.6}, class_weight="balanced"),
    "dropout of all samples": _options(DROP, {}, batch_size=None),
    "everything": _options({**BATCH, **DROP, "bias": False}, {**LAYER, "dropout": 0.5, "activation": "softmax"}),
    "everything in float32": _options({**BATCH, **DROP, "bias": False}, LAYER, dtype="float32"),
    "everything, stopped early": _options({**BATCH, **DROP}, LAYER, stop={"patience": 2, "min_delta": 0.05}),
    "no biases": _options({"bias": False}, output={"bias": False}),
    "one without biases": _options({"bias": False}, {}),
    "first weights of its own": _options({"init": {"weights": "orthogonal"}}, {}, {"init": {"weights": "zeros", "bias": "normal"}}),
    "nothing random": _options({}, init={"weights": "constant", "scale": 0.1}, shuffle=False),
}


def _mixed(rng):
    """A configuration in which everything is mixed, sensible or not."""

    def one_of(*options):
        return options[rng.integers(len(options))]

    return {
        "data": {"source": "blobs", "samples": int(rng.integers(20, 60)), "test_fraction": one_of(0.0, 0.3), "seed": int(rng.integers(99))},
        "layers": _layers(*((int(rng.integers(1, 7)), one_of(*ACTIVATIONS)) for _ in range(rng.integers(4))), (3, one_of(*ACTIVATIONS))),
        "init": {"weights": one_of(*WEIGHT_INITIALIZERS), "bias": one_of(*BIAS_INITIALIZERS), "bias_scale": 0.1},
        "loss": one_of(*LOSSES),
        "optimizer": {"name": one_of(*OPTIMIZERS), "learning_rate": 0.003, "schedule": {"name": one_of(*SCHEDULES), "steps": 25}},
        "penalty": {"l1": one_of(0, 0, 0.001), "l2": one_of(0, 0, 0.01)},
        "batch_size": one_of(None, 1, 7, 16),
        "clip_norm": one_of(None, None, 0.3),
        "shuffle": one_of(True, True, False),
        "class_weight": one_of(None, "balanced"),
        "stop": one_of(None, None, {"patience": 2, "min_delta": 0.02}),
        "seed": int(rng.integers(99)),
    }


CASES = dict(_cases()) | {f"mixed {number}": _mixed(np.random.default_rng(number)) for number in range(40)}

FLOAT32 = {
    "float32": {"dtype": "float32"},
    "float32, digits": {
        "data": {"source": "digits", "scaling": "minmax"},
        "layers": _layers((9, "relu"), (10, "softmax")),
        "dtype": "float32",
    },
    "float32, adam": {"data": SMALL, "dtype": "float32", "optimizer": {"name": "adam", "schedule": {"name": "cosine"}}, "clip_norm": 1.0},
    "float32, gelu": {"data": SMALL, "dtype": "float32", "layers": _layers((4, "gelu"), (4, "leaky_relu"), (1, "sigmoid"))},
}
