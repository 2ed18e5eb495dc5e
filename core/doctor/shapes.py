"""Parameters as people keep them, made into matrices: numbers and vectors where a unit or an input is alone, biases inside the weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.limits import ConfigError

if TYPE_CHECKING:
    from core.doctor.run_file import RunFile

CHOICES = 16  # ways to stand vectors up or lay them down that are tried


def shaped(run: RunFile) -> Iterator[RunFile]:
    """RunFiles in which all weights are matrices, for every way in which vectors can be columns or rows. A gradient of the weights that is
    one number in the place of many is (1, 1). Raises ConfigError where a gradient or next value cannot be that of its weights."""
    vectors = [layer for layer, weights in enumerate(run.weights) if weights.ndim < 2]
    ways = itertools.islice(itertools.product(((-1, 1), (1, -1)), repeat=len(vectors)), CHOICES) if vectors else [()]
    for way in ways:
        weights = list(run.weights)
        for layer, shape in zip(vectors, way):
            weights[layer] = weights[layer].reshape(shape)
        pairs = list(zip(run.weight_gradients, weights))
        turned = all(array.shape == own.shape[::-1] for array, own in pairs)
        gradients = [array if turned else _beside(f"dW{at}", array, own) for at, (array, own) in enumerate(pairs, 1)]
        after = run.next_weights and [
            _beside(f"W{at}_next", array, own, whole=True) for at, (array, own) in enumerate(zip(run.next_weights, weights), 1)
        ]
        yield replace(run, weights=weights, weight_gradients=gradients, next_weights=after)


def _beside(name, array, weights, whole=False):
    """What belongs to these weights, as a matrix."""
    if array.size == weights.size and (array.ndim < 2 or 1 in weights.shape):
        return array.reshape(weights.shape)
    if array.size == 1 and not whole:
        return array.reshape(1, 1)
    if array.ndim < 2:
        layer = name.removeprefix("d").removesuffix("_next")
        raise ConfigError(name, f"must have the shape of {layer}, {weights.shape}; was {array.shape}")
    return array


def without_biases(run: RunFile) -> RunFile:
    """The run, where all biases and their gradients are zero as that of a network without biases."""
    idle = all(b is not None and not np.any(b) and not np.any(db) for b, db in zip(run.biases, run.bias_gradients))
    moved = run.next_biases and any(np.any(array) for array in run.next_biases)
    if not idle or moved or not any(np.any(gradient) for gradient in run.weight_gradients):
        return run
    none = [None] * len(run.biases)
    return replace(run, biases=none, bias_gradients=none, next_biases=run.next_biases and none)


def split_biases(run: RunFile) -> Iterator[RunFile]:
    """RunFiles in which one column (or row) of the weights is the biases, wherever that makes them fit the layer before, or X."""
    for axis, at in itertools.product((1, 0), (-1, 0)):
        features = run.X.shape if run.X.ndim == 2 else (run.X.size, 1)
        for inputs in dict.fromkeys(features):
            split = _split(run, axis, at, inputs)
            if split:
                yield split


def _split(run, axis, at, inputs):
    """The run with entry `at` of the weights' inputs, which lie along `axis`, as biases; None where the layers do not fit."""
    fields = {"weights": [], "biases": [], "weight_gradients": [], "bias_gradients": [], "next_weights": [], "next_biases": []}
    for layer, weights in enumerate(run.weights):
        extra = weights.shape[axis] - inputs
        pairs = [("weights", "biases", weights), ("weight_gradients", "bias_gradients", run.weight_gradients[layer])]
        pairs += [("next_weights", "next_biases", run.next_weights[layer])] if run.next_weights else []
        if extra not in (0, 1) or any(array.shape != weights.shape for *_, array in pairs):
            return None
        for matrices, vectors, array in pairs:
            fields[matrices].append(np.delete(array, at, axis) if extra else array)
            fields[vectors].append(np.take(array, at, axis) if extra else None)
        inputs = weights.shape[1 - axis]
    after = {} if run.next_weights else {"next_weights": None, "next_biases": None}
    return replace(run, **{**fields, **after})
