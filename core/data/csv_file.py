"""Reading a CSV: structure first, cell by cell and without keeping anything, then the values through pandas, in chunks."""

from __future__ import annotations

import csv
import io
from collections import Counter

import numpy as np

from core.data.dataset import Samples
from core.limits import LIMITS, ConfigError, listed, shown

RECORD = 1 << 20  # characters in one row: 16,384 columns of 64
CHUNK = 1 << 21  # cells parsed at a time: 16 MiB of numbers, some 120 MiB at worst if all are text
PREVIEW = 200  # rows that `columns` looks at


def read(raw, data):
    """The Samples of a CSV's bytes. One target column of a classification comes as raw labels (m,), all else as numbers,
    NaN where a value is missing. Raises ConfigError."""
    names, rows = _structure(raw)
    targets = _target_names(names, data.target)
    taken = set(targets)
    inputs = [name for name in names if name not in taken]
    if not inputs:
        raise ConfigError("data.target", f"must leave at least one column as input; was {listed(targets)}")
    is_label = data.task == "classification" and len(targets) == 1
    X, Y = np.empty((rows, len(inputs))), np.empty((rows, len(targets)), object if is_label else float)
    start = 0
    for frame in _frames(raw, names, dict.fromkeys(targets, object) if is_label else None):
        stop = start + len(frame)
        X[start:stop] = _numbers(frame[inputs], "data.path")
        Y[start:stop] = frame[targets] if is_label else _numbers(frame[targets], "data.target")
        start = stop
    if start != rows:
        raise ConfigError("data.path", "must be a well-formed CSV; its quotes can be read in two ways")
    return Samples(X, _labels(Y[:, 0], targets[0]) if is_label else Y, tuple(inputs), tuple(targets))


def columns(raw):
    """Each column's name with "number" or "text", judged by the first rows. Raises ConfigError."""
    names, _ = _structure(raw, PREVIEW)
    frame = next(_frames(raw, names, nrows=PREVIEW))
    return {name: "number" if _text_in(frame[name]) is None else "text" for name in names}


def _structure(raw, most=None):
    """(column names, number of rows) of a CSV whose rows all have as many cells as its header has names.

    Stops after `most` rows. Raises ConfigError, also for more rows or cells than are allowed.
    """
    records = _records(raw)
    names = _header(next(records, []))
    width, rows = len(names), 0
    for rows, record in enumerate(records, 1):
        if len(record) != width:
            raise ConfigError("data.path", f"must have {width} cells in every row, as in its header; row {rows} has {len(record)}")
        if rows > LIMITS["samples"]:
            raise ConfigError("data.path", f"must have at most {LIMITS['samples']:,} rows; has more")
        if rows * width > LIMITS["file_cells"]:
            raise ConfigError("data.path", f"must have at most {LIMITS['file_cells']:,} cells; has more, in {width:,} columns")
        if rows == most:
            break
    if rows == 0:
        raise ConfigError("data.path", "must hold rows of data; holds nothing but a header")
    return names, rows


def _records(raw):
    """The rows of a CSV as lists of cells, blank lines left out; a row is measured before it is taken apart."""
    if b"\0" in raw:
        raise ConfigError("data.path", "must be a text file; holds zero bytes, as binary files and UTF-16 do")
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline="")
    pending = 0

    def lines():
        nonlocal pending
        while line := text.readline(RECORD + 1):
            pending += len(line)
            if pending > RECORD:
                raise ConfigError("data.path", f"must have at most {RECORD:,} characters in a row; has more (a quote left open?)")
            yield line

    reader = csv.reader(lines(), strict=True, skipinitialspace=True)
    try:
        for record in reader:
            pending = 0
            if record:
                yield record
    except UnicodeDecodeError as error:
        raise ConfigError("data.path", f"must be text in UTF-8; holds the byte {error.object[error.start]:#04x}") from None
    except csv.Error as error:
        raise ConfigError("data.path", f"must be a well-formed CSV; line {reader.line_num}: {error}") from None


