"""A person's own file: any kind of table. Nothing in it is trusted.

Sizes are bounded before anything is allocated, nothing is unpickled, and whatever is wrong with the file comes out as one
ConfigError that names the columns and what they held, all problems together.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.dataset import Samples, with_labels
from core.data.table import proposal
from core.data.table.columns import PICTURE, Column, column, counts, labels, sentinel, told
from core.data.table.preparation import Preparation, check_numbers
from core.data.table.values import is_number
from core.limits import LIMITS, ConfigError, listed, shown

if TYPE_CHECKING:
    from core.config import DataConfig
    from core.data.table.formats import Table

LARGEST = 1e100  # sums of squares of 100,000 such values still fit into float64
CLASS_SHARE = 0.7  # more classes than this share of the rows: the target is a measure or a name of the row, not a class
FRACTIONS = 10  # more distinct values than this, some of them not whole: the target is a measure, not a class
NAME_LENGTH = 200  # of a class
OTHER = "other"  # the class that a file with one class has no row of
DATA = "data.path"
TARGET = "data.target"


@dataclass(frozen=True)
class Remark:
    """Something odd about a column of the inputs, for the findings: `code` is theirs, `value` what stands apart, `times` its rows."""

    code: str
    column: str
    value: float = 0.0
    times: int = 0


@dataclass
class Understood:
    """A file as it is taken: its Table, its Columns with their uses, `targets` (names), `task`, and what was decided (`notes`)."""

    table: Table
    columns: list[Column]
    targets: list[str]
    task: str
    notes: list[str]

    @property
    def inputs(self) -> list[Column]:
        """The Columns that are fed to the network."""
        return [entry for entry in self.columns if entry.use == "input"]


def read(data: DataConfig, rng: np.random.Generator) -> Samples:
    """The Samples of `data.path`. Raises ConfigError, and nothing else, on whatever the file may be or hold."""
    with refusals():
        return samples(understood(data), data)


def understood(data: DataConfig, given: Collection[str] | None = None) -> Understood:
    """The file of a DataConfig as it is taken. `given` are the fields of `data` that a person has set, where target, task and what is left
    out are to be proposed; by default nothing is proposed: the last column is the target, and all that can be learned from is an input.
    Raises ConfigError."""
    with refusals():
        table = _table(data, keep=given is not None)
        wanted = dict(data.columns)
        _check_names(table.frame.columns, data)
        columns = [_column(table, name, wanted.get(name)) for name in table.frame.columns]
        _keep_pictures(columns, table, wanted)
        for entry in columns:
            if entry.name in data.drop:
                entry.use = "left out"
            elif (chosen := wanted.get(entry.name)) and chosen.use:
                entry.use = chosen.use
        notes = [*table.notes]
        targets = _targets(data, table, columns, given, notes)
        task = data.task
        by_name = {entry.name: entry for entry in columns}
        for name in targets:
            by_name[name].use = "target"
        if given is not None and "task" not in given and targets:
            task, why = _task(table, [by_name[name] for name in targets])
            notes.append(f"{'Classes' if task == 'classification' else 'Values'} are to be predicted: {why}")
        if given is not None and "drop" not in given:
            wished = {name for name, wish in data.columns if wish.use}
            ids = [entry for entry in columns if entry.use == "input" and entry.type == "id" and entry.name not in wished]
            if any(entry.use == "input" and entry not in ids for entry in columns):
                for entry in ids:
                    entry.use = "left out"
        found = Understood(table, columns, targets, task, notes)
        notes += told(columns, table.rows)
        notes += _filled(found, data)
        return found


def _column(table, name, wanted):
    cells = table.frame[name]
    if table.image and name not in (table.targets or ()):
        return Column(name, "number", "input", int(cells.isna().sum()), 0, cells.astype(float))
    return column(name, cells, wanted.type if wanted else None)


def _keep_pictures(columns, table, wanted):
    """In what may be pictures, a column of numbers that is constant is kept: it is a corner."""
    able = [entry for entry in columns if is_number(entry.values) and entry.name not in (table.targets or ())]
    if len(able) >= PICTURE:
        for entry in able:
            if entry.type == "constant" and not wanted.get(entry.name):
                entry.type, entry.use = "number", "input"


_described = {}  # what was described last, so that it is not read again to be trained on; taken out then


def _table(data, keep):
    """The Table of a file, read or as it was kept."""
    key = tuple(
        (path, os.stat(path).st_mtime_ns, os.stat(path).st_size) for path in (data.path, data.test_path) if path and os.path.exists(path)
    )
    key += data.header, data.delimiter
    table = _described.pop(key, None) or _opened(data)
    _described.clear()
    if keep:
        _described[key] = table
    return table


def _opened(data):
    """The Table of a file, that of a test file behind it."""
    from core.data.table.formats import opened, with_tests  # which bring pandas along

    table = opened(_raw(data.path, DATA), data.header, data.delimiter)
    if data.test_path:
        tests = _raw(data.test_path, "data.test_path")
        table = with_tests(table, tests, os.path.basename(data.test_path), data.header, data.delimiter)
    return table


def _check_names(names, data):
    """Refuse settings of columns that are not there."""
    known, problems = set(names), []
    for field, asked in (("data.drop", data.drop), ("data.columns", [name for name, _ in data.columns])):
        if absent := [name for name in asked if name not in known]:
            problems.append((field, f"must name columns of the file ({listed(names)}); was {listed(absent)}"))
    _raise(problems)


def _targets(data, table, columns, given, notes):
    """Names of the target columns: those asked for, those that the file gives as such, the proposed one or the last."""
    names = [entry.name for entry in columns]
    chosen = [name for name, wish in data.columns if wish.use == "target"]
    if data.target is not None:
        wanted = [data.target] if isinstance(data.target, str) else list(data.target)
        if table.targets and set(wanted) != set(table.targets):
            raise ConfigError(TARGET, f"must be null for arrays, whose targets are an array of their own; was {shown(data.target)}")
        if absent := [name for name in wanted if name not in set(names)]:
            raise ConfigError(TARGET, f"must name columns of the file ({listed(names)}); was {listed(absent)}")
        if len(set(wanted)) < len(wanted):
            raise ConfigError(TARGET, f"must name each column once; was {listed(wanted)}")
        return wanted
    if table.targets:
        return list(table.targets)
    if chosen:
        return chosen
    if given is None or "target" in given:
        return names[-1:]
    of_values = "task" in given and data.task == "regression"
    best, why = proposal.target([entry for entry in columns if entry.use != "left out" and (entry.type == "number" or not of_values)])
    if best is None:
        notes.append(why)
        return []
    notes.append(f"Column {shown(best.name)} is the target: {why}")
    return [best.name]


def _task(table, targets):
    if len(targets) > 1:
        values = np.column_stack([entry.values.to_numpy(float) for entry in targets if is_number(entry.values)])
        marks = bool(np.isin(values, (0, 1)).all())
        return ("classification", "all targets are 0 or 1") if marks else ("regression", "there are several targets")
    if table.frame[targets[0].name].dtype.kind == "b":
        return "classification", f"{shown(targets[0].name)} is true or false"
    return proposal.task(targets[0])


def _filled(found, data):
    """What becomes of missing values, as sentences."""
    gaps = [entry for entry in found.inputs if entry.missing]
    if gaps and data.missing == "drop":
        yield f"Rows with missing values are left out: {listed([entry.name for entry in gaps])} have some"
    for entry in gaps if data.missing == "fill" else ():
        how = "are a level of their own" if entry.type == "category" else "are filled with the median of the training part"
        yield f"{entry.missing:,} missing values in column {shown(entry.name)} {how}"
    unknown = sum(entry.missing for entry in found.columns if entry.use == "target")
    if unknown:
        yield f"{unknown:,} rows without a target are left out"


def samples(found: Understood, data: DataConfig) -> Samples:
    """The Samples of a file that was understood. Raises ConfigError with all its problems."""
    inputs, targets = found.inputs, [entry for entry in found.columns if entry.use == "target"]
    targets.sort(key=lambda entry: found.targets.index(entry.name))
    kept, problems = _kept(found, inputs, targets, data), []
    if kept.sum() < 2:
        raise ConfigError(DATA, f"must hold at least 2 rows of data; held {int(kept.sum())}")
    if not targets:
        raise ConfigError(TARGET, "must be a column of classes or of numbers; all are constant, ids, dates or free text")
    if not inputs:
        others = [f"{shown(entry.name)} ({entry.type})" for entry in found.columns if entry.use == "left out"]
        left = f"; left out are {', '.join(others[:5])}" if others else ""
        problems.append((TARGET, f"must leave at least one column as input; was {listed(found.targets)}{left}"))
    for entry in inputs:
        if entry.type in ("number", "id") and not is_number(entry.values):
            example = next(iter(entry.values.dropna()), "")
            held = f"holds text such as {shown(str(example))}"
            problems.append((DATA, f"column {shown(entry.name)} must hold numbers, or be a category or left out; {held}"))
        elif is_number(entry.values) and (wrong := check_numbers(entry, LARGEST)):
            problems.append((DATA, f"must hold finite numbers of ordinary size; {wrong}"))
    is_label = found.task == "classification" and len(targets) == 1 and not found.table.matrix
    field = DATA if found.table.targets else TARGET
    Y: Any = None
    names = tuple(found.targets)
    try:
        Y, names = _classes(field, found, targets[0], kept) if is_label else (_values(field, targets, kept), names)
    except ConfigError as error:
        problems.append((error.field, error.message))
    _raise(problems)
    types = {entry.name: _prepared_as(entry) for entry in inputs}
    made = Samples(
        _used(inputs, kept),
        Y, tuple(types), names, image=found.table.image or _square(inputs), held_back=_held_back(found, data, kept),
        preparation=Preparation(types, data.scaling), remarks=() if found.table.image else tuple(_remarks(inputs, kept)),
        rows=np.flatnonzero(kept) if found.table.rows == len(kept) else np.empty(0, int),
    )  # fmt: skip
    return with_labels(made) if found.task == "classification" and not is_label else made


def _square(inputs):
    """(side, side, 1) of columns that hold the pixels of square pictures: whole numbers from 0 to 255, or shares from 0 to 1, as many as a
    square has; otherwise None."""
    side = math.isqrt(len(inputs))
    if len(inputs) < PICTURE or side * side != len(inputs) or not all(is_number(entry.values) for entry in inputs):
        return None
    columns = [entry.values for entry in inputs]
    lowest, highest = np.min([values.min() for values in columns]), np.max([values.max() for values in columns])
    levels = highest <= 1 or (highest <= 255 and all(map(_whole, columns)))
    return (side, side, 1) if lowest >= 0 and levels else None


def _whole(values):
    return values.dtype.kind in "iub" or (values.dropna() % 1 == 0).all()


def _used(inputs, kept):
    """The DataFrame of the inputs' values in the rows that are used."""
    import pandas as pd

    frame = pd.DataFrame({entry.name: entry.values for entry in inputs})
    return frame if kept.all() else frame.loc[kept].reset_index(drop=True)


