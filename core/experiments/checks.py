"""The checks of a preflight: one function each, which looks at a Subject and says what it found. CHECKS lists them.

They are what people who debug networks do by hand before the first long run: CS231n's "sanity checks", A. Karpathy's "A recipe for training
neural networks" (2019), and the checklists that follow them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core import faults
from core.diagnosis import remedies
from core.diagnosis.baseline import baseline
from core.diagnosis.comparison import WRONG
from core.diagnosis.detectors import code, settings
from core.diagnosis.detectors.data import ALIKE, rows_in_both
from core.diagnosis.detectors.progress import TOO_SHORT
from core.diagnosis.forecast import NO_BETTER
from core.diagnosis.gradient_check import check_gradients
from core.diagnosis.remedies import UNSCALED
from core.experiments.subject import normalizing
from core.nn.optimizers import OPTIMIZERS
from core.report import strict
from core.training.cost_model import FORWARD, activation_cost
from core.training.evaluation import penalty
from core.training.trainer import Trainer

if TYPE_CHECKING:
    from core.experiments.subject import Subject

# A first loss so many times the best constant output's is no guess any more: outputs are large beside the targets
FAR_OFF = 6.0
# Samples of the batch that is overfitted (Karpathy: "as little as two examples"), the share of a constant output's loss that it reaches,
# and in how many updates at most
FEW, NEAR_ZERO, LEARNED_BY_HEART = 8, 0.1, 3000
# Training samples that the network is trained on with and without its inputs
TRAINED_ON = 2048
# Rows that the gradient is checked on, coordinates of each tensor at most, losses for each, and microseconds for all, as estimated
CHECKED_ROWS, COORDINATES, EVALUATIONS, CHECKING = 16, 10, 6, 300_000
# Neighbours in the order of the training samples are no more alike than by chance: so many standard errors
LIKE_NEIGHBOURS = 4.0
# Signals and gradients of all layers lie within so many powers of ten
DECADES = 2.0
SOUND_CODE = {"advice": "Correct the backprop code.", "fix": {"faults": []}}  # what is wrong was planted
ADAM = {"name": "adam", "learning_rate": OPTIMIZERS["adam"].usual_rate, "schedule": {"name": "constant"}}


@dataclass(frozen=True)
class Outcome:
    """What a check found. `passed` None: it could not be made, as `text` says. Where it failed, `advice` says what to do, and `fix` is a
    patch of the configuration that does it, if there is one. `name` is that of the check in CHECKS."""

    passed: bool | None
    value: float | None
    expected: float | None
    text: str
    advice: str | None = None
    fix: dict | None = None
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return strict(vars(self))


@dataclass(frozen=True)
class Check:
    """`find(subject)` gives the Outcome; `title` is what it asks for, `relation` how value and expected value belong together."""

    find: Callable
    title: str
    relation: str


def _failed(value, expected, text, remedy=None):
    """The Outcome of a failed check with this remedy ({"advice", "fix"}, as core.diagnosis.remedies has them)."""
    remedy = remedy or {}
    return Outcome(False, value, expected, text, remedy.get("advice"), remedy.get("fix"))


def _first(findings):
    """The first Finding, or None."""
    return next(iter(findings), None)


def _as_remedy(finding):
    return {"advice": finding.advice, "fix": finding.fix}


def initial_loss(subject: Subject) -> Outcome:
    """The loss at the start against the best constant output's: log C for C equally frequent classes, the variance for squared errors."""
    evidence, chance = subject.evidence, subject.evidence.data.baseline.loss
    if evidence.data.constant:
        return _failed(None, chance, *_told(_first(settings.constant_labels(evidence))))
    loss = subject.loss_on(TRAINED_ON)(normalizing(subject.trainer.network))
    mismatched = _first(finding for finding in settings.loss_output_mismatch(evidence) if finding.severity != "info")
    if mismatched:
        return _failed(loss, chance, *_told(mismatched))
    if math.isfinite(loss) and loss <= FAR_OFF * chance:
        return Outcome(True, loss, chance, f"The loss begins at {loss:.3g}; always giving the best constant costs {chance:.3g}.")
    odd = _first(
        finding
        for find in (settings.unscaled_targets, settings.unreachable_target, settings.bad_init_scale, settings.unscaled_inputs)
        for finding in find(evidence)
    )
    begins = f"begins at {loss:.3g}" if math.isfinite(loss) else "is not finite at the start"
    remedy = _as_remedy(odd) if odd else remedies.fresh_init(evidence)
    return _failed(loss, chance, f"The loss {begins}; always giving the best constant costs {chance:.3g}.", remedy)


def _told(finding):
    """(text, remedy) of a Finding."""
    return finding.title, _as_remedy(finding)


