"""What each column of a table is, and what it is used for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.table.values import is_number, texts, to_dates, to_numbers
from core.limits import shown

if TYPE_CHECKING:
    import pandas as pd

TYPES = ("number", "category", "date", "id", "constant", "text")
USES = ("input", "target", "left out")
PICTURE = 64  # from this many columns on (8x8 pixels) rows may be pictures, whose corners are often the same in all of them
LEVELS = 0.5  # a text that has more values than this share of the rows is no category
LONG = 60  # letters: longer ones, on average, are texts
FEW = 20  # a table of fewer rows says little about which values recur
ID_NAME = re.compile(r"(?i)(^|[\s_.-])(id|ids|uuid|guid|key|index|idx|nr|no|row|rownames|unnamed: \d+)$|^(column 1|#)$|[a-z]ID$")
TIME_NAME = re.compile(r"(?i)year|date|time|month|week|day|hour|age")
CODES = (-999.0, -9999.0, -99999.0, -99.0, -9.0, -1.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0)
APART = 2.0  # ranges of all other values that a sentinel is away from them
DISTINCT = 5  # other values at least, for their range to say anything
BARS = 12  # of a column's small histogram


@dataclass
class Column:
    """One column: `values` are numbers, datetime64 or pandas' strings, as its type has it; `odd` are words that stand for missing values,
    `said` what was taken off its numbers."""

    name: str
    type: str
    use: str
    missing: int
    distinct: int
    values: pd.Series = field(repr=False)
    odd: tuple[str, ...] = ()
    said: str = ""

    @property
    def histogram(self) -> list[int]:
        """Rows in each of BARS equal intervals, or of the most frequent levels."""
        dates = self.values.dtype.kind == "M"
        if not dates and not is_number(self.values):
            return self.values.value_counts().head(BARS).tolist()
        numbers = (self.values.dropna().astype("int64") if dates else self.values).to_numpy(float)
        finite = numbers[np.isfinite(numbers)]
        try:
            return np.histogram(finite, BARS)[0].tolist() if len(finite) else []
        except ValueError:  # they lie closer together, or further apart, than floating point can divide
            return [len(finite)]

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape."""
        return {name: getattr(self, name) for name in ("name", "type", "use", "missing", "distinct")}


def column(name: str, cells: pd.Series, wanted: str | None = None) -> Column:
    """The Column of these cells (a pandas Series), of the type `wanted` or of the one that they look like. Its use is "input", unless
    nothing can be learned from it."""
    kind, values, odd, said = _typed(name, cells, wanted)
    missing, distinct = _missing_and_distinct(values)
    if wanted is None and distinct <= 1 and kind != "id":
        kind = "constant"
    use = "left out" if kind in ("constant", "text") or (kind == "id" and not is_number(values)) else "input"
    return Column(name, kind, use, missing, distinct, values, odd, said)


def _missing_and_distinct(values):
    if is_number(values):  # by NumPy: of wide tables there are thousands
        numbers = values.to_numpy()
        present = numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers
        return len(numbers) - len(present), len(np.unique(present))
    return int(values.isna().sum()), int(values.nunique())


def _typed(name, cells, wanted):
    numbers, odd, said = to_numbers(cells) if wanted in (None, "number", "id", "constant") else (None, (), "")
    if wanted == "number":
        return wanted, numbers if numbers is not None else texts(cells), odd, said
    if wanted == "date":
        dates = to_dates(cells)
        return wanted, dates if dates is not None else texts(cells), (), ""
    if wanted in ("category", "text"):
        return wanted, labels(cells), (), ""
    if numbers is not None and not numbers.notna().any() and len(cells.dropna()):
        numbers = None
    if numbers is not None:
        return wanted or ("id" if counts(name, numbers) else "number"), numbers, odd, said
    if wanted is None and (dates := to_dates(cells)) is not None:
        return "date", dates, (), ""
    words = texts(cells)
    return wanted or _kind_of_words(name, words), words, (), ""


def _kind_of_words(name, words):
    present = words.dropna()
    distinct, rows = present.nunique(), len(present)
    recurs = distinct <= (LEVELS * rows if rows >= FEW else max(rows - 1, 1))
    if recurs and (not rows or present.str.len().mean() <= LONG):
        return "category"
    single = distinct == rows and not present.str.contains(" ", regex=False).any()
    return "id" if single and (ID_NAME.search(name) or present.str.contains(r"\d", regex=True).mean() > 0.9) else "text"


def labels(cells: pd.Series) -> pd.Series:
    """Cells as class names or levels: 1.0 is "1", true is "True"."""
    if cells.dtype.kind == "f":
        whole = cells.dropna()
        if (whole % 1 == 0).all() and (whole.abs() < 1e15).all():
            return cells.astype("Int64").astype("str").mask(cells.isna())
    return texts(cells)


def counts(name: str, numbers: pd.Series) -> bool:
    """Whether numbers only number the rows: they count them one by one, or differ in all rows under the name of an id."""
    values = numbers.to_numpy()
    named = ID_NAME.search(name) is not None
    if len(values) < 3 or not (named or float(values[1]) - float(values[0]) == 1) or TIME_NAME.search(name):
        return False
    values = values.astype(float)
    if not (np.isfinite(values).all() and (values % 1 == 0).all()):
        return False
    return bool((np.diff(values) == 1).all() or (named and len(np.unique(values)) == len(values)))


def sentinel(values: np.ndarray) -> tuple[float, int] | None:
    """(a value that stands far apart from all others and recurs, how often), as -999 among 0 to 6: likely a missing one; else None."""
    present = values[np.isfinite(values)].astype(float)
    if not len(present) or not {present.min(), present.max()} & set(CODES):
        return None
    levels, times = np.unique(present, return_counts=True)
    if len(levels) <= DISTINCT:
        return None
    for at, rest in ((0, levels[1:]), (-1, levels[:-1])):
        away = abs(levels[at] - rest[0 if at == 0 else -1])
        if times[at] > 1 and levels[at] in CODES and away > APART * (rest[-1] - rest[0]):
            return float(levels[at]), int(times[at])
    return None


def told(columns: list[Column], rows: int) -> Iterator[str]:
    """Sentences about the columns: what was decided of them, and what looks odd."""
    yield from _left_out(columns)
    for entry in columns:
        name = shown(entry.name)
        if entry.said:
            yield f"Column {name} is read as numbers, without {entry.said}"
        if entry.odd:
            yield f"{', '.join(map(shown, entry.odd))} in column {name} count{'s' if len(entry.odd) == 1 else ''} as missing"
        if entry.use != "left out" and entry.type == "number" and is_number(entry.values) and (found := sentinel(entry.values.to_numpy())):
            value, times = found
            yield (
                f"{value:g} in column {name} ({times:,} times) lies far from all other values: likely a missing value. "
                "Empty these cells, or leave the column out"
            )


REASONS = {
    "constant": "the same value fills {}",
    "text": "{} holds long texts, or another one in nearly every row",
    "id": "{} only numbers or names the rows",
}


def _left_out(columns):
    for kind, reason in REASONS.items():
        names = [shown(entry.name) for entry in columns if entry.type == kind and entry.use == "left out"]
        if names:
            more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
            held = f"column{'s' if len(names) > 1 else ''} {', '.join(names[:5])}{more}"
            verb = reason.format(held)
            if len(names) > 1:
                verb = verb.replace(" holds ", " hold ").replace(" only numbers or names", " only number or name")
            yield f"Left out: {verb}"
