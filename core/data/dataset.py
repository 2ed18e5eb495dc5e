"""What every source gives: training and test parts, ready for a network, with what charts need to show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from core.data.table.preparation import Preparation
from core.limits import LIMITS
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES


@dataclass(frozen=True)
class Part:
    """One side of the split. `inputs` (m, n) float64, scaled; `targets` (m,) int class labels or (m, k) float64 values;
    `points` (m, 2) raw coordinates of planar sources, else None; `rows` (m,) where each stands in its source, from 0, None where that is
    not known."""

    inputs: np.ndarray
    targets: np.ndarray
    points: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self):
        return len(self.inputs)


@dataclass(frozen=True)
class Dataset:
    """A loaded source. `test` may be empty (0 rows), `train` never.

    `encode(points)` turns raw (m, 2) coordinates into network inputs (features, then scaling): the decision boundary's grid
    goes through it; None unless the source is planar. `labels` says that targets are class labels to be encoded;
    (m, k) targets of a classification file that are not one-hot are used as they are. `image` and `target_image` are (height, width, 3)
    when a row is a picture. `target_offset` and `target_factor` undo the target scaling: value = scaled * factor + offset; `input_offset`
    and `input_factor` that of pictures. Of a file, `preparation` makes inputs of new rows, `remarks` say what is odd about its columns,
    and `given_tests` says that the test part is one that was given, and not drawn.
    """

    task: str
    train: Part
    test: Part
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]  # classes, or target columns
    labels: bool
    encode: Callable[[np.ndarray], np.ndarray] | None = None
    extent: tuple[float, float] | None = None  # the square the planar source lies in: (low, high) on both axes
    image: tuple[int, int, int] | None = None
    target_image: tuple[int, int, int] | None = None
    target_offset: np.ndarray | float = 0.0
    target_factor: np.ndarray | float = 1.0
    input_offset: np.ndarray | float = 0.0
    input_factor: np.ndarray | float = 1.0
    preparation: Preparation | None = None
    remarks: tuple = ()
    given_tests: bool = False

    @property
    def rows(self) -> int:
        """Number of rows, training and test together."""
        return len(self.train) + len(self.test)

    @property
    def inputs(self) -> int:
        """Number of input columns."""
        return self.train.inputs.shape[1]

    @property
    def outputs(self) -> int:
        """Number of classes, or of target columns."""
        return len(self.target_names)

    @cached_property
    def whole_numbers(self) -> np.ndarray:
        """The values (k,) of a classification's single target column where these are a few whole numbers, which may well be classes; else
        none."""
        targets = np.concatenate([self.train.targets, self.test.targets])
        if self.labels or self.task != "classification" or targets.shape[1] > 1:
            return targets[:0]
        values = np.unique(targets)
        return values if 2 <= len(values) <= LIMITS["classes"] and (values % 1 == 0).all() else values[:0]

    def for_outputs(self, units: int) -> Dataset:
        """This Dataset as a network of so many outputs takes it: whole numbers as class labels if there is an output for each."""
        values = self.whole_numbers
        if units == 1 or units != len(values):
            return self
        parts = {
            name: replace(part, targets=np.searchsorted(values, part.targets[:, 0]))
            for name, part in (("train", self.train), ("test", self.test))
        }
        return replace(self, **parts, labels=True, target_names=tuple(f"{value:g}" for value in values))


@dataclass(frozen=True)
class Samples:
    """What the maker of a source gives: all its rows as they are, before features, split and scaling.

    `inputs` (m, n), the coordinates of a planar source; `targets` (m,) int class labels or (m, k) values; `held_back` (m,) bool,
    the rows for testing where they cannot be chosen freely. With a `preparation` that is not fitted yet, `inputs` are a DataFrame of typed
    columns. `rows` (m,) are where these stand in the file, from 0: by default as they are, none where some were left out at random. The
    other fields are the Dataset's.
    """

    inputs: Any
    targets: np.ndarray
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    image: tuple[int, int, int] | None = None
    target_image: tuple[int, int, int] | None = None
    held_back: np.ndarray | None = None
    preparation: Preparation | None = None
    remarks: tuple = ()
    rows: np.ndarray | None = None


def with_labels(samples: Samples) -> Samples:
    """The Samples with one-hot targets (m, k) as class labels (m,): a 1 in each row and 0 otherwise says which of k classes it is."""
    targets = samples.targets
    if targets.shape[1] > 1 and np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all():
        return replace(samples, targets=targets.argmax(axis=1))
    return samples


def spread(rows: int, share: float, rng: np.random.Generator, labels: np.ndarray | None = None) -> np.ndarray:
    """Indices of this share of the rows, at random but never all; with `labels` (m,) each class gives its share, give or take
    one row. In NumPy because scikit-learn's split takes a second and 150 MB to import, which every worker would pay.
    """
    count = min(round(rows * share), rows - 1)
    order = rng.permutation(rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    return order[(2 * np.arange(count) + 1) * rows // (2 * count)] if count else order[:0]


def encoded_targets(dataset: Dataset, part: Part, units: int, activation: str, loss: str) -> np.ndarray:
    """Targets as the network is asked for them: (m, units) float64.

    Class labels become one column per class, or for one unit a single 0/1 column; coded -1/+1 instead of 0/1 where the
    output goes from -1 to 1 or the loss asks for signs. Other targets are used as they are.
    """
    if not dataset.labels:
        return part.targets
    if units == 1:
        coded = part.targets[:, None].astype(float)
    else:
        coded = np.eye(dataset.outputs)[part.targets]
    return 2 * coded - 1 if signed_coding(activation, loss) else coded


def signed_coding(activation: str, loss: str) -> bool:
    """Whether class labels are coded -1/+1 rather than 0/1."""
    return ACTIVATIONS[activation].signed or LOSSES[loss].classes == "signed"