def input_scale(subject: Subject) -> Outcome:
    """The size of the inputs (root mean square): about 1."""
    size = subject.evidence.data.baseline.input_size
    if odd := _first(settings.unscaled_inputs(subject.evidence)):
        return _failed(size, 1.0, *_told(odd))
    inputs = subject.dataset.train.inputs
    column = int(np.argmax(np.square(inputs).mean(axis=0)))
    largest = float(np.sqrt(np.square(inputs[:, column]).mean()))
    if largest > UNSCALED:
        name = subject.dataset.input_names[column]
        return _failed(
            largest, 1.0, f"Input {name!r} is around {largest:.3g}, the others are smaller.", remedies.scaled_inputs(subject.evidence)
        )
    return Outcome(True, size, 1.0, f"Inputs are around {size:.2g}.")


def target_scale(subject: Subject) -> Outcome:
    """The size of a regression's targets: about 1, and within reach of the output."""
    evidence = subject.evidence
    size = evidence.data.baseline.target_size
    if subject.dataset.task == "regression":
        if size > UNSCALED:
            return _failed(size, 1.0, f"Targets are around {size:.3g}.", remedies.scaled_targets(evidence))
        if not evidence.data.constant and evidence.data.targets.std() < 1 / UNSCALED**2:
            spread = float(evidence.data.targets.std())
            return _failed(spread, 1.0, f"Targets differ by {spread:.2g} only: errors are tiny.", remedies.scaled_targets(evidence))
    if odd := _first(settings.unreachable_target(evidence)):
        return _failed(size, 1.0, *_told(odd))
    reach = "Targets are classes" if subject.dataset.task == "classification" else f"Targets are around {size:.2g}"
    return Outcome(True, size, 1.0, f"{reach}, and the output can reach them.")


def uses_input(subject: Subject) -> Outcome:
    """A network trained with its inputs does better than the same one without them (Karpathy's input-independent baseline)."""
    if subject.evidence.data.constant:
        return Outcome(None, None, NO_BETTER, "Not checked: all targets are the same.")
    seeing, blind = subject.rows(TRAINED_ON), subject.rows(TRAINED_ON, blind=True)
    ratio = math.inf
    for patch in ({}, {"optimizer": ADAM}):
        without = np.nanmin(subject.losses(patch, blind))
        lowest = np.nanmin(subject.losses(patch, seeing, lambda loss, enough=NO_BETTER * without: loss < enough))
        ratio = float(lowest / without) if without > 0 else 1.0
        if ratio < NO_BETTER:
            return Outcome(True, ratio, NO_BETTER, f"With its inputs the loss falls to {ratio:.0%} of that without them.")
    text = f"With its inputs the loss falls to {ratio:.0%} of that without them: they make no difference."
    evidence = subject.evidence
    if subject.config.faults:
        return _failed(ratio, NO_BETTER, text, SOUND_CODE)
    if odd := _first(finding for find in (settings.symmetric_init, settings.bad_init_scale) for finding in find(evidence)):
        return _failed(ratio, NO_BETTER, text, _as_remedy(odd))
    if evidence.data.attainable.explained < 1 - NO_BETTER:
        return _failed(ratio, NO_BETTER, text, {"advice": "Check that inputs and targets are in the same order: they look unrelated."})
    remedy = remedies.steadier_activation(evidence) if remedies.too_flat(subject.config.layers[:-1]) else remedies.larger_network(evidence)
    return _failed(ratio, NO_BETTER, text, remedy)


def gradients(subject: Subject) -> Outcome:
    """The gradient of backprop against central differences of the loss, on a few samples."""
    config = subject.config.patched({"batch_size": CHECKED_ROWS, "dtype": "float64", "clip_norm": None, "class_weight": None, "stop": None})
    layers = [layer | {"dropout": 0.0} for layer in config.to_dict()["layers"]]
    trainer = Trainer(config.patched({"layers": layers}), subject.rows(CHECKED_ROWS))
    network, batch = normalizing(trainer.network), trainer.batches[0]
    trained = [name for name in network.parameters() if not name.startswith(("mean", "variance"))]
    trained = [name for name in trained if not (name[0] == "b" and not config.layers[int(name[1:]) - 1].bias)]
    whole = network.parameters()
    point = {name: whole[name] for name in trained}

    def loss(parameters):
        subject.between()
        network.load(whole | parameters)
        z, a = network.forward(batch[0])[-1]
        return network.loss.mean(network.loss_values(z, a, batch[1])) + penalty(network, config.penalty)

    trainer.advance(1)
    backprop = trainer.network.copy()
    backprop.hold(trainer.last_gradient())
    found = {name: value for name, value in backprop.parameters().items() if name in trained}
    once = FORWARD * network.vector.size * CHECKED_ROWS + activation_cost(network, CHECKED_ROWS) + 50
    samples = int(np.clip(CHECKING / once / EVALUATIONS / len(trained), 1, COORDINATES))
    try:
        with np.errstate(all="ignore"):
            check = check_gradients(loss, point, found, samples=samples, batch_size=batch[1].shape[1], seed=config.seed)
    except ValueError as refused:
        return Outcome(False, None, WRONG, f"The gradient cannot be checked: {refused}.", "Scale the inputs, or take smaller weights.")
    compared = [row for row in check.rows if row.checked]
    worst = max(compared, key=lambda row: row.relative_error, default=None)
    if check.verdict == "unknown":
        return Outcome(None, None, WRONG, check.pattern)
    error = worst.relative_error
    if check.verdict == "faulty":
        text = f"The gradient is wrong, most in {worst.tensor}: relative error {error:.2g}."
        # The short form of softmax with cross-entropy is right only where each row of targets sums to 1
        odd = None if config.faults else _first(settings.loss_output_mismatch(subject.evidence))
        return _failed(error, WRONG, text, _as_remedy(odd) if odd else SOUND_CODE)
    if wrong := _first(code.update_fault(subject.evidence)):
        return _failed(error, WRONG, *_told(wrong))
    return Outcome(True, error, WRONG, f"Backprop agrees with central differences to {error:.1g}.")


