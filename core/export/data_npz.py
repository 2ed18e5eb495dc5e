"""The samples that a run trains and is tested on, as an NPZ."""

from __future__ import annotations

import io

import numpy as np

from core.export.pieces import Run


def make(config, dataset, parameters, steps):
    """The NPZ's bytes: X_train (samples, inputs), y_train (samples, outputs), and X_test, y_test where samples are held back."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **Run(config, dataset, steps).arrays())
    return stream.getvalue()
