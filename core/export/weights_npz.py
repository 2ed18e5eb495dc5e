"""The network's weights as an NPZ: what `imported.py` reads again, and anybody's NumPy."""

from __future__ import annotations

import io

import numpy as np


def make(config, dataset, parameters, steps):
    """The NPZ's bytes: W1 (inputs, units), b1 (units,), ..., and `activations`, one name a layer."""
    stream = io.BytesIO()
    np.savez(stream, **parameters, activations=np.array([layer.activation for layer in config.layers]))
    return stream.getvalue()
