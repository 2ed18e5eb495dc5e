"""How weights and biases begin. Weights are drawn in float64, so that both precisions start at the same numbers.

Sources: Glorot & Bengio 2010 (glorot), He et al. 2015 (he), LeCun et al. 1998 (lecun), Saxe et al. 2014 (orthogonal).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.config import RunConfig


def _uniform(variance):
    return lambda rng, fan_in, fan_out, scale: scale * rng.uniform(-1, 1, (fan_in, fan_out)) * np.sqrt(3 * variance(fan_in, fan_out))


def _normal(variance):
    return lambda rng, fan_in, fan_out, scale: scale * rng.standard_normal((fan_in, fan_out)) * np.sqrt(variance(fan_in, fan_out))


def _truncated(rng, fan_in, fan_out, scale):
    """Of a normal distribution, drawn again where a number is more than two deviations out, as Keras has it."""
    values = rng.standard_normal((fan_in, fan_out))
    while (far := np.abs(values) > 2).any():
        values[far] = rng.standard_normal(np.count_nonzero(far))
    return scale * values


def _orthogonal(rng, fan_in, fan_out, scale):
    """Orthonormal rows or columns: the Q of a normal matrix, signs fixed so that the draw is uniform (Haar)."""
    tall = rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return scale * (q if fan_in >= fan_out else q.T)


@dataclass(frozen=True)
class Initializer:
    """`draw(rng, fan_in, fan_out, scale)` gives weights (fan_in, fan_out), or biases (units,) of `draw(rng, units, scale)`. `code` is the
    same in NumPy without the scale (None: not known, so that scripts refuse it), of the function whose text is `helper`. `word` is its
    name on the screen."""

    draw: Callable
    code: str | None = None
    helper: str = ""
    word: str | None = None


UNIFORM, NORMAL = "rng.uniform(-1, 1, (fan_in, fan_out))", "rng.standard_normal((fan_in, fan_out))"
ORTHOGONAL = '''
def orthogonal(rng, fan_in, fan_out):
    """A matrix (fan_in, fan_out) with orthonormal rows or columns."""
    q, r = np.linalg.qr(rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out))))
    q *= np.where(np.diag(r) < 0, -1, 1)  # so that every such matrix is equally likely
    return q if fan_in >= fan_out else q.T


'''

TRUNCATED = '''
def truncated_normal(rng, fan_in, fan_out):
    """A matrix (fan_in, fan_out) of a normal distribution, drawn again where a number is more than two deviations out."""
    values = rng.standard_normal((fan_in, fan_out))
    while (far := np.abs(values) > 2).any():
        values[far] = rng.standard_normal(np.count_nonzero(far))
    return values


'''

WEIGHT_INITIALIZERS = {
    "zeros": Initializer(lambda rng, fan_in, fan_out, scale: np.zeros((fan_in, fan_out)), "np.zeros((fan_in, fan_out))"),
    "constant": Initializer(lambda rng, fan_in, fan_out, scale: np.full((fan_in, fan_out), scale), "np.ones((fan_in, fan_out))"),
    "normal": Initializer(_normal(lambda fan_in, fan_out: 1.0), NORMAL),
    "truncated_normal": Initializer(_truncated, "truncated_normal(rng, fan_in, fan_out)", TRUNCATED),
    "uniform": Initializer(lambda rng, fan_in, fan_out, scale: rng.uniform(-scale, scale, (fan_in, fan_out)), UNIFORM),
    "uniform_0_1": Initializer(
        lambda rng, fan_in, fan_out, scale: scale * rng.random((fan_in, fan_out)), "rng.random((fan_in, fan_out))", word="uniform 0 to 1"
    ),
    "glorot_uniform": Initializer(
        _uniform(lambda fan_in, fan_out: 2 / (fan_in + fan_out)), f"{UNIFORM} * np.sqrt(6 / (fan_in + fan_out))", word="Glorot uniform"
    ),
    "glorot_normal": Initializer(
        _normal(lambda fan_in, fan_out: 2 / (fan_in + fan_out)), f"{NORMAL} * np.sqrt(2 / (fan_in + fan_out))", word="Glorot normal"
    ),
    "he_uniform": Initializer(_uniform(lambda fan_in, fan_out: 2 / fan_in), f"{UNIFORM} * np.sqrt(6 / fan_in)", word="He uniform"),
    "he_normal": Initializer(_normal(lambda fan_in, fan_out: 2 / fan_in), f"{NORMAL} * np.sqrt(2 / fan_in)", word="He normal"),
    "lecun_normal": Initializer(_normal(lambda fan_in, fan_out: 1 / fan_in), f"{NORMAL} * np.sqrt(1 / fan_in)", word="LeCun normal"),
    "orthogonal": Initializer(_orthogonal, "orthogonal(rng, fan_in, fan_out)", ORTHOGONAL),
}

BIAS_INITIALIZERS = {
    "zeros": Initializer(lambda rng, units, scale: np.zeros(units), "np.zeros(fan_out)"),
    "constant": Initializer(lambda rng, units, scale: np.full(units, scale), "np.ones(fan_out)"),
    "normal": Initializer(lambda rng, units, scale: scale * rng.standard_normal(units), "rng.standard_normal(fan_out)"),
    "uniform": Initializer(lambda rng, units, scale: rng.uniform(-scale, scale, units), "rng.uniform(-1, 1, fan_out)"),
}


def initial_parameters(config: RunConfig, inputs: int) -> dict[str, np.ndarray]:
    """{"W1": (inputs, units), "b1": (units,), ...} in float64, from the configuration's seed alone. What is normalized begins as it is."""
    parameters, fan_in = {}, inputs
    for layer, entry in enumerate(config.layers, 1):
        parameters[f"W{layer}"], parameters[f"b{layer}"] = layer_parameters(config, layer, fan_in)
        fan_in, zeros, ones = entry.units, np.zeros(entry.units), np.ones(entry.units)
        if entry.normalization != "none":
            parameters |= {f"scale{layer}": ones, f"shift{layer}": zeros}
        if entry.normalization == "batch":
            parameters |= {f"mean{layer}": zeros, f"variance{layer}": ones}
    return parameters


def layer_parameters(config: RunConfig, layer: int, fan_in: int, *draw: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights (fan_in, units), biases (units,)) of one layer; a number `draw` gives others, and the same for the same number."""
    rng, entry = np.random.default_rng([config.seed, layer, *draw]), config.layers[layer - 1]
    init, units = entry.init or config.init, entry.units
    weights = WEIGHT_INITIALIZERS[init.weights].draw(rng, fan_in, units, init.scale)
    biases = BIAS_INITIALIZERS[init.bias if entry.bias else "zeros"].draw(rng, units, init.bias_scale)
    return weights, biases
