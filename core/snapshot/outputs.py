"""What a picture shows of a network's output: over the plane, as pictures, predicted against true, or as a confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import signed_coding
from core.nn.network import with_ones
from core.snapshot.snapshot import Confusion, Pictures, Plane, Points, Predictions

if TYPE_CHECKING:
    from core.data.dataset import Dataset, Part
    from core.training.trainer import Trainer

POINTS = 500  # samples drawn of each part
PICTURES = 3
ROUNDING = 1e-9  # by which a pixel that was scaled and scaled back may leave 0 to 1


def sample_points(data: Dataset, part: Part) -> Points | None:
    """The Points drawn of a part of planar data; None of other data."""
    if part.points is None:
        return None
    targets = part.targets[:POINTS]
    if not data.labels:
        targets = targets[:, 0] * _first(data.target_factor) + _first(data.target_offset)
    return Points(part.points[:POINTS].astype(np.float32), targets.astype(np.float32))


def plane(trainer: Trainer, outputs: np.ndarray, side: int, train: Points, test: Points) -> Plane:
    """The Plane of `outputs` (outputs, side^2) with the Points of both parts."""
    data, outputs = trainer.dataset, outputs.reshape(-1, side, side)
    low, high, winner = -1.0, 1.0, None
    if data.task == "regression":
        kind, values = "surface", outputs[0] * _first(data.target_factor) + _first(data.target_offset)
        low, high = float(train.target.min()), float(train.target.max())
    elif data.outputs == 2:
        kind, values = "two_classes", _leaning(trainer.config, outputs)
    else:
        kind, winner = "classes", outputs.argmax(axis=0).astype(np.uint8)
        shares = outputs - outputs.min(axis=0)
        values = shares.max(axis=0) / np.maximum(shares.sum(axis=0), np.finfo(np.float32).tiny)
    return Plane(kind, data.extent, values.astype(np.float32), winner, low, high, train, test)  # pyright: ignore[reportArgumentType]


def _leaning(config, outputs):
    """Outputs for two classes as -1 (the first, sure) to 1 (the second, sure)."""
    if len(outputs) == 2:
        return np.clip(outputs[1] - outputs[0], -1, 1)
    signed = signed_coding(config.layers[-1].activation, config.loss)
    return np.clip(outputs[0] if signed else 2 * outputs[0] - 1, -1, 1)


def output_of(trainer: Trainer) -> Plane | Confusion | Predictions | Pictures | None:
    """Pictures, Predictions or the Confusion of a Trainer whose data is not planar."""
    data = trainer.dataset
    if data.target_image:
        return _pictures(trainer)
    return confusion(trainer) or _predictions(trainer)


def confusion(trainer):
    """The Confusion of a Trainer whose targets are classes; None of others."""
    if not trainer.dataset.labels:
        return None
    matrices = []
    for name in ("train", "test"):
        part = getattr(trainer.dataset, name)
        matrix = np.zeros((trainer.dataset.outputs, trainer.dataset.outputs), int)
        if len(part):
            predicted = trainer.evaluator.predicted_classes(name)
            np.add.at(matrix, (part.targets[: len(predicted)], predicted), 1)
        matrices.append(matrix)
    return Confusion(trainer.dataset.target_names, *matrices)


def _predictions(trainer):
    data, arrays = trainer.dataset, []
    for part in (data.train, data.test):
        outputs = outputs_of(trainer.network, part.inputs[:POINTS])
        for values in (part.targets[:POINTS], outputs):
            arrays.append((values * data.target_factor + data.target_offset).astype(np.float32).ravel()[:POINTS])
    return Predictions(", ".join(data.target_names[:3]), *arrays)


def _pictures(trainer):
    data = trainer.dataset
    name = "test" if len(data.test) else "train"
    part = getattr(data, name)
    inputs, targets = part.inputs[:PICTURES], part.targets[:PICTURES]
    outputs = outputs_of(trainer.network, inputs)
    targets, outputs = (values * data.target_factor + data.target_offset for values in (targets, outputs))
    rows = zip(pixels(data, inputs), _images(targets, data.target_image), _images(outputs, data.target_image))
    return Pictures(tuple(rows), name)


def pixels(data, inputs):
    """Inputs (m, features) as the pictures that they are: a list of (height, width, channels) uint8, from the darkest to the brightest of
    these where they do not lie between 0 and 1."""
    values = inputs * data.input_factor + data.input_offset
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    return _images((values - low) / (high - low or 1) if low < -ROUNDING or high > 1 + ROUNDING else values, data.image)


def outputs_of(network, inputs):
    """The network's outputs (samples, outputs) for inputs (samples, features)."""
    return network.forward(with_ones(inputs, network.dtype))[-1][1].T


def _images(values, shape):
    """Rows of 0..1 values as (height, width, 3) uint8 pictures."""
    return [(255 * row).round().clip(0, 255).astype(np.uint8).reshape(shape) for row in np.nan_to_num(values)]


def _first(value):
    return float(np.ravel(value)[0])
