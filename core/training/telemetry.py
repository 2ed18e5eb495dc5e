"""What a run leaves behind: thinned histories in a fixed amount of memory.

`Telemetry` has one row for each sampled step and one frame for each full evaluation. Rows are never averaged: when a
table is full, crowded stretches keep their first row and their highest peak, so that a spike survives a million steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from core.training.layer_metrics import MEASURES

SAMPLE_ROWS = 4096
FRAME_ROWS = 1024

LAYER_METRICS = tuple(MEASURES)  # in the order of the table's columns
FRAME_COLUMNS = ("step", "train_loss", "test_loss", "train_metric", "test_metric")

# What histories have that were stored before the names of their columns were
UNNAMED: dict[str, Any] = {
    "layer_metrics": ("gradient_norm", "weight_norm", "update_ratio", "activation_mean", "activation_deviation", "dead", "saturated"),
    "frame_columns": ("step", "train_loss", "test_loss", "train_metric", "test_metric"),
}


class ThinnedTable:
    """A table of float64 rows with a fixed capacity. Column 0 is the step; `peaks` are the columns whose extremes count."""

    def __init__(self, columns: int, capacity: int, peaks: Iterable[int]) -> None:
        self._rows = np.empty((capacity, columns))
        self._count = 0
        self._peaks = list(peaks)

    def append(self, row: np.ndarray | Sequence[float]) -> None:
        """Add one row, thinning first when there is no room."""
        if self._count == len(self._rows):
            self._thin()
        self._rows[self._count] = row
        self._count += 1

    def drop_after(self, step: int) -> None:
        """Forget the rows behind `step`: the run goes on from there."""
        self._count = int(np.searchsorted(self.rows[:, 0], step, side="right"))

    def drop_last(self) -> None:
        """Forget the newest row."""
        self._count -= 1

    @property
    def rows(self) -> np.ndarray:
        """The rows so far (a view), oldest first."""
        return self._rows[: self._count]

    @rows.setter
    def rows(self, rows: np.ndarray) -> None:
        self._count = len(rows)
        self._rows[: self._count] = rows

    @property
    def nbytes(self) -> int:
        """Bytes held, however many rows there are."""
        return self._rows.nbytes

    def _thin(self):
        keep = downsample_keep_peaks(self.rows, self._peaks, len(self._rows) // 2)
        self._count = len(keep)
        self._rows[: self._count] = self._rows[keep]


def downsample_keep_peaks(rows: np.ndarray, columns: Sequence[int], limit: int) -> np.ndarray:
    """Indices of at most `limit` of the rows (column 0 is the step): of each stretch of the run the first, and the highest.

    A row is high where any of `columns` is large (or not finite) against that column's median. Stretches are equally long on
    an axis halfway between the step and its logarithm: the beginning of a run is kept in more detail than its middle.
    """
    if len(rows) <= limit:
        return np.arange(len(rows))
    with np.errstate(all="ignore"):
        values = np.abs(rows[:, columns])
        values = np.where(np.isfinite(values), values, np.finfo(float).max)
        height = (values / (np.median(values, axis=0) + np.finfo(float).tiny)).max(axis=1)
    step, last = rows[:, 0], rows[-1, 0]
    stretch = np.floor((step / last + np.log1p(step) / np.log1p(last)) / 2 * (limit // 2 - 1))
    firsts = np.flatnonzero(np.diff(stretch, prepend=-1))
    by_height = np.lexsort((height, stretch))
    highest = by_height[np.append(firsts[1:], len(rows)) - 1]
    return np.union1d(firsts, highest)


def column_names(arrays: dict[str, np.ndarray]) -> tuple[tuple[str, ...], ...]:
    """(names of the layer metrics, names of the frames' columns) of histories as `Telemetry.to_arrays` gave them, now or in the past."""
    return tuple(tuple(map(str, arrays.get(name, unnamed))) for name, unnamed in UNNAMED.items())  # pyright: ignore[reportArgumentType]


def in_present_columns(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Histories that were stored with other columns, with those of now: NaN in those that were not recorded then; others are left out."""
    metrics, columns = column_names(arrays)
    samples = arrays["samples"]
    count, layers = len(samples), (samples.shape[1] - 2) // len(metrics)
    by_layer = _picked(samples[:, 2:].reshape(count, layers, len(metrics)), metrics, LAYER_METRICS)
    return {
        "samples": np.hstack([samples[:, :2], by_layer.reshape(count, layers * len(LAYER_METRICS))]),
        "frames": _picked(arrays["frames"], columns, FRAME_COLUMNS),
        "events": arrays["events"],
        **_names(),
    }


def _names():
    return {"layer_metrics": np.array(list(LAYER_METRICS)), "frame_columns": np.array(FRAME_COLUMNS)}


def _picked(values, names, wanted):
    """Of `values` (..., len(names)) the columns `wanted` (..., len(wanted))."""
    missing = np.full(values.shape[:-1], np.nan)
    return np.stack([values[..., names.index(name)] if name in names else missing for name in wanted], axis=-1)


@dataclass(frozen=True)
class Event:
    """Something that was done to the run: a setting changed, a weight edited."""

    step: int
    text: str


@dataclass(frozen=True)
class NonFinite:
    """The first value that is not finite: the update in which it appeared (counted from 1), layer (from 1; 0 for the
    loss) and tensor (`pre_activation activation output_gradient delta gradient parameters loss`)."""

    step: int
    layer: int
    tensor: str


class Telemetry:
    """Histories of one run of `layers` layers. Steps count finished updates; the row of step s describes update s."""

    def __init__(self, layers: int) -> None:
        self.layers = layers
        columns = 2 + layers * len(LAYER_METRICS)
        gradient_norms = [2 + layer * len(LAYER_METRICS) for layer in range(layers)]
        self._samples = ThinnedTable(columns, SAMPLE_ROWS, [1, *gradient_norms])
        self._frames = ThinnedTable(len(FRAME_COLUMNS), FRAME_ROWS, [1])
        self._passing = None  # step of the frame that is only there until the next one
        self.events: list[Event] = []
        self.nonfinite: NonFinite | None = None

    def add_sample(self, step: int, loss: float, metrics: np.ndarray) -> None:
        """`metrics` (layers, len(LAYER_METRICS))."""
        self._samples.append(np.concatenate([(step, loss), metrics.ravel()]))

    def add_frame(
        self, step: int, train_loss: float, test_loss: float, train_metric: float, test_metric: float, *, passing: bool = False
    ) -> None:
        """Full evaluation after `step` updates; NaN where there is no test part. A `passing` one gives way to the next, so that what stays
        does not depend on who looked when."""
        rows = self._frames.rows
        if len(rows) and rows[-1, 0] == self._passing:
            self._frames.drop_last()
        elif len(rows) and rows[-1, 0] == step:
            return
        self._frames.append((step, train_loss, test_loss, train_metric, test_metric))
        self._passing = step if passing else None

    def drop_after(self, step: int) -> None:
        """Forget everything behind `step`."""
        self._samples.drop_after(step)
        self._frames.drop_after(step)
        self.events = [event for event in self.events if event.step < step]
        self.nonfinite = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything as plain arrays for np.savez."""
        events = json.dumps([(event.step, event.text) for event in self.events])
        nonfinite = json.dumps(self.nonfinite and astuple(self.nonfinite))
        rows = {"samples": self._samples.rows.copy(), "frames": self._frames.rows.copy()}
        return rows | {"events": np.array([events, nonfinite]), **_names()}

    def load_arrays(self, arrays: dict[str, np.ndarray], passing: int | None = None) -> None:
        """Take over what `to_arrays` gave, in this version or an earlier one; the frame of step `passing` is only there until the next."""
        arrays = in_present_columns(arrays)
        self._passing = passing
        self._samples.rows = arrays["samples"]
        self._frames.rows = arrays["frames"]
        events, nonfinite = (json.loads(str(text)) for text in arrays["events"])
        self.events = [Event(*event) for event in events]
        self.nonfinite = nonfinite and NonFinite(*nonfinite)

    @property
    def step(self) -> np.ndarray:
        """Step numbers of the samples (n,)."""
        return self._samples.rows[:, 0]

    @property
    def loss(self) -> np.ndarray:
        """Batch loss, penalty included, before each sampled update (n,)."""
        return self._samples.rows[:, 1]

    @property
    def samples(self) -> np.ndarray:
        """All that was sampled (n, 2 + layers * len(LAYER_METRICS)): step, loss, and layer by layer LAYER_METRICS."""
        return self._samples.rows

    def metric(self, name: str) -> np.ndarray:
        """One of LAYER_METRICS over the samples: (n, layers)."""
        return self._samples.rows[:, 2 + LAYER_METRICS.index(name) :: len(LAYER_METRICS)]

    def frames(self, name: str) -> np.ndarray:
        """One of FRAME_COLUMNS over the frames: (n,)."""
        return self._frames.rows[:, FRAME_COLUMNS.index(name)]

    @property
    def nbytes(self) -> int:
        """Bytes held, whatever the length of the run."""
        return self._samples.nbytes + self._frames.nbytes
