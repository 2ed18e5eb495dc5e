"""Histograms of weights, gradients and activations: every layer now, and one layer over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pages.charts.style import axis, colorscale, figure, layer_color, layer_name, note, packed, round_up

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 486
VALUE_AXIS = {"weights": "weight", "gradients": "log₁₀ of gradient size", "activations": "activation"}
TIMES = 96  # columns of the picture over time


def histograms(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """Left the layers one above the other as they are now, right one layer's history, dark where most values lie."""
    kind = options.histogram
    layers = snapshot.histograms[kind]
    chosen = min(max(options.histogram_layer, 1), len(layers))
    low = min(one.low for one in layers)
    high = max([one.high for one in layers if one.high > low], default=low + 1)
    title = VALUE_AXIS[kind]
    names = [layer_name(layer, len(layers)) for layer in range(len(layers), 0, -1)]
    shown = any(np.sum(one.counts) for one in layers)
    history = layers[chosen - 1]
    axes = {
        "xaxis": axis(theme, f"{title}, now", domain=[0, 0.44], range=[low, high], nticks=5),
        "yaxis": axis(theme, "layer", range=[-0.05, len(layers) + 0.05], tickvals=list(range(len(layers))), ticktext=names),
        "xaxis2": axis(theme, "step", domain=[0.58, 1], anchor="y2", nticks=5, tickformat="~s", range=[0, _last(history)]),
        "yaxis2": axis(
            theme, f"{title}, layer {chosen}", anchor="x2", range=[history.low, max(history.high, history.low + 1e-9)], nticks=6
        ),
    }
    return figure(
        theme,
        kind.capitalize(),
        [
            *(_ridge(one, layer, len(layers), theme) for layer, one in enumerate(layers, 1)),
            *_over_time(history, chosen, len(layers), theme),
        ],
        f"Histograms of {kind} in {len(layers)} layers after {snapshot.step:,} steps, from {low:.3g} to {high:.3g}, "
        f"and over time for layer {chosen}.",
        height=HEIGHT,
        axes=axes,
        annotations=[] if shown else [note(theme, f"Press Play to see {kind}.")],
        margin={"l": 60, "r": 12, "t": 10, "b": 40},
    )


def steps_outline(low: float, high: float, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and height (2 * bins + 2,) of a histogram's outline, from the base line and back to it; heights are shares of the
    fullest bin."""
    edges = np.repeat(np.linspace(low, high, len(counts) + 1), 2)
    heights = np.concatenate([[0.0], np.repeat(counts / max(np.max(counts, initial=0), 1), 2), [0.0]])
    return edges, heights


def _ridge(histogram, layer, layers, theme):
    x, heights = steps_outline(histogram.low, histogram.high, histogram.counts)
    color = layer_color(theme, layer, layers)
    counts = np.concatenate([[0], np.repeat(histogram.counts, 2), [0]])
    return {
        "type": "scatter",
        "mode": "lines",
        "x": packed(x),
        "y": packed(layers - layer + 0.88 * heights),
        "fill": "toself",
        "fillcolor": f"{color}55",
        "line": {"color": color, "width": 1.2, "simplify": False},
        "hoveron": "points",
        "customdata": packed(counts, "f4"),
        "hovertemplate": f"layer {layer}<br>%{{x:.3~g}}: %{{customdata:,d}}<extra></extra>",
        "showlegend": False,
    }


def _over_time(histogram, layer, layers, theme):
    """The history on evenly spaced steps (each column the last one recorded by then): even cells are cheap to draw."""
    if not len(histogram.steps):
        return []
    x = np.linspace(0, _last(histogram), TIMES + 1)[1:]
    recorded = np.searchsorted(histogram.steps, x, side="right") - 1
    known = (recorded >= 0) & (x <= histogram.steps[-1] + x[0])
    shares = np.where(known, histogram.over_time[:, np.maximum(recorded, 0)], 0)
    bins = len(histogram.counts)
    height = (histogram.high - histogram.low) / bins
    color = layer_color(theme, layer, layers)
    return [
        {
            "type": "heatmap",
            "xaxis": "x2",
            "yaxis": "y2",
            "x0": x[0] / 2,
            "dx": x[0],
            "y0": histogram.low + height / 2,
            "dy": height,
            "z": packed(shares, "u1"),
            "zmin": 0,
            "zmax": 255,
            "colorscale": colorscale((theme.signed[2], color)),
            "showscale": False,
            "hovertemplate": "step %{x:,.0f}<br>%{y:.3~g}<extra></extra>",
        }
    ]


def _last(histogram):
    return round_up(max(float(histogram.steps[-1]) if len(histogram.steps) else 0.0, 100.0))
