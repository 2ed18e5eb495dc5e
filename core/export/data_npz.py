"""The samples that a run trains and is tested on, as an NPZ."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from core.export.pieces import Run

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.data.dataset import Dataset


def make(config: RunConfig, dataset: Dataset, parameters: dict[str, np.ndarray], steps: int) -> bytes:
    """The NPZ's bytes: X_train (samples, inputs), y_train (samples, outputs), and X_test, y_test where samples are held back."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **Run(config, dataset, steps).arrays())
    return stream.getvalue()
