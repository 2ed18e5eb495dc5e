"""What the data alone says about a run: how well an output that ignores its inputs can do, and how large the numbers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import encoded_targets
from core.nn.losses import LOSSES

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.data.dataset import Dataset


@dataclass(frozen=True)
class Baseline:
    """`loss` and `metric` of the best constant output on the training part; `input_size` and `target_size` root mean square."""

    loss: float
    metric: float
    input_size: float
    target_size: float


def baseline(config: RunConfig, dataset: Dataset) -> Baseline:
    """The Baseline of a configuration's loss on a Dataset."""
    output, loss = config.layers[-1], LOSSES[config.loss]
    targets = np.asarray(encoded_targets(dataset, dataset.train, output.units, output.activation, config.loss), float)
    losses = [loss.mean(loss.value(np.broadcast_to(constant(targets)[:, None], targets.T.shape), targets.T)) for constant in loss.constants]
    return Baseline(min(losses), _constant_metric(dataset, targets), _size(dataset.train.inputs), _size(targets))


def _size(values):
    return float(np.sqrt(np.mean(np.square(values))))


def _constant_metric(dataset, targets):
    """R^2 of the mean, or accuracy of the most frequent class (of each column, where the targets are columns)."""
    if dataset.task == "regression":
        return 0.0
    if dataset.labels:
        return np.bincount(dataset.train.targets).max() / len(targets)
    positive = np.mean(targets > targets.min(axis=0), axis=0)
    return np.mean(np.maximum(positive, 1 - positive))
