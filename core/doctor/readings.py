"""How a RunFile can be read: which axis holds the samples, which way round the weights are, what the labels mean.

Shapes decide where they can. Where they leave several readings, all are given: which one is meant shows in what it reproduces.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from core.doctor.rounding import UNITS, precision
from core.doctor.run_file import SMALLER
from core.doctor.shapes import shaped, split_biases, without_biases
from core.limits import ConfigError, shown
from core.nn.formulas import Plan, Tensors

if TYPE_CHECKING:
    from core.doctor.run_file import RunFile

WORK = 1_000_000_000  # samples times weights: a search works through so many products some hundred times


@dataclass(frozen=True)
class Reading:
    """One way to read the file, everything features-first and in float64. `given` is what Values begins with; `yours` has ("dW", l) (units,
    inputs) and, but for layers without biases, ("db", l) (units, 1). One number, (1, 1), may stand for all units of a bias gradient;
    that is right only where the bias is one number itself, and wrong in the layers `summed`; for all weights it is wrong, in the layers
    `numbered`. `next` has ("W", l) and ("b", l) after the update, or is None. `words` tell the reading, in parts: the axes of X, of the
    weights, of Y. `outputs_given` are (outputs, samples) or None, `room` is what rounding took from gradients that are differences, by
    their keys. `unmoved` are layers whose weights the update left as they were, though it is all that is known of the gradients.
    `updated`: what the file has as parameters was already updated, and `given` is what that began with."""

    plan: Plan
    given: dict
    yours: dict
    next: dict | None
    words: tuple[str, str, str]
    summed: tuple[int, ...] = ()
    numbered: tuple[int, ...] = ()
    unmoved: tuple[int, ...] = ()
    outputs_given: np.ndarray | None = None
    room: dict = field(default_factory=dict)
    updated: bool = False

    @property
    def biased(self) -> tuple[int, ...]:
        """The layers with biases."""
        return tuple(layer for layer in range(1, self.plan.last + 1) if ("db", layer) in self.yours)

    def compared(self, layer: int) -> list[tuple[str, int]]:
        """The keys of a layer's gradients that can be compared, biases first."""
        keys = [("db", layer)] if ("db", layer) in self.yours else []
        return keys if layer in self.numbered or layer in self.unmoved else [*keys, ("dW", layer)]

    def spread(self) -> Tensors:
        """The file's gradients, in the shapes of the parameters: one number in the place of many is spread, as NumPy does."""
        return {key: np.broadcast_to(array, self.given[key[0][1:], key[1]].shape) for key, array in self.yours.items()}

    def before_update(self, learning_rate: float, sign: int) -> Reading:
        """The same from the parameters that the file's are an update of."""
        given = dict(self.given)
        for (name, layer), gradient in self.spread().items():
            given[name[1:], layer] = given[name[1:], layer] - sign * learning_rate * gradient
        return replace(self, given=given, next=None, updated=True)

    @property
    def samples(self) -> int:
        """Samples in the batch."""
        return self.given["activation", 0].shape[1]

    @property
    def outputs(self) -> int:
        """Units of the output layer."""
        return self.plan.sizes[-1]

    def __str__(self):
        sizes = "-".join(map(str, self.plan.sizes))
        return f"{self.samples:,} sample{'s' if self.samples > 1 else ''}, network {sizes}; {'; '.join(self.words)}"


def readings(run: RunFile) -> list[Reading]:
    """All Readings of a RunFile that its shapes allow, the likeliest first. Raises ConfigError where there is none."""
    run = without_biases(run)
    found, refusals = _tried(shaped(run))
    if not found and not any(biases is not None for biases in run.biases):
        found, _ = _tried(split for candidate in shaped(run) for split in split_biases(candidate))
    if not found:
        raise _flat_weights(run) if refusals[0].field[0] in "Wb" and any(weights.ndim < 2 for weights in run.weights) else refusals[0]
    if found[0].samples * sum(weights.size for weights in run.weights) > WORK:
        raise ConfigError("X", f"must have at most {WORK:,} samples times weights; {SMALLER}")
    return found


def _flat_weights(run):
    layer, shape = next((layer, weights.shape) for layer, weights in enumerate(run.weights, 1) if weights.ndim < 2)
    return ConfigError(f"W{layer}", f"must be a matrix, or a vector where a unit or an input is alone; its shape is {shape}")


def _tried(candidates):
    """(the Readings of all candidates, why others have none)."""
    found, refusals = [], []
    for candidate in candidates:
        try:
            found += _readings(candidate)
        except ConfigError as refusal:
            refusals.append(refusal)
    return found, refusals


