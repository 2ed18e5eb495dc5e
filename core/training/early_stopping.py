"""Early stopping (Prechelt 1998): when a run stops by itself, and the weights that it then goes back to."""

from __future__ import annotations

import math

import numpy as np

from core.training.evaluation import LOOKED_AT


class EarlyStopping:
    """Watches the test loss of a run at the end of each epoch, or the training loss where nothing is held back. `stopped` once it has not
    been lower by more than `min_delta` for `patience` epochs.

    `vector` are the run's parameters (flat), copied whenever they are the best so far.
    """

    def __init__(self, config, evaluator, vector):
        self._config, self._evaluator, self._vector = config, evaluator, vector
        self._part = "train" if evaluator.loss("test") is None else "test"
        self._best = vector.copy()
        self._lowest, self._waited, self.best_step, self.stopped = math.inf, 0, 0, False

    def look(self, step):
        """An epoch has ended after `step` updates. Once the run stops, its parameters are the best ones again."""
        loss = self._evaluator.evaluate(self._part, LOOKED_AT)[0]
        if loss < self._lowest - self._config.min_delta:
            self._lowest, self._waited, self.best_step = loss, 0, step
            np.copyto(self._best, self._vector)
            return
        self._waited += 1
        if self._waited >= self._config.patience:
            self.stopped = True
            np.copyto(self._vector, self._best)

    def to_arrays(self):
        """Copies of what it needs to go on."""
        figures = np.array([self._lowest, self._waited, self.best_step, self.stopped])
        return {"best": self._best.copy(), "stopping": figures}

    def load(self, arrays):
        """Take over what `to_arrays` gave."""
        np.copyto(self._best, arrays["best"])
        self._lowest, waited, step, stopped = arrays["stopping"].tolist()
        self._waited, self.best_step, self.stopped = int(waited), int(step), bool(stopped)