def _header(record):
    """The column names of a CSV's first row. Raises ConfigError unless it is one."""
    names = [name.strip() for name in record]
    if not any(names):
        raise ConfigError("data.path", "must begin with a header of column names; holds none")
    if len(names) > LIMITS["inputs"]:
        raise ConfigError("data.path", f"must have at most {LIMITS['inputs']:,} columns; has {len(names):,}")
    if _looks_like_data(names):
        raise ConfigError("data.path", f"must begin with a header of column names; its first row holds numbers ({listed(names)})")
    if len(names) == 1:
        hint = ", separated by commas, not semicolons or tabs" if ";" in names[0] or "\t" in names[0] else ""
        raise ConfigError("data.path", f"must have at least two columns{hint}; has only {shown(names[0])}")
    if "" in names:
        raise ConfigError("data.path", f"must name every column; column {names.index('') + 1} has no name (a row number?)")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ConfigError("data.path", f"must name each column once; the header repeats {listed(repeated)}")
    unprintable = [name for name in names if not name.isprintable()]
    if unprintable:
        raise ConfigError("data.path", f"must have printable column names; one is {shown(unprintable[0])}")
    return names


def _looks_like_data(names):
    """Whether a first row is no header: all numbers, or numbers that do not simply count the columns beside real names."""
    numbers = [name for name in names if not np.isnan(_number(name))]
    counts = [[str(index + first) for index in range(len(numbers))] for first in (0, 1)]
    return len(numbers) == len(names) or numbers not in counts


def _target_names(names, target):
    """The target columns: those asked for, or the last one."""
    if target is None:
        return names[-1:]
    wanted = [target] if isinstance(target, str) else list(target)
    known = set(names)
    absent = [name for name in wanted if name not in known]
    if absent:
        raise ConfigError("data.target", f"must name columns of the file ({listed(names)}); was {listed(absent)}")
    if len(set(wanted)) < len(wanted):
        raise ConfigError("data.target", f"must name each column once; was {listed(wanted)}")
    return wanted


def _frames(raw, names, dtype=None, nrows=None):
    """The table in pieces of bounded size, as pandas reads it ("?" counts as missing, as it does in the UCI collection)."""
    import pandas as pd

    size = max(1, CHUNK // len(names))
    shape = {"names": names, "header": 0, "index_col": False, "dtype": dtype, "nrows": nrows, "chunksize": size}
    try:
        with pd.read_csv(
            io.BytesIO(raw), encoding="utf-8-sig", skipinitialspace=True, na_values=["?"], low_memory=False, **shape
        ) as frames:
            yield from frames
    except pd.errors.ParserError as error:
        raise ConfigError("data.path", f"must be a well-formed CSV; {shown(str(error).strip())}") from None


def _numbers(frame, field):
    """The columns as float64 (m, n), NaN where missing. Raises ConfigError for columns that hold text."""
    odd = [name for name, dtype in frame.dtypes.items() if dtype.kind not in "iufb"]
    if not odd:
        return frame.to_numpy(float)
    text = {name: example for name in odd if (example := _text_in(frame[name])) is not None}
    if text:
        raise ConfigError(field, f"must hold numbers; text such as {shown(next(iter(text.values())))} found in column {listed(text)}")
    frame = frame.copy(deep=False)
    for name in odd:
        frame[name] = [_number(cell) for cell in frame[name]]
    return frame.to_numpy(float)


def _text_in(column):
    """The first cell that is neither a number nor missing, or None."""
    return next((cell for cell in column.dropna() if np.isnan(_number(cell))), None)


def _number(cell):
    """A cell as float: NaN if it is not one, infinite if it is too large for one. True and False are 1 and 0."""
    try:
        return float(cell)
    except OverflowError:
        return np.inf
    except ValueError:
        return np.nan


def _labels(cells, name):
    """Label cells (m,) as numbers if all of them are, else as text. Raises ConfigError if any is missing."""
    missing = sum(cell != cell for cell in cells)
    if missing:
        raise ConfigError("data.target", f"must have no missing values; found {missing:,} in column {shown(name)}")
    numbers = np.array([_number(cell) for cell in cells])
    return cells if np.isnan(numbers).any() else numbers
