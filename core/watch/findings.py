"""What is wrong with a program of which only numbers are known. A finding names the tensor as its author does.

Detectors come in the order of causes. All but those of plain certainties ask first whether the program learns: many programs that do have
large gradients, dead units or long updates as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.divergence import divergence_limit
from core.diagnosis.finding import SEVERITIES, Finding, figures
from core.watch.evidence import Evidence
from core.watch.over_steps import (
    entries_move_alike,
    gradient_shape_broadcasts,
    softmax_over_samples,
    stale_gradients,
    symmetric_units,
    weights_not_updated,
)

if TYPE_CHECKING:
    from core.watch.history import WatchedRun

# A loss so many times the first is beyond hope; below that it has to stay too high for so many steps
HOPELESS, STAYING = 100.0, 50
# A gradient so many times its tensor, or as large beside those of the first steps, explodes (as in core/diagnosis/detectors/stability.py)
EXPLODED = 1000.0
# A gradient below this share of the largest tensor's, and this small beside its own tensor, vanishes (AutoTrainer's 1e-3, and its 1e-4)
VANISHED, SMALL = 1e-3, 1e-4
DEAD, SATURATED = 0.5, 0.5  # shares of a layer (Amazon SageMaker Debugger; DeepDiagnosis)
TOO_LONG, TOO_SHORT = 0.1, 1e-6  # of update to weights (A. Karpathy aims at 1e-3)
PLATEAU_STEPS, BLIND_STEPS = 100, 500  # before standing still is told: where chance is known, and where it is not
SWINGS, TURNS, SPREAD = 30, 0.55, 0.5  # losses, changes that go opposite ways, and quartiles' distance beside the loss
FAR_FROM_CHANCE = 5.0
LARGEST = 1e100  # sums of what is smaller do not overflow by themselves


@dataclass(frozen=True)
class WatchedFinding(Finding):
    """A Finding with the name of the tensor that shows it (None: the whole program)."""

    tensor: str | None = None


def find(run: WatchedRun) -> list[WatchedFinding]:
    """The WatchedFindings on a WatchedRun, worst first."""
    evidence = Evidence(run)
    found = []
    with np.errstate(all="ignore"):
        for detector in DETECTORS:
            found += [_made(run, *said) for said in detector(evidence)]
    if any(finding.code in CERTAIN for finding in found):
        found = [finding for finding in found if finding.code not in FOLLOWING]
    return sorted(found, key=lambda finding: list(SEVERITIES).index(finding.severity))


def _made(run, code, severity, step, tensor, cause, title, advice, evidence):
    layer = None if tensor is None else run.layer_of(tensor)
    name = None if tensor is None else run.names[tensor]
    return WatchedFinding(code, severity, int(step), layer, cause, title, advice, figures(**evidence), tensor=name)


# Numbers overflow


def nonfinite(evidence: Evidence) -> Iterator[tuple]:
    """The first tensor that was not finite, by its own name and step."""
    run = evidence.run
    found = [(step, *_rank(evidence, step)) for step in [_first_broken_step(evidence)] if step is not None]
    for step, what, tensor in found:
        earlier = [at for at in evidence.steps if at < step]
        gap = step - earlier[-1] - 1 if earlier else 0
        seen = f", or in the {gap:,} steps before it that were not measured" if gap > 0 and tensor is not None else ""
        name = what if tensor is None else what.format(run.names[tensor])  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue, reportArgumentType]
        yield (
            "nonfinite", "critical", step, tensor, "data" if what == "the batch X" else "learning_rate",
            f"Numbers overflowed at step {step}: {name} is {'no longer' if step > 1 else 'not'} finite{seen}.",
            "Look for missing values in the inputs." if what == "the batch X" else
            "Lower the learning rate, clip the gradients, and look for log(0), division by 0 and exp of large numbers before it.",
            {"last_loss": evidence.losses[-1, 1] if len(evidence.losses) else np.nan},
        )  # fmt: skip


def _first_broken_step(evidence):
    """The first step of which something is known not to be finite."""
    steps = [evidence.first_nonfinite_loss]
    finite = evidence.run.finite
    if len(finite) and not finite.all():
        steps.append(int(evidence.steps[int(np.argmin(finite.all(axis=(1, 2))))]))
    for step in evidence.run.whole.values():
        if not all(array is None or np.isfinite(array).all() for array in (*step.params, *step.grads, step.X, step.outputs)):
            steps.append(step.step)
            break
    return min((step for step in steps if step is not None), default=None)


def _rank(evidence, step):
    """(what is said of it, its tensor's index or None) of what comes first within a step: inputs, parameters, outputs, loss, and the
    gradients from the last to the first."""
    run = evidence.run
    rows = np.flatnonzero(evidence.steps == step)
    whole = run.whole.get(step)
    if whole is not None and whole.X is not None and not np.isfinite(whole.X).all():
        return "the batch X", None
    if whole is not None:
        finite = np.array([[_finite(p), _finite(g)] for p, g in zip(whole.params, whole.grads)])
    elif len(rows):
        finite = run.finite[rows[0]]
    else:
        return "the loss", None
    parameters, gradients = np.flatnonzero(~finite[:, 0]), np.flatnonzero(~finite[:, 1])
    if len(parameters) and not (len(gradients) and _told_after(evidence, step)):
        return "{}", int(parameters[0])
    for name, values in whole.hidden.items() if whole is not None else ():
        if not _finite(values):
            return f"the activations of {name}", None
    if whole is not None and not _finite(whole.outputs):
        return "the outputs", None
    if evidence.first_nonfinite_loss == step and not len(gradients):
        return "the loss", None
    return (
        ("the gradient of {}", int(gradients[-1]))
        if len(gradients)
        else ("{}", int(parameters[0]))
        if len(parameters)
        else ("the loss", None)
    )


def _told_after(evidence, step):
    """Whether the parameters at this step cannot have overflowed before it, as those of a step that is told before its update would: the
    step before was finite and small. They are the update's then, which comes after the gradients."""
    rows = np.flatnonzero(evidence.steps == step - 1)
    if not len(rows):
        return False
    before = evidence.norms[rows[0], :2]
    return bool(np.nan_to_num(before, nan=0.0).max(initial=0.0) < LARGEST and evidence.run.finite[rows[0]].all())


def _finite(array):
    return array is None or bool(np.isfinite(array).all())


# The loss


def diverged(evidence: Evidence) -> Iterator[tuple]:
    """Finite, but staying worse than at the start, or than it was."""
    losses = evidence.losses
    if len(losses) < 5:
        return
    chance = evidence.first if evidence.chance is None else evidence.chance
    limit, lost = divergence_limit(evidence.first, evidence.best, chance)
    recent = losses[-max(3, len(losses) // 20) :, 1]
    if not (recent.min() > limit and evidence.now > limit):
        return
    above = losses[:, 1] > limit
    last_below = np.flatnonzero(~above)
    step = int(losses[min(last_below[-1] + 1, len(losses) - 1), 0]) if len(last_below) else int(losses[0, 0])
    if evidence.run.steps - step >= STAYING or evidence.now > HOPELESS * abs(evidence.first):
        beside = f"far above its best, {evidence.best:.3g}" if lost else f"and it began at {evidence.first:.3g}"
        yield (
            "diverged", "critical", step, None, "learning_rate",
            f"Training diverged at step {step}: the loss is {evidence.now:.3g}, {beside}.",
            "Lower the learning rate by a factor of 3 to 10. If that does not help, the update may go the wrong way, or the gradients "
            "be summed over the batch.", {"loss": evidence.now, "initial_loss": evidence.first, "best_loss": evidence.best},
        )  # fmt: skip


def far_from_chance(evidence: Evidence) -> Iterator[tuple]:
    """The first loss is many times that of a constant output."""
    chance = evidence.chance
    if not chance or not np.isfinite(evidence.first) or evidence.learned or evidence.losses[0, 0] > 2:
        return
    samples = next((len(step.Y) for step in evidence.run.whole.values() if step.Y is not None), 1)
    if evidence.first > FAR_FROM_CHANCE * chance and evidence.first / max(samples, 1) < chance / FAR_FROM_CHANCE:
        return  # may well be a sum over the batch
    if FAR_FROM_CHANCE * chance < evidence.first and not evidence.first / samples < FAR_FROM_CHANCE * chance:
        yield (
            "bad_init_scale", "warning", 1, None, "init",
            f"The first loss is {evidence.first:.3g}; a constant output would have {chance:.3g}.",
            "The initial weights, or the inputs, are too large: scale the inputs to about 1 and use Glorot's or He's initialisation.",
            {"initial_loss": evidence.first, "chance_loss": chance},
        )  # fmt: skip


def plateau(evidence: Evidence) -> Iterator[tuple]:
    """The loss stands still where it began."""
    losses = evidence.losses
    if not evidence.stuck or evidence.solved or len(losses) < 20 or next(diverged(evidence), None):
        return
    at_chance = evidence.chance is not None and 0.9 * evidence.chance < evidence.now
    steps = evidence.run.steps
    if evidence.chance is not None and not at_chance:
        return
    if steps < (PLATEAU_STEPS if at_chance else BLIND_STEPS):
        return
    beside = f"a constant output reaches {evidence.chance:.3g}" if at_chance else f"it began at {evidence.begun:.4g}"
    yield (
        "plateau", "warning", losses[0, 0], None, "learning_rate",
        f"Nothing is learned in {steps:,} steps: the loss is {evidence.now:.4g}; {beside}.",
        "Check the gradients (probe.check), then the labels, and try a learning rate 10 times as large and one 10 times as small.",
        {"loss": evidence.now, "initial_loss": evidence.begun},
    )  # fmt: skip


def oscillation(evidence: Evidence) -> Iterator[tuple]:
    """The loss swings from step to step, widely, and does not fall."""
    losses = evidence.losses[len(evidence.losses) // 2 :, 1]
    if evidence.learned or len(losses) < SWINGS or next(diverged(evidence), None):
        return
    low, high = np.percentile(losses, [25, 75])
    changes = np.diff(losses)
    turns = float(np.mean(changes[1:] * changes[:-1] < 0))
    if high - low > SPREAD * abs(np.median(losses)) and turns > TURNS:
        yield (
            "oscillation", "warning", evidence.losses[len(evidence.losses) // 2, 0], None, "learning_rate",
            f"The loss swings between {low:.3g} and {high:.3g} and does not settle.",
            "Lower the learning rate, or make the batches larger.", {"lowest_loss": losses.min(), "highest_loss": losses.max()},
        )  # fmt: skip


# Signals


def exploding_gradients(evidence: Evidence) -> Iterator[tuple]:
    """Gradients that are far larger than their tensors, or than they were."""
    if evidence.learned or len(evidence.norms) < 2:
        return
    parameters, gradients = np.nan_to_num(evidence.norms[:, 0]), np.nan_to_num(evidence.norms[:, 1])
    beside = gradients / np.maximum(parameters, 1e-12 + parameters.max(axis=1, keepdims=True) * 1e-3)
    grown = gradients / gradients[:3].max(axis=0, initial=1e-300)
    exploded = (beside > EXPLODED) & ((grown > 10) | (beside[:1] > EXPLODED))
    exploded |= (grown > EXPLODED) & (beside > 1)
    broken = _first_broken_step(evidence)
    if not exploded.any() or not (broken is not None or evidence.stuck or next(diverged(evidence), None)):
        return
    row = int(exploded.any(axis=1).argmax())
    tensor = int(np.where(exploded[row], gradients[row], 0).argmax())
    yield (
        "exploding_gradients", "warning", evidence.steps[row], tensor, "learning_rate",
        f"Gradients exploded at step {evidence.steps[row]}: that of {evidence.names[tensor]} is {beside[row, tensor]:.3g} times as large "
        "as the tensor itself.", "Lower the learning rate, clip the gradients' norm, and divide sums over the batch by its size.",
        {"gradient_norm": gradients[row, tensor], "parameter_norm": parameters[row, tensor]},
    )  # fmt: skip


def vanishing_gradients(evidence: Evidence) -> Iterator[tuple]:
    """Gradients that hardly reach some matrix, while the loss stands still."""
    at = evidence.matrices
    if evidence.solved or not evidence.stuck or len(evidence.recent_norms) < 3 or len(at) < 2:
        return
    parameters, gradients = (np.nanmedian(evidence.recent_norms[:, kind], axis=0)[at] for kind in (0, 1))
    beside = gradients / np.maximum(parameters, 1e-300)
    faded = (gradients > 0) & (gradients < VANISHED * np.nanmax(gradients)) & (beside < SMALL)
    if faded.any():
        which = int(faded.argmax())
        tensor, share = at[which], gradients[which] / np.nanmax(gradients)
        yield (
            "vanishing_gradients", "warning", evidence.steps[0], tensor, "activation",
            f"{evidence.names[tensor]} hardly learns: its gradient is {share:.1e} of the largest.",
            "Use ReLU or tanh in place of sigmoid, Glorot's or He's initialisation, or normalise the layers.",
            {"gradient_norm": gradients[which], "largest_gradient_norm": np.nanmax(gradients)},
        )  # fmt: skip


def dead_units(evidence: Evidence) -> Iterator[tuple]:
    """Units that are zero for every sample, or gradients that are exactly zero from some step on."""
    if evidence.learned or evidence.solved or _first_broken_step(evidence) is not None:
        return
    units = evidence.run.units
    if units.size and np.nan_to_num(units[-1, :, 0]).max(initial=0) > DEAD and evidence.stuck:
        layer = int(np.nan_to_num(units[-1, :, 0]).argmax())
        share = float(units[-1, layer, 0])
        step = evidence.since(units[:, layer, 0] > DEAD)
        yield (
            "dead_units", "critical" if share == 1 else "warning", step, None, "learning_rate",
            f"Units died at step {step}: {share:.0%} of {evidence.run.layers[layer]} are zero for every sample.",
            "Lower the learning rate, or use leaky ReLU; He's initialisation, and inputs around zero, keep units alive.",
            {"dead_fraction": share},
        )  # fmt: skip
        return
    gradients = evidence.norms[:, 1]
    at = [tensor for tensor in evidence.matrices or range(len(evidence.names)) if np.isfinite(gradients[-1:, tensor]).all()]
    if len(gradients) < 5 or not at or not (evidence.stuck or len(evidence.losses) < 2):
        return
    zero = (gradients[:, at] == 0)[-MEASURED_ZERO:]
    if zero.all(axis=0).any():
        tensor = at[int(zero.all(axis=0).argmax())]
        step = evidence.since(gradients[:, tensor] == 0)
        yield (
            "dead_units", "critical" if zero.all() else "warning", step, tensor, "learning_rate",
            f"{evidence.names[tensor]} stopped learning at step {step}: its gradient is exactly zero.",
            "Its units are dead, or cut off from the loss: lower the learning rate, or use leaky ReLU.",
            {"gradient_norm": 0.0},
        )  # fmt: skip


MEASURED_ZERO = 5  # rows of norms for which a gradient must be exactly zero


def saturated_units(evidence: Evidence) -> Iterator[tuple]:
    """Most outputs of a layer sit at the ends of their range."""
    units = evidence.run.units
    if evidence.learned or not evidence.stuck or not units.size:
        return
    shares = np.nan_to_num(units[-1, :, 1])
    layer = int(shares.argmax())
    if shares[layer] > SATURATED:
        step = evidence.since(units[:, layer, 1] > SATURATED)
        yield (
            "saturated_units", "warning", step, None, "init",
            f"{evidence.run.layers[layer]} is saturated: {shares[layer]:.0%} of its outputs sit at the ends of their range.",
            "Scale the inputs to about 1, make the initial weights smaller, and lower the learning rate.", {"saturated": shares[layer]},
        )  # fmt: skip


def update_size(evidence: Evidence) -> Iterator[tuple]:
    """Updates that rewrite a matrix each time, or that change nothing."""
    at = evidence.matrices
    if evidence.learned or evidence.solved or not at or len(evidence.norms) < 5 or len(evidence.losses) < 20 or not evidence.stuck:
        return
    ratios = (evidence.recent_norms[:, 2] / np.maximum(evidence.recent_norms[:, 0], 1e-300))[:, at]
    ratios = np.median(ratios[np.isfinite(ratios).all(axis=1)], axis=0) if np.isfinite(ratios).all(axis=1).any() else ratios[-1]
    if not np.isfinite(ratios).any():
        return
    largest = np.nanmax(ratios)
    if largest > TOO_LONG:
        tensor = at[int(np.nanargmax(ratios))]
        yield (
            "update_too_large", "warning", evidence.steps[0], tensor, "learning_rate",
            f"Updates of {evidence.names[tensor]} are too long: each changes it by {largest:.0%}.",
            "Lower the learning rate: updates of about a thousandth of the weights are usual.", {"update_ratio": largest},
        )  # fmt: skip
    elif 0 < largest < TOO_SHORT and evidence.run.steps >= PLATEAU_STEPS:
        tensor = at[int(np.nanargmax(ratios))]
        yield (
            "update_too_small", "warning", evidence.steps[0], tensor, "learning_rate",
            f"Updates are too short: the longest changes {evidence.names[tensor]} by {largest:.1e} of its size.",
            "Raise the learning rate: updates of about a thousandth of the weights are usual.", {"update_ratio": largest},
        )  # fmt: skip


DETECTORS = (
    gradient_shape_broadcasts, weights_not_updated, entries_move_alike, stale_gradients, softmax_over_samples, symmetric_units,
    nonfinite, far_from_chance, diverged, exploding_gradients, dead_units, saturated_units, vanishing_gradients, update_size, plateau,
    oscillation,
)  # fmt: skip
# Where one of these is certain, these others only follow from it
CERTAIN = ("weights_not_updated", "gradient_shape_broadcasts")
FOLLOWING = ("plateau", "entries_move_alike", "update_too_small")