def _readings(run):
    found = []
    for weights in _weight_readings(run):
        inputs, outputs = weights.sizes[0], weights.sizes[-1]
        for x, x_words, rows_first in _input_readings(run.X, inputs):
            for y, y_words in _label_readings(run.Y, x.shape[1], outputs, rows_first):
                found.append(_reading(run, weights, x, y, (x_words, weights.words, y_words), rows_first))
    if not found:
        raise _no_reading(run)
    return found


def _reading(run, weights, x, y, words, rows_first):
    plan = Plan(weights.sizes, run.activations, run.loss)
    given = {("activation", 0): x, ("labels", plan.last): y}
    yours, after, numbered = {}, {}, []
    for layer in range(1, plan.last + 1):
        at, units = layer - 1, weights.sizes[layer]
        given["W", layer] = weights.turned(run.weights[at])
        biases = run.biases[at]
        given["b", layer] = np.zeros((units, 1)) if biases is None else np.broadcast_to(_column(biases), (units, 1))
        gradient = run.weight_gradients[at]
        if gradient.size < run.weights[at].size:
            numbered.append(layer)
        yours["dW", layer] = _plain(gradient) if weights.gradients_turned == weights.inputs_first else _plain(gradient.T)
        if biases is not None:
            yours["db", layer] = _column(run.bias_gradients[at])
        if run.next_weights:
            after["W", layer] = weights.turned(run.next_weights[at])
            after["b", layer] = given["b", layer] if biases is None else np.broadcast_to(_column(run.next_biases[at]), (units, 1))
    summed = [at for at, biases in enumerate(run.biases, 1) if biases is not None and yours["db", at].size < biases.size]
    outputs = None if run.outputs is None else _outputs(run.outputs, x.shape[1], plan.sizes[-1], rows_first)
    room, unmoved = {}, ()
    if run.from_update:
        eps = precision([*run.weights, *run.next_weights])
        room = {key: UNITS * eps * np.linalg.norm(given[key[0][1:], key[1]]) / run.learning_rate for key in yours}
        unmoved = tuple(layer for name, layer in yours if name == "dW" and not yours[name, layer].any())
    return Reading(plan, given, yours, after or None, words, tuple(summed), tuple(numbered), unmoved, outputs, room)


def _outputs(array, samples, outputs, rows_first):
    """The file's outputs as (outputs, samples). Raises ConfigError."""
    if array.shape == (samples, outputs) and (rows_first or samples != outputs):
        return _plain(array.T)
    if array.size != samples * outputs or (array.ndim == 2 and array.shape != (outputs, samples) and 1 not in (samples, outputs)):
        raise ConfigError("outputs", f"must be those of {samples:,} samples and {outputs:,} outputs; their shape is {array.shape}")
    return _plain(array).reshape(outputs, samples)


def _plain(array):
    return np.ascontiguousarray(array, float)


def _column(biases):
    return _plain(biases).reshape(-1, 1)


# Weights


@dataclass(frozen=True)
class _Weights:
    """`inputs_first`: W is (inputs, units). `gradients_turned`: the gradients lie the other way round than the weights."""

    sizes: tuple[int, ...]
    inputs_first: bool
    gradients_turned: bool

    @property
    def words(self):
        turned = ", gradients the other way round" if self.gradients_turned else ""
        return f"weights ({'inputs, units' if self.inputs_first else 'units, inputs'}){turned}"

    def turned(self, matrix):
        """A weight matrix as (units, inputs)."""
        return _plain(matrix.T if self.inputs_first else matrix)


def _weight_readings(run):
    """The ways round that connect all layers and fit the biases; raises ConfigError where neither does."""
    turned = _gradients_turned(run)
    found, refusals = [], []
    for inputs_first in (True, False):
        sizes, refusal = _sizes(run, inputs_first)
        if refusal:
            refusals.append(refusal)
        else:
            found.append(_Weights(sizes, inputs_first, turned))  # pyright: ignore[reportArgumentType]
    if not found:
        raise max(refusals, key=lambda refusal: refusal.layer).error
    _check_next(run)
    return found


@dataclass(frozen=True)
class _Refusal:
    layer: int
    error: ConfigError


def _sizes(run, inputs_first):
    """(units of all layers, inputs first; None), or (None, why this way round does not fit)."""
    sizes = []
    for layer, (weights, biases) in enumerate(zip(run.weights, run.biases), 1):
        fan_in, fan_out = weights.shape if inputs_first else weights.shape[::-1]
        if sizes and fan_in != sizes[-1]:
            before = run.weights[layer - 2].shape
            message = f"must connect to W{layer - 1}, whichever way round; W{layer - 1} is {before} and W{layer} {weights.shape}"
            return None, _Refusal(layer, ConfigError(f"W{layer}", message))
        for name, array in ((f"b{layer}", biases), (f"db{layer}", run.bias_gradients[layer - 1])):
            if array is None:
                continue
            if array.size not in (1, fan_out) or (array.ndim == 2 and 1 not in array.shape):
                message = f"must hold one number for each of the units of W{layer}, or one for all; W{layer} is {weights.shape}"
                return None, _Refusal(layer, ConfigError(name, f"{message} and {name} {array.shape}"))
        sizes = [*sizes, fan_out] if sizes else [fan_in, fan_out]
    return tuple(sizes), None


