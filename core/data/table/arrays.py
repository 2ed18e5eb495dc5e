"""Tables that are arrays: an NPY, or an NPZ in one of the usual layouts. Rows of more than one axis are pictures, and are flattened."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.data.npz_archive import NUMBERS, TEXT, Archive, read_npy
from core.limits import LIMITS, ConfigError, legible, listed, shown

MEMBERS = 64  # arrays that are listed at all
WANTED = "arrays of inputs and targets, such as X and y"
# Names of inputs and of targets that go together, in lower case
LAYOUTS = (
    ("x", "y"), ("data", "target"), ("features", "labels"), ("inputs", "targets"), ("images", "labels"), ("data", "labels"), ("x", "t"),
)  # fmt: skip
APART = ("{}_{}", "{1}_{0}", "{}{}")  # x_train, train_x, xtrain
CHANNELS = (1, 3)


def npz(raw: bytes) -> dict[str, Any]:
    """The fields of a Table for an NPZ's bytes. Raises ConfigError."""
    with Archive(raw, "data.path", WANTED, MEMBERS) as archive:
        archive.check_packing()
        found = _roles(archive.names)
        used = [name for pair in found.values() for name in pair]
        inputs = {pair[0] for pair in found.values()}
        headers = {name: archive.header(name, NUMBERS if name in inputs else NUMBERS + TEXT) for name in used}
        for part in found.values():
            _check(headers, *part)
        if "test" in found:
            _check_alike(headers, found)
        parts = {part: [archive.array(name, headers[name]) for name in pair] for part, pair in found.items()}
        others = [name for name in archive.names if name not in used]
    X, y = (np.concatenate([pair[at] for pair in parts.values()]) for at in (0, 1))
    notes = [f"Inputs are the array {shown(found['train'][0])}, targets {shown(found['train'][1])}"] if found["train"] != ("X", "y") else []
    held_back = None
    if "test" in found:
        held_back = np.arange(len(X)) >= len(parts["train"][0])
        notes.append(f"The test part is the file's own: {int(held_back.sum()):,} rows of {shown(found['test'][0])}")
    if others:
        notes.append(f"Not used: {'array' if len(others) == 1 else 'arrays'} {listed(others)}")
    image, X = _flat(X)
    if image:
        notes.append(f"Inputs are pictures of {image[0]} x {image[1]} pixels")
    is_matrix, y = y.ndim == 2 and y.dtype.kind in NUMBERS, _targets(y)
    names = ("y",) if y.shape[1] == 1 else tuple(f"y{index}" for index in range(1, y.shape[1] + 1))
    rows = len(X)
    X, y, held_back = _sampled(X, y, held_back)
    frame = _frame(X, y, names)
    return {
        "frame": frame, "rows": rows, "format": "npz", "notes": notes, "targets": names, "matrix": is_matrix, "held_back": held_back,
        "image": image,
    }  # fmt: skip


def npy(raw: bytes) -> dict[str, Any]:
    """The fields of a Table for the bytes of a single array (rows, columns). Raises ConfigError."""
    values = read_npy(raw, "data.path")
    if values.ndim != 2 or values.shape[1] < 2 or not len(values):
        raise ConfigError("data.path", f"must be an array of rows and at least two columns; its shape is {shown(values.shape)}")
    if values.shape[1] > LIMITS["inputs"]:
        raise ConfigError("data.path", f"must have at most {LIMITS['inputs']:,} columns; has {values.shape[1]:,}")
    rows = len(values)
    X, _, _ = _sampled(values, None, None)
    return {"frame": _frame(X, None, ()), "rows": rows, "format": "npy", "notes": ["A single array: its columns are numbered"]}


def _roles(names):
    """{"train": (name of inputs, name of targets), and "test" where there is such a part}. Raises ConfigError."""
    lower = {}
    for name in names:
        if name.lower() in lower and name.lower() in {part for layout in LAYOUTS for part in layout}:
            raise ConfigError("data.path", f"must be an NPZ with {WANTED}; holds {listed(names)}")
        lower.setdefault(name.lower(), name)
    for inputs, targets in LAYOUTS:
        if inputs in lower and targets in lower:
            return {"train": (lower[inputs], lower[targets])}
        for form in APART:
            train, test = ((form.format(inputs, part), form.format(targets, part)) for part in ("train", "test"))
            if all(name in lower for name in train):
                whole = all(name in lower for name in test)
                return {"train": tuple(lower[name] for name in train)} | ({"test": tuple(lower[name] for name in test)} if whole else {})
    raise ConfigError("data.path", f"must be an NPZ with {WANTED}; holds {listed(names) or 'nothing'}")


def _check(headers, inputs, targets):
    """Refuse shapes that do not fit together, or go beyond what a run may have."""
    X, y = headers[inputs].shape, headers[targets].shape
    if len(X) not in (2, 3, 4):
        raise ConfigError("data.path", f"must have {inputs} of shape (rows, columns), or pictures (rows, height, width); was {shown(X)}")
    if len(y) not in (1, 2):
        raise ConfigError("data.path", f"must have {targets} of shape (rows,) or (rows, outputs); was {shown(y)}")
    if y[0] != X[0]:
        raise ConfigError(
            "data.path", f"must have as many rows in {targets} as in {inputs}; {inputs} was {shown(X)} and {targets} {shown(y)}"
        )
    if 0 in X or 0 in y:
        raise ConfigError("data.path", f"must hold rows and columns of data; {inputs} was {shown(X)} and {targets} {shown(y)}")
    for name, columns, limit in ((inputs, math.prod(X[1:]), "inputs"), (targets, y[1] if len(y) == 2 else 1, "output_units")):
        if columns > LIMITS[limit]:
            raise ConfigError("data.path", f"must have at most {LIMITS[limit]:,} columns in {name}; had {columns:,}")


def _check_alike(headers, found):
    for train, test in zip(found["train"], found["test"]):
        if headers[train].shape[1:] != headers[test].shape[1:]:
            shapes = f"{shown(headers[test].shape)} and {shown(headers[train].shape)}"
            raise ConfigError("data.path", f"must have {test} in the shape of {train}; they were {shapes}")


def _flat(X):
    """(the picture (height, width, channels) that each input is, or None, the inputs (rows, columns))."""
    if X.ndim == 2:
        return None, X
    if X.ndim == 4 and X.shape[1] in CHANNELS and X.shape[3] not in CHANNELS:  # channels first, as PyTorch has them
        X = X.transpose(0, 2, 3, 1)
    image = (*X.shape[1:], 1) if X.ndim == 3 else X.shape[1:]
    return (image if image[2] in CHANNELS else None), X.reshape(len(X), -1)


def _targets(y):
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    return y.reshape(len(y), -1)


def _sampled(X, y, held_back):
    if len(X) <= LIMITS["samples"]:
        return X, y, held_back
    rows = np.sort(np.random.default_rng(0).choice(len(X), LIMITS["samples"], replace=False))
    return X[rows], None if y is None else y[rows], None if held_back is None else held_back[rows]


def _frame(X, y: Any, names):
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{index}" for index in range(1, X.shape[1] + 1)])
    for name, values in zip(names, [] if y is None else y.T):
        frame[name] = pd.Series([legible(text) for text in values.tolist()] if values.dtype.kind == "U" else values)
    return frame
