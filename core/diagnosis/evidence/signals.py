"""What telemetry sampled of the layers: weights, gradients, updates and activations."""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.evidence.memory import memoize_per_run
from core.faults import first_parameters
from core.nn.network import with_ones

if TYPE_CHECKING:
    from core.training.trainer import Trainer

# The first steps: so many samples
FIRST_ROWS = 8
# "Now" is this last share of the run, and of samples at least and at most so many
RECENT, RECENT_ROWS = 0.2, (8, 64)
# An update so many times as long as its layer's weights throws them about
LONG_UPDATE = 0.5
# Two units are the same when their weights differ by less than this share of the largest
SAME = 1e-9
# Training samples that the probes of this module look at
PROBED = 64
# "Ever since" forgives one sampled step in ten
EVER_SINCE = 0.9


def _same(rows):
    """Whether all rows (units, weights) are the same but for rounding."""
    return bool((np.abs(rows - rows[0]) <= SAME * np.abs(rows).max()).all())


def _symmetric(trainer):
    first = first_parameters(trainer.config, trainer.dataset.inputs)
    layers = range(1, len(trainer.config.layers) + 1)
    matrices = [np.column_stack([first[f"W{layer}"].T, first[f"b{layer}"]]) for layer in layers]
    for layer, (matrix, following) in enumerate(itertools.pairwise(matrices), 1):
        if len(matrix) > 1 and _same(matrix) and _same(following[:, :-1].T):
            return layer
    return None


class Signals:
    """The samples (n,) of a run before anything broke; layers are indexed from 0."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._telemetry, self._layers = trainer, trainer.telemetry, {}
        self.rows = slice(None, -1 if trainer.telemetry.nonfinite else None)

    @cached_property
    def steps(self) -> np.ndarray:
        """Steps of the samples (n,)."""
        return self._telemetry.step[self.rows]

    def layers(self, metric: str) -> np.ndarray:
        """A layer metric of the samples (n, layers)."""
        if metric not in self._layers:
            self._layers[metric] = np.ascontiguousarray(self._telemetry.metric(metric)[self.rows])
        return self._layers[metric]

    def now(self, metric: str) -> np.ndarray:
        """Median of a layer metric over the last samples (layers,)."""
        return np.median(self.layers(metric)[self.recent], axis=0)

    @cached_property
    def recent(self) -> slice:
        """The last samples."""
        share = len(self.steps) - np.searchsorted(self.steps, (1 - RECENT) * self._trainer.step)
        return slice(max(len(self.steps) - np.clip(share, *RECENT_ROWS), 0), None)

    def since(self, holds: np.ndarray) -> int:
        """The sampled step from which on `holds` (n,), about the last n samples, is true nearly always to the end."""
        share = np.cumsum(holds[::-1])[::-1] / np.arange(len(holds), 0, -1)
        return int(self.steps[-len(holds) :][np.argmax(holds & (share >= EVER_SINCE))])

    @cached_property
    def sizes(self) -> np.ndarray:
        """Of each layer, parameters (layers,)."""
        return np.array([(fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(self._units)])

    @cached_property
    def glorot_norms(self) -> np.ndarray:
        """Of each layer, the weight norm after Glorot & Bengio 2010 (layers,): what is called small is small beside this."""
        return np.array([np.sqrt(2 * fan_in * fan_out / (fan_in + fan_out)) for fan_in, fan_out in itertools.pairwise(self._units)])

    @cached_property
    def he_norms(self) -> np.ndarray:
        """Of each layer, the weight norm after He et al. 2015 (layers,), the largest in use: what is called large is large beside this."""
        return np.sqrt(2 * np.array(self._units[1:]))

    @cached_property
    def first_weights(self) -> np.ndarray:
        """Of each layer, the norm of the first weights (layers,)."""
        norms = self.layers("weight_norm")
        if len(norms):
            return norms[0]
        first = self._trainer.parameters()  # nothing was sampled before it broke, so these are still the first
        return np.array([np.linalg.norm(first[f"W{layer}"]) for layer in range(1, len(self.sizes) + 1)])

    @cached_property
    def backward_growth(self) -> np.ndarray:
        """Of each layer, its gradient over the last layer's in the first sample (layers,)."""
        first = self.layers("gradient_norm")[0]
        return first / first[-1]

    def data_gradients(self, rows: slice) -> np.ndarray:
        """Gradient norms without the penalty's part in these rows (n, layers), at their lowest: the penalty may pull along with the data
        or against it, and its part is known only with the biases."""
        penalty, norms = self._trainer.config.penalty, self.layers("gradient_norm")[rows]
        pull = 2 * penalty.l2 * self.layers("weight_norm")[rows] + penalty.l1 * np.sqrt(self.sizes)
        return np.minimum(norms, np.abs(norms - pull))

    @cached_property
    def thrown(self) -> bool:
        """Whether an update was ever longer than this share of its layer's weights, after the first samples: nothing settles then."""
        ratios = self.layers("update_ratio")[FIRST_ROWS:]
        return bool((ratios > LONG_UPDATE).any())

    @cached_property
    def symmetric(self) -> int | None:
        """The first hidden layer (from 1) whose units all began the same, with the same weights onwards; None if there is none."""
        return memoize_per_run(self._trainer, _symmetric, self._trainer)

    @cached_property
    def _probed(self):
        return with_ones(self._trainer.dataset.train.inputs[:PROBED], self._trainer.network.dtype)

    @cached_property
    def activations(self) -> list[np.ndarray]:
        """Of each layer, its activations now on the first PROBED training samples [(units, samples)]."""
        return [a for _, a in self._trainer.network.forward(self._probed)]

    @cached_property
    def _units(self):
        return [self._trainer.dataset.inputs, *(layer.units for layer in self._trainer.config.layers)]
