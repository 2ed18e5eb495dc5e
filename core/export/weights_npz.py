"""The network's weights as an NPZ: what `imported.py` reads again, and anybody's NumPy."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.data.dataset import Dataset


def make(config: RunConfig, dataset: Dataset, parameters: dict[str, np.ndarray], steps: int) -> bytes:
    """The NPZ's bytes: W1 (inputs, units), b1 (units,), ..., and `activations`, one name a layer."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **parameters, activations=np.array([layer.activation for layer in config.layers]))
    return stream.getvalue()
