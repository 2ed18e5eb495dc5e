"""Losses and metrics, as far back as they are known.

Full evaluations answer exactly but are few; batch losses are many but noisy, so they are averaged before they are judged.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.evidence.signals import RECENT

if TYPE_CHECKING:
    from core.diagnosis.evidence.signals import Signals
    from core.training.trainer import Trainer

# By how many standard errors a loss must differ before it is lower for certain
CERTAIN = 3
# Parts of a run that are compared: from the first to the second share of its steps, from there to the third; and the last of it
LATER_PARTS, LATELY = (0.3, 0.6, 1.0), 0.8
# Of a part of the run nothing is known from fewer full evaluations, and what is not known is never an alarm
KNOWN = 3
# A batch loss is averaged over so many training samples before it is judged, but never over more than a share of the history
JUDGED_SAMPLES, JUDGED_SHARE = 128, 0.25
# Standard deviation over the mean distance of two draws, for normal noise: sqrt(pi) / 2
MEAN_DISTANCE = 0.886


class Losses:
    """The losses of a run, which hold the penalty, and its metrics."""

    def __init__(self, trainer: Trainer, signals: Signals) -> None:
        self._config, self._telemetry, self._step, self._signals = trainer.config, trainer.telemetry, trainer.step, signals

    @cached_property
    def judged(self) -> np.ndarray:
        """Batch losses averaged over `_window` neighbouring samples (n - window + 1,)."""
        sums = np.cumsum(np.concatenate([[0.0], self._telemetry.loss[self._signals.rows]]))
        return (sums[self._window :] - sums[: -self._window]) / self._window

    @cached_property
    def _window(self):
        batch = self._config.batch_size or JUDGED_SAMPLES
        return max(1, min(-(-JUDGED_SAMPLES // batch), int(JUDGED_SHARE * len(self._signals.steps))))

    @cached_property
    def recent_judged(self) -> np.ndarray:
        """The last judged losses, up to the last sample."""
        return self.judged[self._first_recent_judged :]

    @cached_property
    def _first_recent_judged(self):
        return np.searchsorted(self._signals.steps[self._window - 1 :], (1 - RECENT) * self._step)

    @cached_property
    def _first_recent_frame(self):
        return np.searchsorted(self._telemetry.frames("step"), (1 - RECENT) * self._step)

    @cached_property
    def initial(self) -> float:
        """The full training loss before the first update."""
        return self._telemetry.frames("train_loss")[0]

    @cached_property
    def now(self) -> float:
        """The training loss now, of full evaluations if there are any; infinite if it is no number any more."""
        full = self._telemetry.frames("train_loss")[self._first_recent_frame :]
        loss = np.median(full) if len(full) else self.judged[-1]
        return np.inf if np.isnan(loss) else loss

    @cached_property
    def test(self) -> float:
        """The test loss now; NaN without a test part."""
        recent = self._telemetry.frames("test_loss")[self._first_recent_frame :]
        return np.median(recent) if len(recent) else np.nan

    @cached_property
    def earlier_best(self) -> float:
        """The lowest training loss before "now", of full evaluations or of judged losses; to these, standard errors are added, since
        the lowest of many is low by luck."""
        full = self._telemetry.frames("train_loss")[: self._first_recent_frame]
        batch = self._telemetry.loss[self._signals.rows][: self._signals.recent.start]
        noise = MEAN_DISTANCE * np.abs(np.diff(batch)).mean() / np.sqrt(self._window) if len(batch) > 1 else 0.0
        return min(full.min(), self.judged[: self._first_recent_judged].min(initial=np.inf) + CERTAIN * noise)

    @cached_property
    def recent_full(self) -> np.ndarray:
        """The last full training losses (n,)."""
        return self._telemetry.frames("train_loss")[self._first_recent_frame :]

    @cached_property
    def metric(self) -> float:
        """The training metric now; NaN before the first frame of "now"."""
        recent = self._telemetry.frames("train_metric")[self._first_recent_frame :]
        return np.median(recent) if len(recent) else np.nan

    @property
    def low_metric(self) -> float:
        """What three in four of the training metrics of now reach."""
        recent = self._telemetry.frames("train_metric")[self._first_recent_frame :]
        return np.quantile(recent, 0.25) if len(recent) else np.nan

    @cached_property
    def test_metric(self) -> float:
        """The test metric now; NaN without a test part."""
        recent = self._telemetry.frames("test_metric")[self._first_recent_frame :]
        return np.median(recent) if len(recent) else np.nan

    def middle_and_last(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of the full evaluations (in the middle of the run, of late: KNOWN of them at least)."""
        first, middle, last = np.searchsorted(
            self._telemetry.frames("step"), np.multiply((LATER_PARTS[0], LATER_PARTS[1], LATELY), self._step)
        )
        values = self._telemetry.frames(column)
        return values[first:middle], values[max(middle, min(last, len(values) - KNOWN)) :]

    def of_data(self, rows: slice) -> np.ndarray:
        """Batch losses of these rows without the penalty's part. That is known from the weight norms, somewhat high: these hold the biases
        too, and sum|w| is taken as that of normally distributed weights, sqrt(2 n / pi) times their norm."""
        penalty, losses = self._config.penalty, self._telemetry.loss[rows]
        if not (penalty.l1 or penalty.l2):
            return losses
        norms = self._signals.layers("weight_norm")[rows]
        part = penalty.l2 * np.square(norms).sum(axis=1) + penalty.l1 * norms.dot(np.sqrt(2 / np.pi * self._signals.sizes))
        return np.maximum(losses - part, 0)
