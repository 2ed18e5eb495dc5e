"""A person's own file: CSV with a header, or NPZ with X and y. Nothing in it is trusted.

Sizes are bounded before anything is allocated, nothing is unpickled, and whatever is wrong with the file comes out as one
ConfigError that names the column and what it held.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from core.data import csv_file, npz_file
from core.data.dataset import with_labels
from core.limits import LIMITS, ConfigError, listed, shown

LARGEST = 1e100  # sums of squares of 100,000 such values still fit into float64
PIXELS = 64  # from this many columns on (8x8 pixels) rows may be pictures, whose corners are often the same in all of them
CLASS_SHARE = 0.7  # more classes than this share of the rows: the target is a measure or a name of the row, not a class
FRACTIONS = 10  # more distinct values than this, some of them not whole: the target is a measure, not a class
NAME_LENGTH = 200  # of a class
OTHER = "other"  # the class that a file with one class has no row of


@dataclass(frozen=True)
class FileColumns:
    """What a file holds. `format` csv: `columns` maps each column to "number" or "text", judged by the first 200 rows.
    `format` npz: it maps each array to its shape and type, such as "150 x 4 float64"."""

    format: str
    columns: dict[str, str]


def columns(path):
    """The FileColumns of the file at `path`, from its first rows or its arrays' headers only. Raises ConfigError."""
    with _refusals():
        kind, raw = _opened(path)
        return FileColumns(kind, (npz_file if kind == "npz" else csv_file).columns(raw))


def read(data, rng):
    """The Samples of `data.path`. Raises ConfigError, and nothing else, on whatever the file may be or hold."""
    with _refusals():
        kind, raw = _opened(data.path)
        if kind == "npz" and data.target is not None:
            raise ConfigError("data.target", f"must be null for an NPZ, whose targets are its array y; was {shown(data.target)}")
        samples = (npz_file if kind == "npz" else csv_file).read(raw, data)
        if len(samples.inputs) < 2:
            raise ConfigError("data.path", f"must hold at least 2 rows of data; held {len(samples.inputs)}")
        _check_numbers("data.path", samples.inputs, samples.input_names)
        _check_inputs_vary(samples.inputs, samples.input_names)
        field = "data.path" if kind == "npz" else "data.target"
        if samples.targets.ndim == 1:
            return _with_classes(field, samples)
        _check_numbers(field, samples.targets, samples.target_names)
        return with_labels(samples) if data.task == "classification" else samples


@contextmanager
def _refusals():
    """Parsers fed with hostile bytes raise what they like: all of it becomes a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError("data.path", f"must be a sound CSV or NPZ; reading it failed ({type(error).__name__})") from error


def _opened(path):
    """("csv" or "npz", the file's bytes)."""
    raw = read_bytes(path, "data.path")
    return _format(raw, shown(os.path.basename(path)), path), raw


def read_bytes(path, field):
    """The bytes of a regular file, read once, so that nothing can change or grow under the checks. Raises ConfigError(field)."""
    name = shown(os.path.basename(path))
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(field, f"must be a file; {name} is not one")
        with open(path, "rb") as file:
            raw = file.read(min(status.st_size, LIMITS["file_bytes"]) + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(field, f"must be an existing file; there is no {name}") from None
    except (OSError, ValueError):
        raise ConfigError(field, f"must be a file that can be read; {name} cannot") from None
    if len(raw) > LIMITS["file_bytes"]:
        raise ConfigError(field, f"must be at most {LIMITS['file_bytes'] >> 20} MiB; {name} has {status.st_size >> 20:,} MiB")
    if not raw:
        raise ConfigError(field, f"must not be empty; {name} has 0 bytes")
    return raw


def _format(raw, name, path):
    """By content, since an uploaded file may have any name."""
    if raw.startswith((b"PK\3\4", b"PK\5\6")):
        return "npz"
    if raw.startswith(b"\x93NUMPY"):
        raise ConfigError("data.path", f"must be an NPZ with the arrays X and y; {name} is a single array")
    if raw[0] == 0x80 and raw[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        raise ConfigError("data.path", f"must be a CSV or an NPZ; {name} is a Python pickle, which is never opened")
    if path.lower().endswith(".npz"):
        raise ConfigError("data.path", f"must be an NPZ, which is a zip archive; {name} is not one")
    return "csv"


def _check_numbers(field, values, names):
    """Refuse missing, infinite and enormous values in (m, n), naming the columns."""
    missing = np.isnan(values).sum(axis=0)
    if missing.any():
        raise ConfigError(field, f"must have no missing values; found {missing.sum():,} in {_columns(names, missing)}")
    largest = np.maximum(np.abs(values.min(axis=0)), np.abs(values.max(axis=0)))
    if np.isinf(largest).any():
        raise ConfigError(field, f"must have no infinite values; found in {_columns(names, np.isinf(largest))}")
    if (largest > LARGEST).any():
        raise ConfigError(field, f"must hold numbers of at most {LARGEST:g}; larger ones found in {_columns(names, largest > LARGEST)}")


def _check_inputs_vary(values, names):
    """Refuse constant input columns; in what may be pictures only if all columns are."""
    constant = values.min(axis=0) == values.max(axis=0)
    if constant.all() or (constant.any() and len(names) < PIXELS):
        raise ConfigError("data.path", f"must have no constant input columns; the same value fills {_columns(names, constant)}")


def _columns(names, chosen=None):
    names = [name for index, name in enumerate(names) if chosen is None or chosen[index]]
    return f"column{'s' if len(names) > 1 else ''} {listed(names)}"


def _with_classes(field, samples):
    """The samples with their raw labels (m,) replaced by class numbers, and the target's name by the classes' names."""
    labels, name = samples.targets, samples.target_names
    if labels.dtype.kind == "f":
        _check_numbers(field, labels[:, None], name)
    classes, codes = np.unique(labels, return_inverse=True)
    held = f"{_columns(name)} has {len(classes):,} values in {len(labels):,} rows"
    fractions = labels.dtype.kind == "f" and len(classes) > FRACTIONS and (classes % 1).any()
    if fractions or len(classes) > max(2, CLASS_SHARE * len(labels)):
        raise ConfigError(field, f"must be classes that recur, or the task regression; {held}")
    if len(classes) > LIMITS["classes"]:
        raise ConfigError(field, f"must have at most {LIMITS['classes']} classes, or the task regression; {held}")
    names = tuple(_class_name(field, value) for value in classes.tolist())
    return replace(samples, targets=codes, target_names=names if len(names) > 1 else (*names, OTHER))  # one class trains, and is diagnosed


def _class_name(field, value):
    """A label as text that any page can show: 1.0 is '1'."""
    name = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise ConfigError(field, f"must have printable class names of at most {NAME_LENGTH} characters; one was {shown(name)}")
    return name
