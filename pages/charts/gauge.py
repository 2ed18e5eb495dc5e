"""The gauge over time: learning rate over stability limit, against 1, the edge of stability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.glossary import explained
from pages.charts.curves import last_step, line, moment_line
from pages.charts.style import figure, held, log_axis, note, number, packed, step_axis

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 250

# Where gradient descent first failed, in units of the limit: 1,248 full-batch runs of the activation in all hidden layers,
# with the curvature taken at the start
FIRST_FAILURES = {"tanh": (1, 1.5), "sigmoid": (3, 4), "relu": (7, 9)}
HELP = (
    f"{explained('stability_limit')} The band is where plain gradient descent was first seen to fail with this activation, in 1,248 "
    "measured runs."
)


def gauge(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """History of the forecast's ratio on a log axis, with the band of this activation."""
    history = snapshot.forecast_history
    step, ratio = (history.step, history.ratio) if history is not None else (np.zeros(0), np.zeros(0))
    band = FIRST_FAILURES.get(_activation(snapshot.config) or "")
    y_axis, floor = log_axis(theme, "learning rate / limit", ratio, include=(0.1, 1, *(band or ())))
    low, high = (10.0**end for end in y_axis["range"])
    first = [_reading(step[0], ratio[0], theme)] if len(step) == 1 else []  # of which no line can be drawn yet
    return figure(
        theme,
        "Learning rate / stability limit",
        [line("history", step, held(ratio, floor), {"color": theme.ink, "width": 1.6}), *first, *moment_line(snapshot, low, high, theme)],
        _alt(snapshot, ratio),
        height=HEIGHT,
        axes={"xaxis": step_axis(theme, last_step(snapshot)), "yaxis": y_axis},
        shapes=[*([_band(band, _activation(snapshot.config), theme)] if band else []), _edge(theme)],
        annotations=[] if len(step) else [note(theme, "The first forecast is being made.")],
        help=HELP,
    )


def _activation(config):
    """The activation that all hidden layers share, of plain gradient descent; None otherwise."""
    if config.get("optimizer", {}).get("name") != "sgd":
        return None
    hidden = {layer["activation"] for layer in config["layers"][:-1]}
    return hidden.pop() if len(hidden) == 1 else None


def _reading(step, ratio, theme):
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "first",
        "x": packed([step], "i4"),
        "y": packed([ratio]),
        "marker": {"size": 7, "color": theme.ink},
        "hovertemplate": "step %{x:,d}<br>%{y:.3~g} of the limit<extra></extra>",
    }


def _band(band, activation, theme):
    label = {"text": f"{activation} first fails here", "font": {"size": 11, "color": theme.muted}, "textposition": "middle right"}
    place = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": band[0], "y1": band[1], "layer": "below"}
    return place | {"fillcolor": theme.grid, "line": {"width": 0}, "label": label | {"padding": 4}}


def _edge(theme):
    label = {
        "text": "edge of stability",
        "font": {"size": 11, "color": theme.muted},
        "textposition": "end",
        "yanchor": "top",
        "padding": 4,
    }
    place = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "layer": "below"}
    return place | {"line": {"width": 1.4, "dash": "dash", "color": theme.muted}, "label": label}


def _alt(snapshot, ratio):
    told = snapshot.forecast
    if told is None:
        return "Learning rate over stability limit: no forecast yet."
    return (
        f"Learning rate over stability limit at {len(ratio)} moments on a logarithmic axis, now {number(told.ratio)}: {told.verdict}; "
        "1 is the edge of stability."
    )
