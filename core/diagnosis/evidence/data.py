"""What the data alone says, and what others make of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from core.diagnosis.baseline import baseline
from core.diagnosis.evidence.memory import memoize_per_run
from core.diagnosis.reference_models import attainable
from core.nn.activations import ACTIVATIONS

if TYPE_CHECKING:
    from core.diagnosis.baseline import Baseline
    from core.diagnosis.reference_models import Attainable
    from core.training.trainer import Trainer

# Where others win less than this share of what a constant output leaves to win, or no more than two standard errors, there is nothing to be
# won that they could see
WORTH_WINNING = 0.05
# Inputs none of which deviates more than this should have been scaled
TINY = 0.1
# Targets may lie so far outside of what an output can give, by rounding
SLACK = 1e-6


def _constant(targets):
    return len(targets) > 1 and bool((targets == targets[0]).all())


def _outside(targets, activation):
    outside = np.mean((targets < activation.low - SLACK) | (targets > activation.high + SLACK))
    return max(outside, np.mean(np.abs(targets.sum(axis=1) - 1) > SLACK)) if activation.shares else outside


class Data:
    """A run's data, apart from what it has learned of them."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._config, self._dataset = trainer, trainer.config, trainer.dataset

    @cached_property
    def baseline(self) -> Baseline:
        """What the data alone says."""
        return memoize_per_run(self._trainer, baseline, self._config, self._dataset)

    @cached_property
    def attainable(self) -> Attainable:
        """What others make of the data."""
        return memoize_per_run(self._trainer, attainable, self._dataset)

    @property
    def targets(self) -> np.ndarray:
        """The training targets as the network is asked for them (m, outputs)."""
        return self._trainer.evaluator.targets

    @cached_property
    def constant(self) -> bool:
        """Whether all training targets are the same."""
        return memoize_per_run(self._trainer, _constant, self.targets)

    @cached_property
    def unreachable(self) -> float:
        """Share of the training targets that lie where the output cannot go."""
        return memoize_per_run(self._trainer, _outside, self.targets, ACTIVATIONS[self._config.layers[-1].activation])

    @cached_property
    def column_deviations(self) -> np.ndarray:
        """Standard deviations of the input columns that are not constant."""
        deviations: Any = memoize_per_run(self._trainer, np.std, self._dataset.train.inputs, 0)
        return deviations[deviations > 0]

    @property
    def tiny_inputs(self) -> bool:
        """Whether all inputs vary far less than scaled ones do."""
        return len(self.column_deviations) > 0 and bool((self.column_deviations < TINY).all())

    def standard_error(self, samples: int) -> float:
        """Of the metric that a constant output has on so many samples: of a share p, sqrt(p (1 - p) / n), and no larger for R^2."""
        p = self.baseline.metric if self._dataset.task == "classification" else 0.5
        return np.sqrt(p * (1 - p) / max(samples, 1))

    @cached_property
    def prize(self) -> float:
        """What others win over the best constant output in the metric; all there is where there are too few samples to ask them, and 0
        where they win nothing."""
        chance, best, samples = self.baseline.metric, self.attainable.best, self.attainable.samples
        if np.isnan(best):
            return 1 - chance
        return best - chance if best - chance > max(WORTH_WINNING * (1 - chance), 2 * self.standard_error(samples)) else 0.0
