"""Wrong settings: what can be known before the first step. Each yields Findings with `mistake` set, which are told before the run has had
its chance and while it does not do well; on runs that learn they are silent, or, where the choice is odd in any case, a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from core.diagnosis import remedies
from core.diagnosis.detectors import stability
from core.diagnosis.evidence.progress import LONG_PATIENCE, PATIENCE
from core.diagnosis.finding import Finding, figures
from core.diagnosis.remedies import LARGE_INIT, SMALL_INIT, UNSCALED
from core.nn.activations import ACTIVATIONS
from core.nn.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from core.diagnosis.evidence import Evidence

# Share of targets that may lie outside what the output can give (outliers, rounding), and one that is wrong in any case
UNREACHABLE, FAR_OUTSIDE = 0.05, 0.2
# Share of the most frequent class from which a network can look good without having learned
IMBALANCED = 0.9
# Neighbours are so far ahead of a straight line (accuracy or R^2) where a network needs bends
STRAIGHT = 0.15
# Weights of the usual size may cost this share of the best constant output's loss: a penalty above it drowns the loss
DROWNED = 0.5
# Signals may grow or shrink on their way through all layers by this factor, as the first weights are
GROWN = 30.0


def unless_well(function: Callable[[Evidence], Iterable[Finding]]) -> Callable[[Evidence], Iterable[Finding]]:
    """The same detector of mistakes, silent where the run does well: for what another setting can make good."""
    return lambda evidence: () if evidence.progress.well else function(evidence)


def certain(evidence: Evidence) -> str:
    """The severity of what is wrong whatever the run does: a note where that learns all the same."""
    return "info" if evidence.progress.well else "warning"


def mistake(
    code: str, title: str, remedy: dict[str, Any], layer: int | None = None, severity: str = "warning", **evidence: float
) -> Finding:
    """The Finding of a wrong setting, which holds from the start."""
    return Finding(code, severity, 0, layer, title=title, evidence=figures(**evidence), mistake=True, **remedy)


def constant_labels(evidence: Evidence) -> Iterator[Finding]:
    """All targets are the same: there is nothing to learn."""
    if evidence.data.constant:
        yield mistake(
            "constant_labels",
            "All training targets are the same: there is nothing to learn.",
            {"cause": "labels", "advice": "Look at how the targets were made or split: every sample has the same one.", "fix": None},
            severity=certain(evidence),
            distinct_targets=1,
        )


@unless_well
def unforeseeable_labels(evidence: Evidence) -> Iterator[Finding]:
    """Inputs say nothing about the targets: what is learned of them is learned by heart."""
    data, progress = evidence.data, evidence.progress
    if progress.unforeseen:
        memorised = "what was learned holds for the training samples alone" if progress.learned else "neighbours learn nothing, either"
        yield mistake(
            "overfitting" if progress.learned else "plateau",
            f"The inputs say nothing about the targets: {memorised}.",
            {"cause": "labels", "advice": "Check that inputs and targets are in the same order: they look shuffled.", "fix": None},
            neighbours=data.attainable.neighbours,
            linear=data.attainable.linear,
            chance=data.baseline.metric,
        )


@unless_well
def imbalanced_labels(evidence: Evidence) -> Iterator[Finding]:
    """One class is so frequent that always naming it looks good, and that is what the network does."""
    progress = evidence.progress
    if evidence.dataset.task != "classification" or evidence.data.constant:
        return
    most = evidence.data.baseline.metric
    always_named = not progress.learned and abs(evidence.losses.metric - most) <= (1 - most) / 10
    if most > IMBALANCED and (not progress.judged or always_named):
        yield mistake(
            "imbalanced_labels",
            f"{most:.0%} of the samples are of one class: always naming it looks good, and nothing is learned of the others.",
            {
                "cause": "labels",
                "advice": "Add samples of the rare class, or repeat them, until both are seen about as often.",
                "fix": None,
            },
            severity="warning" if progress.judged else "info",
            most_frequent=most,
        )


def loss_output_mismatch(evidence: Evidence) -> Iterator[Finding]:
    """The loss and the output's activation do not belong together, or neither to the task. That is odd in any case: a pair that cannot work
    is told even where something else makes up for it."""
    why = remedies.mismatch(evidence)
    if why:
        text, cause, certain = why
        remedy = remedies.matching_pair(evidence, cause)
        unsuitable = evidence.step >= LONG_PATIENCE and not evidence.progress.well
        yield mistake("loss_output_mismatch", text, remedy, len(evidence.config.layers), "warning" if certain or unsuitable else "info")


def unreachable_target(evidence: Evidence) -> Iterator[Finding]:
    """Targets lie where the output cannot go: what cannot be reached cannot be made good."""
    output = evidence.config.layers[-1].activation
    low, high = ACTIVATIONS[output].low, ACTIVATIONS[output].high
    outside, targets = evidence.data.unreachable, evidence.data.targets
    if outside > UNREACHABLE:
        yield mistake(
            "unreachable_target",
            f"{outside:.0%} of the targets cannot be reached: {output} gives {_interval(low, high)}, targets go from {targets.min():.3g} "
            f"to {targets.max():.3g}."
            if not low <= targets.min() <= targets.max() <= high
            else f"{outside:.0%} of the targets cannot be reached: {output} outputs add up to 1, and these targets do not.",
            remedies.reachable_output(evidence),
            len(evidence.config.layers),
            outside=outside,
            severity="warning" if outside > FAR_OUTSIDE or not evidence.progress.well else "info",
            lowest_target=targets.min(),
            highest_target=targets.max(),
        )


def _interval(low, high):
    if np.isfinite(low) and np.isfinite(high):
        return f"{low:.3g} to {high:.3g}"
    return f"{low:.3g} and more" if np.isfinite(low) else "any number"


def symmetric_init(evidence: Evidence) -> Iterator[Finding]:
    """All units of a hidden layer are the same, and so are their gradients: they stay one unit."""
    layer = evidence.signals.symmetric
    if layer:
        units = evidence.config.layers[layer - 1].units
        yield mistake(
            "symmetric_init",
            f"All {units} units of layer {layer} are the same, and will stay so: they get the same gradient.",
            remedies.fresh_init(evidence),
            layer,
            severity=certain(evidence),
            distinct_units=1,
        )


@unless_well
def too_straight(evidence: Evidence) -> Iterator[Finding]:
    """Neighbours see what a straight line does not, and the network is one: no bent layer, or one of a single unit."""
    data = evidence.data
    hidden = evidence.config.layers[:-1]
    if any(layer.units == 1 for layer in hidden) or all(layer.activation == "linear" for layer in hidden):
        ahead = data.attainable.neighbours - max(data.attainable.linear, data.baseline.metric)
        if evidence.progress.judged and not evidence.nonfinite and ahead > STRAIGHT:
            yield mistake(
                "underfitting",
                "This network can only draw straight lines, and the data wants bent ones.",
                remedies.larger_network(evidence),
                neighbours=data.attainable.neighbours,
                linear=data.attainable.linear,
            )


@unless_well
def penalty_too_strong(evidence: Evidence) -> Iterator[Finding]:
    """Weights of a usual size would cost more than there is to win, or the penalty's own curvature makes the updates unstable."""
    data = evidence.data
    l1, l2 = evidence.config.penalty.l1, evidence.config.penalty.l2
    sizes, norms = evidence.signals.sizes, evidence.signals.glorot_norms
    cost = float(l2 * np.square(norms).sum() + l1 * (np.sqrt(2 / np.pi * sizes) * norms).sum())
    optimizer = evidence.config.optimizer
    entry = OPTIMIZERS[optimizer.name]
    unstable = not entry.preconditioner and optimizer.learning_rate * 2 * l2 > entry.stability(optimizer)
    if unstable or cost > DROWNED * abs(data.baseline.loss):
        yield mistake(
            "unstable_learning_rate" if unstable else "underfitting",
            f"The penalty drowns the loss: usual weights would cost {cost:.2g}; all there is to win is {data.baseline.loss:.2g}.",
            remedies.no_penalty(),
            severity="warning" if cost > data.baseline.loss or evidence.progress.judged else "info",
            penalty_of_usual_weights=cost,
            loss_of_constant=data.baseline.loss,
        )


