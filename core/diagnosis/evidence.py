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

from core.data.dataset import encoded_targets
from core.diagnosis.baseline import baseline
from core.diagnosis.reference_models import attainable
from core.nn.losses import LOSSES
from core.nn.network import with_ones

# What must be won over the best constant output before a run counts as learning, as a share of all there is to win
LEARNED = 0.05
# A run does well when it has won this share of what others win on the same data (attainable.py), and poorly below that one
WELL, POORLY = 0.85, 0.65
# Where others win less than this over the best constant output, or no more than two standard errors (of a share, at most 1/2 each), there
# is nothing to be won that they could see
WORTH_WINNING = 0.05
# No verdict on the data from fewer samples, and so many standard errors (of a share, at most 1/2 each) may be luck
FEW, BY_LUCK = 100, 1.5
# The first steps: so many samples
FIRST_ROWS = 8
# An update so many times as long as its layer's weights throws them about
LONG_UPDATE = 0.5
# Two units are the same when their weights differ by less than this share of the largest
SAME = 1e-9
# Training samples that the probes of this module look at
PROBED = 64
# By what share, and by how many standard errors, the loss must have fallen over the later part of the run to be still falling
FALLING, CERTAIN = 0.02, 3
# A loss that falls by less, but as surely, creeps
CREEPING = 0.003
LATER_PARTS, LATELY = (0.3, 0.6, 1.0), 0.8
# Of a part of the run nothing is known from fewer full evaluations, and what is not known is never an alarm
KNOWN = 3
# No verdict "it does not learn" before so many updates
PATIENCE = 200
# Nor, of a run that is well-behaved in all else, that it stands still, or will get no further: many learn nothing for a while, and then all
# at once
LONG_PATIENCE, LONGEST_PATIENCE = 500, 1000
# "Now" is this last share of the run, and of samples at least and at most so many
RECENT, RECENT_ROWS = 0.2, (8, 64)
# A batch loss is averaged over so many training samples before it is judged, but never over more than a share of the history
JUDGED_SAMPLES, JUDGED_SHARE = 128, 0.25
# Standard deviation over the mean distance of two draws, for normal noise: sqrt(pi) / 2
MEAN_DISTANCE = 0.886
# "Ever since" forgives one sampled step in ten
EVER_SINCE = 0.9

_known = weakref.WeakKeyDictionary()  # Trainer -> {function: what it gave}: what neither training nor live changes alter


def memoize_per_run(trainer, function, *arguments, key=None):
    """What `function` gives for these arguments, asked for once in the life of a Trainer, or once for each `key`."""
    known = _known.setdefault(trainer, {})
    if (function, key) not in known:
        known[function, key] = function(*arguments)
    return known[function, key]


def _same(rows):
    """Whether all rows (units, weights) are the same but for rounding."""
    return bool((np.abs(rows - rows[0]) <= SAME * np.abs(rows).max()).all())


def _constant(targets):
    return len(targets) > 1 and bool((targets == targets[0]).all())


