"""The detectors: each is one function of the Evidence that yields what it finds. Layers in findings count from 1.

All but `nonfinite` fire only on runs that do not learn, or no longer: a healthy network can have dead units or small gradients.
"""

from __future__ import annotations

import numpy as np

from core.diagnosis import remedies
from core.diagnosis.evidence import PATIENCE
from core.diagnosis.finding import Finding
from core.diagnosis.remedies import EXPLODED
from core.nn.activations import ACTIVATIONS

# A loss so many times the first, or the best constant output's if that is more, is worse than not training at all
WORSE = 1.3
# A loss is far above its best when so much of what was won is lost again, if the best was below this share of where it began
LOST, WORTH_HAVING = 0.5, 0.5
# Updates for which a loss must stay high, unless it is so many times too high that there is no way back
STAYING, HOPELESS = 50, 100.0
# Weights so many times their usual size have run away, if nothing was learned by it
RUN_AWAY = 10.0
# A gradient so many times its weights explodes: at any usual learning rate the step is longer than the weights themselves
EXPLODED_BESIDE_WEIGHTS = 1000.0
# A loss so many times that of the best constant output is far from learning anything, falling or not
FAR_OFF = 10.0
# A gradient below this share of the last layer's vanishes (AutoTrainer), if it is also this small beside its weights
VANISHED, SMALL = 1e-3, 1e-3
# The first steps: so many samples
FIRST_ROWS = 8
# More than this share of a layer's units dead is too many (Amazon SageMaker Debugger's rule)
DEAD = 0.5
# A first update below this share of the weights kills no units: those dead after it were so before
HARMLESS_UPDATE = 0.01

DETECTORS = []


def detector(function):
    """Register a function of Evidence that yields Findings."""
    DETECTORS.append(function)
    return function


def figures(**values):
    """The evidence of a Finding, in plain numbers."""
    return {name: float(value) for name, value in values.items()}


@detector
def nonfinite(evidence):
    """A number overflowed."""
    found = evidence.nonfinite
    if found is None:
        return
    place = f"{found.tensor.replace('_', ' ')} of layer {found.layer}" if found.layer else "loss"
    yield Finding(
        code="nonfinite",
        severity="critical",
        step=found.step,
        layer=found.layer or None,
        title=f"Numbers overflowed at step {found.step}: the {place} is no longer finite.",
        evidence=figures(initial_loss=evidence.initial_loss, last_loss=evidence.telemetry.frames("train_loss")[-1]),
        **remedies.against_too_large(evidence),
    )


@detector
def diverged(evidence):
    """Finite, but staying worse than at the start or far above its best; or weights that run away while the loss is flat."""
    if evidence.nonfinite or not len(evidence.steps):
        return
    limit, reference, words = divergence_limit(evidence)
    if min(evidence.loss, evidence.recent_judged.min(initial=np.inf)) > limit:
        step = evidence.since(evidence.judged_losses > limit)
        hopeless = evidence.loss > HOPELESS * max(evidence.initial_loss, evidence.baseline.loss)
        if evidence.step - step >= STAYING or hopeless:
            yield Finding(
                code="diverged",
                severity="critical",
                step=step,
                layer=None,
                title=f"Training diverged at step {step}: the loss {_said(evidence.loss)}, {words} {reference:.3g}.",
                evidence=figures(loss=evidence.loss, initial_loss=evidence.initial_loss, best_loss=evidence.earlier_best),
                **remedies.against_too_large(evidence),
            )
    elif evidence.stuck:
        yield from _ran_away(evidence)


def divergence_limit(evidence):
    """(the loss above which a run has diverged, the loss it is measured by, words for that): see WORSE and LOST."""
    begin, best, chance = evidence.initial_loss, evidence.earlier_best, evidence.baseline.loss
    floor = min(begin, chance)
    if best < WORTH_HAVING * floor:
        return best + LOST * (floor - best), best, "far above its best,"
    reference = max(begin, chance)
    return reference + (WORSE - 1) * abs(reference), begin, "and it began at"


def _said(loss):
    return f"is {loss:.3g}" if np.isfinite(loss) else "overflows"


def _ran_away(evidence):
    """Divergence that a saturated output hides: the loss is flat, so only the weights show it."""
    norms = evidence.layers("weight_norm") / np.maximum(evidence.first_weights, evidence.he_norms)
    growth = np.median(norms[evidence.recent], axis=0)
    layer = int(growth.argmax())
    if growth[layer] < RUN_AWAY:
        return
    step = evidence.since(norms[:, layer] > RUN_AWAY)
    yield Finding(
        code="diverged",
        severity="critical",
        step=step,
        layer=layer + 1,
        title=f"The weights of layer {layer + 1} ran away at step {step}: {growth[layer]:.3g} times as large, and nothing learned.",
        evidence=figures(weight_growth=growth[layer], loss=evidence.loss),
        **remedies.against_too_large(evidence),
    )


