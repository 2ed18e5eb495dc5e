"""The picked unit, closely: its map, its incoming weights and the histogram of its activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pages.charts.histograms import steps_outline
from pages.charts.style import axis, colorscale, figure, layer_color, note, number, packed, plain, round_up, signed_color
from pages.wording import feature

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 250
BARS = 12  # incoming weights shown as bars, the largest


def unit_figures(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> dict[str, Figure]:
    """unit_map (planar data only), unit_weights and unit_activations of `snapshot.unit`."""
    unit = snapshot.unit
    name = f"unit {unit.index + 1} of layer {unit.layer}"
    shown = {"unit_map": _map(snapshot, name, theme)} if unit.map is not None else {}
    return shown | {"unit_weights": _weights(unit, name, theme), "unit_activations": _activations(snapshot, name, theme)}


def _map(snapshot, name, theme):
    values = snapshot.unit.map
    low, high = snapshot.output.extent
    finite = values[np.isfinite(values)]
    largest = round_up(float(np.max(np.abs(finite), initial=0.0)) or 1.0)
    step = (high - low) / (values.shape[0] - 1)
    bar = {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, "nticks": 5, "xpad": 4}
    heat = {
        "type": "heatmap",
        "z": packed(values),
        "zmin": -largest,
        "zmax": largest,
        "zsmooth": "fast",
        "colorscale": colorscale(theme.signed),
        "colorbar": bar,
        **{"x0": low, "dx": step, "y0": low, "dy": step},
        "hovertemplate": "x₁ %{x:.2f}, x₂ %{y:.2f}<br>activation %{z:.3f}<extra></extra>",
    }
    bounds = {"range": [low, high], "showgrid": False, "nticks": 5, "constrain": "domain"}
    return figure(
        theme,
        f"{name.capitalize()}: map",
        [heat],
        f"Activation of {name} over the plane, at most {largest:.3g} in size.",
        height=HEIGHT,
        margin={"l": 44, "r": 12, "t": 10, "b": 40},
        axes={"xaxis": axis(theme, "x₁", **bounds), "yaxis": axis(theme, "x₂", scaleanchor="x", **bounds)},
    )


def _weights(unit, name, theme):
    """Bars, the largest weight on top and the bias below the rest."""
    largest_first = np.argsort(-np.abs(unit.weights), kind="stable")[:BARS]
    rows = [*((plain(feature(unit.source_names[source]), 14), unit.weights[source]) for source in largest_first), ("bias", unit.bias)]
    labels, values = [label for label, _ in rows], np.array([value for _, value in rows], float)
    largest = float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values))) or 1.0
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(rows))),
        "x": packed(values),
        "text": labels,
        "textposition": "none",
        "marker": {"color": [signed_color(theme, float(np.sign(value)) * 0.8 if np.isfinite(value) else 0.0) for value in values]},
        "hovertemplate": "%{text}  %{x:.4f}<extra></extra>",
    }
    zero = {"zeroline": True, "zerolinecolor": theme.faint}
    hidden = len(unit.weights) - BARS
    title = f"{name.capitalize()}: {f'{BARS} largest ' if hidden > 0 else ''}weights"
    side = axis(theme, "", tickvals=bars["y"], ticktext=labels, range=[len(rows) - 0.4, -0.6], showgrid=False, fixedrange=True)
    return figure(
        theme,
        title,
        [bars],
        f"Weights into {name}: the largest is {number(values[0])}, from {labels[0]}; the bias is {number(unit.bias)}.",
        height=HEIGHT,
        margin={"l": 84, "r": 12, "t": 10, "b": 40},
        axes={"xaxis": axis(theme, "weight", range=[-1.08 * largest, 1.08 * largest], nticks=5, **zero), "yaxis": side},
        bargap=0.25,
    )


def _activations(snapshot, name, theme):
    unit = snapshot.unit
    x, heights = steps_outline(unit.low, unit.high, unit.counts)
    most = float(np.max(unit.counts, initial=0)) or 1.0
    color = layer_color(theme, unit.layer, len(snapshot.layers))
    outline = {
        "type": "scatter",
        "mode": "lines",
        "x": packed(x),
        "y": packed(heights * most),
        "fill": "toself",
        "hoveron": "points",
        "fillcolor": f"{color}55",
        "line": {"color": color, "width": 1.2, "simplify": False},
        "hovertemplate": "%{x:.3~g}: %{y:,d} samples<extra></extra>",
    }
    samples = int(np.sum(unit.counts))
    return figure(
        theme,
        f"{name.capitalize()}: activations",
        [outline],
        f"Histogram of the activations of {name} over {samples:,} samples, from {unit.low:.3g} to {unit.high:.3g}.",
        height=HEIGHT,
        axes={
            "xaxis": axis(theme, "activation", range=[unit.low, max(unit.high, unit.low + 1e-9)], nticks=5),
            "yaxis": axis(theme, "samples", range=[0, round_up(most)], nticks=5),
        },
        annotations=[] if samples else [note(theme, "No activation to show.")],
    )
