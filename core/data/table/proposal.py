"""What a table is proposed to be trained on: its target, and whether that is a class or a value."""

from __future__ import annotations

import re

import numpy as np

from core.data.table.columns import Column, sentinel
from core.data.table.values import is_number
from core.limits import LIMITS, shown

TARGET_NAME = re.compile(
    r"(?i)^(y|target|targets|label|labels|class|classes|outcome|output|response|result|species|diagnosis|kind|category|survived|churn|"
    r"quality|price|saleprice|medv|mpg|default|variety|is_.*|.*[_ ](class|label|target|price))$"
)
# When or where a row was measured: what others may depend on, and seldom the outcome
WHEN_OR_WHERE = re.compile(r"(?i)^(year|month|week|day|date|time|hour)s?$|^(.*[_ ])?(lat|latitude|lon|lng|longitude)$")
CODES = 20  # whole numbers up to here, without gaps, may be classes
OFTEN = 5  # rows of each class, on average, at least
RARE = 2  # rows of the second most frequent class: fewer, and there is nothing to tell apart


def target(columns: list[Column]) -> tuple[Column | None, str]:
    """(the Column that is proposed as the target, why). None when no column can be one."""
    able = [entry for entry in columns if _able(entry)]
    if not able:
        return None, "No column can be a target: all are constant, ids, dates or texts"
    named = [entry for entry in able if TARGET_NAME.search(entry.name)]
    if named:
        return named[-1], f"its name {shown(named[-1].name)} says so"
    able = [entry for entry in able if not WHEN_OR_WHERE.search(entry.name)] or able
    if able[-1] is columns[-1]:
        return able[-1], "it is the last column"
    if able[0] is columns[0] and able[0].type == "category":
        return able[0], "it is the first column, and holds classes"
    classes = [entry for entry in able if entry.type == "category"]
    return (classes[-1], "it holds classes") if classes else (able[-1], "it is the last column of numbers")


def _able(entry):
    if entry.type == "category":
        times = entry.values.value_counts()
        return 2 <= len(times) <= LIMITS["classes"] and times.iloc[1] >= RARE and len(times) * OFTEN <= max(int(times.sum()), 2 * OFTEN)
    return entry.type == "number" and entry.use != "left out"


def task(entry: Column) -> tuple[str, str]:
    """("classification" or "regression", why) for a target column."""
    values = entry.values.dropna()
    if not is_number(values):
        return "classification", f"{shown(entry.name)} holds {entry.distinct} classes"
    if entry.distinct == 2 and sentinel(values.to_numpy()) is None:
        return "classification", f"{shown(entry.name)} has two values"
    levels = np.unique(values.to_numpy())
    whole = (levels % 1 == 0).all()
    codes = whole and levels[0] in (0, 1) and levels[-1] - levels[0] + 1 == len(levels) and levels[-1] <= CODES
    if codes and len(values) >= OFTEN * len(levels):
        return "classification", f"{shown(entry.name)} has the whole numbers from {levels[0]:g} to {levels[-1]:g}, as codes of classes are"
    return "regression", f"{shown(entry.name)} holds amounts, {entry.distinct:,} different ones"
