"""What to change: for each kind of trouble the cause, one sentence of advice, and a patch of the configuration."""

from __future__ import annotations

import numpy as np

from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS

# Inputs or targets of this size (root mean square) should have been scaled: the gradient grows with it, the curvature with its square
UNSCALED = 10.0
# First weights more than so many times He's are too large, less than this share of Glorot's too small
LARGE_INIT, SMALL_INIT = 2.0, 0.3
# A gradient so many times the last layer's explodes on its way back (AutoTrainer, Zhang et al. 2021)
EXPLODED = 70.0
# Update over weights in each layer: 1e-3 is healthy, more than 1e-1 is not (A. Karpathy's rule); the aim lies between
AIMED_UPDATE_RATIO = 1e-2
# The longest gradient that a network begun anew is allowed: the usual one (Pascanu et al. 2013 found that it matters little)
CLIP_NORM = 1.0
# The largest learning rate in common use: where something else is changed, the rate is still brought down to this
USUAL_RATES = {"sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.05, "rmsprop": 0.01, "adam": 0.01}
# The initialisation that keeps signals at one size: the authors' own for selu, He et al. 2015 for what halves them, Glorot for the rest
SUITED_INIT = {"selu": "lecun_normal", "relu": "he_normal", "leaky_relu": "he_normal", "gelu": "he_normal", "silu": "he_normal"}


def against_too_large(evidence):
    """For numbers, gradients or updates that are too large: {"cause", "advice", "fix"}, the first of what can be the reason."""
    size = evidence.baseline
    if size.input_size > UNSCALED and evidence.config.data.scaling == "none":
        return scaled_inputs(evidence)
    if size.target_size > UNSCALED and evidence.dataset.task == "regression" and evidence.config.data.target_scaling == "none":
        return {
            "cause": "target_scaling",
            "advice": f"Targets are {size.target_size:.3g} in size: scale them, and every gradient shrinks with them.",
            "fix": {"data": {"target_scaling": "standard"}, **usual_learning_rate(evidence)},
        }
    if (evidence.first_weights > LARGE_INIT * evidence.he_norms).any():
        remedy = fresh_init(evidence)
        return {**remedy, "fix": {**remedy["fix"], "clip_norm": evidence.config.clip_norm or CLIP_NORM}}
    if len(evidence.steps) and evidence.backward_growth.max() > EXPLODED:
        return fresh_init(evidence, "glorot_uniform")
    return smaller_learning_rate(evidence)


def against_vanishing(evidence, from_the_start):
    """For gradients that do not arrive: an activation too flat for so many layers, or what saturated it."""
    if np.median(evidence.first_weights / evidence.glorot_norms) < SMALL_INIT:
        return fresh_init(evidence)
    remedy = against_too_large(evidence)
    if not from_the_start or remedy["cause"] != "learning_rate":
        return remedy
    return steadier_activation(evidence) if len(evidence.config.layers) > 1 else fresh_init(evidence)


def against_dead_units(evidence, born_dead):
    """For units that pass nothing back: what killed them, or how they began."""
    remedy = against_too_large(evidence)
    return fresh_init(evidence) if born_dead and remedy["cause"] == "learning_rate" else remedy


def scaled_inputs(evidence):
    return {
        "cause": "data_scaling",
        "advice": f"Inputs are {evidence.baseline.input_size:.3g} in size: scale them to about 1, so that one learning rate suits all.",
        "fix": {"data": {"scaling": "standard"}, **usual_learning_rate(evidence)},
    }


def fresh_init(evidence, name=None):
    """The initialisation that keeps signals at one size through layers of this activation, or the named one; biases at zero."""
    name = name or SUITED_INIT.get(evidence.config.layers[0].activation, "glorot_uniform")
    return {
        "cause": "init",
        "advice": f"Begin with weights of the right size: {name.replace('_', ' ')} suits this network.",
        "fix": {"init": {"weights": name, "scale": 1.0, "bias": "zeros"}, **usual_learning_rate(evidence)},
    }


def smaller_learning_rate(evidence):
    """A tenth of the learning rate, or less where the updates would begin too large for the weights even so."""
    optimizer = evidence.config.optimizer
    gain = 1 / (1 - optimizer.momentum) if "momentum" in OPTIMIZERS[optimizer.name].hyperparameters else 1.0  # once it has gathered speed
    first = gain * np.nanmax(evidence.layers("update_ratio")[:1], initial=0.0)
    smaller = rounded(optimizer.learning_rate * min(0.1, AIMED_UPDATE_RATIO / first if first > 0 else 0.1))
    return {
        "cause": "learning_rate",
        "advice": f"Take smaller steps: try a learning rate of {smaller:g}.",
        "fix": {"optimizer": {"learning_rate": smaller}},
    }


def usual_learning_rate(evidence):
    """The part of a patch that brings a learning rate beyond all custom down. A mean over k outputs makes gradients sqrt(k) smaller,
    and plain descent may step so much further."""
    config = evidence.config
    usual = USUAL_RATES[config.optimizer.name]
    if "epsilon" not in OPTIMIZERS[config.optimizer.name].hyperparameters:
        usual = rounded(usual * LOSSES[config.loss].divisor(config.layers[-1].units) ** 0.5)
    return {"optimizer": {"learning_rate": usual}} if config.optimizer.learning_rate > usual else {}


def steadier_activation(evidence):
    """Elu with orthogonal weights in all hidden layers: of relu, leaky relu, elu, selu, silu and tanh with what initialisation suits
    them, the one pair that made every one of 50 deep networks learn whose gradients had vanished, at an unchanged learning rate."""
    *hidden, output = evidence.config.layers
    layers = [{"units": layer.units, "activation": "elu"} for layer in hidden]
    return {
        "cause": "activation",
        "advice": "Each layer of this activation shrinks the gradient: use elu, and begin with orthogonal weights.",
        "fix": {
            "layers": [*layers, {"units": output.units, "activation": output.activation}],
            "init": {"weights": "orthogonal", "scale": 1.0, "bias": "zeros"},
        },
    }


def rounded(rate):
    """A learning rate as a person would write it: one digit."""
    return float(f"{rate:.0e}")
