"""What a detector looks at: one run's telemetry, and the facts that follow from it, each worked out when first asked for.

Two questions decide nearly everything. Is the run learning: does it do better than the best constant output, or does its loss
at least still fall? And is it stable: did the loss stay away from where it had been? Full evaluations answer exactly but are few;
batch losses are many but noisy, so they are averaged before they are judged.
"""

from __future__ import annotations

import itertools
import weakref
from functools import cached_property

import numpy as np

from core.diagnosis.baseline import baseline

# What must be won over the best constant output before a run counts as learning, as a share of all there is to win
LEARNED = 0.05
# By what share, and by how many standard errors, the loss must have fallen over the later part of the run to be still falling
FALLING, CERTAIN = 0.02, 3
LATER_PARTS = (0.3, 0.6, 1.0)
# No verdict "it does not learn" before so many updates
PATIENCE = 200
# "Now" is this last share of the run, and of samples at least and at most so many
RECENT, RECENT_ROWS = 0.2, (8, 64)
# A batch loss is averaged over so many training samples before it is judged, but never over more than a share of the history
JUDGED_SAMPLES, JUDGED_SHARE = 128, 0.25
# Standard deviation over the mean distance of two draws, for normal noise: sqrt(pi) / 2
MEAN_DISTANCE = 0.886
# "Ever since" forgives one sampled step in ten
EVER_SINCE = 0.9

_baselines = weakref.WeakKeyDictionary()  # Trainer -> Baseline: neither the data nor the loss changes during a run


