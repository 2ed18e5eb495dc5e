"""Which samples of a mini-batch carry its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.nn.curvature import Curvature
from core.snapshot.snapshot import Influence
from core.training.evaluation import PIECE_ELEMENTS

if TYPE_CHECKING:
    from core.nn.network import Network
    from core.training.trainer import Trainer

SHOWN = 200  # samples, at the most


def influence(trainer: Trainer) -> Influence:
    """The Influence of the samples in the next update of `trainer`."""
    (number,) = trainer.batches.order(trainer.step, 1)
    with np.errstate(all="ignore"):
        share = shares(gradient_norms(trainer.network, *trainer.batches[number]))
    first = np.argsort(-share, kind="stable")[:SHOWN]
    samples = trainer.batches.rows(number).start + first
    points = trainer.dataset.train.points
    return Influence(samples, share[first].astype(np.float32), None if points is None else points[samples].astype(np.float32), len(share))


def gradient_norms(network: Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean norm of the gradient of each sample's own loss (samples,), penalty left out, on inputs `x` (features + 1, samples) with
    targets `y` (outputs, samples).

    A layer's gradient is the outer product of its delta and its inputs, a one for the bias among them, so its squared norm is
    |delta|^2 |inputs|^2 (Goodfellow 2015, "Efficient per-example gradient computations").
    """
    size, samples = max(1, PIECE_ELEMENTS // max(network.sizes)), x.shape[1]
    return np.concatenate([_norms(network, x[:, start : start + size], y[:, start : start + size]) for start in range(0, samples, size)])


def _norms(network, x, y):
    passed = Curvature(network, x, y)
    squares = sum(_squares(delta) * _squares(incoming) for delta, incoming in zip(passed.deltas, passed.incoming))
    return np.sqrt(squares) * x.shape[1]  # the deltas are those of the mean loss


def _squares(columns):
    """Squared norms of the columns, in the type with the widest range: gradients that explode are looked at too."""
    return np.square(columns, dtype=np.longdouble).sum(axis=0)


def shares(norms: np.ndarray) -> np.ndarray:
    """Each norm's share of their sum; where some are not finite, these alone share it; zeros where all are zero."""
    broken = ~np.isfinite(norms)
    if broken.any():
        return broken / np.count_nonzero(broken)
    total = norms.sum()
    return np.asarray(norms / total if total else norms, float)
