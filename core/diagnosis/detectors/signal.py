"""Layers that pass nothing on: gradients vanish, units die or saturate. Silent where the network learns: healthy ones can have dead units
or small gradients, too."""

from __future__ import annotations

import numpy as np

from core.diagnosis import remedies
from core.diagnosis.detectors.stability import diverged
from core.diagnosis.divergence import WORSE
from core.diagnosis.evidence import FIRST_ROWS
from core.diagnosis.finding import Finding, figures
from core.nn.activations import ACTIVATIONS

# A gradient below this share of the last layer's vanishes (AutoTrainer), if it is also this small beside its weights
VANISHED, SMALL = 1e-3, 1e-3
# More than this share is too many: of a layer's units dead (Amazon SageMaker Debugger's rule), of its outputs saturated (DeepDiagnosis)
DEAD, SATURATED = 0.5, 0.5
# A first update below this share of the weights kills no units: those dead after it were so before
HARMLESS_UPDATE = 0.01


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
        severity="critical" if dead.max() == 1 else "warning",
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


def saturated_units(evidence):
    """Most units of a hidden layer sit on the flat ends of their activation."""
    if not evidence.underperforms or not len(evidence.steps):
        return
    shares, first = evidence.now("saturated")[:-1], evidence.layers("saturated")[0, :-1]
    if not len(shares) or shares.max() <= SATURATED:
        return
    layer = int(shares.argmax())
    yield Finding(
        code="saturated_units",
        severity="warning",
        step=evidence.since(evidence.layers("saturated")[:, layer] > SATURATED),
        layer=layer + 1,
        title=f"Layer {layer + 1} is saturated: {shares[layer]:.0%} of its outputs sit at the ends of their range.",
        evidence=figures(saturated=shares[layer]),
        **remedies.against_dead_units(evidence, first[layer] > SATURATED),
    )