class Evidence:
    """A read-only view of a Trainer. Layers are indexed from 0 here, and losses hold the penalty."""

    def __init__(self, trainer):
        self._trainer = trainer
        self.config = trainer.config
        self.dataset = trainer.dataset
        self.telemetry = trainer.telemetry
        self.nonfinite = trainer.telemetry.nonfinite
        self.step = trainer.step
        self._layers = {}

    @cached_property
    def baseline(self):
        """What the data alone says."""
        if self._trainer not in _baselines:
            _baselines[self._trainer] = baseline(self.config, self.dataset)
        return _baselines[self._trainer]

    # Sampled steps

    @cached_property
    def _rows(self):
        """The samples before anything broke."""
        return slice(None, -1 if self.nonfinite else None)

    @cached_property
    def steps(self):
        """Steps of the samples (n,)."""
        return self.telemetry.step[self._rows]

    def layers(self, metric):
        """A layer metric of the samples (n, layers)."""
        if metric not in self._layers:
            self._layers[metric] = np.ascontiguousarray(self.telemetry.metric(metric)[self._rows])
        return self._layers[metric]

    def now(self, metric):
        """Median of a layer metric over the last samples (layers,)."""
        return np.median(self.layers(metric)[self.recent], axis=0)

    @cached_property
    def recent(self):
        """The last samples."""
        share = len(self.steps) - np.searchsorted(self.steps, (1 - RECENT) * self.step)
        return slice(max(len(self.steps) - np.clip(share, *RECENT_ROWS), 0), None)

    def since(self, holds):
        """The sampled step from which on `holds` (n,), about the last n samples, is true nearly always to the end."""
        share = np.cumsum(holds[::-1])[::-1] / np.arange(len(holds), 0, -1)
        return int(self.steps[-len(holds) :][np.argmax(holds & (share >= EVER_SINCE))])

    @cached_property
    def sizes(self):
        """Of each layer, parameters (layers,)."""
        return np.array([(fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(self._units)])

    @cached_property
    def glorot_norms(self):
        """Of each layer, the weight norm after Glorot & Bengio 2010 (layers,): what is called small is small beside this."""
        return np.array([np.sqrt(2 * fan_in * fan_out / (fan_in + fan_out)) for fan_in, fan_out in itertools.pairwise(self._units)])

    @cached_property
    def he_norms(self):
        """Of each layer, the weight norm after He et al. 2015 (layers,), the largest in use: what is called large is large beside this."""
        return np.sqrt(2 * np.array(self._units[1:]))

    @cached_property
    def first_weights(self):
        """Of each layer, the norm of the first weights (layers,)."""
        norms = self.layers("weight_norm")
        if len(norms):
            return norms[0]
        first = self._trainer.parameters()  # nothing was sampled before it broke, so these are still the first
        return np.array([np.linalg.norm(first[f"W{layer}"]) for layer in range(1, len(self.sizes) + 1)])

    @cached_property
    def backward_growth(self):
        """Of each layer, its gradient over the last layer's in the first sample (layers,)."""
        first = self.layers("gradient_norm")[0]
        return first / first[-1]

    @cached_property
    def _units(self):
        return [self.dataset.inputs, *(layer.units for layer in self.config.layers)]

    # The loss

    @cached_property
    def judged_losses(self):
        """Batch losses averaged over `_window` neighbouring samples (n - window + 1,)."""
        sums = np.cumsum(np.concatenate([[0.0], self.telemetry.loss[self._rows]]))
        return (sums[self._window :] - sums[: -self._window]) / self._window

    @cached_property
    def _window(self):
        batch = self.config.batch_size or JUDGED_SAMPLES
        return max(1, min(-(-JUDGED_SAMPLES // batch), int(JUDGED_SHARE * len(self.steps))))

    @cached_property
    def recent_judged(self):
        """The last judged losses, up to the last sample."""
        return self.judged_losses[self._first_recent_judged :]

    @cached_property
    def _first_recent_judged(self):
        return np.searchsorted(self.steps[self._window - 1 :], (1 - RECENT) * self.step)

    @cached_property
    def _first_recent_frame(self):
        return np.searchsorted(self.telemetry.frames("step"), (1 - RECENT) * self.step)

    @cached_property
    def initial_loss(self):
        """The full training loss before the first update."""
        return self.telemetry.frames("train_loss")[0]

    @cached_property
    def loss(self):
        """The training loss now, of full evaluations if there are any; infinite if it is no number any more."""
        full = self.telemetry.frames("train_loss")[self._first_recent_frame :]
        loss = np.median(full) if len(full) else self.judged_losses[-1]
        return np.inf if np.isnan(loss) else loss

    @cached_property
    def earlier_best(self):
        """The lowest training loss before "now", of full evaluations or of judged losses; to these, standard errors are added, since
        the lowest of many is low by luck."""
        full = self.telemetry.frames("train_loss")[: self._first_recent_frame]
        batch = self.telemetry.loss[self._rows][: self.recent.start]
        noise = MEAN_DISTANCE * np.abs(np.diff(batch)).mean() / np.sqrt(self._window) if len(batch) > 1 else 0.0
        return min(full.min(), self.judged_losses[: self._first_recent_judged].min(initial=np.inf) + CERTAIN * noise)

    @cached_property
    def learned(self):
        """Whether the network does better than the best constant output: by its loss, or by its metric, which no penalty touches. The
        metric must have risen too, since first weights can be right by luck."""
        metrics = self.telemetry.frames("train_metric")
        most = max(self.baseline.metric, metrics[0])
        better = len(metrics) > self._first_recent_frame and np.median(metrics[self._first_recent_frame :]) > most + LEARNED * (1 - most)
        return bool(better or self.loss < (1 - LEARNED) * self.baseline.loss)

    @cached_property
    def falling(self):
        """Whether the loss, without its penalty, fell clearly over the later part of the run."""
        first, middle, end = np.searchsorted(self.steps, np.multiply(LATER_PARTS, self.step), side="right")
        before, after = (self._data_losses(slice(*part)) for part in ((first, middle), (middle, end)))
        noise = np.sqrt(before.var() / len(before) + after.var() / len(after))
        return bool(before.mean() - after.mean() > max(FALLING * before.mean(), CERTAIN * noise))

    def _data_losses(self, rows):
        """Batch losses of these rows without the penalty's part. That is known from the weight norms, somewhat high: these hold the biases
        too, and sum|w| is taken as that of normally distributed weights, sqrt(2 n / pi) times their norm."""
        penalty, losses = self.config.penalty, self.telemetry.loss[rows]
        if not (penalty.l1 or penalty.l2):
            return losses
        norms = self.layers("weight_norm")[rows]
        part = penalty.l2 * np.square(norms).sum(axis=1) + penalty.l1 * norms.dot(np.sqrt(2 / np.pi * self.sizes))
        return np.maximum(losses - part, 0)

    def data_gradients(self, rows):
        """Gradient norms without the penalty's part in these rows (n, layers), at their lowest: the penalty may pull along with the data
        or against it, and its part is known only with the biases."""
        penalty, norms = self.config.penalty, self.layers("gradient_norm")[rows]
        pull = 2 * penalty.l2 * self.layers("weight_norm")[rows] + penalty.l1 * np.sqrt(self.sizes)
        return np.minimum(norms, np.abs(norms - pull))

    @cached_property
    def stuck(self):
        """Whether the run has had its chance, has learned nothing and does not move."""
        return not self.nonfinite and self.step >= PATIENCE and not self.learned and not self.falling