@unless_well
def unscaled_inputs(evidence: Evidence) -> Iterator[Finding]:
    """Inputs far from size one: the first layer's gradient grows and shrinks with them."""
    size, deviations = evidence.data.baseline.input_size, evidence.data.column_deviations
    tiny = evidence.data.tiny_inputs
    if size > UNSCALED or tiny:
        yield mistake(
            "unscaled_inputs",
            f"Inputs are too small: they vary by {deviations.max(initial=0.0):.2g}, and the first layer's gradient with them."
            if tiny
            else f"Inputs are too large, {size:.3g} in size, and the first layer's gradient with them.",
            remedies.scaled_inputs(evidence),
            input_size=size,
            column_scales=deviations.max() / deviations.min() if len(deviations) else 1.0,
        )


@unless_well
def unscaled_targets(evidence: Evidence) -> Iterator[Finding]:
    """Targets of a regression far from size one."""
    data = evidence.data
    if evidence.dataset.task == "regression" and evidence.config.data.target_scaling == "none" and data.baseline.target_size > UNSCALED:
        yield mistake(
            "unscaled_targets",
            f"Targets are {data.baseline.target_size:.3g} in size: errors, gradients and curvature are large with them.",
            remedies.scaled_targets(evidence),
            target_size=data.baseline.target_size,
        )


