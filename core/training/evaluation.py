"""Full evaluation of a part of the data: loss and metric."""

from __future__ import annotations

import numpy as np

from core.data.dataset import encoded_targets
from core.nn.network import with_ones

PIECE_ELEMENTS = 1 << 20  # evaluated in pieces, so that the widest layer's activations stay at 8 MB


class Evaluation:
    """A part of the data, ready to be evaluated again and again by one network."""

    def __init__(self, network, dataset, part, config):
        output = config.layers[-1]
        self._network = network
        self.samples = len(part)
        self.targets = encoded_targets(dataset, part, output.units, output.activation, config.loss)
        self.metric_name = "r2" if dataset.task == "regression" else "accuracy"
        self._exclusive = output.units > 1 and (dataset.labels or output.activation == "softmax")
        low, high = (self.targets.min(), self.targets.max()) if self.samples else (0.0, 1.0)
        self._threshold = 0.0 if low < 0 <= high else 0.5
        size = max(1, PIECE_ELEMENTS // max(network.sizes))
        cuts = [slice(start, start + size) for start in range(0, self.samples, size)]
        self._pieces = [(with_ones(part.inputs[rows], network.dtype), np.ascontiguousarray(self.targets[rows].T)) for rows in cuts]

    def predicted_classes(self):
        """Class index of each sample: the largest output, or the side of the threshold of a single one."""
        outputs = np.concatenate([self._network.forward(x)[-1][1].T for x, _ in self._pieces])
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > self._threshold).astype(int)

    def loss_and_metric(self):
        """(mean loss without penalty, accuracy or R^2); (None, None) without samples."""
        if not self.samples:
            return None, None
        total, outputs = 0.0, []
        for x, y in self._pieces:
            z, a = self._network.forward(x)[-1]
            total += float(self._network.loss_values(z, a, y).sum(dtype=float)) / self._network.loss.divisor(len(a))
            outputs.append(a.T)
        return total / self.samples, self._metric(np.concatenate(outputs))

    def _metric(self, outputs):
        return r2(self.targets, outputs) if self.metric_name == "r2" else self._accuracy(outputs)

    def _accuracy(self, outputs):
        """Share of samples whose largest output is the right class, or of elements on the right side of the threshold."""
        if self._exclusive:
            return float((outputs.argmax(axis=1) == self.targets.argmax(axis=1)).mean())
        return float(((outputs > self._threshold) == (self.targets > self._threshold)).mean())


def r2(targets, outputs):
    """Coefficient of determination, averaged over target columns as scikit-learn's r2_score does; NaN for one sample."""
    residual = ((targets - outputs) ** 2).sum(axis=0, dtype=float)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0, dtype=float)
    if len(targets) < 2:
        return float("nan")
    perfect = np.where(residual == 0, 1.0, 0.0)  # of a constant column
    return float(np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), perfect).mean())
