"""What others make of the same data: how well neighbours and a linear model foretell a sample that they have not seen.

Two models without anything to tune, so that "it does not learn" can be told from "there is nothing to learn". Both leave out the sample
they judge: k nearest neighbours (Cover & Hart 1967), and ridge regression by its closed form for leaving one out (Golub et al. 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.training.evaluation import r2

if TYPE_CHECKING:
    from core.data.dataset import Dataset

NEIGHBOURS = 5
RIDGE = 1.0  # on standardised columns: a weak pull, which keeps columns that depend on each other apart
SAMPLES, PRODUCTS = 500, 1 << 27  # at most so many training samples, and multiplications for all their distances


@dataclass(frozen=True)
class Attainable:
    """Metrics (accuracy or R^2, as the run's own) on `samples` left-out training samples. `explained` is the larger R^2 of the two, also of
    classes coded 0 and 1: accuracy says nothing where nearly all samples are of one class."""

    neighbours: float
    linear: float
    samples: int
    explained: float = np.nan

    @property
    def best(self) -> float:
        return max(self.neighbours, self.linear)


def attainable(dataset: Dataset) -> Attainable:
    """The Attainable of a Dataset's training part, or of a part of it drawn at random where it is large."""
    part = dataset.train
    affordable = int(np.sqrt(PRODUCTS / (dataset.inputs + dataset.outputs)))
    rows = np.random.default_rng(len(part)).permutation(len(part))[: min(SAMPLES, affordable)]
    inputs = part.inputs[rows]
    deviation = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    targets = np.eye(dataset.outputs)[part.targets[rows]] if dataset.labels else part.targets[rows]
    if len(rows) <= NEIGHBOURS:
        return Attainable(np.nan, np.nan, len(rows))
    gram = inputs @ inputs.T
    guesses = _neighbours(gram, targets), _ridge(gram, targets)
    neighbours, linear = (_metric(dataset, guess, targets) for guess in guesses)
    return Attainable(neighbours, linear, len(rows), max(_r2(guess, targets) for guess in guesses))


def _neighbours(gram, targets):
    """Mean target (m, k) of each sample's nearest others."""
    squares = np.diag(gram)
    distances = squares[:, None] + squares - 2 * gram
    np.fill_diagonal(distances, np.inf)
    return targets[np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]].mean(axis=1)


def _ridge(gram, targets):
    """What a ridge regression on all others says of each sample (m, k)."""
    mean = targets.mean(axis=0)
    hat = np.linalg.solve(gram + RIDGE * np.eye(len(gram)), gram).T + 1 / len(gram)  # of the centred inputs, and the mean itself
    leverage = np.minimum(np.diag(hat), 1 - 1e-9)[:, None]
    return targets - (targets - mean - (hat - 1 / len(gram)) @ (targets - mean)) / (1 - leverage)


def _metric(dataset, guess, targets):
    if dataset.task == "regression":
        return _r2(guess, targets)
    if dataset.labels:
        return float(np.mean(guess.argmax(axis=1) == targets.argmax(axis=1)))
    middle = (targets.min() + targets.max()) / 2
    return float(np.mean((guess > middle) == (targets > middle)))


def _r2(guess, targets):
    return r2(((targets - guess) ** 2).sum(axis=0), ((targets - targets.mean(axis=0)) ** 2).sum(axis=0), len(targets))
