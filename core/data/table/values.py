"""Cells that are written for people, as values: 1,234.50, 3.5%, $12, (7), 12.03.2024."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SIGNS = r"[$€£¥₹%‰°]|USD|EUR|GBP|CHF|JPY"
SEPARATORS = " \u00a0\u202f\u2009'\u2019"  # between thousands, beside comma and point
POINT = rf"[+-]?(?:(?:[0-9]{{1,3}}(?:[,{SEPARATORS}][0-9]{{3}})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
COMMA = rf"[+-]?(?:(?:[0-9]{{1,3}}(?:[.{SEPARATORS}][0-9]{{3}})+|[0-9]+)(?:,[0-9]*)?|,[0-9]+)(?:[eE][+-]?[0-9]+)?"
MARKS = ((POINT, f"[,{SEPARATORS}]", "."), (COMMA, f"[.{SEPARATORS}]", ","))  # (what fits, what is left out, decimal mark)
MOSTLY, ODD_WORDS = 0.9, 3  # a column is of numbers when so many cells are; so many other words then stand for missing values
DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?|\d{4}-\d{1,2}|"
    r"\d{1,2}[ -]?[A-Za-z]{3,9}\.?[ ,-]*\d{2,4}.*|[A-Za-z]{3,9}\.?[ -]\d{1,2}(,? |-)\d{4}.*"
)
PARTS = ("year", "month", "day", "weekday", "hour")
BARE = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


def is_number(column: pd.Series) -> bool:
    """Whether pandas has read this column as numbers, or as true and false."""
    return column.dtype.kind in "iufb"


def texts(column: pd.Series) -> pd.Series:
    """A column's cells as pandas' strings, stripped, missing ones left missing."""
    return column.astype("str").str.strip().mask(column.isna())


def to_numbers(column: pd.Series) -> tuple[pd.Series | None, tuple[str, ...], str]:
    """(the column as numbers, NaN where a cell is missing or none, words that stand for missing values, what was taken off); (None, (), "")
    when too many cells are no numbers."""
    import pandas as pd

    if column.dtype.kind in "iu":  # in as few bytes as they need: pixels take two instead of eight
        lowest, highest = column.to_numpy().min(initial=0), column.to_numpy().max(initial=0)
        fits = (kind for kind in (np.int8, np.int16, np.int32) if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max)
        return column.astype(next(fits, column.dtype)), (), ""
    if is_number(column):
        return column.astype(float), (), ""
    if column.dtype == object and all(isinstance(cell, (bool, int, float)) for cell in column.dropna()):
        return column.map(_as_float).astype(float), (), ""
    levels: Any = pd.Series(texts(column).dropna().unique(), dtype="str")
    numbers, odd, said = _levels(levels)
    if numbers is None or not len(levels):
        return None, (), ""
    values = texts(column).map(dict(zip(levels, numbers))).astype(float)
    missing = set(odd)
    if missing and texts(column).isin(missing).sum() > (1 - MOSTLY) * column.notna().sum():
        return None, (), ""
    return values, tuple(sorted(missing)), said


def _as_float(cell):
    try:
        return np.nan if cell is None else float(cell)
    except OverflowError:  # whole numbers have no largest one
        return np.inf


def _levels(levels) -> Any:
    """(numbers of these distinct texts with NaN for those that are none, the texts that are none, what was taken off)."""
    import pandas as pd

    bare = levels.str.replace(r"^\((.*)\)$", r"-\1", regex=True)
    bare = bare.str.replace(rf"^([+-]?)\s*(?:{SIGNS})\s*|\s*(?:{SIGNS})$", r"\1", regex=True)
    best: Any = None
    for fits, separators, mark in MARKS:
        sound = bare.str.fullmatch(fits)
        if best is None or sound.sum() > best[0].sum():
            best = sound, separators, mark
    sound, separators, mark = best
    odd = levels[~sound]
    if len(odd) > ODD_WORDS or (len(odd) and sound.sum() < len(odd)):
        return None, (), ""
    plain = bare.str.replace(separators, "", regex=True).str.replace(",", ".")
    numbers = pd.to_numeric(plain.where(sound), errors="coerce")
    taken = [sign for sign in ("%", "$", "€", "£", "¥", "₹") if levels.str.contains(sign, regex=False).any()]
    if (bare != plain)[sound].any():
        taken.append("decimal comma" if mark == "," else "thousands separators")
    return numbers, tuple(odd), " and ".join(taken)


def to_dates(column: pd.Series) -> pd.Series | None:
    """The column as datetime64 when nearly all of its cells are dates, else None. 3/4/2024 is March 4 unless others say otherwise."""
    import warnings

    import pandas as pd

    if column.dtype.kind == "M":
        return column.dt.tz_localize(None) if getattr(column.dt, "tz", None) else column
    cells = texts(column)
    levels = pd.Series(cells.dropna().unique(), dtype="str")
    if not len(levels) or not levels.head(50).map(lambda cell: DATE.fullmatch(cell) is not None).all():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = pd.to_datetime(levels, errors="coerce", dayfirst=_day_first(levels), format="mixed", utc=True)
    if best.notna().mean() < MOSTLY:
        return None
    return pd.to_datetime(cells.map(dict(zip(levels, best.dt.tz_localize(None)))))


def _day_first(levels):
    """Whether the day comes before the month: where one is above 12, or where points are between them."""
    return not levels.str.match(r"\d{4}").any() and bool(levels.str.match(r"(1[3-9]|2\d|3[01])[-/.]|\d{1,2}\.\d{1,2}\.").any())


def date_parts(column: pd.Series) -> dict[str, pd.Series]:
    """{part: float64} of a column of dates, as far as they differ; all of PARTS for a single date."""
    stamps = column.dt
    parts = {"year": stamps.year, "month": stamps.month, "day": stamps.day, "weekday": stamps.day_of_week, "hour": stamps.hour}
    return {name: values.astype(float) for name, values in parts.items()}
