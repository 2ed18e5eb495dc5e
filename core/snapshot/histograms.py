"""Histograms of one tensor now and over time, on one axis that only ever grows."""

from __future__ import annotations

import math
import sys

import numpy as np

from core.snapshot.snapshot import Histogram

BINS = 40
TIMES = 48
VALUES = 8192  # of a larger tensor every n-th value counts: drawing 40 bins needs no more
LARGEST_POWER = 2.0**1023  # of two, that a float can hold
DECADES = (-12.0, 4.0)  # axis of gradient histograms, log10 of size


class HistogramSeries:
    """Counts over equal bins from `low` to `high`. New values widen the axis to the next power of two, on their side of zero."""

    def __init__(self, low: float = 0.0, high: float = 0.0) -> None:
        self._low, self._high = low, high
        self._counts = np.zeros(BINS)
        self._columns, self._steps = [], []
        self._over_time = None  # what is drawn of the columns; None when they have changed
        self._every = 1

    def add(self, values: np.ndarray, step: int) -> None:
        """Count `values` (any shape) as they are after `step` updates; non-finite ones are left out."""
        self._counts = self.count(values)
        if not self._steps or step >= self._steps[-1] + self._every:
            if len(self._steps) == TIMES:
                self._columns, self._steps = self._columns[::2], self._steps[::2]
                self._every = max(self._every, self._steps[-1] - self._steps[-2])
            self._columns.append(self._counts)
            self._steps.append(step)
            self._over_time = None

    def count(self, values: np.ndarray) -> np.ndarray:
        """Counts (bins,) of `values` on this axis, which widens for them."""
        values = thinned(values).astype(float)
        if not math.isfinite(values.sum()):
            values = values[np.isfinite(values)]
        if not values.size:
            return np.zeros(BINS)
        self._widen(float(values.min()), float(values.max()))
        low, high = self._low / BINS, self._high / BINS  # sizes up to the largest number there is: their difference must not overflow
        bins = ((values / BINS - low) / ((high - low) / BINS)).astype(np.intp)
        return np.bincount(bins.clip(0, BINS - 1), minlength=BINS).astype(float)  # as np.histogram counts, at a tenth of its cost

    def drop_after(self, step: int) -> None:
        """Forget the columns behind `step`."""
        kept = sum(column_step <= step for column_step in self._steps)
        self._columns, self._steps = self._columns[:kept], self._steps[:kept]
        self._over_time = None

    def _widen(self, smallest, largest):
        low = min(self._low, -_next_power(-smallest)) if smallest < self._low else self._low
        high = max(self._high, _next_power(largest)) if largest > self._high else self._high
        if low == high:
            high = low + 1.0
        if (low, high) != (self._low, self._high):
            self._columns = [self._rebinned(column, low, high) for column in self._columns]
            self._low, self._high = low, high
            self._over_time = None

    def _rebinned(self, counts, low, high):
        """Counts on a wider axis: each bin's count is spread evenly over where it now falls."""
        old, new = (np.linspace(*ends, BINS + 1) for ends in ((self._low / BINS, self._high / BINS), (low / BINS, high / BINS)))
        return np.diff(np.interp(new, old, np.concatenate([[0], counts.cumsum()])))

    def histogram(self, counts: np.ndarray | None = None) -> Histogram:
        """The Histogram to draw; `counts` (bins,) in place of the last ones added."""
        if self._over_time is None:
            columns = np.array(self._columns).T if self._columns else np.zeros((BINS, 0))
            shares = columns / np.maximum(columns.max(axis=0, initial=0), 1)
            self._over_time = (255 * shares).astype(np.uint8), np.array(self._steps, np.float32)
        counts = (self._counts if counts is None else counts).astype(np.float32)
        return Histogram(self._low, self._high, counts, *self._over_time)


def _next_power(size):
    """The next power of two above a positive size, or the largest number there is; 0 for others."""
    if size > LARGEST_POWER:
        return sys.float_info.max
    return 2.0 ** math.ceil(math.log2(size)) if size > 0 else 0.0


def thinned(values: np.ndarray) -> np.ndarray:
    """At most VALUES values of an array, evenly picked."""
    values = np.asarray(values).reshape(-1)
    return values[:: max(1, -(-values.size // VALUES))]


def decades(values: np.ndarray) -> np.ndarray:
    """log10 of the size of values, kept inside DECADES; zeros are left out."""
    sizes = np.abs(thinned(values).astype(float))
    return np.log10(sizes[sizes > 0]).clip(*DECADES)
