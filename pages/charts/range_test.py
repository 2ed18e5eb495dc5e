"""The range test: loss over learning rate, with what theory and the test say of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pages.charts.style import THEMES, figure, held, log_axis, number, packed

if TYPE_CHECKING:
    from core.experiments.range_test import RangeTest
    from pages.charts.style import Figure

HEIGHT = 260
SHOWN = 100.0  # losses up to so many times the first are shown: above, the axis would hold nothing else


def range_chart(found: RangeTest, theme: str) -> Figure:
    """The figure of a RangeTest."""
    colors = THEMES[theme]
    losses = np.where(found.losses <= SHOWN * max(found.losses[0], 0), found.losses, np.nan)
    x_axis, _ = log_axis(colors, "learning rate", found.rates)
    y_axis, floor = log_axis(colors, "training loss", losses)
    low, high = (10.0**end for end in y_axis["range"])
    traces = [_line("loss", found.rates, held(losses, floor), {"color": colors.ink, "width": 1.6})]
    marks = [
        ("steepest descent", found.suggested, {"color": colors.layers[2], "width": 1.6}),
        ("stability limit", found.stability_limit, {"color": colors.muted, "width": 1.6, "dash": "dash"}),
        ("blow-up", found.diverged_at, {"color": colors.trouble, "width": 1.6, "dash": "dot"}),
    ]
    told = [(name, rate, look) for name, rate, look in marks if rate is not None and math.isfinite(rate)]
    traces += [_line(f"{name} {number(rate)}", np.array([rate, rate]), np.array([low, high]), look) for name, rate, look in told]
    said = ", ".join(f"{name} at {number(rate)}" for name, rate, _ in told) or "nothing to mark"
    return figure(
        colors, "Range test", traces, f"Training loss over the learning rate, which was swept up: {said}.", height=HEIGHT, legend="",
        axes={"xaxis": x_axis, "yaxis": y_axis},
    )  # fmt: skip


def _line(name, x, y, look):
    return {"type": "scatter", "mode": "lines", "name": name, "x": packed(x, "f8"), "y": packed(y, "f8"), "line": look}
