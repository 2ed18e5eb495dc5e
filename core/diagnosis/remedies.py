"""What to change: for each kind of trouble the cause, one sentence of advice, and a patch of the configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.faults import FAULTS
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES, suited_output
from core.nn.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from core.config import LayerConfig, RunConfig
    from core.diagnosis.evidence import Evidence
    from core.diagnosis.forecast import Forecast

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
# A usual mini-batch (Bengio 2012, "Practical recommendations for gradient-based training of deep architectures")
USUAL_BATCH = 32
# A sigmoid's steepest slope: each layer as flat takes at least three quarters of the gradient, and more than so many leave too little
FLAT, MANY_FLAT = ACTIVATIONS["sigmoid"].steepest, 2
# Batches so small that what one asks for may undo what another did
FEW_SAMPLES = 4
Remedy = dict[str, Any]  # cause, advice and fix (a patch of the configuration) of a Finding

# Units that are plenty for the data here, and a penalty that is felt without drowning anything
CAPACITY, HOLD = 16, 1e-3


def against_too_large(evidence: Evidence) -> Remedy:
    """For numbers, gradients or updates that are too large: {"cause", "advice", "fix"}, the first of what can be the reason."""
    size = evidence.data.baseline
    if size.input_size > UNSCALED and evidence.config.data.scaling == "none":
        return scaled_inputs(evidence)
    if size.target_size > UNSCALED and evidence.dataset.task == "regression" and evidence.config.data.target_scaling == "none":
        return scaled_targets(evidence)
    if (evidence.signals.first_weights > LARGE_INIT * evidence.signals.he_norms).any():
        remedy = fresh_init(evidence)
        return {**remedy, "fix": {**remedy["fix"], "clip_norm": evidence.config.clip_norm or CLIP_NORM}}
    if len(evidence.signals.steps) and evidence.signals.backward_growth.max() > EXPLODED:
        return fresh_init(evidence, "glorot_uniform")
    return smaller_learning_rate(evidence)


def against_vanishing(evidence: Evidence, from_the_start: bool) -> Remedy:
    """For gradients that do not arrive: an activation too flat for so many layers, or what saturated it."""
    if np.median(evidence.signals.first_weights / evidence.signals.glorot_norms) < SMALL_INIT:
        return fresh_init(evidence)
    remedy = against_too_large(evidence)
    if not from_the_start or remedy["cause"] != "learning_rate":
        return remedy
    return steadier_activation(evidence) if len(evidence.config.layers) > 1 else fresh_init(evidence)


def against_dead_units(evidence: Evidence, born_dead: bool) -> Remedy:
    """For units that pass nothing back: what killed them, or how they began."""
    remedy = against_too_large(evidence)
    return fresh_init(evidence) if born_dead and remedy["cause"] == "learning_rate" else remedy


def against_swings(evidence: Evidence) -> Remedy:
    """For a loss that does not settle: too few samples an update where all of them together would be stable, else too large steps."""
    config, forecast = evidence.config, evidence.forecast
    few = config.batch_size is not None and config.batch_size <= FEW_SAMPLES and len(evidence.dataset.train) > USUAL_BATCH
    if few and (forecast is None or forecast.ratio < 1):
        return larger_batch(evidence)
    return against_too_large(evidence)


def against_standstill(evidence: Evidence) -> Remedy:
    """For a loss that is flat though nothing is visibly broken: steps, or else the way they are taken."""
    remedy = against_too_large(evidence)
    if remedy["cause"] != "learning_rate":
        return remedy
    if too_flat(evidence.config.layers[:-1]):
        return steadier_activation(evidence)
    ratio = float(np.nanmax(evidence.signals.now("update_ratio"), initial=0.0)) if len(evidence.signals.steps) else 0.0
    if ratio > AIMED_UPDATE_RATIO:
        return against_swings(evidence)
    if evidence.config.optimizer.learning_rate < usual_rate(evidence.config):
        return larger_learning_rate(evidence, ratio)
    return other_optimizer(evidence)


def against_underfitting(evidence: Evidence) -> Remedy:
    """For a run that learned a little: steps beyond custom, layers too flat for so many, a network too narrow or too straight, or none of
    these: then it is the way its steps are taken."""
    remedy = against_too_large(evidence)
    if remedy["cause"] != "learning_rate":
        return remedy
    config = evidence.config
    if config.optimizer.learning_rate > usual_rate(config):
        return against_swings(evidence)
    hidden = config.layers[:-1]
    if too_flat(hidden):
        return steadier_activation(evidence)
    if not hidden or min(layer.units for layer in hidden) < CAPACITY / 2 or all(layer.activation == "linear" for layer in hidden):
        return larger_network(evidence)
    return against_standstill(evidence)


def too_flat(layers: Sequence[LayerConfig]) -> bool:
    """Whether these layers leave too little of a gradient."""
    steepest = [ACTIVATIONS[layer.activation].steepest for layer in layers]
    return sum(slope is not None and slope <= FLAT for slope in steepest) > MANY_FLAT  # pyright: ignore[reportOperatorIssue]


def other_optimizer(evidence: Evidence) -> Remedy:
    """Adam at its usual rate; from Adam, back to where its steps are usual."""
    if evidence.config.optimizer.name == "adam":
        return smaller_learning_rate(evidence)
    return {
        "cause": "optimizer",
        "advice": "Steps of a usual length lead nowhere: Adam gives each weight a step of its own.",
        "fix": {"optimizer": {"name": "adam", "learning_rate": OPTIMIZERS["adam"].usual_rate}},
    }


def scaled_inputs(evidence: Evidence) -> Remedy:
    size = evidence.data.baseline.input_size
    return {
        "cause": "data_scaling",
        "advice": f"Inputs are {size:.3g} in size: scale them to about 1, so that one learning rate suits all.",
        "fix": _without_planted(evidence, "inputs") or {"data": {"scaling": "standard"}, **usual_learning_rate(evidence)},
    }


def scaled_targets(evidence: Evidence) -> Remedy:
    return {
        "cause": "target_scaling",
        "advice": f"Targets are {evidence.data.baseline.target_size:.3g} in size: scale them, and every gradient shrinks with them.",
        "fix": {"data": {"target_scaling": "standard"}, **usual_learning_rate(evidence)},
    }


def fresh_init(evidence: Evidence, name: str | None = None) -> Remedy:
    """The initialisation that keeps signals at one size through layers of this activation, or the named one; biases at zero."""
    name = name or ACTIVATIONS[evidence.config.layers[0].activation].init
    planted = _without_planted(evidence, "parameters") or {}
    return {
        "cause": "init",
        "advice": "Begin with weights of the size that keeps signals as they are, each its own.",
        "fix": {**planted, **first_weights(evidence.config.to_dict()["layers"], name), **usual_learning_rate(evidence)},
    }


def first_weights(layers: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The patch by which all of these layers, those with an initialization of their own too, begin with `name` weights and zero biases."""
    own = any(layer.get("init") for layer in layers)
    init = {"weights": name, "scale": 1.0, "bias": "zeros"}
    return {"init": init, "layers": [layer | {"init": None} for layer in layers]} if own else {"init": init}


