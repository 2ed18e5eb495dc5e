"""The NPZ of a person's own data: X (m, n) and y."""

from __future__ import annotations

import numpy as np

from core.data.dataset import Samples
from core.data.npz_archive import NUMBERS, TEXT, Archive
from core.limits import LIMITS, ConfigError, listed, shown

ARRAYS = ("X", "y")
MEMBERS = 64  # entries that are listed at all; two are wanted


def read(raw, data):
    """The Samples of an NPZ's bytes: X (m, n) and y, where y (m,) is raw labels or values and (m, k) columns of targets.
    Raises ConfigError."""
    with _archive(raw) as archive:
        headers = _headers(archive)
        X, y = (archive.array(name, headers[name]) for name in ARRAYS)
    X = X.astype(float)
    if y.ndim == 2 or data.task == "regression":
        if y.dtype.kind not in NUMBERS:
            raise ConfigError("data.path", f"must hold numbers in y; holds text (type {y.dtype})")
        y = y.astype(float).reshape(len(y), -1)
    elif y.dtype.kind == "f":
        y = y.astype(float)
    elif y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    outputs = y.shape[1] if y.ndim == 2 else 1
    names = ("y",) if outputs == 1 else tuple(f"y{index}" for index in range(1, outputs + 1))
    return Samples(X, y, tuple(f"x{index}" for index in range(1, X.shape[1] + 1)), names)


def columns(raw):
    """Each array's name with its shape and type, such as "150 x 4 float64". Raises ConfigError."""
    with _archive(raw) as archive:
        return {name: str(header) for name, header in _headers(archive).items()}


def _archive(raw):
    """The open archive, sure to hold exactly X and y."""
    archive = Archive(raw, "data.path", "the arrays X and y", MEMBERS)
    if sorted(archive.names) != sorted(ARRAYS):
        raise ConfigError("data.path", f"must be an NPZ with the arrays X and y alone; holds {listed(archive.names) or 'nothing'}")
    archive.check_packing()
    return archive


def _headers(archive):
    """The headers of X and y, which fit together and are within the limits. Raises ConfigError."""
    headers = {"X": archive.header("X"), "y": archive.header("y", NUMBERS + TEXT)}
    X, y = headers["X"].shape, headers["y"].shape
    if len(X) != 2:
        raise ConfigError("data.path", f"must have X of shape (rows, columns); was {shown(X)}")
    if len(y) not in (1, 2):
        raise ConfigError("data.path", f"must have y of shape (rows,) or (rows, outputs); was {shown(y)}")
    if y[0] != X[0]:
        raise ConfigError("data.path", f"must have as many rows in y as in X; X was {shown(X)} and y {shown(y)}")
    if 0 in X or 0 in y:
        raise ConfigError("data.path", f"must hold rows and columns of data; X was {shown(X)} and y {shown(y)}")
    if X[0] > LIMITS["samples"]:
        raise ConfigError("data.path", f"must have at most {LIMITS['samples']:,} rows; had {X[0]:,}")
    for name, limit in (("X", LIMITS["inputs"]), ("y", LIMITS["output_units"])):
        shape = headers[name].shape
        if len(shape) == 2 and shape[1] > limit:
            raise ConfigError("data.path", f"must have at most {limit:,} columns in {name}; had {shape[1]:,}")
    return headers
