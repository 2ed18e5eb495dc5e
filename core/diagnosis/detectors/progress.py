"""Runs that stay well-behaved and yet do not get there: stuck at chance, blind to their inputs, too small, too slow, learned by heart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis import remedies
from core.diagnosis.detectors.signal import SMALL
from core.diagnosis.evidence.progress import LONG_PATIENCE, POORLY
from core.diagnosis.finding import Finding, figures

if TYPE_CHECKING:
    from core.diagnosis.evidence import Evidence

# Updates shorter than this share of the weights hardly move them (A. Karpathy's rule: 1e-3 is healthy, 1e-4 the lower end)
TOO_SHORT = 1e-4
# Outputs that differ this little from sample to sample, beside the targets, ignore their inputs
BLIND = 1e-2
# The training metric is so far ahead of the test metric, and that so far behind its best, before it counts as learned by heart
AHEAD, FAR_AHEAD, BEHIND = 0.15, 0.25, 0.05
# Or the test loss stays so many times above its lowest, for so many looks; no verdict from fewer samples held back
RISEN, RECENT_LOOKS, FEW_HELD_BACK = 1.3, 5, 20


def update_too_small(evidence: Evidence) -> Iterator[Finding]:
    """The weights hardly move, though their gradients are no smaller than elsewhere."""
    signals, progress = evidence.signals, evidence.progress
    if not progress.judged or evidence.nonfinite or progress.well or not len(signals.steps):
        return
    ratios = signals.now("update_ratio")
    ratio = np.nanmax(ratios, initial=0.0)
    gradients = signals.now("gradient_norm") / np.maximum(signals.now("weight_norm"), signals.glorot_norms)
    if ratio < TOO_SHORT and gradients[-1] > SMALL and progress.share < POORLY:
        yield Finding(
            code="update_too_small",
            severity="warning",
            step=1,
            layer=None,
            title=f"Each update changes the weights by {ratio:.1e} of their size: too little to get anywhere.",
            evidence=figures(update_ratio=ratio),
            **remedies.larger_learning_rate(evidence, ratio),
        )


def ignores_input(evidence: Evidence) -> Iterator[Finding]:
    """The output is the same, whatever the input."""
    if not evidence.progress.stuck or evidence.data.constant:
        return
    outputs, targets = evidence.signals.activations[-1], evidence.data.targets
    spread, wanted = outputs.std(axis=1).max(), targets.std(axis=0).max()
    if spread < BLIND * wanted:
        yield Finding(
            code="ignores_input",
            severity="warning",
            step=evidence.step,
            layer=None,
            title=f"The network ignores its inputs: outputs differ by {spread:.2g} from sample to sample, targets by {wanted:.2g}.",
            evidence=figures(output_deviation=spread, target_deviation=wanted),
            **remedies.against_standstill(evidence),
        )


def plateau(evidence: Evidence) -> Iterator[Finding]:
    """The loss is flat at what a constant output gives."""
    if evidence.progress.stuck and evidence.step >= LONG_PATIENCE and not evidence.data.constant and evidence.data.prize:
        yield Finding(
            code="plateau",
            severity="warning",
            step=int(evidence.signals.steps[0]) if len(evidence.signals.steps) else 0,
            layer=None,
            title=f"No progress in {evidence.step:,} updates: it does no better than a constant output.",
            evidence=figures(loss=evidence.losses.now, loss_of_constant=evidence.data.baseline.loss),
            **remedies.against_standstill(evidence),
        )


def underfitting(evidence: Evidence) -> Iterator[Finding]:
    """It has learned something, far less than there is to learn, and gets no better."""
    data, losses = evidence.data, evidence.losses
    if evidence.progress.poor and not evidence.progress.stuck and data.prize:
        yield Finding(
            code="underfitting",
            severity="warning",
            step=evidence.step,
            layer=None,
            title=f"The training {evidence.trainer.evaluator.metric_name} stays at {losses.metric:.2f}; neighbours or a straight line "
            f"reach {data.attainable.best:.2f}."
            if np.isfinite(data.attainable.best)
            else "It stays far from its targets.",
            evidence=figures(metric=losses.metric, attainable=data.attainable.best),
            **remedies.against_underfitting(evidence),
        )


def overfitting(evidence: Evidence) -> Iterator[Finding]:
    """It learns the training samples by heart: far better there than on those held back, and worse and worse on these."""
    losses, progress = evidence.losses, evidence.progress
    held_back = len(evidence.dataset.test)
    if evidence.nonfinite or not progress.judged or not progress.learned or progress.unforeseen or held_back < FEW_HELD_BACK:
        return
    luck = 2 / np.sqrt(held_back)
    metrics, test_losses = evidence.telemetry.frames("test_metric"), evidence.telemetry.frames("test_loss")
    best, now = np.nanmax(metrics), losses.test_metric
    ahead, behind = losses.metric - now, best - now
    rising = np.nanmin(test_losses[-RECENT_LOOKS:]) > RISEN * np.nanmin(test_losses)
    if ahead > max(AHEAD, luck) and (behind > BEHIND or rising):
        half_lost = behind > max((best - evidence.data.baseline.metric) / 2, luck)
        severe = half_lost and (behind > AHEAD or (rising and ahead > max(FAR_AHEAD, luck)))
        step = int(evidence.telemetry.frames("step")[np.nanargmin(test_losses)])
        yield Finding(
            code="overfitting",
            severity="warning" if severe else "info",
            step=step,
            layer=None,
            title=f"Learned by heart since step {step}: {losses.metric:.2f} on the training samples, {now:.2f} on those held back.",
            evidence=figures(train_metric=losses.metric, test_metric=now, best_test_metric=best),
            **remedies.stronger_hold(evidence),
        )


def slow_progress(evidence: Evidence) -> Iterator[Finding]:
    """It is learning, and not finished; at its pace it may not be for long, and then something else is to be changed."""
    progress, rate = evidence.progress, evidence.config.optimizer.learning_rate
    if evidence.step < LONG_PATIENCE or evidence.nonfinite or progress.well or progress.poor or progress.stuck or progress.unforeseen:
        return
    larger = progress.falling and rate < remedies.usual_rate(evidence.config)
    remedy = {"cause": "epochs", "advice": "Train on, or take larger steps." if larger else "Train on.", "fix": None}
    title = "Not finished: it has learned a part of what there is to learn."
    if progress.too_slow:
        remedy = remedies.against_underfitting(evidence)
        many = f"{progress.time_left:.0f} times" if progress.time_left < 100 else "a hundred times"
        title = f"Not finished: at its pace it needs {many} the updates so far, or more."
    yield Finding(
        code="slow_progress",
        severity="info",
        step=evidence.step,
        layer=None,
        title=title,
        evidence=figures(loss=evidence.losses.now, metric=evidence.losses.metric),
        **remedy,
    )