def _without_planted(evidence, what):
    """The patch that takes out planted faults of the set-up, if some concern the "inputs" or the "parameters"."""
    if not evidence.config.faults:
        return None
    left = [entry for entry in evidence.config.faults if FAULTS[entry.partition(":")[0]].edits != what]
    return {"faults": left} if len(left) < len(evidence.config.faults) else None


# Outputs and losses


def mismatch(evidence: Evidence) -> tuple[str, str, bool] | None:
    """(what is wrong between task, output and loss, the cause, whether it cannot work at all); None if nothing is."""
    config, task = evidence.config, evidence.dataset.task
    output, loss, one = config.layers[-1].activation, config.loss, config.layers[-1].units == 1
    activation, classes = ACTIVATIONS[output], LOSSES[loss].classes
    said, outputs = loss.replace("_", " "), f"{output} outputs"
    capital = said[0].upper() + said[1:]
    wrong_output, wrong_loss = "output_activation", "loss"
    if activation.shares and one:
        return f"{output.capitalize()} over a single unit is always 1, whatever the input.", wrong_output, True
    if task == "regression":
        if classes:
            return f"The targets are values, and {said} is a loss for classes.", wrong_loss, True
        if activation.shares:
            return f"{output.capitalize()} outputs share 1 among them; the targets are values of their own.", wrong_output, True
        return None
    exclusive = evidence.dataset.labels and not one
    if classes == "exclusive":
        if one:
            return f"{capital} of a single output sees one class only: its loss is lowest when all are called that.", wrong_loss, True
        if not activation.shares:
            return f"{capital} only asks that the right class's output grow; {outputs} can all grow together.", wrong_output, True
    if classes == "independent":
        if (activation.low, activation.high) != (0, 1) or (activation.shares and not exclusive):
            return f"{capital} needs outputs between 0 and 1; {output} gives others.", wrong_output, True
        if exclusive:
            return "The classes exclude each other, and the loss treats each as a yes or no of its own.", wrong_output, False
    if classes == "signed" and output not in LOSSES[loss].matches:
        return f"{capital} loss compares with -1 and +1; {outputs} cannot go there or need not.", wrong_loss, True
    if classes is None and evidence.dataset.labels and not np.isfinite(activation.high):
        dies = activation.kinks and activation.low == 0
        return f"The targets are classes; {said} with {outputs} treats them as values.", wrong_loss, dies
    return None