@detector
def exploding_gradients(evidence):
    """Gradients that grow by orders of magnitude, from step to step or on the way back to the first layer."""
    far_off = evidence.step >= PATIENCE and not evidence.learned and evidence.loss > FAR_OFF * evidence.baseline.loss
    if not len(evidence.steps) or not (evidence.nonfinite or evidence.stuck or far_off):
        return
    gradients = evidence.layers("gradient_norm")
    beside_weights = gradients / np.maximum(evidence.layers("weight_norm"), evidence.he_norms)
    first = gradients[: max(1, min(FIRST_ROWS, len(gradients) // 2))].max()
    backward = evidence.backward_growth[None]
    for ratio, exploded, words in (
        (beside_weights, beside_weights > EXPLODED_BESIDE_WEIGHTS, "as large as its weights"),
        (backward, (backward > EXPLODED) & (beside_weights[:1] > 1), "as large as the last layer's"),
        (gradients / first, (gradients > EXPLODED * first) & (beside_weights > 1), "as large as in the first steps"),
    ):
        if exploded.any():
            row = int(exploded.any(axis=1).argmax())
            layer = int(np.where(exploded[row], gradients[row], 0).argmax())
            step = int(evidence.steps[row])
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


@detector
def vanishing_gradients(evidence):
    """Gradients that fade on their way back to the first layer, or that never come in: the output is saturated, or the start flat."""
    if not evidence.stuck or dead_shares(evidence).max() > DEAD or next(diverged(evidence), None):
        return
    weights = np.maximum(evidence.layers("weight_norm"), evidence.glorot_norms)
    now, first = (np.median(evidence.data_gradients(rows), axis=0) for rows in (evidence.recent, slice(FIRST_ROWS)))
    small, began_small = now < SMALL * weights[-1], (first < SMALL * weights[0]).all()
    began_faded = first < VANISHED * first[-1]
    faded = small & (began_faded | (now < VANISHED * now[-1]))
    saturated = evidence.loss > WORSE * evidence.baseline.loss or evidence.now("dead")[-1] == 1
    if not faded.any() and not (small.all() and (saturated or began_small)):
        return
    gradients = evidence.data_gradients(slice(None))
    if faded.any():
        layer = int(faded.argmax())
        step = int(evidence.steps[0]) if began_faded[layer] else evidence.since(gradients[:, layer] < VANISHED * gradients[:, -1])
        share = min(now[layer] / now[-1], first[layer] / first[-1])
        title = f"Layer {layer + 1} hardly learns: its gradient is {share:.1e} of the last layer's."
    else:
        layer = len(now) - 1
        step = evidence.since((gradients < SMALL * weights).all(axis=1))
        title = f"No layer learns since step {step}: every gradient is below {SMALL:g} of its weights."
    yield Finding(
        code="vanishing_gradients",
        severity="warning",
        step=step,
        layer=layer + 1,
        title=title,
        evidence=figures(gradient_norm=now[layer], last_layer_gradient_norm=now[-1]),
        **remedies.against_vanishing(evidence, began_faded[layer] or began_small),
    )


@detector
def dead_units(evidence):
    """More than half of a layer's units pass nothing back."""
    if evidence.nonfinite or evidence.learned or not len(evidence.steps):
        return
    dead = dead_shares(evidence)
    if not (dead.max() == 1 or (dead.max() > DEAD and evidence.stuck)):
        return
    history = evidence.layers("dead") > DEAD
    since = [evidence.since(history[:, layer]) if dead[layer] > DEAD else np.inf for layer in range(len(dead))]
    layer, step = int(np.argmin(since)), int(min(since))
    born_dead = history[0, layer] and not evidence.layers("update_ratio")[0, layer] > HARMLESS_UPDATE
    yield Finding(
        code="dead_units",
        severity="critical" if dead[layer] == 1 else "warning",
        step=step,
        layer=layer + 1,
        title=f"Layer {layer + 1} stopped learning at step {step}: {dead[layer]:.0%} of its units are dead.",
        evidence=figures(dead_fraction=dead[layer], loss=evidence.loss),
        **remedies.against_dead_units(evidence, born_dead),
    )


def dead_shares(evidence):
    """Share of dead units in each layer (layers,). Bounded activations saturate instead, which is another matter."""
    can_die = [ACTIVATIONS[layer.activation].steepest is None for layer in evidence.config.layers]
    return np.where(can_die, evidence.now("dead"), 0) if len(evidence.steps) else np.zeros(len(can_die))
