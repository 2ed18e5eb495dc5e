"""What lies ahead of a live run: its newest forecast, and how the gauge has moved so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.failures import attempt
from core.diagnosis.forecast import BEFORE, LIVE, forecast
from core.snapshot.snapshot import GaugeHistory
from core.training.telemetry import ThinnedTable, downsample_keep_peaks

if TYPE_CHECKING:
    from core.diagnosis.forecast import Forecast
    from core.training.trainer import Trainer

SHARE = 0.04  # of the time at most goes into forecasts while the run trains
EVERY = 1.0  # seconds at least from one of these to the next
ROWS, SHOWN = 1024, 300  # readings of the gauge that are kept, and that are told of


class Forecaster:
    """The forecasts of `trainer`. `forecast` is the newest Forecast, None before the first; `first` the one that its present settings began
    with; `failures` are sentences about what went wrong with the newest; `outdated` says whether the run, which stands still, is no longer
    where that was made."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._history = ThinnedTable(2, ROWS, [1])
        self._next = 0.0
        self.forecast = self.first = None
        self.failures = []
        self._made_at = None  # the step

    @property
    def outdated(self) -> bool:
        return self._made_at != self._trainer.step and not self._trainer.nonfinite

    def forget(self) -> None:
        """The settings or the weights were changed: what was said before no longer holds."""
        self.forecast = self.first = self._made_at = None
        self._next = 0.0

    def forget_after(self, step: int) -> None:
        """The run goes on from `step`, on another path."""
        self._history.drop_after(step)
        self.forget()

    def look(self, between: Callable[[], None]) -> None:
        """Look ahead thoroughly: the run stands still. `between` is called between the pieces of that, and may raise to give it up."""
        self._look(BEFORE, between)

    def glance(self) -> None:
        """Look ahead if it is time to: the run trains meanwhile."""
        if time.monotonic() < self._next or self._trainer.nonfinite:
            return
        began = time.thread_time()  # not the clock: on a busy machine it would count others' work too
        self._look(LIVE)
        self._next = time.monotonic() + max(EVERY, (time.thread_time() - began) / SHARE)

    def _look(self, budget, between=None):
        step = self._trainer.step
        self.failures = []
        self.forecast = forecast_or_none(self._trainer, self.failures, budget, between)
        self._made_at = step
        self.first = self.first or self.forecast
        if self.forecast and math.isfinite(self.forecast.ratio):
            self._history.drop_after(step - 1)
            self._history.append((step, self.forecast.ratio))

    def history(self) -> GaugeHistory:
        """The GaugeHistory, thinned; spikes stay."""
        rows = self._history.rows
        rows = rows[downsample_keep_peaks(rows, [1], SHOWN)].astype(np.float32)
        return GaugeHistory(rows[:, 0], rows[:, 1])


def forecast_or_none(trainer: Trainer, failures: list[str], budget: int, between: Callable[[], None] | None = None) -> Forecast | None:
    """The Forecast of a Trainer; None where there is no memory for it, or where it fails: then `failures`, a list, gets a sentence."""
    try:
        return attempt("The forecast", failures, None, forecast, trainer, budget, between)
    except MemoryError:
        return None