def overfits_one_batch(subject: Subject) -> Outcome:
    """The network learns a few samples by heart, with the run's optimizer or else with Adam."""
    dataset = subject.rows(FEW)
    chance = baseline(subject.config, dataset).loss
    if not chance > 0:
        return Outcome(None, None, NEAR_ZERO, "Not checked: the targets of the batch are all the same.")
    goal, shares = NEAR_ZERO * chance, []
    for patch in ({"batch_size": FEW}, {"batch_size": FEW, "optimizer": ADAM}):
        shares.append(float(np.nanmin(subject.losses(patch, dataset, lambda loss: loss <= goal, LEARNED_BY_HEART)) / chance))
        if shares[-1] <= NEAR_ZERO:
            by = "" if len(shares) == 1 else ", by Adam: the run's own optimizer is slower"
            return Outcome(True, shares[-1], NEAR_ZERO, f"{len(dataset.train)} samples are learned to {shares[-1]:.1%} of chance{by}.")
    text = f"{len(dataset.train)} samples are not learned by heart: the loss stays at {min(shares):.0%} of chance."
    evidence = subject.evidence
    if subject.config.faults:
        return _failed(min(shares), NEAR_ZERO, text, SOUND_CODE)
    finds = (settings.loss_output_mismatch, settings.unreachable_target, settings.symmetric_init, settings.bad_init_scale)
    if odd := _first(finding for find in finds for finding in find(evidence)):
        return _failed(min(shares), NEAR_ZERO, text, _as_remedy(odd))
    remedy = remedies.against_underfitting(evidence)
    if remedy["cause"] in ("learning_rate", "optimizer"):
        remedy = remedies.larger_network(evidence)
    return _failed(min(shares), NEAR_ZERO, text, remedy)


def shuffled(subject: Subject) -> Outcome:
    """Batches mix the samples: neighbours in the order of the training part are no more alike than others."""
    config, targets = subject.config, subject.evidence.data.targets
    likeness = _likeness(targets)
    if len(subject.trainer.batches) == 1:
        return Outcome(True, likeness, LIKE_NEIGHBOURS, "Each update uses all samples: their order does not matter.")
    if likeness > LIKE_NEIGHBOURS:
        fix = {"data": {"split": "stratified"}} if config.data.split == "ordered" else {"faults": []} if config.faults else None
        advice = "Shuffle the rows before they are cut into batches."
        text = "Samples that follow each other are alike: batches hold one kind at a time."
        return _failed(likeness, LIKE_NEIGHBOURS, text, {"advice": advice, "fix": fix})
    if not faults.shuffles(config):
        fix = {"shuffle": True} if not config.shuffle else {"faults": []}
        text = "Batches come in the same order in each epoch."
        return _failed(likeness, LIKE_NEIGHBOURS, text, {"advice": "Shuffle the batches in each epoch.", "fix": fix})
    return Outcome(True, likeness, LIKE_NEIGHBOURS, "Batches mix the samples, and come in a new order in each epoch.")


def _likeness(targets):
    """Autocorrelation of neighbouring rows of the targets (m, k), in standard errors of independent rows (Anderson 1942)."""
    centred = targets - targets.mean(axis=0)
    total = float(np.square(centred).sum())
    return float((centred[1:] * centred[:-1]).sum() / total * math.sqrt(len(targets))) if total > 0 else 0.0


