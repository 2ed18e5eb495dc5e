"""Runs that blow up: numbers overflow, the loss rises or swings, gradients explode, updates are too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis import remedies
from core.diagnosis.divergence import divergence_limit
from core.diagnosis.evidence.progress import PATIENCE
from core.diagnosis.evidence.signals import FIRST_ROWS
from core.diagnosis.finding import Finding, figures
from core.diagnosis.remedies import EXPLODED

if TYPE_CHECKING:
    from core.diagnosis.evidence import Evidence

# Updates for which a loss must stay high, unless it is so many times too high that there is no way back
STAYING, HOPELESS = 50, 100.0
# Weights so many times their usual size have run away, if nothing was learned by it
RUN_AWAY = 10.0
# A gradient so many times its weights explodes: at any usual learning rate the step is longer than the weights themselves
EXPLODED_BESIDE_WEIGHTS = 1000.0
# A loss so many times that of the best constant output is far from learning anything, falling or not
FAR_OFF = 10.0
# The loss swings when the middle half of its recent full evaluations spans this share of what there is to win
SWINGING, SWINGS = 0.1, 6
# Updates that are longer than this share of the weights for good never settle (A. Karpathy's rule)
TOO_LONG = 0.1


def nonfinite(evidence: Evidence) -> Iterator[Finding]:
    """A number overflowed."""
    found = evidence.nonfinite
    if found is None:
        return
    place = f"{found.tensor.replace('pre_', 'pre-').replace('_', ' ')} of layer {found.layer}" if found.layer else "loss"
    yield Finding(
        code="nonfinite",
        severity="critical",
        step=found.step,
        layer=found.layer or None,
        title=f"Training exploded at step {found.step}: the {place} is no longer a finite number.",
        evidence=figures(initial_loss=evidence.losses.initial, last_loss=evidence.telemetry.frames("train_loss")[-1]),
        **remedies.against_too_large(evidence),
    )


def diverged(evidence: Evidence) -> Iterator[Finding]:
    """Finite, but staying worse than at the start or far above its best; or weights that run away while the loss is flat."""
    losses = evidence.losses
    if evidence.nonfinite or not len(evidence.signals.steps):
        return
    begin, best = losses.initial, losses.earlier_best
    limit, lost = divergence_limit(begin, best, evidence.data.baseline.loss)
    if min(losses.now, losses.recent_judged.min(initial=np.inf)) > limit:
        step = evidence.signals.since(losses.judged > limit)
        hopeless = losses.now > HOPELESS * max(begin, evidence.data.baseline.loss)
        if evidence.step - step >= STAYING or hopeless:
            yield Finding(
                code="diverged",
                severity="critical",
                step=step,
                layer=None,
                title=f"Training diverged at step {step}: the loss {_said(losses.now)}, "
                + (f"far above its best, {best:.3g}." if lost else f"and it began at {begin:.3g}."),
                evidence=figures(loss=losses.now, initial_loss=begin, best_loss=best),
                **remedies.against_too_large(evidence),
            )
    elif evidence.progress.stuck:
        yield from _ran_away(evidence)


def _said(loss):
    return f"is {loss:.3g}" if np.isfinite(loss) else "overflows"


def _ran_away(evidence):
    """Divergence that a saturated output hides: the loss is flat, so only the weights show it."""
    signals = evidence.signals
    norms = signals.layers("weight_norm") / np.maximum(signals.first_weights, signals.he_norms)
    growth = np.median(norms[signals.recent], axis=0)
    layer = int(growth.argmax())
    if growth[layer] < RUN_AWAY:
        return
    step = signals.since(norms[:, layer] > RUN_AWAY)
    yield Finding(
        code="diverged",
        severity="critical",
        step=step,
        layer=layer + 1,
        title=f"The weights of layer {layer + 1} ran away at step {step}: {growth[layer]:.3g} times as large, and nothing learned.",
        evidence=figures(weight_growth=growth[layer], loss=evidence.losses.now),
        **remedies.against_too_large(evidence),
    )


def exploding_gradients(evidence: Evidence) -> Iterator[Finding]:
    """Gradients that grow by orders of magnitude, from step to step or on the way back to the first layer."""
    signals = evidence.signals
    far_off = evidence.step >= PATIENCE and not evidence.progress.learned and evidence.losses.now > FAR_OFF * evidence.data.baseline.loss
    if not len(signals.steps) or not (evidence.nonfinite or evidence.progress.stuck or far_off):
        return
    gradients = signals.layers("gradient_norm")
    beside_weights = gradients / np.maximum(signals.layers("weight_norm"), signals.he_norms)
    first = gradients[: max(1, min(FIRST_ROWS, len(gradients) // 2))].max()
    backward = signals.backward_growth[None]
    for ratio, exploded, words in (
        (beside_weights, beside_weights > EXPLODED_BESIDE_WEIGHTS, "as large as its weights"),
        (backward, (backward > EXPLODED) & (beside_weights[:1] > 1), "as large as the last layer's"),
        (gradients / first, (gradients > EXPLODED * first) & (beside_weights > 1), "as large as in the first steps"),
    ):
        if exploded.any():
            row = int(exploded.any(axis=1).argmax())
            layer = int(np.where(exploded[row], gradients[row], 0).argmax())
            step = int(signals.steps[row])
            yield Finding(
                code="exploding_gradients",
                severity="warning",
                step=step,
                layer=layer + 1,
                title=f"Gradients exploded at step {step}: that of layer {layer + 1} is {ratio[row, layer]:.3g} times {words}.",
                evidence=figures(gradient_norm=gradients[row, layer], ratio=ratio[row, layer]),
                **remedies.against_too_large(evidence),
            )
            return


def oscillation(evidence: Evidence) -> Iterator[Finding]:
    """The full loss swings from look to look, wider than a run that learns can, and does not settle."""
    if not evidence.progress.underperforms:
        return
    losses = evidence.losses.recent_full
    if len(losses) < SWINGS:
        return
    low, high = np.percentile(losses, [25, 75])
    if high - low > SWINGING * abs(evidence.data.baseline.loss) and _turns(losses) > 1 / 3:
        yield Finding(
            code="oscillation",
            severity="warning",
            step=int(evidence.telemetry.frames("step")[-len(losses)]),
            layer=None,
            title=f"The loss swings between {losses.min():.3g} and {losses.max():.3g} and does not settle.",
            evidence=figures(lowest_loss=losses.min(), highest_loss=losses.max()),
            **remedies.against_swings(evidence),
        )


def _turns(losses):
    """Share of neighbouring changes that go opposite ways; 2/3 for noise, 0 for a curve."""
    changes = np.diff(losses)
    return np.mean(changes[1:] * changes[:-1] < 0)


def update_too_large(evidence: Evidence) -> Iterator[Finding]:
    """Each update rewrites a good part of the weights."""
    signals = evidence.signals
    if not evidence.progress.underperforms or not len(signals.steps):
        return
    ratios = signals.now("update_ratio")
    layer = int(np.nan_to_num(ratios).argmax())
    if ratios[layer] > TOO_LONG:
        yield Finding(
            code="update_too_large",
            severity="warning",
            step=signals.since(signals.layers("update_ratio")[:, layer] > TOO_LONG),
            layer=layer + 1,
            title=f"Updates of layer {layer + 1} are too long: each changes its weights by {ratios[layer]:.0%}.",
            evidence=figures(update_ratio=ratios[layer]),
            **remedies.against_swings(evidence),
        )
