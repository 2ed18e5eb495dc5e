"""From a DataConfig to a Dataset: make the samples, pick, split, expand into features, scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.dataset import Dataset, Part, spread
from core.data.sources import FEATURES, SOURCES
from core.limits import LIMITS, ConfigError

if TYPE_CHECKING:
    from core.config import DataConfig

# Half the side of the square that planar sources are drawn in: of a truth table, and of all others as in TensorFlow Playground
EXTENTS = (2.0, 6.0)


def load(data: DataConfig) -> Dataset:
    """The Dataset of this DataConfig; the same configuration gives the same bits.

    Training rows come shuffled. `test_fraction` 0 gives a test part of 0 rows. Raises ConfigError: for a file that cannot be
    used, for a target scaling of class labels, for samples that would not fit into memory.
    """
    source = SOURCES[data.source]
    task = source.task or data.task
    if task == "classification" and data.target_scaling != "none":
        raise ConfigError("data.target_scaling", f"must be none for classification; was {data.target_scaling}")
    _check_memory(source, data.samples)
    rng = np.random.default_rng(data.seed)
    samples = source.make(data, rng)
    train, test = _split(samples, data, rng)

    targets = np.ascontiguousarray(samples.targets, np.int64 if samples.targets.ndim == 1 else float)
    target_scale = _fitted(data.target_scaling, targets[train])
    is_planar = source.kind == "planar"
    features = data.features if is_planar else None
    preparation = samples.preparation and samples.preparation.fit(samples.inputs, train)
    if preparation:
        _check_width(len(preparation.names))
    encode = None if preparation else Encoder(features, *_fitted(data.scaling, Encoder(features)(samples.inputs[train])))
    known = np.arange(len(samples.inputs)) if samples.rows is None else samples.rows
    image = samples.image if samples.image and math.prod(samples.image) == samples.inputs.shape[1] else None
    pixel_scale = (0.0, 1.0) if not image else preparation.scale() if preparation else (encode.offset, encode.factor)

    def part(rows):
        scaled = targets[rows] if data.target_scaling == "none" else (targets[rows] - target_scale[0]) / target_scale[1]
        numbers = known[rows] if len(known) else None
        if preparation:
            return Part(preparation.inputs(samples.inputs.iloc[rows]), scaled, rows=numbers)
        return Part(encode(samples.inputs[rows]), scaled, samples.inputs[rows] if is_planar else None, numbers)

    return Dataset(
        task=task,
        train=part(train),
        test=part(test),
        input_names=preparation.names if preparation else features or samples.input_names,
        target_names=samples.target_names,
        labels=samples.targets.ndim == 1,
        encode=encode if is_planar else None,
        extent=_extent(samples.inputs) if is_planar else None,
        image=image,
        target_image=samples.target_image,
        target_offset=target_scale[0],
        target_factor=target_scale[1],
        input_offset=pixel_scale[0],
        input_factor=pixel_scale[1],
        preparation=preparation,
        remarks=samples.remarks,
        given_tests=samples.held_back is not None,
    )


@dataclass(frozen=True)
class Encoder:
    """Raw inputs (m, n) to network inputs: the chosen features of the plane, or all columns, then scaling."""

    features: tuple[str, ...] | None
    offset: np.ndarray | float = 0.0
    factor: np.ndarray | float = 1.0

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        if self.features is None:
            encoded = np.array(raw, float, order="C")
        else:
            x1, x2 = np.asarray(raw, float).T
            encoded = np.column_stack([FEATURES[name](x1, x2) for name in self.features])
        encoded -= self.offset
        encoded /= self.factor
        return encoded


def _check_memory(source, samples):
    """Refuse sources of wide rows (pictures) before they are made: all rows and their split copies are held at once."""
    if source.inputs is None:
        return
    width = source.inputs + (source.outputs if source.task == "regression" else 1)
    most = LIMITS["memory_bytes"] // (2 * 8 * width)
    if samples > most:
        raise ConfigError("data.samples", f"must be at most {most:,} for {source.title.lower()}, to fit into memory; was {samples:,}")


def _check_width(width):
    """Refuse more inputs than a run may have, which levels of categories can become."""
    if width > LIMITS["inputs"]:
        most = f"must become at most {LIMITS['inputs']:,} inputs, levels of categories counted"
        raise ConfigError("data.columns", f"{most}; were {width:,}: leave some out")


def _split(samples, data, rng):
    """Indices of the training rows and of the test rows, shuffled; of a table with too many rows only `data.samples`, the first ones where
    they are split in order."""
    labels = samples.targets if samples.targets.ndim == 1 and data.split == "stratified" else None
    rows = np.arange(len(samples.inputs))
    ordered = data.split == "ordered"
    if len(rows) > data.samples:
        rows = rows[: data.samples] if ordered else spread(len(rows), data.samples / len(rows), rng, labels)
    if samples.held_back is not None:
        test = rows[samples.held_back[rows]]
        if len(test) == len(rows):
            raise ConfigError("data.test_path", "must leave at least one row for training; there is none")
    elif ordered:
        test = rows[len(rows) - min(round(len(rows) * data.test_fraction), len(rows) - 1) :]
    else:
        test = rows[spread(len(rows), data.test_fraction, rng, None if labels is None else labels[rows])]
    return rng.permutation(np.setdiff1d(rows, test)), rng.permutation(test)


def _fitted(scaling, values) -> Any:
    """(offset, factor) for each column of `values` (m, n), such that (values - offset) / factor is scaled.

    A column without spread keeps the factor 1, as scikit-learn has it.
    """
    if scaling == "none":
        return 0.0, 1.0
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if scaling == "standard":
        scaler = StandardScaler().fit(values)
        return scaler.mean_, scaler.scale_
    scaler = MinMaxScaler().fit(values)
    return scaler.data_min_, 1 / scaler.scale_


def _extent(points):
    """The square around the centre that holds every point: one of the usual ones if it can be."""
    farthest = float(np.abs(points).max())
    half = next((extent for extent in EXTENTS if farthest <= extent), float(np.ceil(farthest)))
    return -half, half