def parts_disjoint(subject: Subject) -> Outcome:
    """No test row is a training row, too."""
    test = len(subject.dataset.test)
    if not test:
        return Outcome(None, None, 0.0, "Not checked: no samples are held back for testing.")
    repeated = rows_in_both(subject.dataset)
    share = repeated / test
    if share > ALIKE and repeated > 1:
        text = f"{share:.0%} of the test rows are training rows, too: the test measures memory."
        return _failed(share, 0.0, text, {"advice": "Remove repeated rows from the file, or hold other rows back."})
    also = f"; {repeated} are in both" if repeated else ""
    return Outcome(True, share, 0.0, f"{test:,} test rows are no training rows{also}.")


def learning_rate(subject: Subject) -> Outcome:
    """The learning rate against its stability limit, and whether its updates move the weights at all."""
    forecast, evidence = subject.forecast, subject.evidence
    rate, limit = forecast.learning_rate, forecast.stability_limit
    if rate > limit:
        calm = "" if forecast.verdict == "unstable" else f" The next {forecast.looked_ahead} updates do not diverge all the same."
        text = f"The learning rate {rate:.3g} is {forecast.ratio:.3g} times its stability limit, {limit:.3g}.{calm}"
        return _failed(rate, limit, text, remedies.stable_learning_rate(evidence))
    if forecast.verdict == "unstable":
        return _failed(rate, limit, f"The learning rate {rate:.3g} blows up the first updates.", remedies.stable_learning_rate(evidence))
    ratio = _update_ratio(subject)
    if ratio < TOO_SHORT:
        text = f"The learning rate {rate:.3g} changes the weights by {ratio:.1g} of their size an update: too little to get anywhere."
        return _failed(rate, limit, text, remedies.larger_learning_rate(evidence, ratio))
    return Outcome(True, rate, limit, f"The learning rate {rate:.3g} is {forecast.ratio:.2g} of its stability limit.")


def _update_ratio(subject):
    """The largest of the layers' first updates over their weights; inf where that was not finite."""
    ratios = subject.moved.telemetry.metric("update_ratio")
    return float(np.nanmax(ratios[0], initial=0.0)) if len(ratios) and np.isfinite(ratios[0]).any() else math.inf


def signal_scale(subject: Subject) -> Outcome:
    """Activations and gradients of all layers are of similar size at the start."""
    telemetry = subject.moved.telemetry
    if subject.moved.nonfinite:
        layer = subject.moved.nonfinite.layer
        text = f"The first update is not finite{f' in layer {layer}' if layer else ''}."
        return _failed(None, DECADES, text, remedies.against_too_large(subject.evidence))
    widest = {}
    for name, values in (("Activations", _root_mean_squares(telemetry)), ("Gradients", telemetry.metric("gradient_norm")[0])):
        with np.errstate(all="ignore"):
            decades = np.log10(values)
        if not np.isfinite(decades).all():
            layer = int(np.argmin(decades)) + 1
            text = f"{name} of layer {layer} are zero at the start: nothing is learned there."
            return _failed(None, DECADES, text, remedies.fresh_init(subject.evidence))
        widest[name] = float(np.ptp(decades)), int(np.argmin(decades)) + 1, int(np.argmax(decades)) + 1
    name, (apart, least, most) = max(widest.items(), key=lambda entry: entry[1][0])
    if apart <= DECADES:
        return Outcome(True, apart, DECADES, f"Activations and gradients of all layers lie within a factor of {10**apart:.2g}.")
    text = f"{name} of layer {least} are {10**apart:.2g} times smaller than those of layer {most}."
    if name == "Gradients" and least < most:
        return _failed(apart, DECADES, text, remedies.against_vanishing(subject.evidence, from_the_start=True))
    remedy = remedies.against_too_large(subject.evidence)
    remedy = remedies.fresh_init(subject.evidence) if remedy["cause"] == "learning_rate" else remedy
    return _failed(apart, DECADES, text, remedy)


def _root_mean_squares(telemetry):
    """Of each layer's activations in the first sample (layers,)."""
    return np.hypot(telemetry.metric("activation_mean")[0], telemetry.metric("activation_deviation")[0])


CHECKS = {
    "initial_loss": Check(initial_loss, "Loss at the start near a guess", "about"),
    "input_scale": Check(input_scale, "Inputs scaled", "about"),
    "target_scale": Check(target_scale, "Targets scaled, within reach", "about"),
    "uses_input": Check(uses_input, "Inputs make a difference", "below"),
    "gradients": Check(gradients, "Gradients are right", "below"),
    "overfits_one_batch": Check(overfits_one_batch, "One batch can be learned by heart", "below"),
    "shuffled": Check(shuffled, "Samples shuffled", "below"),
    "parts_disjoint": Check(parts_disjoint, "Training and test apart", "about"),
    "learning_rate": Check(learning_rate, "Learning rate within its limit", "below"),
    "signal_scale": Check(signal_scale, "All layers within two decades", "below"),
}