@unless_well
def bad_init_scale(evidence: Evidence) -> Iterator[Finding]:
    """First weights far from the size that keeps signals at theirs."""
    signals = evidence.signals
    large, small = signals.first_weights / signals.he_norms, signals.first_weights / signals.glorot_norms
    grown, shrunk = np.prod(large), np.prod(small)
    blown_up = evidence.nonfinite or next(stability.diverged(evidence), None)
    if large.max() > LARGE_INIT or (large.max() > 1.2 and grown > GROWN):
        layer, ratio, word = int(large.argmax()), large.max(), "large"
    elif len(small) > 1 and not blown_up and (np.median(small) < SMALL_INIT or shrunk < 1 / GROWN**2):
        layer, ratio, word = int(small.argmin()), small.min(), "small"
    else:
        return
    if signals.symmetric:
        return
    yield mistake(
        "bad_init_scale",
        f"The first weights are too {word}: those of layer {layer + 1} are {ratio:.2g} times the size that keeps signals as they are.",
        remedies.fresh_init(evidence),
        layer + 1,
        severity="warning" if evidence.progress.judged else "info",
        times_usual=ratio,
    )


@unless_well
def unstable_learning_rate(evidence: Evidence) -> Iterator[Finding]:
    """The learning rate is above its stability limit at the start."""
    forecast = evidence.forecast
    if forecast is None or forecast.verdict == "stable":
        return
    shaken = evidence.nonfinite or evidence.signals.thrown
    if not shaken and (evidence.step >= PATIENCE or forecast.verdict == "edge"):
        return
    yield mistake(
        "unstable_learning_rate",
        f"The learning rate {forecast.learning_rate:.3g} is {forecast.ratio:.3g} times its stability limit at the start, "
        f"{forecast.stability_limit:.3g}."
        if forecast.ratio > 1
        else f"The learning rate {forecast.learning_rate:.3g} blows up the first updates.",
        remedies.stable_learning_rate(evidence),
        severity="warning",
        learning_rate=forecast.learning_rate,
        stability_limit=forecast.stability_limit,
        sharpness=forecast.sharpness,
    )
