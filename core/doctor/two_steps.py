"""Gradients that were never reset, as two steps show: the second has the first one's in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.comparison import compare
from core.nn.formulas import Formulas, Values

if TYPE_CHECKING:
    from core.doctor.conventions import Convention
    from core.doctor.inquiry import Inquiry
    from core.doctor.readings import Reading

AGREES = 1e-5  # relative error up to which a difference of two gradients is that of one step


def never_reset(inquiry: Inquiry, later: Iterable[Reading]) -> Convention | None:
    """The Convention under which the second step's gradients are its own and the first step's together, each tensor; None where they are
    not. `later`: Readings of the second step."""
    first = inquiry.reading
    for reading in later:
        if reading.plan != first.plan or reading.words != first.words or set(reading.yours) != set(first.yours):
            continue
        with np.errstate(all="ignore"):
            values = Values(Formulas(reading.plan), reading.given)
            fresh = {key: values[key] for key in reading.yours}
        one, two = first.spread(), reading.spread()
        if not any(array.any() for array in one.values()):
            continue
        for convention in inquiry.conventions:
            right = {key: convention.scale * array for key, array in fresh.items()}
            if all(_same(two[key] - one[key], array) for key, array in right.items()) and not all(
                _same(two[key], array) for key, array in right.items()
            ):
                return convention
    return None


def _same(yours, right):
    return compare("", yours, right).relative_error <= AGREES
