"""Histories that are thinned: what stays of a long run."""

import numpy as np
import pytest

from core.training.telemetry import FRAME_ROWS, LAYER_METRICS, SAMPLE_ROWS, Telemetry, ThinnedTable, downsample_keep_peaks

STEPS, LIMIT = 100_000, 2000


def calm(steps=STEPS):
    """Rows (step, value) of a run in which nothing happens."""
    return np.column_stack([np.arange(1.0, steps + 1), np.ones(steps)])


def test_what_is_kept_lies_halfway_between_the_step_and_its_logarithm():
    kept = calm()[downsample_keep_peaks(calm(), [1], LIMIT), 0]

    def axis(step):
        return (step / STEPS + np.log1p(step) / np.log1p(STEPS)) / 2

    for begin, end in np.array([(0.01, 0.1), (0.1, 0.5), (0.5, 1)]) * STEPS:  # before these, stretches are shorter than a step
        share = np.count_nonzero((begin < kept) & (kept <= end)) / LIMIT
        assert share == pytest.approx(axis(end) - axis(begin), abs=0.01)  # 0.14, 0.27, 0.28; along the steps alone 0.09, 0.40, 0.50
    assert kept[0] == 1 and kept[-1] > 0.99 * STEPS


def test_no_more_is_kept_than_was_asked_for():
    for limit in (10, 101, LIMIT):
        kept = downsample_keep_peaks(calm(), [1], limit)
        assert len(kept) <= limit and (np.diff(kept) > 0).all()
    assert len(downsample_keep_peaks(calm(), [1], LIMIT)) > 0.4 * LIMIT
    assert downsample_keep_peaks(calm(7), [1], 7).tolist() == list(range(7))
    assert len(downsample_keep_peaks(calm(8), [1], 7)) < 8


@pytest.mark.parametrize("peak", [3.0, -3.0, np.nan, np.inf])
def test_a_peak_stays_and_so_does_what_is_not_finite(peak):
    rows = calm()
    rows[61_234, 1] = peak
    assert 61_234 in downsample_keep_peaks(rows, [1], LIMIT)
    assert 61_234 not in downsample_keep_peaks(rows, [0], LIMIT)  # of a column that does not count


def test_columns_count_against_their_own_median():
    rows = np.column_stack([calm(), 1e6 * np.ones(STEPS)])
    rows[50_000, 1], rows[50_001, 2] = 4.0, 2e6
    assert 50_000 in downsample_keep_peaks(rows, [1, 2], 100)


def test_a_full_table_is_thinned_to_half_and_goes_on():
    table = ThinnedTable(2, 100, [1])
    for row in calm(100):
        table.append(row)
    assert len(table.rows) == 100
    table.append((101.0, 1.0))
    assert len(table.rows) <= 51 and table.rows[-1, 0] == 101 and table.rows[0, 0] == 1
    table.drop_after(60)
    assert table.rows[-1, 0] <= 60 < 101
    count = len(table.rows)
    table.drop_last()
    assert len(table.rows) == count - 1 and table.nbytes == 100 * 2 * 8


def test_a_passing_frame_gives_way_and_a_step_has_one_frame():
    telemetry = Telemetry(1)
    for step, passing in [(0, False), (10, False), (10, False), (13, True), (17, True), (20, False)]:
        telemetry.add_frame(step, step, 0.0, 0.0, 0.0, passing=passing)
    assert telemetry.frames("step").tolist() == [0, 10, 20]
    telemetry.drop_after(10)
    assert telemetry.frames("train_loss").tolist() == [0, 10]


def test_every_metric_of_a_layer_is_found_again():
    telemetry = Telemetry(3)
    rows = np.arange(3.0 * len(LAYER_METRICS)).reshape(3, -1)
    telemetry.add_sample(1, 0.5, rows)
    for index, name in enumerate(LAYER_METRICS):
        assert telemetry.metric(name).tolist() == [rows[:, index].tolist()]
    assert telemetry.nbytes == 8 * (SAMPLE_ROWS * (2 + rows.size) + FRAME_ROWS * 5)
