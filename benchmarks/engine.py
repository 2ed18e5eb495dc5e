"""The speed table: this engine, scikit-learn's MLP and, where it is installed, PyTorch, timed in turn in one process."""

from __future__ import annotations

import statistics
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from core.config import RunConfig
from core.training.trainer import Trainer

ROUNDS = 7
SECONDS = 0.3  # of each engine in each round


def _workload(source, layers, **settings):
    layers = [{"units": units, "activation": activation} for units, activation in layers]
    data = {"source": source, "test_fraction": 0.0, **settings.pop("data", {})}
    return RunConfig.from_dict({"data": data, "layers": layers, **settings})


def workloads():
    """name -> configuration."""
    return {
        "2-4-2-1 tanh, batch 10": _workload("xor", [(4, "tanh"), (2, "tanh"), (1, "tanh")], loss="mse", data={"samples": 250}),
        "2-8-8-8-1 relu, batch 32": _workload("circle", [(8, "relu")] * 3 + [(1, "sigmoid")], batch_size=32, data={"samples": 256}),
        "2-3-1 sigmoid, batch 4": _workload("xor", [(3, "sigmoid"), (1, "sigmoid")], batch_size=None, data={"samples": 4}),
        "12288-64-1 relu, batch 10": _workload("photo_ten", [(64, "relu"), (1, "sigmoid")], optimizer={"learning_rate": 0.005}),
        "768-5-12288 relu, batch 64": _workload("photo_upscale", [(5, "relu"), (12288, "linear")], batch_size=64, data={"samples": 256}),
        "64-64-64-10 relu, Adam, batch 64": _workload(
            "digits",
            [(64, "relu"), (64, "relu"), (10, "softmax")],
            batch_size=64,
            optimizer={"name": "adam", "learning_rate": 0.001},
            data={"scaling": "minmax", "samples": 1792},
        ),
    }


def table():
    """Rows (name, {engine: updates per second}, {engine: median ratio of this engine to it}), one workload at a time."""
    for name, config in workloads().items():
        engines = {"Descent": _descent(config), "scikit-learn": _scikit_learn(config)}
        if pytorch := _pytorch(config):
            engines["PyTorch"] = pytorch
        rounds = [{engine: _rate(train) for engine, train in engines.items()} for _ in range(ROUNDS)]
        rates = {engine: statistics.median(entry[engine] for entry in rounds) for engine in engines}
        ratios = {engine: statistics.median(entry["Descent"] / entry[engine] for entry in rounds) for engine in engines}
        yield name, rates, ratios


def main():
    """Print the table, row by row."""
    print(f"{'updates per second (times slower than Descent)':<36}{'Descent':>12}{'scikit-learn':>22}{'PyTorch':>22}")
    for name, rates, ratios in table():
        others = (
            f"{rates[engine]:,.0f} ({ratios[engine]:.1f}x)" if engine in rates else "not installed"
            for engine in ("scikit-learn", "PyTorch")
        )
        print(f"{name:<36}{rates['Descent']:>12,.0f}" + "".join(f"{other:>22}" for other in others), flush=True)


def _rate(train):
    """Updates per second of processor time; `train(n)` makes at least n updates and says how many."""
    done, updates, began = 0, 1, time.process_time()
    while (elapsed := time.process_time() - began) < SECONDS:
        if done:
            updates = max(1, int(done / elapsed * min(SECONDS - elapsed, SECONDS / 3)))
        done += train(updates)
    return done / elapsed


def _descent(config):
    trainer = Trainer(config).advance(1000 if config.data.source in ("xor", "circle") else 50)

    def train(updates):
        trainer.advance(updates)
        return updates

    return train


def _scikit_learn(config):
    """Its own `fit`, over as many epochs as make the updates: less overhead than partial_fit."""
    trainer = Trainer(config)
    kind = MLPRegressor if trainer.dataset.task == "regression" or config.loss == "mse" else MLPClassifier
    x, y = trainer.dataset.train.inputs, trainer.dataset.train.targets
    network = kind(
        hidden_layer_sizes=[layer.units for layer in config.layers[:-1]],
        activation={"sigmoid": "logistic"}.get(config.layers[0].activation, config.layers[0].activation),
        solver=config.optimizer.name,
        momentum=0.0,
        learning_rate_init=config.optimizer.learning_rate,
        batch_size=trainer.batches.size,
        alpha=0.0,
        tol=0.0,
        n_iter_no_change=10**9,
        shuffle=False,
    )

    def train(updates):
        network.max_iter = max(1, updates // len(trainer.batches))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(x, y)
        return network.max_iter * len(trainer.batches)

    return train


def _pytorch(config):
    """The usual eager loop; None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    trainer = Trainer(config)
    dtype = getattr(torch, config.dtype)
    modules = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}
    layers, inputs = [], trainer.dataset.inputs
    for layer in config.layers[:-1]:
        layers += [torch.nn.Linear(inputs, layer.units, dtype=dtype), modules[layer.activation]()]
        inputs = layer.units
    layers.append(torch.nn.Linear(inputs, config.layers[-1].units, dtype=dtype))
    if config.loss == "mse" and config.layers[-1].activation in modules:
        layers.append(modules[config.layers[-1].activation]())
    network = torch.nn.Sequential(*layers)
    loss = {
        "mse": torch.nn.MSELoss,
        "binary_cross_entropy": torch.nn.BCEWithLogitsLoss,
        "categorical_cross_entropy": torch.nn.CrossEntropyLoss,
    }
    criterion = loss[config.loss]()
    kind = torch.optim.Adam if config.optimizer.name == "adam" else torch.optim.SGD
    optimizer = kind(network.parameters(), lr=config.optimizer.learning_rate)
    pairs = [trainer.batches[index] for index in range(len(trainer.batches))]
    batches = [(torch.tensor(np.ascontiguousarray(x[:-1].T)), torch.tensor(np.ascontiguousarray(y.T))) for x, y in pairs]

    def train(updates):
        for update in range(updates):
            x, y = batches[update % len(batches)]
            optimizer.zero_grad()
            criterion(network(x), y).backward()
            optimizer.step()
        return updates

    return train


if __name__ == "__main__":
    main()
