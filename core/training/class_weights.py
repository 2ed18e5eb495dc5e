"""How much each sample counts in the gradient where classes are to count alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike


def balanced_weights(targets: np.ndarray) -> np.ndarray:
    """A weight for each class, samples / (classes * samples of the class), as scikit-learn's "balanced" has it: (classes,).

    `targets` (samples, outputs) are class labels as the network is asked for them, one column for two classes.
    """
    labels = class_of(targets.T, _middle(targets))
    counts = np.bincount(labels, minlength=max(2, targets.shape[1]))
    return np.divide(len(targets), np.count_nonzero(counts) * counts, out=np.zeros(len(counts)), where=counts > 0)


def sample_weights(targets: np.ndarray, dtype: DTypeLike) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a batch's targets (outputs, samples) that gives the weight of each of its samples (samples,), from all `targets`
    (samples, outputs) of the training part."""
    weights, middle = balanced_weights(targets).astype(dtype), _middle(targets)
    return lambda y: weights[class_of(y, middle)]


def class_of(y: np.ndarray, middle: float) -> np.ndarray:
    """The class of each column of `y` (outputs, samples): its largest row, or for a single row the side of `middle` that it is on."""
    return y.argmax(axis=0) if len(y) > 1 else (y[0] > middle).astype(int)


def _middle(targets):
    return 0.0 if targets.min() < 0 else 0.5
