"""The ways in which a right program may define its loss: as a mean or a sum, halved or not, with its penalty in several forms.

None of them is a mistake. They scale all gradients alike, and so are told from mistakes, which do not.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from core.nn.formulas import Formulas, Values
from core.nn.losses import LOSSES

# A loss value belongs to a convention within this: they differ by whole factors, and an epsilon in a logarithm moves it a little
LOSS_MATCH = 1e-3


@dataclass(frozen=True)
class Convention:
    """All gradients are `scale` times those of Descent's loss (mean over samples and outputs), and dW has `decay` * W added.
    `rank` is 0 for what most people write; `summed`: over the samples, not averaged."""

    scale: float
    decay: float
    words: str
    rank: int
    summed: bool


@dataclass(frozen=True)
class _Scale:
    factor: float
    words: str
    rank: int
    summed: bool = False


def conventions(reading, loss_value=None, l2=None):
    """(Conventions that this reading allows, likeliest first; whether one of them gives the loss value, None without one).

    A loss value leaves those that it fits, and of squared errors those that differ from them by the factor 2 of the derivative.
    """
    scales = _scales(reading)
    decays = [(0.0, "")]
    if l2:
        m = reading.samples
        forms = ((2 * l2, "l2 |W|^2"), (l2, "l2/2 |W|^2"), (2 * l2 / m, "l2/m |W|^2"), (l2 / m, "l2/2m |W|^2"), (0.0, "no penalty"))
        decays = list({decay: (decay, f", {words}") for decay, words in reversed(forms)}.values())[::-1]
    reproduced = None
    if loss_value is not None:
        fitting = [scale for scale in scales if _gives(reading, scale, loss_value, l2)]
        reproduced = bool(fitting)
        scales = _with_derivative_factors(reading, fitting) if fitting else scales
    pairs = itertools.product(scales, decays)
    return [Convention(scale.factor, decay, scale.words + words, scale.rank, scale.summed) for scale, (decay, words) in pairs], reproduced


def _scales(reading):
    m, k, loss = reading.samples, reading.outputs, LOSSES[reading.plan.loss]
    over_samples = [_Scale(1, "mean over the samples", 0), _Scale(m, "sum over the samples", 1, True)]
    over_outputs = [_Scale(1, "", 0)]
    if k > 1 and loss.over_outputs == "mean":
        over_outputs = [_Scale(1, " and the outputs", 0), _Scale(k, ", sum over the outputs", 0)]
    elif k > 1:
        over_outputs = [_Scale(1, "", 0), _Scale(1 / k, ", mean over the classes", 1)]
    halved = [_Scale(1, "", 0)] + ([_Scale(0.5, ", halved", 0)] if reading.plan.loss == "mse" else [])
    scales = {}
    for parts in itertools.product(over_samples, over_outputs, halved):
        factor = float(np.prod([part.factor for part in parts]))
        scale = _Scale(factor, "".join(part.words for part in parts), sum(part.rank for part in parts), parts[0].summed)
        if factor not in scales or scale.rank < scales[factor].rank:
            scales[factor] = scale
    return sorted(scales.values(), key=lambda scale: scale.rank)


def _gives(reading, scale, loss_value, l2):
    squares = sum(float(np.square(reading.given["W", layer]).sum()) for layer in range(1, reading.plan.last + 1))
    penalties = [share * (l2 or 0) * squares for share in (0, 1, 0.5, 1 / reading.samples, 0.5 / reading.samples)]
    return any(np.isclose(loss_value, scale.factor * mean_loss(reading) + penalty, rtol=LOSS_MATCH, atol=0) for penalty in penalties)


def mean_loss(reading):
    """Descent's loss of the reading, penalty left out."""
    with np.errstate(all="ignore"):
        values = Values(Formulas(reading.plan), reading.given)["loss", reading.plan.last]
    return LOSSES[reading.plan.loss].mean(values)


def _with_derivative_factors(reading, scales):
    """Squared errors without the 2, or halved ones with it: a different learning rate and nothing else."""
    if reading.plan.loss != "mse":
        return scales
    known = {scale.factor for scale in scales}
    others = [
        _Scale(scale.factor * factor, f"{scale.words} (and its gradient {words})", scale.rank + 1, scale.summed)
        for scale in scales
        for factor, words in ((0.5, "without the factor 2"), (2.0, "with a factor 2 more"))
    ]
    return scales + [scale for scale in others if scale.factor not in known]
