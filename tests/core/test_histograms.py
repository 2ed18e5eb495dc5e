"""Histograms over time: counts as NumPy has them, on an axis that widens for any finite number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.snapshot.histograms import BINS, HistogramSeries

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_counts_are_those_of_numpy_on_the_widened_axis():
    values = np.random.default_rng(0).normal(size=1000)
    series = HistogramSeries()
    series.add(values, 1)
    shown = series.histogram()
    assert shown.low <= values.min() and shown.high >= values.max() and np.log2([-shown.low, shown.high]) % 1 == pytest.approx(0)
    np.testing.assert_array_equal(shown.counts, np.histogram(values, BINS, (shown.low, shown.high))[0])


@given(st.lists(st.lists(FINITE, min_size=1, max_size=5), min_size=1, max_size=5))
def test_any_finite_values_find_a_place_and_stay_counted(looks):
    series = HistogramSeries()
    for step, values in enumerate(looks):
        series.add(np.array(values), step)
    shown = series.histogram()
    assert np.isfinite([shown.low, shown.high]).all() and shown.counts.sum() == len(looks[-1])
    assert np.isfinite(series._columns).all() and [column.sum() for column in series._columns] == pytest.approx(
        [len(look) for look in looks]
    )