def matching_output(evidence: Evidence) -> tuple[str, str]:
    """(output activation, loss) that belong to the task."""
    return suited_output(evidence.dataset.task, evidence.dataset.labels and evidence.config.layers[-1].units > 1)


def matching_pair(evidence: Evidence, cause: str) -> Remedy:
    """The remedy that takes the output and the loss which belong together, blaming the one that is wrong."""
    activation, loss = matching_output(evidence)
    return {
        "cause": cause,
        "advice": f"Use {activation} outputs with {loss.replace('_', ' ')}.",
        "fix": {**_output(evidence, activation), "loss": loss, **usual_learning_rate(evidence)},
    }


def _output(evidence, activation):
    *hidden, output = evidence.config.to_dict()["layers"]
    return {"layers": [*hidden, {**output, "activation": activation}]}


def reachable_output(evidence: Evidence) -> Remedy:
    """An output that goes where the targets are: one for each class where these are whole numbers; unscaled targets are scaled as well."""
    *hidden, output = evidence.config.to_dict()["layers"]
    values, data, advice = evidence.dataset.whole_numbers, evidence.dataset, "Use {activation} outputs, which can reach every target."
    if len(values):
        output, loss = output | {"units": len(values), "activation": "softmax"}, "categorical_cross_entropy"
        advice = "The targets are classes: give each an output of its own, softmax."
        if len(values) == 2:
            advice = "Code the two classes as 0 and 1, or give each an output of its own, softmax."
    else:
        within = data.task == "classification" and evidence.data.targets.min() >= 0 and evidence.data.targets.max() <= 1
        value_loss = "mse" if LOSSES[evidence.config.loss].classes else evidence.config.loss
        activation, loss = matching_output(evidence) if within else ("linear", value_loss)
        output, advice = output | {"activation": activation}, advice.format(activation=activation)
    fix = {"layers": [*hidden, output], "loss": loss}
    if data.task == "regression" and evidence.data.baseline.target_size > UNSCALED:
        fix["data"] = {"target_scaling": "standard"}
    return {"cause": "output_activation", "advice": advice, "fix": {**fix, **usual_learning_rate(evidence)}}


# The learning rate, and the rest


def no_penalty() -> Remedy:
    """No penalty: what is left can be judged, and a penalty be put back in small."""
    return {
        "cause": "penalty",
        "advice": "Leave the penalty out, or make it a hundred times smaller.",
        "fix": {"penalty": {"l1": 0.0, "l2": 0.0}},
    }


def smaller_learning_rate(evidence: Evidence) -> Remedy:
    """A tenth of the learning rate, or less where the updates would begin too large for the weights even so."""
    optimizer = evidence.config.optimizer
    gain = 1 / (1 - optimizer.momentum) if "momentum" in OPTIMIZERS[optimizer.name].hyperparameters else 1.0  # once it has gathered speed
    first = gain * np.nanmax(evidence.signals.layers("update_ratio")[:1], initial=0.0)
    smaller = rounded(optimizer.learning_rate * min(0.1, AIMED_UPDATE_RATIO / first if first > 0 else 0.1))
    return {
        "cause": "learning_rate",
        "advice": "Take smaller steps.",
        "fix": {"optimizer": {"learning_rate": smaller}},
    }


def stable_learning_rate(evidence: Evidence) -> Remedy:
    """The largest learning rate that the forecast expects to be stable, within custom."""
    rate = recommended_rate(evidence.config, evidence.forecast)  # pyright: ignore[reportArgumentType]
    if rate is None:
        return smaller_learning_rate(evidence)
    fix = {"optimizer": {"learning_rate": rate}}
    if (evidence.config.batch_size or USUAL_BATCH) <= FEW_SAMPLES:  # each is steeper than the mean of all, which the limit is about
        fix = {"batch_size": USUAL_BATCH, "optimizer": {"learning_rate": usual_rate(evidence.config)}}
    return {"cause": "learning_rate", "advice": "Take smaller steps: up to the limit they are expected to be stable.", "fix": fix}


