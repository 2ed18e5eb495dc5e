"""Full evaluation: loss and metric on the parts of the data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import encoded_targets, signed_coding
from core.nn.network import with_ones

if TYPE_CHECKING:
    from core.config import PenaltyConfig, RunConfig
    from core.data.dataset import Dataset, Part
    from core.nn.network import Network

PIECE_ELEMENTS = 1 << 20  # evaluated in pieces, so that the widest layer's activations stay at 8 MB
EVALUATED = 1 << 34  # samples times parameters at the most: a second or two; what is beyond leaves samples out
FEWEST = 256  # but never goes below so many
LOOKED_AT = 8192  # samples of a part that a run's histories are made from: half a percent of accuracy is noise in them, at the most


def penalty(network: Network, strengths: PenaltyConfig, vector: np.ndarray | None = None) -> float:
    """l1 * sum|w| + l2 * sum(w^2) over all weights, biases left out, of `vector` in place of the network's own parameters."""
    l1, l2 = strengths.l1, strengths.l2
    if not (l1 or l2):
        return 0.0
    weights = [matrix[:, :-1] for matrix in network.matrices_of(network.vector if vector is None else vector)]
    return float(sum(l1 * np.abs(w).sum() + l2 * np.square(w).sum() for w in weights))


class Evaluator:
    """Evaluates `network` on the training and the test part of its data. `strengths`, of the penalty, are those of now."""

    def __init__(self, network: Network, dataset: Dataset, config: RunConfig) -> None:
        self._network = network
        parts = {"train": dataset.train, "test": dataset.test}
        self._parts = {name: Evaluation(network, dataset, part, config) for name, part in parts.items()}
        self.strengths = config.penalty
        self.metric_name = self._parts["train"].metric_name
        self.targets = self._parts["train"].targets

    def evaluate(self, part: str = "train", most: int | None = None) -> tuple[float | None, float | None]:
        """(loss with penalty, metric) over the train or test part, or its first `most` samples; (None, None) if it is empty."""
        with np.errstate(all="ignore"):
            loss, metric = self._parts[part].loss_and_metric(most)
            return (None, None) if loss is None else (loss + penalty(self._network, self.strengths), metric)

    def loss(self, part: str = "train") -> float | None:
        """What training makes small, over all of the part: mean loss and penalty."""
        return self.evaluate(part)[0]

    def metric(self, part: str = "train") -> float | None:
        """Accuracy or R^2 over all of the part."""
        return self.evaluate(part)[1]

    def frame(self) -> list[float]:
        """(training loss, test loss, training metric, test metric) as histories have them; NaN where there is no test part."""
        train, test = self.evaluate("train", LOOKED_AT), self.evaluate("test", LOOKED_AT)
        return [math.nan if value is None else value for value in (train[0], test[0], train[1], test[1])]

    def loss_of(self, vector: np.ndarray) -> float | None:
        """The training loss of other parameters (flat), as histories have it; the network's own are left alone."""
        now = self._network.vector.copy()
        np.copyto(self._network.vector, vector)
        loss, _ = self.evaluate(most=LOOKED_AT)
        np.copyto(self._network.vector, now)
        return loss

    def predicted_classes(self, part: str = "train") -> np.ndarray:
        """Class index of the first LOOKED_AT samples of a part, or a few more, for classification."""
        return self._parts[part].predicted_classes()

    def sample_losses(self, part: str = "train") -> np.ndarray:
        """Loss of each sample of a part (m,), without penalty."""
        with np.errstate(all="ignore"):
            return self._parts[part].sample_losses()

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """Class index of each row of outputs (m, units)."""
        return self._parts["train"].classes(outputs)

    def marked(self, outputs: np.ndarray) -> np.ndarray:
        """Which of several labels each row of outputs or targets (m, units) gives: (m, units) bool."""
        return outputs > self._parts["train"].threshold


