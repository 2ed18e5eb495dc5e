"""Layers that pass nothing on: gradients vanish, units die or saturate. Silent where the network learns: healthy ones can have dead units
or small gradients, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis import remedies
from core.diagnosis.detectors.stability import diverged
from core.diagnosis.divergence import WORSE
from core.diagnosis.evidence.signals import FIRST_ROWS
from core.diagnosis.finding import Finding, figures
from core.nn.activations import ACTIVATIONS

if TYPE_CHECKING:
    from core.diagnosis.evidence import Evidence

# A gradient below this share of the last layer's vanishes (AutoTrainer), if it is also this small beside its weights
VANISHED, SMALL = 1e-3, 1e-3
# More than this share is too many: of a layer's units dead (Amazon SageMaker Debugger's rule), of its outputs saturated (DeepDiagnosis)
DEAD, SATURATED = 0.5, 0.5
# A first update below this share of the weights kills no units: those dead after it were so before
HARMLESS_UPDATE = 0.01


def vanishing_gradients(evidence: Evidence) -> Iterator[Finding]:
    """Gradients that fade on their way back to the first layer, or that never come in: the output is saturated, or the start flat."""
    signals = evidence.signals
    if not evidence.progress.stuck or dead_shares(evidence).max() > DEAD or next(diverged(evidence), None):
        return
    weights = np.maximum(signals.layers("weight_norm"), signals.glorot_norms)
    now, first = (np.median(signals.data_gradients(rows), axis=0) for rows in (signals.recent, slice(FIRST_ROWS)))
    small, began_small = now < SMALL * weights[-1], (first < SMALL * weights[0]).all()
    began_faded = first < VANISHED * first[-1]
    faded = small & (began_faded | (now < VANISHED * now[-1]))
    saturated = evidence.losses.now > WORSE * evidence.data.baseline.loss or signals.now("dead")[-1] == 1
    if not faded.any() and not (small.all() and (saturated or began_small)):
        return
    gradients = signals.data_gradients(slice(None))
    if faded.any():
        layer = int(faded.argmax())
        step = int(signals.steps[0]) if began_faded[layer] else signals.since(gradients[:, layer] < VANISHED * gradients[:, -1])
        share = min(now[layer] / now[-1], first[layer] / first[-1])
        title = f"Layer {layer + 1} hardly learns: its gradient is {share:.1e} of the last layer's."
    else:
        layer = len(now) - 1
        step = signals.since(np.all(gradients < SMALL * weights, axis=1))
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


def dead_units(evidence: Evidence) -> Iterator[Finding]:
    """More than half of a layer's units pass nothing back."""
    signals = evidence.signals
    if evidence.nonfinite or evidence.progress.learned or not len(signals.steps):
        return
    dead = dead_shares(evidence)
    if not (dead.max() == 1 or (dead.max() > DEAD and evidence.progress.stuck)):
        return
    history = signals.layers("dead") > DEAD
    since = [signals.since(history[:, layer]) if dead[layer] > DEAD else np.inf for layer in range(len(dead))]
    layer, step = int(np.argmin(since)), int(min(since))
    born_dead = history[0, layer] and not signals.layers("update_ratio")[0, layer] > HARMLESS_UPDATE
    yield Finding(
        code="dead_units",
        severity="critical" if dead.max() == 1 else "warning",
        step=step,
        layer=layer + 1,
        title=f"Layer {layer + 1} stopped learning at step {step}: {dead[layer]:.0%} of its units are dead.",
        evidence=figures(dead_fraction=dead[layer], loss=evidence.losses.now),
        **remedies.against_dead_units(evidence, born_dead),
    )


def dead_shares(evidence: Evidence) -> np.ndarray:
    """Share of dead units in each layer (layers,). Bounded activations saturate instead, which is another matter."""
    can_die = [ACTIVATIONS[layer.activation].steepest is None for layer in evidence.config.layers]
    return np.where(can_die, evidence.signals.now("dead"), 0) if len(evidence.signals.steps) else np.zeros(len(can_die))


def saturated_units(evidence: Evidence) -> Iterator[Finding]:
    """Most units of a hidden layer sit on the flat ends of their activation."""
    signals = evidence.signals
    if not evidence.progress.underperforms or not len(signals.steps):
        return
    shares, first = signals.now("saturated")[:-1], signals.layers("saturated")[0, :-1]
    if not len(shares) or shares.max() <= SATURATED:
        return
    layer = int(shares.argmax())
    yield Finding(
        code="saturated_units",
        severity="warning",
        step=signals.since(signals.layers("saturated")[:, layer] > SATURATED),
        layer=layer + 1,
        title=f"Layer {layer + 1} is saturated: {shares[layer]:.0%} of its outputs sit at the ends of their range.",
        evidence=figures(saturated=shares[layer]),
        **remedies.against_dead_units(evidence, first[layer] > SATURATED),
    )
