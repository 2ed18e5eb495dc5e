"""The run that an experiment is about: a Trainer at step 0, short trainings beside it, and what they may cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import RunConfig
from core.data.dataset import Dataset, Part, encoded_targets, spread
from core.diagnosis.evidence import Evidence
from core.diagnosis.forecast import forecast
from core.nn.network import with_ones
from core.training.evaluation import LOOKED_AT
from core.training.rehearsal import Rehearsal
from core.training.trainer import Trainer

if TYPE_CHECKING:
    from core.diagnosis.forecast import Forecast
    from core.nn.network import Network

# Updates of a short training: at most, and at least whatever they cost; microseconds that they may take, as estimated
MOST_UPDATES, FEWEST_UPDATES, TRAINING = 1000, 40, 250_000
PIECE, LOOKS = 50, 20  # updates between two calls of `between`, and evaluations of the loss during a short training
# What a short training goes without: it asks whether the network can learn, not how well it then does on other samples
BARE = {"penalty": {"l1": 0.0, "l2": 0.0}, "class_weight": None, "stop": None}


def normalizing(network: Network) -> Network:
    """A copy of a Network that takes the statistics of each batch, as in training: before any, running ones stand for nothing."""
    twin = network.copy()
    twin.batch_in_testing = frozenset(at for at, layer in enumerate(network.layers, 1) if layer.normalization == "batch")
    return twin


class Subject:
    """A configuration with its data. `between`, if given, is called without arguments between pieces of the work; what it raises ends it.

    The run itself is never moved: all that trains is a copy. Raises ConfigError when the configuration cannot run.
    """

    def __init__(self, config: RunConfig, dataset: Dataset | None = None, between: Callable[[], None] | None = None) -> None:
        self.between = between or (lambda: None)
        self.trainer = Trainer(config, dataset)
        self.config, self.dataset = config, self.trainer.dataset
        self.evidence = Evidence(self.trainer, lambda trainer: self.forecast)

    @cached_property
    def forecast(self) -> Forecast:
        """The Forecast of the run's beginning."""
        return forecast(self.trainer, between=self.between)

    @cached_property
    def moved(self) -> Trainer:
        """The run after one update, whose gradients and signals were measured."""
        self.between()
        return Trainer(self.config, self.dataset).advance(1)

    def rows(self, count: int, blind: bool = False) -> Dataset:
        """A Dataset with so many of the training samples, an equal share of each class, and no test part; `blind`: zeros for inputs."""
        part, test = self.dataset.train, self.dataset.test
        chosen = np.arange(len(part))
        if count < len(part):
            labels = part.targets if self.dataset.labels else None
            chosen = np.sort(spread(len(part), count / len(part), np.random.default_rng(self.config.seed), labels))
        inputs = np.zeros_like(part.inputs[chosen]) if blind else part.inputs[chosen]
        return replace(self.dataset, train=Part(inputs, part.targets[chosen]), test=Part(test.inputs[:0], test.targets[:0]))

    def samples(self, count: int, dtype: str | type | np.dtype | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (features + 1, count) and targets (outputs, count) of `rows(count)`, of the network's type or another."""
        dataset, output, dtype = self.rows(count), self.config.layers[-1], dtype or self.trainer.network.dtype
        targets = encoded_targets(dataset, dataset.train, output.units, output.activation, self.config.loss)
        return with_ones(dataset.train.inputs, dtype), np.ascontiguousarray(targets.T, dtype)

    def loss_on(self, count: int) -> Callable[[Network], float]:
        """A function of a Network: its mean loss, without penalty, on `rows(count)`."""
        x, y = self.samples(count)

        def loss(network):
            z, a = network.forward(x)[-1]
            return network.loss.mean(network.loss_values(z, a, y))

        return loss

    def losses(
        self, patch: dict[str, Any], dataset: Dataset, enough: Callable[[float], bool] = lambda loss: False, most: int = MOST_UPDATES
    ) -> np.ndarray:
        """Training losses (looks,) of a short training of the configuration with this patch, and BARE, on a Dataset; it ends early where a
        loss is `enough`, or not finite, and after `most` updates."""
        trainer = Trainer(self.config.patched(BARE).patched(patch), dataset)
        updates = int(np.clip(TRAINING / Rehearsal(trainer).update_cost, FEWEST_UPDATES, most))
        found = []
        for step in np.unique(np.linspace(1, updates, LOOKS).astype(int)).tolist():
            while trainer.step < step and not trainer.nonfinite:
                self.between()
                trainer.advance(min(PIECE, step - trainer.step))
            found.append(trainer.evaluator.evaluate(most=LOOKED_AT)[0])
            if not np.isfinite(found[-1]) or enough(found[-1]):
                break
        return np.array(found)
