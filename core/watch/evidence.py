"""What the findings on a watched program read: its losses and norms as they are, and what they say about its progress.

Of such a program only numbers are known, so that nothing is called wrong that a program that learns could do as well.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.watch.perceptron import known_losses

if TYPE_CHECKING:
    from core.watch.history import WatchedRun

# The loss has gone down by this share: it learns. By no more than this: it stands still
LEARNED, STILL = 0.1, 0.02
RECENT = 0.1  # share of the run that counts as now, and as its beginning
MOST = 40  # losses that are averaged for either
MEASURED = 12  # the newest rows of norms that tell how things stand
# A loss that is so small beside that at the start has nothing left to learn
SOLVED = 1e-3


class Evidence:
    """The numbers of one WatchedRun, each worked out once."""

    def __init__(self, run: WatchedRun) -> None:
        self.run = run
        self.names = run.names

    @cached_property
    def losses(self) -> np.ndarray:
        """(rows, 2): step and loss, those that are finite."""
        rows = self.run.scalars[:, :2]
        return rows[np.isfinite(rows[:, 1])]

    @cached_property
    def first_nonfinite_loss(self) -> int | None:
        """The first step whose loss is infinite (as which probes send a NaN), or NaN after losses that were numbers; None."""
        rows = self.run.scalars[:, :2]
        told = np.isfinite(rows[:, 1])
        broken = np.isinf(rows[:, 1]) | (np.isnan(rows[:, 1]) & np.maximum.accumulate(told)) if len(rows) else told
        # A step that only told its test loss, or no loss at all, has NaN as well: what counts is that no loss comes any more
        if not broken.any():
            return None
        last_told = int(np.flatnonzero(told)[-1]) if told.any() else -1
        after = np.flatnonzero(broken & ((np.arange(len(rows)) > last_told) | np.isinf(rows[:, 1])) & np.isnan(self.run.scalars[:, 3]))
        return int(rows[after[0], 0]) if len(after) else None

    @cached_property
    def first(self) -> float:
        """The loss at the start: that of the first step."""
        return float(self.losses[0, 1]) if len(self.losses) else np.nan

    @cached_property
    def now(self) -> float:
        """The median of the newest losses."""
        return float(np.median(self._recent)) if len(self.losses) else np.nan

    @cached_property
    def _recent(self):
        count = int(np.clip(RECENT * len(self.losses), 1, MOST))
        return self.losses[-count:, 1]

    @cached_property
    def begun(self) -> float:
        """The median of the first losses."""
        count = int(np.clip(RECENT * len(self.losses), 1, MOST))
        return float(np.median(self.losses[:count, 1])) if len(self.losses) else np.nan

    @cached_property
    def best(self) -> float:
        """The lowest median of a tenth of the run."""
        parts = np.array_split(self.losses[:, 1], min(10, max(1, len(self.losses) // 3)))
        return float(min(np.median(part) for part in parts)) if len(self.losses) else np.nan

    @cached_property
    def learned(self) -> bool:
        """Whether the loss has gone down, and stays down."""
        return len(self.losses) > 1 and self._won(max(self.first, self.begun)) > LEARNED

    @cached_property
    def stuck(self) -> bool:
        """Whether the loss is where it began, or higher."""
        return len(self.losses) > 1 and self._won(max(self.first, self.begun)) <= STILL

    def _won(self, before):
        return (before - self.now) / max(abs(before), 1e-300)

    @cached_property
    def solved(self) -> bool:
        """Whether nothing is left to learn."""
        return len(self.losses) > 0 and abs(self.now) <= SOLVED * abs(self.first)

    # Norms

    @cached_property
    def norms(self) -> np.ndarray:
        """(rows, 4, tensors): parameter, gradient, update, alike."""
        return self.run.norms

    @cached_property
    def steps(self) -> np.ndarray:
        """(rows,): the steps that the norms are of."""
        return np.array(self.run.norm_steps, int)

    @cached_property
    def recent_norms(self) -> np.ndarray:
        """The newest rows of `norms`."""
        return self.norms[-MEASURED:]

    @cached_property
    def matrices(self) -> list[int]:
        """Indices of the tensors that are matrices, or more."""
        return [at for at, shape in enumerate(self.run.shapes) if len(shape) > 1 and sorted(shape)[-2] > 1]

    def since(self, holds: np.ndarray) -> int:
        """The step since when a column of bools over the rows of norms holds to the end."""
        broken = np.flatnonzero(~np.asarray(holds, bool))
        return int(self.steps[min(broken[-1] + 1, len(self.steps) - 1)]) if len(broken) else int(self.steps[0])

    # What would be reached without learning

    @cached_property
    def chance(self) -> float | None:
        """The loss of the best constant output on a batch, where loss and labels are told; None."""
        for step in self.run.whole.values():
            if step.Y is not None and step.loss_name:
                return _chance(known_losses(step.loss_name), step)
        return None


def _chance(losses, step):
    """The mean loss of the best constant output."""
    Y = np.asarray(step.Y, float)
    if not losses or Y.size < 2 or not np.isfinite(Y).all() or Y.ndim > 2:
        return None
    if "mse" in losses:
        flat = Y.reshape(-1, 1) if Y.ndim == 1 or 1 in Y.shape else Y
        samples = 0 if step.X is None or np.shape(step.X)[0] == len(flat) else 1
        return float(flat.var(axis=samples).mean())
    if not any(name.endswith("cross_entropy") for name in losses):
        return None
    if Y.ndim == 2 and 1 not in Y.shape:
        for axis in (0, 1):
            if np.allclose(Y.sum(axis=axis), 1) and ((Y == 0) | (Y == 1)).all() and not np.allclose(Y.sum(axis=1 - axis), 1):
                return _entropy(Y.mean(axis=1 - axis))
        return None
    values, counts = np.unique(Y, return_counts=True)
    if (values != np.round(values)).any() or len(values) > 1000:
        return None
    return _entropy(counts / Y.size)


def _entropy(shares):
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
