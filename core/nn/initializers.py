"""How weights and biases begin. Weights are drawn in float64, so that both precisions start at the same numbers.

Sources: Glorot & Bengio 2010 (glorot), He et al. 2015 (he), LeCun et al. 1998 (lecun), Saxe et al. 2014 (orthogonal).
"""

import numpy as np


def _uniform(variance):
    return lambda rng, fan_in, fan_out, scale: scale * rng.uniform(-1, 1, (fan_in, fan_out)) * np.sqrt(3 * variance(fan_in, fan_out))


def _normal(variance):
    return lambda rng, fan_in, fan_out, scale: scale * rng.standard_normal((fan_in, fan_out)) * np.sqrt(variance(fan_in, fan_out))


def _orthogonal(rng, fan_in, fan_out, scale):
    """Orthonormal rows or columns: the Q of a normal matrix, signs fixed so that the draw is uniform (Haar)."""
    tall = rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return scale * (q if fan_in >= fan_out else q.T)


# name -> draw(rng, fan_in, fan_out, scale) -> (fan_in, fan_out)
WEIGHT_INITIALIZERS = {
    "zeros": lambda rng, fan_in, fan_out, scale: np.zeros((fan_in, fan_out)),
    "constant": lambda rng, fan_in, fan_out, scale: np.full((fan_in, fan_out), scale),
    "normal": _normal(lambda fan_in, fan_out: 1.0),
    "uniform": lambda rng, fan_in, fan_out, scale: rng.uniform(-scale, scale, (fan_in, fan_out)),
    "glorot_uniform": _uniform(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "glorot_normal": _normal(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "he_uniform": _uniform(lambda fan_in, fan_out: 2 / fan_in),
    "he_normal": _normal(lambda fan_in, fan_out: 2 / fan_in),
    "lecun_normal": _normal(lambda fan_in, fan_out: 1 / fan_in),
    "orthogonal": _orthogonal,
}

# name -> draw(rng, units, scale) -> (units,)
BIAS_INITIALIZERS = {
    "zeros": lambda rng, units, scale: np.zeros(units),
    "constant": lambda rng, units, scale: np.full(units, scale),
    "normal": lambda rng, units, scale: scale * rng.standard_normal(units),
    "uniform": lambda rng, units, scale: rng.uniform(-scale, scale, units),
}


def initial_parameters(config, inputs):
    """{"W1": (inputs, units), "b1": (units,), ...} in float64, from the configuration's seed alone."""
    parameters, fan_in = {}, inputs
    for layer, entry in enumerate(config.layers, 1):
        parameters[f"W{layer}"], parameters[f"b{layer}"] = layer_parameters(config, layer, fan_in)
        fan_in = entry.units
    return parameters


def layer_parameters(config, layer, fan_in, *draw):
    """(weights (fan_in, units), biases (units,)) of one layer; a number `draw` gives others, and the same for the same number."""
    rng, init, units = np.random.default_rng([config.seed, layer, *draw]), config.init, config.layers[layer - 1].units
    weights = WEIGHT_INITIALIZERS[init.weights](rng, fan_in, units, init.scale)
    return weights, BIAS_INITIALIZERS[init.bias](rng, units, init.bias_scale)