def recommended_rate(config: RunConfig, forecast: Forecast) -> float | None:
    """The learning rate below the configuration's that a Forecast expects to be stable and that is in use, one digit of it; or None."""
    rate = min(forecast.largest_stable_rate, usual_rate(config))
    if not 0 < rate < config.optimizer.learning_rate:
        return None
    return rounded_down(rate)


def larger_learning_rate(evidence: Evidence, update_ratio: float) -> Remedy:
    """The learning rate that brings updates of this share of the weights to a usual one, within what is stable and custom."""
    rate = evidence.config.optimizer.learning_rate
    usual = usual_rate(evidence.config)
    stable = evidence.forecast.largest_stable_rate if evidence.forecast else usual
    wanted = rounded(max(min(rate * AIMED_UPDATE_RATIO / max(update_ratio, 1e-12), usual, stable), 3 * rate))
    return {
        "cause": "learning_rate",
        "advice": "Take larger steps.",
        "fix": {"optimizer": {"learning_rate": wanted}},
    }


def larger_batch(evidence: Evidence) -> Remedy:
    """More samples an update, and a rate within custom."""
    return {
        "cause": "batch_size",
        "advice": "Each update follows too few samples, and what one asks for undoes what another did: take more.",
        "fix": {"batch_size": USUAL_BATCH, **usual_learning_rate(evidence)},
    }


def larger_network(evidence: Evidence) -> Remedy:
    """Two hidden layers of a usual width, as the network has them or wider."""
    *hidden, output = evidence.config.to_dict()["layers"]
    bent = [layer["activation"] for layer in hidden if layer["activation"] != "linear"]
    activation = bent[0] if bent else "tanh"
    units = max([CAPACITY, *(2 * layer["units"] for layer in hidden)])
    layers = [{"units": units, "activation": activation}] * max(2, len(hidden))
    return {
        "cause": "capacity",
        "advice": f"Use {len(layers)} hidden layers of {units} units; what is narrower or straight cannot bend enough.",
        "fix": {"layers": [*layers, output], **usual_learning_rate(evidence)},
    }


def stronger_hold(evidence: Evidence) -> Remedy:
    """Against learning by heart: a penalty on the weights."""
    return {
        "cause": "penalty" if not (evidence.config.penalty.l1 or evidence.config.penalty.l2) else "capacity",
        "advice": "It learns the training samples by heart: get more data, penalise large weights, use fewer units, or stop earlier.",
        "fix": {"penalty": {"l2": max(HOLD, 10 * evidence.config.penalty.l2)}},
    }


def usual_learning_rate(evidence: Evidence) -> dict[str, Any]:
    """The part of a patch that brings a learning rate beyond all custom down. A mean over k outputs makes gradients sqrt(k) smaller,
    and plain descent may step so much further."""
    usual = usual_rate(evidence.config)
    return {"optimizer": {"learning_rate": usual}} if evidence.config.optimizer.learning_rate > usual else {}


def usual_rate(config: RunConfig) -> float:
    """The largest learning rate in common use for a configuration's optimizer and loss."""
    optimizer = OPTIMIZERS[config.optimizer.name]
    usual = optimizer.usual_rate
    if not optimizer.preconditioner:
        usual = rounded(usual * LOSSES[config.loss].divisor(config.layers[-1].units) ** 0.5)
    return usual


def steadier_activation(evidence: Evidence) -> Remedy:
    """Elu with orthogonal weights in all hidden layers: of relu, leaky relu, elu, selu, silu and tanh with what initialisation suits
    them, the one pair that made every one of 50 deep networks learn whose gradients had vanished, at an unchanged learning rate."""
    *hidden, output = evidence.config.to_dict()["layers"]
    layers = [*({**layer, "activation": "elu"} for layer in hidden), output]
    return {
        "cause": "activation",
        "advice": "Each layer of this activation shrinks the gradient: use elu, and begin with orthogonal weights.",
        "fix": {"layers": layers, **first_weights(layers, "orthogonal")},
    }


def rounded(rate: float) -> float:
    """A learning rate as a person would write it: one digit."""
    return float(f"{rate:.0e}")


def rounded_down(rate: float) -> float:
    """The same, and no larger: what is stated as a limit must hold."""
    unit = 10.0 ** math.floor(math.log10(rate))
    return float(f"{math.floor(rate / unit + 1e-9) * unit:.0e}")