def _prepared_as(entry):
    """number, category or date: how an input is prepared."""
    return "number" if is_number(entry.values) else "date" if entry.type == "date" and entry.values.dtype.kind == "M" else "category"


def _kept(found, inputs, targets, data):
    """(m,) bool: the rows that are used."""
    kept = np.ones(len(found.table.frame), bool)
    for entry in targets + (inputs if data.missing == "drop" else []):
        kept &= entry.values.notna().to_numpy()
    return kept


def _held_back(found, data, kept):
    """(m,) bool: the rows for testing where they are not drawn."""
    if found.table.held_back is not None:
        return found.table.held_back[kept]
    return None


def _classes(field, found, entry, kept):
    """(class numbers (m,), the classes' names) of a target column."""
    cells = found.table.frame[entry.name]
    raw: Any = labels(cells) if cells.dtype.kind == "b" or not is_number(entry.values) else entry.values
    values = raw[kept].to_numpy(float if is_number(raw) else object)
    if is_number(raw) and (wrong := check_numbers(entry, LARGEST)):
        raise ConfigError(field, f"must hold finite numbers of ordinary size; {wrong}")
    classes, codes = np.unique(values, return_inverse=True)
    held = f"column {shown(entry.name)} has {len(classes):,} values in {len(values):,} rows"
    fractions = values.dtype.kind == "f" and len(classes) > FRACTIONS and (classes % 1).any()
    if fractions or len(classes) > max(2, CLASS_SHARE * len(values)):
        raise ConfigError(field, f"must be classes that recur, or the task regression; {held}")
    if len(classes) > LIMITS["classes"]:
        raise ConfigError(field, f"must have at most {LIMITS['classes']} classes, or the task regression; {held}")
    names = tuple(_class_name(field, value) for value in classes.tolist())
    return codes, names if len(names) > 1 else (*names, OTHER)  # one class trains, and is diagnosed


