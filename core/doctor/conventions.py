"""The ways in which a right program may define its loss: as a mean or a sum, halved or not, with its penalty in several forms.

None of them is a mistake. They scale all gradients alike, and so are told from mistakes, which do not.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.doctor.variants import EPSILONS, added, clipped
from core.nn.formulas import Formulas, Values
from core.nn.losses import LOSSES

if TYPE_CHECKING:
    from core.doctor.readings import Reading

# A loss value belongs to a convention within this: they differ by whole factors, and an epsilon in a logarithm moves it a little
LOSS_MATCH = 1e-3
OTHER = 10  # added to the rank of conventions that the loss value does not have


@dataclass(frozen=True)
class Convention:
    """All gradients are `scale` times those of Descent's loss (mean over samples and outputs), and dW has `decay` * W added.
    db has `bias_decay` * b. `rank` is 0 for what most people write; `summed`: over the samples, not averaged; `other`: than the one of the
    loss value, or a factor that was measured; `undeclared`: the decay was measured; `negated`: of minus the loss, as y - a gives, for an
    update that adds."""

    scale: float
    decay: float
    words: str
    rank: int
    summed: bool
    other: bool = False
    negated: bool = False
    bias_decay: float = 0.0
    undeclared: bool = False

    def turned(self) -> Convention:
        """The same with the opposite sign."""
        return replace(self, scale=-self.scale, decay=-self.decay, bias_decay=-self.bias_decay, negated=not self.negated)


@dataclass(frozen=True)
class _Scale:
    factor: float
    words: str
    rank: int
    summed: bool = False
    other: bool = False


def conventions(reading: Reading, loss_value: float | None = None, l2: float | None = None) -> tuple[list[Convention], bool | None]:
    """(Conventions that this reading allows, likeliest first; whether one of them gives the loss value, None without one).

    Loss value and gradients may follow different ones: those that give the loss value come before the `other` ones. `turned` gives the
    same for an update that adds.
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
        if fitting:
            others = [scale for scale in scales if scale not in fitting]
            scales = _with_derivative_factors(reading, fitting)
            known = {scale.factor for scale in scales}
            scales += [replace(scale, rank=scale.rank + OTHER, other=True) for scale in others if scale.factor not in known]
    pairs = itertools.product(scales, decays)
    made = [Convention(scale.factor, decay, scale.words + words, scale.rank, scale.summed, scale.other) for scale, (decay, words) in pairs]
    return made, reproduced


def gives_outputs(reading: Reading) -> bool | None:
    """Whether the forward pass gives the outputs in the file; None where it has none."""
    if reading.outputs_given is None:
        return None
    with np.errstate(all="ignore"):
        ours = Values(Formulas(reading.plan), reading.given)["activation", reading.plan.last]
    return bool(np.allclose(ours, reading.outputs_given, rtol=LOSS_MATCH, atol=LOSS_MATCH * np.abs(ours).max()))


def gives_loss(reading: Reading, convention: Convention, loss_value: float, l2: float | None) -> bool:
    """Whether a convention gives the loss value, with this penalty or without."""
    return _gives(reading, convention, loss_value, l2)


def _scales(reading):
    m, k, loss = reading.samples, reading.outputs, LOSSES[reading.plan.loss]
    over_samples = [_Scale(1, "mean over the samples", 0), _Scale(m, "sum over the samples", 1, True)]
    over_outputs = [_Scale(1, "", 0)]
    if k > 1 and loss.over_outputs == "mean":
        over_outputs = [_Scale(1, " and the outputs", 0), _Scale(k, ", sum over the outputs", 0)]
    elif k > 1:
        over_outputs = [_Scale(1, "", 0), _Scale(1 / k, ", mean over the classes", 1)]
    halved = [_Scale(1, "", 0)] + ([_Scale(0.5, ", halved", 0)] if loss.factor == 2 else [])
    scales = {}
    for parts in itertools.product(over_samples, over_outputs, halved):
        factor = float(np.prod([part.factor for part in parts]))
        scale = _Scale(factor, "".join(part.words for part in parts), sum(part.rank for part in parts), parts[0].summed)
        if factor not in scales or scale.rank < scales[factor].rank:
            scales[factor] = scale
    return sorted(scales.values(), key=lambda scale: scale.rank)


def _gives(reading, scale, loss_value, l2):
    factor = abs(scale.factor if isinstance(scale, _Scale) else scale.scale)
    squares = sum(float(np.square(reading.given["W", layer]).sum()) for layer in range(1, reading.plan.last + 1))
    penalties = [share * (l2 or 0) * squares for share in (0, 1, 0.5, 1 / reading.samples, 0.5 / reading.samples)]
    values = [factor * loss + penalty for loss in mean_losses(reading) for penalty in penalties]
    return any(np.isclose(loss_value, value, rtol=LOSS_MATCH, atol=0) for value in values)


def mean_losses(reading: Reading) -> list[float]:
    """Descent's loss of the reading, penalty left out; where it has logarithms, also with what people keep them from zero with."""
    loss, last = LOSSES[reading.plan.loss], reading.plan.last
    with np.errstate(all="ignore"):
        values = Values(Formulas(reading.plan), reading.given)
        elementwise = [values["loss", last]]
        a, y = values["activation", last], values["targets", last]
        if loss.logarithms:
            for guard, epsilon in itertools.product((clipped, added), EPSILONS):
                p, q, _ = guard(a, epsilon)
                binary = loss.classes == "independent"
                elementwise.append(-(y * np.log(p) + (1 - y) * np.log(q)) if binary else -y * np.log(p))
        return [loss.mean(entries) for entries in elementwise]


def _with_derivative_factors(reading, scales):
    """Squared errors without the 2, or halved ones with it: a different learning rate and nothing else."""
    if LOSSES[reading.plan.loss].factor != 2:
        return scales
    known = {scale.factor for scale in scales}
    others = [
        _Scale(scale.factor * factor, f"{scale.words} (its gradient {words})", scale.rank + 1, scale.summed, True)
        for scale in scales
        for factor, words in ((0.5, "without the factor 2"), (2.0, "with a factor 2 too many"))
    ]
    return scales + [scale for scale in others if scale.factor not in known]
