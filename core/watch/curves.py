"""The curves of a watched run in the form that histories of Descent's own runs have, so that both are drawn over one another."""

from __future__ import annotations

import numpy as np

from core.training.telemetry import FRAME_COLUMNS
from core.watch.history import WatchedRun


def samples(run: WatchedRun) -> np.ndarray:
    """(rows, 3): step, loss and the norm of the whole gradient, all tensors together, where norms were told. NaN where nothing was."""
    steps, told = np.array(run.norm_steps, float), run.scalars[~np.isnan(run.scalars[:, 1])]
    with np.errstate(over="ignore", invalid="ignore"):
        norms = run.norms[:, 1]
        whole = np.where(np.isnan(norms).all(axis=1), np.nan, np.sqrt(np.nansum(np.square(norms), axis=1)))
    losses = np.interp(steps, told[:, 0], told[:, 1]) if len(told) else np.full(len(steps), np.nan)
    return np.column_stack([steps, losses, whole])


def frames(run: WatchedRun) -> np.ndarray:
    """(rows, FRAME_COLUMNS): the losses that were told, by step; of the metrics nothing is known."""
    rows = np.full((len(run.scalars), len(FRAME_COLUMNS)), np.nan)
    for name, column in {"step": 0, "train_loss": 1, "test_loss": 3}.items():
        rows[:, FRAME_COLUMNS.index(name)] = run.scalars[:, column]
    return rows[~np.isnan(rows[:, 1:]).all(axis=1)]