def _values(field, targets, kept):
    """The target columns as numbers (m, k)."""
    problems = []
    for entry in targets:
        if not is_number(entry.values):
            example = str(next(iter(entry.values.dropna()), ""))
            problems.append((field, f"must hold numbers; text such as {shown(example)} found in column {shown(entry.name)}"))
        elif wrong := check_numbers(entry, LARGEST):
            problems.append((field, f"must hold finite numbers of ordinary size; {wrong}"))
    _raise(problems)
    return np.column_stack([entry.values[kept].to_numpy(float) for entry in targets])


def _class_name(field, value):
    """A label as text that any page can show: 1.0 is '1'."""
    name = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise ConfigError(field, f"must have printable class names of at most {NAME_LENGTH} characters; one was {shown(name)}")
    return name


def _remarks(inputs, kept):
    for entry in inputs:
        if not is_number(entry.values):
            continue
        values = entry.values[kept]
        if entry.type == "id" or counts(entry.name, values):
            yield Remark("id_input", entry.name)
        elif found := sentinel(values.to_numpy()):
            yield Remark("sentinel_values", entry.name, *found)


def _raise(problems):
    """One ConfigError for all problems [(field, message)], filed under the first one's field."""
    if problems:
        messages = list(dict.fromkeys(message for _, message in problems))
        more = f" (and {len(messages) - 5} problems more)" if len(messages) > 5 else ""
        raise ConfigError(problems[0][0], "; also, ".join(messages[:5]) + more)


@contextmanager
def refusals(field: str = DATA) -> Iterator[None]:
    """Parsers fed with hostile bytes raise what they like: all of it becomes a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except MemoryError as error:
        raise ConfigError(field, "must be a table that fits into memory; there was not enough to read it") from error
    except OverflowError as error:
        raise ConfigError(field, "must hold numbers below 1.8e308 in size; one of them is larger") from error
    except Exception as error:
        raise ConfigError(field, f"must be a sound table; reading it failed ({type(error).__name__})") from error


def _raw(path, field):
    raw = read_bytes(path, field)
    if path.lower().endswith(".npz") and not raw.startswith(b"PK"):
        raise ConfigError(field, f"must be an NPZ, which is a zip archive; {shown(os.path.basename(path))} is not one")
    return raw


def read_bytes(path: str, field: str) -> bytes:
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
