"""The learning rate range test (Smith 2017, "Cyclical learning rates for training neural networks"): the rate is swept up geometrically
while a copy of the run trains, and the loss says from which rate on it learns, and at which it blows up. Beside it stands what theory says
of the same copy, the stability limit from the sharpness.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import RunConfig
from core.data.dataset import Dataset
from core.diagnosis.divergence import divergence_limit
from core.diagnosis.remedies import rounded, rounded_down, usual_rate
from core.experiments.subject import Subject
from core.report import strict
from core.training.cost_model import FORWARD, activation_cost
from core.training.evaluation import penalty
from core.training.rehearsal import Rehearsal

# Updates of the sweep: so many that what has died away can come back before the rate has doubled; and at least, where they take long
# (microseconds for all, as estimated)
UPDATES, FEWEST_UPDATES, SWEEPING = 900, 100, 2_000_000
# Training samples that the loss is taken on: at most, and at least whatever they cost
SAMPLES, FEWEST_SAMPLES = 1024, 64
# The sweep goes from so far below to so far above the stability limit
BELOW, ABOVE = 1e-3, 20.0
SMALLEST, LARGEST = 1e-12, 1e6
# Theory and test agree where they are within this factor: in 37% of 60 usual networks and 18% of 60 of any kind, as `make bench-range`
# draws them. Most others never blow up: gradient descent can stay at the edge of stability (Cohen et al. 2021)
AGREE = 2.0
# Losses are smoothed over this share of the sweep before the steepest descent is looked for, which must win this share of the first loss
SMOOTHED, WORTH = 1 / 20, 0.01


@dataclass(frozen=True)
class RangeTest:
    """`losses` (n,) on the training samples after each update, whose learning rate is in `rates` (n,); the last loss may not be finite.

    `suggested` is the rate at which the loss falls fastest, the stability limit and half of `diverged_at` at most (None: it never falls),
    `stability_limit` the largest rate that is stable at the start by the sharpness (inf: nothing curves upwards), `diverged_at` the rate at
    which the loss blew up (None: it did not).
    """

    rates: np.ndarray
    losses: np.ndarray
    suggested: float | None
    stability_limit: float
    diverged_at: float | None

    @property
    def text(self) -> str:
        """Whether theory and test agree, and if they do not, the usual reason, in a sentence."""
        if not math.isfinite(self.stability_limit):
            return "Nothing curves upwards at the start, so that theory knows no limit there."
        if self.diverged_at is None:
            return "The loss never blew up: as the rate grows, the network moves to where the loss is flatter (the edge of stability)."
        ratio = self.diverged_at / self.stability_limit
        if ratio > AGREE:
            return f"The loss blew up at {ratio:.2g} times the limit of the start: the network moved to where the loss is flatter."
        if ratio < 1 / AGREE:
            return (
                f"The loss blew up at {ratio:.2g} times the limit of the start: it became steeper on the way, or single batches are "
                "steeper than all samples together."
            )
        return "Theory and test agree."

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape, and the text."""
        return strict(vars(self) | {"text": self.text, "rates": self.rates.tolist(), "losses": self.losses.tolist()})

    def __str__(self):
        def said(rate):
            return "none" if rate is None or not math.isfinite(rate) else f"{rate:.3g}"

        return (
            f"Learning rates {self.rates[0]:.3g} to {self.rates[-1]:.3g} in {len(self.rates)} updates.\n"
            f"Suggested (steepest descent): {said(self.suggested)}\n"
            f"Stability limit (sharpness):  {said(self.stability_limit)}\n"
            f"Blew up at:                   {said(self.diverged_at)}\n{self.text}"
        )


def range_test(config: RunConfig, dataset: Dataset | None = None, between: Callable[[], None] | None = None) -> RangeTest:
    """The RangeTest of a configuration from its first weights, on a copy, its schedule left out.

    The same configuration gives the same one. `between` is called without arguments between pieces of the work; what it raises ends it.
    Raises ConfigError when the configuration cannot run.
    """
    subject = Subject(config.patched({"optimizer": {"schedule": {"name": "constant"}}, "stop": None}), dataset, between)
    with np.errstate(all="ignore"):
        limit = subject.forecast.stability_limit
        middle = limit if math.isfinite(limit) and limit > 0 else usual_rate(config)
        low, high = np.clip([BELOW * middle, ABOVE * middle], SMALLEST, LARGEST)
        rates, losses, first = _swept(subject, low, max(high, 10 * low))
        return RangeTest(rates, losses, *_read(subject, rates, losses, first, limit))


def _swept(subject, low, high):
    """(rates, losses) up to the end of the sweep, or to the first loss that is not finite; and the loss before it."""
    network, strengths = subject.trainer.network, subject.config.penalty
    updates = int(np.clip(SWEEPING / Rehearsal(subject.trainer).update_cost, FEWEST_UPDATES, UPDATES))
    once = FORWARD * network.vector.size + activation_cost(network, 1)
    watched = subject.loss_on(int(np.clip(SWEEPING / updates / once, FEWEST_SAMPLES, SAMPLES)))
    growth = (high / low) ** (1 / (updates - 1))
    copy = Rehearsal(subject.trainer, low, lambda t, steps, share: growth**t)
    rates, losses, first = low * growth ** np.arange(updates), [], watched(network) + penalty(network, strengths)
    for _ in rates:
        subject.between()
        copy.advance(1)
        losses.append(watched(copy.network) + penalty(copy.network, strengths))
        if not math.isfinite(losses[-1]):
            break
    return rates[: len(losses)], np.array(losses), first


def _read(subject, rates, losses, first, limit):
    """(suggested rate, stability limit, rate of the blow-up) from a sweep."""
    chance = subject.evidence.data.baseline.loss
    best = np.minimum.accumulate(np.append(first, losses))[:-1]
    thresholds = np.array([divergence_limit(first, lowest, chance)[0] for lowest in best])
    blown = ~(losses <= thresholds)
    diverged_at = float(rates[blown.argmax()]) if blown.any() else None
    calm = losses if diverged_at is None else losses[rates < diverged_at / AGREE]  # as far as another sweep could blow up
    return _steepest(rates, calm, first, limit), float(limit), diverged_at


def _steepest(rates, losses, first, limit):
    """The rate, one digit of it, at which smoothed losses fall fastest over the logarithm of the rate; the limit at most."""
    width = max(3, round(SMOOTHED * len(rates)))
    if len(losses) < 2 * width:
        return None
    smooth = np.convolve(np.concatenate([np.full(width, first), losses]), np.ones(width) / width, "valid")[1:]
    slopes = np.gradient(smooth)
    at = int(slopes.argmin())
    if not smooth.min() < (1 - WORTH) * first:
        return None
    return rounded(float(rates[at])) if rates[at] < limit else rounded_down(float(limit))