class Evaluation:
    """A part of the data, ready to be evaluated again and again by one network: all of it, unless that would take seconds."""

    def __init__(self, network: Network, dataset: Dataset, part: Part, config: RunConfig) -> None:
        output = config.layers[-1]
        self._network = network
        self.samples = min(len(part), max(FEWEST, EVALUATED // network.vector.size))
        self.targets = encoded_targets(dataset, part, output.units, output.activation, config.loss)
        scored = self.targets[: self.samples]
        self.metric_name = "r2" if dataset.task == "regression" else "accuracy"
        self._exclusive = output.units > 1 and (dataset.labels or output.activation == "softmax")
        signed = signed_coding(output.activation, config.loss) if dataset.labels else bool((scored < 0).any())
        self.threshold = 0.0 if signed else 0.5
        self._spread = {}  # of so many first samples, each output's sum of squared deviations from the mean
        size = min(LOOKED_AT, max(1, PIECE_ELEMENTS // max(network.sizes)))
        cuts = [slice(start, min(start + size, self.samples)) for start in range(0, self.samples, size)]
        self._pieces = [(with_ones(part.inputs[rows], network.dtype), np.ascontiguousarray(self.targets[rows].T)) for rows in cuts]

    def predicted_classes(self) -> np.ndarray:
        """Class index of each evaluated sample, of the first LOOKED_AT or a few more."""
        pieces = self._pieces[: -(-LOOKED_AT // self._pieces[0][0].shape[1])]
        return self.classes(np.concatenate([self._network.forward(x)[-1][1].T for x, _ in pieces]))

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """Class index of each row of outputs (m, units): the largest output, or the side of the threshold of a single one."""
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > self.threshold).astype(int)

    def sample_losses(self) -> np.ndarray:
        """Loss of each evaluated sample (samples,), without penalty."""
        losses = [np.empty(0)]
        for x, y in self._pieces:
            z, a = self._network.forward(x)[-1]
            losses.append(self._network.loss_values(z, a, y).sum(axis=0, dtype=float) / self._network.loss.divisor(len(a)))
        return np.concatenate(losses)

    def loss_and_metric(self, most: int | None = None) -> tuple[float | None, float | None]:
        """(mean loss without penalty, accuracy or R^2), of the first `most` samples or a few more; (None, None) without samples."""
        if not self.samples:
            return None, None
        total, score, samples = 0.0, 0.0, 0
        for x, y in self._pieces:
            z, a = self._network.forward(x)[-1]
            total += float(self._network.loss_values(z, a, y).sum(dtype=float)) / self._network.loss.divisor(len(a))
            score = score + self._score(a, y)
            samples += y.shape[1]
            if most and samples >= most:
                break
        return total / samples, self._metric(score, samples)

    def _score(self, a, y):
        """What the metric adds up over samples: squared errors of each output, or right answers."""
        if self.metric_name == "r2":
            return np.square(y - a).sum(axis=1, dtype=float)
        if self._exclusive:
            return np.count_nonzero(a.argmax(axis=0) == y.argmax(axis=0))
        return np.count_nonzero((a > self.threshold) == (y > self.threshold)) / len(a)

    def _metric(self, score, samples):
        if self.metric_name == "accuracy":
            return score / samples
        if samples not in self._spread:
            scored = self.targets[:samples]
            self._spread[samples] = ((scored - scored.mean(axis=0)) ** 2).sum(axis=0)
        return r2(score, self._spread[samples], samples)


def r2(residual: np.ndarray, spread: np.ndarray, samples: int) -> float:
    """Coefficient of determination from each output's sum of squared errors and sum of squared deviations of its targets,
    averaged over outputs as scikit-learn's r2_score does; NaN for one sample."""
    if samples < 2:
        return float("nan")
    constant = np.where(residual == 0, 1.0, 0.0)
    return float(np.where(spread > 0, 1 - residual / np.where(spread > 0, spread, 1), constant).mean())