class Evidence:
    """A read-only view of a Trainer. Layers are indexed from 0 here, and losses hold the penalty. `foresee(trainer)` gives the
    Forecast for the run's beginning, or None."""

    def __init__(self, trainer, foresee=lambda trainer: None):
        self.trainer = trainer
        self._foresee = foresee
        self.config = trainer.config
        self.dataset = trainer.dataset
        self.telemetry = trainer.telemetry
        self.nonfinite = trainer.telemetry.nonfinite
        self.step = trainer.step
        self._layers = {}

    @cached_property
    def baseline(self):
        """What the data alone says."""
        return memoize_per_run(self.trainer, baseline, self.config, self.dataset)

    @cached_property
    def attainable(self):
        """What others make of the data."""
        return memoize_per_run(self.trainer, attainable, self.dataset)

    @cached_property
    def targets(self):
        """The training targets as the network is asked for them (m, outputs)."""
        output = self.config.layers[-1]
        return encoded_targets(self.dataset, self.dataset.train, output.units, output.activation, self.config.loss)

    @cached_property
    def constant(self):
        """Whether all training targets are the same."""
        return memoize_per_run(self.trainer, _constant, self.dataset.train.targets)

    @cached_property
    def column_deviations(self):
        """Standard deviations of the input columns that are not constant."""
        deviations = memoize_per_run(self.trainer, np.std, self.dataset.train.inputs, 0)
        return deviations[deviations > 0]

    @cached_property
    def forecast(self):
        """The Forecast for the beginning of the run, or None."""
        return self._foresee(self.trainer)

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
        first = self.trainer.parameters()  # nothing was sampled before it broke, so these are still the first
        return np.array([np.linalg.norm(first[f"W{layer}"]) for layer in range(1, len(self.sizes) + 1)])

    @cached_property
    def backward_growth(self):
        """Of each layer, its gradient over the last layer's in the first sample (layers,)."""
        first = self.layers("gradient_norm")[0]
        return first / first[-1]

    @cached_property
    def _probed(self):
        return with_ones(self.dataset.train.inputs[:PROBED], self.trainer.network.dtype)

    @cached_property
    def activations(self):
        """Of each layer, its activations now on the first PROBED training samples [(units, samples)]."""
        return [a for _, a in self.trainer.network.forward(self._probed)]

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
        first = self.telemetry.frames("train_metric")[0]
        most = np.fmax(self.baseline.metric, first)
        better = self.metric > most + LEARNED * (1 - most)
        return bool(better or (self.matched and self.loss < (1 - LEARNED) * self.baseline.loss))

    @cached_property
    def matched(self):
        """Whether the loss belongs to the output, so that a low one means something: others can be low for a wrong answer."""
        return self.config.layers[-1].activation in LOSSES[self.config.loss].matches

    @cached_property
    def metric(self):
        """The training metric now; NaN before the first frame of "now"."""
        recent = self.telemetry.frames("train_metric")[self._first_recent_frame :]
        return np.median(recent) if len(recent) else np.nan

    @property
    def _low_metric(self):
        """What three in four of the training metrics of now reach."""
        recent = self.telemetry.frames("train_metric")[self._first_recent_frame :]
        return np.quantile(recent, 0.25) if len(recent) else np.nan

    @cached_property
    def test_metric(self):
        """The test metric now; NaN without a test part."""
        recent = self.telemetry.frames("test_metric")[self._first_recent_frame :]
        return np.median(recent) if len(recent) else np.nan

    @cached_property
    def prize(self):
        """What others win over the best constant output in the metric; all there is where there are too few samples to ask them, and 0
        where they win nothing."""
        chance, best, samples = self.baseline.metric, self.attainable.best, self.attainable.samples
        if np.isnan(best):
            return 1 - chance
        return best - chance if best - chance > max(WORTH_WINNING, 1 / np.sqrt(samples)) else 0.0

    @cached_property
    def share(self):
        """Of what others win over the best constant output, how much the run has won."""
        return self._share_of(self.metric)

    def _share_of(self, metric):
        won = metric - self.baseline.metric
        return won / self.prize if self.prize and np.isfinite(won) else float(self.learned)

    @cached_property
    def recent_full(self):
        """The last full training losses (n,)."""
        return self.telemetry.frames("train_loss")[self._first_recent_frame :]

    @cached_property
    def judged(self):
        """Whether the run has had its chance, or has broken."""
        return bool(self.nonfinite) or self.step >= PATIENCE

    @cached_property
    def unforeseen(self):
        """Whether inputs say nothing about the targets, as far as others see, nor the network on samples that it has not learned from."""
        if self.prize or not self.judged or self.attainable.samples < FEW or self.constant:
            return False
        unseen = self.test_metric if np.isfinite(self.test_metric) else self.metric
        return not unseen > self.baseline.metric + BY_LUCK / np.sqrt(max(len(self.dataset.test), 1))

    @cached_property
    def well(self):
        """Whether it does about as well as others on the same data."""
        return not self.nonfinite and self.judged and self._share_of(self._low_metric) >= WELL and not self.unforeseen

    @cached_property
    def thrown(self):
        """Whether an update was ever longer than this share of its layer's weights, after the first samples: nothing settles then."""
        ratios = self.layers("update_ratio")[FIRST_ROWS:]
        return bool((ratios > LONG_UPDATE).any())

    @cached_property
    def symmetric(self):
        """The first hidden layer (from 1) whose units all began the same, with the same weights onwards; None if there is none."""
        return memoize_per_run(self.trainer, self._symmetric)

    def _symmetric(self):
        first = self.trainer.first_parameters()
        matrices = [np.column_stack([first[f"W{layer}"].T, first[f"b{layer}"]]) for layer in range(1, len(self.sizes) + 1)]
        for layer, (matrix, following) in enumerate(itertools.pairwise(matrices), 1):
            if len(matrix) > 1 and _same(matrix) and _same(following[:, :-1].T):
                return layer
        return None

    @cached_property
    def underperforms(self):
        """Whether it does far worse than others, gets no better, and does not even creep."""
        slow = not self.nonfinite and self.step >= LONG_PATIENCE and self.share < POORLY
        return slow and not self.falling and not self._creeping

    @cached_property
    def poor(self):
        """The same of a run that has had all the time it needs."""
        return self.underperforms and self.step >= LONGEST_PATIENCE

    @cached_property
    def falling(self):
        """Whether the loss, without its penalty, fell clearly over the later part of the run; or whether the last full evaluations are
        better than those before."""
        first, middle, end = np.searchsorted(self.steps, np.multiply(LATER_PARTS, self.step), side="right")
        before, after = (self._data_losses(slice(*part)) for part in ((first, middle), (middle, end)))
        noise = np.sqrt(before.var() / len(before) + after.var() / len(after))
        fall = before.mean() - after.mean()
        if self.step >= LONGEST_PATIENCE and self.loss > self.baseline.loss:  # worse than chance still: it counts if that will not last
            return bool(fall > max(self.loss - (1 - LEARNED) * self.baseline.loss, CERTAIN * noise))
        return bool(fall > max(FALLING * before.mean(), CERTAIN * noise)) or self._lately_better

    @property
    def _lately_better(self):
        """Whether three in four of the last metrics are better than three in four of those in the middle of the run; True where too few are
        known."""
        before, after = self._middle_and_last("train_metric")
        return len(before) < KNOWN or bool(np.quantile(after, 0.25) > np.quantile(before, 0.75) + FALLING)

    @property
    def _creeping(self):
        """Whether the loss is lower of late than in the middle of the run, if only a little; True where too few are known."""
        before, after = self._middle_and_last("train_loss")
        return len(before) < KNOWN or bool(np.median(after) < (1 - CREEPING) * np.median(before))

    def _middle_and_last(self, column):
        """A column of the full evaluations (in the middle of the run, of late: KNOWN of them at least)."""
        first, middle, last = np.searchsorted(
            self.telemetry.frames("step"), np.multiply((LATER_PARTS[0], LATER_PARTS[1], LATELY), self.step)
        )
        values = self.telemetry.frames(column)
        return values[first:middle], values[max(middle, min(last, len(values) - KNOWN)) :]

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