def _gradients_turned(run):
    """Whether the weights' gradients lie the other way round than the weights, as the shapes say."""
    pairs = [(weights.shape, gradient.shape) for weights, gradient in zip(run.weights, run.weight_gradients)]
    pairs = [(shape, shape if gradient == (1, 1) else gradient) for shape, gradient in pairs]
    if all(shape == gradient for shape, gradient in pairs):
        return False
    if all(shape == gradient[::-1] for shape, gradient in pairs):
        return True
    layer, (shape, gradient) = next((at, pair) for at, pair in enumerate(pairs, 1) if pair[0] != pair[1])
    raise ConfigError(f"dW{layer}", f"must have the shape of W{layer}, {shape}; was {gradient}")


def _check_next(run):
    for letter, now, after in (("W", run.weights, run.next_weights), ("b", run.biases, run.next_biases)):
        for layer, (array, later) in enumerate(zip(now, after or []), 1):
            if array is None:
                continue
            units = max(run.bias_gradients[layer - 1].size, array.size) if letter == "b" else 0
            if later.shape != array.shape and not (letter == "b" and later.size in (1, units)):
                name = f"{letter}{layer}"
                raise ConfigError(f"{name}_next", f"must have the shape of {name}, {array.shape}; was {later.shape}")


# Inputs and labels


def _input_readings(X, inputs):
    """[(inputs (features, samples), words, whether samples are rows)]."""
    if X.ndim < 2:
        found = [(X.reshape(1, -1), "X holds one feature", True)] if inputs == 1 else []
        return found + ([(X.reshape(-1, 1), "X holds one sample", False)] if X.size == inputs and inputs > 1 else [])
    found = [(X.T, "samples in the rows of X", True)] if X.shape[1] == inputs else []
    found += [(X, "samples in the columns of X", False)] if X.shape[0] == inputs else []
    return [(_plain(x), words, rows_first) for x, words, rows_first in found]


def _label_readings(Y, samples, outputs, rows_first):
    """[(labels (outputs, samples), words)], the one that lies as X does first."""
    found = []
    if Y.ndim == 2 and outputs > 1:
        ways = [(Y.T, (samples, outputs), "samples in the rows of Y"), (Y, (outputs, samples), "samples in the columns of Y")]
        found = [(_plain(y), words) for y, shape, words in (ways if rows_first else ways[::-1]) if Y.shape == shape]
    flat = Y.ndim < 2 or 1 in Y.shape
    if flat and outputs == 1 and Y.size == samples:
        found.append((_plain(Y).reshape(1, -1), "one label a sample in Y"))
    if flat and samples == 1 and Y.size == outputs > 1 and not found:
        found.append((_plain(Y).reshape(-1, 1), "one sample in Y"))
    if flat and outputs > 1 and Y.size == samples:
        found += _class_readings(Y, outputs)
    return found


def _class_readings(Y, outputs):
    """Labels that are class numbers, from 0 or from 1, as one column of 0 and 1 each."""
    numbers = _plain(Y).reshape(-1)
    first = 1 if numbers.min() >= 1 and numbers.max() == outputs else 0
    if (numbers != np.round(numbers)).any() or numbers.min() < first or numbers.max() >= outputs + first:
        return []
    return [(np.eye(outputs)[numbers.astype(int) - first].T.copy(), f"Y holds class numbers from {first}")]


def _no_reading(run):
    """Why the file cannot be read: the inputs, or else the labels, fit no way round."""
    ways = _weight_readings(run)
    samples = []
    for weights in ways:
        samples += [x.shape[1] for x, _, _ in _input_readings(run.X, weights.sizes[0])]
    if not samples:
        wanted = " or ".join(dict.fromkeys(f"{weights.sizes[0]:,}" for weights in ways))
        return ConfigError("X", f"must have {wanted} features along one axis, to fit W1; its shape is {shown(run.X.shape)}")
    outputs = " or ".join(dict.fromkeys(f"{weights.sizes[-1]:,}" for weights in ways))
    counts = " or ".join(dict.fromkeys(f"{count:,}" for count in samples))
    return ConfigError("Y", f"must hold labels for {counts} samples and {outputs} outputs; its shape is {shown(run.Y.shape)}")
