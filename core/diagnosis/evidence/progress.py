"""Verdicts: is a run learning, how does it do beside others, and does it still get better?"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.evidence.losses import CERTAIN, KNOWN, LATELY, LATER_PARTS
from core.nn.losses import LOSSES

if TYPE_CHECKING:
    from core.diagnosis.evidence.data import Data
    from core.diagnosis.evidence.losses import Losses
    from core.diagnosis.evidence.signals import Signals
    from core.training.trainer import Trainer

# What must be won over the best constant output before a run counts as learning, as a share of all there is to win
LEARNED = 0.05
# A run does well when it has won this share of what others win on the same data (reference_models.py), and poorly below that one
WELL, POORLY = 0.85, 0.65
# No verdict on the data from fewer samples, and so many standard errors may be luck
FEW, BY_LUCK = 100, 3
# Left-out samples of which others explain this share of the variance can be foretold: of chance, hardly any is explained
EXPLAINED = 0.02
# By what share the loss must have fallen over the later part of the run to be still falling
FALLING = 0.02
# A loss that falls by less, but as surely, creeps
CREEPING = 0.003
# No verdict "it does not learn" before so many updates
PATIENCE = 200
# Nor, of a run that is well-behaved in all else, that it stands still, or will get no further: many learn nothing for a while, and then all
# at once
LONG_PATIENCE, LONGEST_PATIENCE = 500, 1000
# The share of a run between the middles of the two parts that are compared
BETWEEN = (1 + LATELY - LATER_PARTS[0] - LATER_PARTS[1]) / 2
# A run that needs so many times the updates so far is slow
TOO_LONG = 2


class Progress:
    """How far a run has come."""

    def __init__(self, trainer: Trainer, data: Data, signals: Signals, losses: Losses) -> None:
        self._config, self._dataset, self._step, self._telemetry = trainer.config, trainer.dataset, trainer.step, trainer.telemetry
        self._nonfinite = trainer.telemetry.nonfinite
        self._data, self._signals, self._losses = data, signals, losses

    @cached_property
    def learned(self) -> bool:
        """Whether the network does better than the best constant output: by its loss, or by its metric, which no penalty touches. The
        metric must have risen too, since first weights can be right by luck."""
        first = self._telemetry.frames("train_metric")[0]
        most = np.fmax(self._data.baseline.metric, first)
        better = self._losses.metric > most + LEARNED * (1 - most)
        return bool(better or (self.matched and self._losses.now < (1 - LEARNED) * self._data.baseline.loss))

    @cached_property
    def matched(self) -> bool:
        """Whether the loss belongs to the output, so that a low one means something: others can be low for a wrong answer."""
        return self._config.layers[-1].activation in LOSSES[self._config.loss].matches

    @cached_property
    def share(self) -> float:
        """Of what others win over the best constant output, how much the run has won."""
        return self._share_of(self._losses.metric)

    def _share_of(self, metric):
        won = metric - self._data.baseline.metric
        return won / self._data.prize if self._data.prize and np.isfinite(won) else float(self.learned)

    @cached_property
    def judged(self) -> bool:
        """Whether the run has had its chance, or has broken."""
        return bool(self._nonfinite) or self._step >= PATIENCE

    @cached_property
    def unforeseen(self) -> bool:
        """Whether inputs say nothing about the targets, as far as others see, nor the network on samples that it has not learned from."""
        if self._data.prize or not self.judged or self._data.attainable.samples < FEW or self._data.constant:
            return False
        if self._data.attainable.explained > EXPLAINED or (self.matched and self._losses.test < (1 - LEARNED) * self._data.baseline.loss):
            return False  # a majority hides it from the metric
        unseen = self._losses.test_metric if np.isfinite(self._losses.test_metric) else self._losses.metric
        return not unseen > self._data.baseline.metric + BY_LUCK * self._data.standard_error(len(self._dataset.test))

    @cached_property
    def well(self) -> bool:
        """Whether it does about as well as others on the same data."""
        return not self._nonfinite and self.judged and self._share_of(self._losses.low_metric) >= WELL and not self.unforeseen

    @cached_property
    def underperforms(self) -> bool:
        """Whether it does far worse than others, gets no better, and does not even creep."""
        slow = not self._nonfinite and self._step >= LONG_PATIENCE and self.share < POORLY
        return slow and not self.falling and not self.creeping

    @cached_property
    def poor(self) -> bool:
        """The same of a run that has had all the time it needs."""
        return self.underperforms and self._step >= LONGEST_PATIENCE

    @cached_property
    def too_slow(self) -> bool:
        """Whether a run that had all the time it needs will not be there for long at its pace. That is no alarm: many learn little for a
        while, and then all at once."""
        return self._step >= LONGEST_PATIENCE and not self.well and self.time_left > TOO_LONG

    @cached_property
    def falling(self) -> bool:
        """Whether the loss, without its penalty, fell clearly over the later part of the run; or whether the last full evaluations are
        better than those before."""
        first, middle, end = np.searchsorted(self._signals.steps, np.multiply(LATER_PARTS, self._step), side="right")
        before, after = (self._losses.of_data(slice(*part)) for part in ((first, middle), (middle, end)))
        noise = np.sqrt(before.var() / len(before) + after.var() / len(after))
        fall = before.mean() - after.mean()
        chance, loss = self._data.baseline.loss, self._losses.now
        if self._step >= LONGEST_PATIENCE and loss > chance:  # worse than chance still: it counts if that will not last
            return bool(fall > max(loss - (1 - LEARNED) * chance, CERTAIN * noise))
        return bool(fall > max(FALLING * before.mean(), CERTAIN * noise)) or self.lately_better

    @property
    def lately_better(self) -> bool:
        """Whether three in four of the last metrics are better than three in four of those in the middle of the run; True where too few are
        known."""
        before, after = self._losses.middle_and_last("train_metric")
        return len(before) < KNOWN or bool(np.quantile(after, 0.25) > np.quantile(before, 0.75) + FALLING)

    @property
    def creeping(self) -> bool:
        """Whether the loss is lower of late than in the middle of the run, if only a little; True where too few are known."""
        before, after = self._losses.middle_and_last("train_loss")
        return len(before) < KNOWN or bool(np.median(after) < (1 - CREEPING) * np.median(before))

    @cached_property
    def time_left(self) -> float:
        """How many times the updates so far the run needs to do well if it goes on as it did of late, by its metric or its loss, whichever
        is nearer; 0 where too few are known to tell."""
        chance, win = self._data.baseline, WELL * self._data.prize
        by_metric = self._time_left("train_metric", 1, chance.metric + win)
        return min(by_metric, self._time_left("train_loss", -1, chance.loss * (1 - win / max(1 - chance.metric, win))))

    def _time_left(self, column, up, goal):
        before, after = self._losses.middle_and_last(column)
        if min(len(before), len(after)) < KNOWN:
            return 0.0
        gone, way = up * (np.median(after) - np.median(before)), up * (goal - np.median(after))
        return BETWEEN * way / gone if gone > 0 < way else np.inf if way > 0 else 0.0

    @cached_property
    def stuck(self) -> bool:
        """Whether the run has had its chance, has learned nothing and does not move."""
        return not self._nonfinite and self._step >= PATIENCE and not self.learned and not self.falling
