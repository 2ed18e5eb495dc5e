"""The loss surface: losses around the parameters as they stand, the way that the run came, and where it is lowest."""

from __future__ import annotations

import math
import sys

import numpy as np

from pages.charts.style import THEMES, axis, colorscale, figure, log_axis, number, packed, round_up

HEIGHT = 420
DECADE = 10.0  # losses that span more are coloured by their logarithm
LINES = 14  # contour lines, about
SMALLEST = 1e-12  # share of the largest loss below which losses have one colour
NARROWEST = 1e-6  # span of the colours at least, as a share of the largest loss


def surface_chart(found, theme):
    """The figure of a Surface."""
    theme = THEMES[theme]
    marks: list[tuple[str, float, float, float, str, str]] = [("lowest in the slice", *found.lowest, "star", "")]
    traces = [_contours(found, theme), *_path(found, theme)]
    if found.onward and found.onward[3]:
        x, y, loss, times = found.onward
        line = {"color": theme.ink, "width": 1.4, "dash": "dot"}
        traces.append(
            {"type": "scatter", "mode": "lines", "x": [0, x], "y": [0, y], "line": line, "hoverinfo": "skip", "showlegend": False}
        )
        marks.append(("lowest along the update", x, y, loss, "diamond", f", {times:.2g} times its length"))
    marks.append(("now", 0.0, 0.0, found.loss, "circle", f", step {found.step:,}"))
    traces += [_mark(name, x, y, theme, symbol, f"{name}{more}<br>loss {number(loss)}") for name, x, y, loss, symbol, more in marks]
    axes = {
        name: axis(theme, f"{title} (distance of the parameters)", range=[float(ends[0]), float(ends[-1])], nticks=7, tickformat="~g")
        for name, title, ends in (("xaxis", found.names[0], found.xs), ("yaxis", found.names[1], found.ys))
    }
    said = ", ".join(f"{name} {number(loss)}" for name, _, _, loss, *_ in reversed(marks))
    alt = f"Training loss around the parameters at step {found.step:,}, over the {found.names[0]} and the {found.names[1]}: {said}."
    margin = {"l": 62, "r": 12, "t": 10, "b": 44}
    return figure(theme, "Loss surface", traces, alt, height=HEIGHT, legend="", axes=axes, margin=margin)


def _contours(found, theme):
    high, low = float(np.nanmax(found.losses)), float(np.nanmin(found.losses))
    low = max(low, SMALLEST * high)
    if low > 0 and high > DECADE * low:
        shown, ends = np.log10(np.maximum(found.losses, low)), np.log10([low, high])
        scale, _ = log_axis(theme, "", [low, high])
        ticks = {"tickvals": np.log10(scale["tickvals"]).tolist(), "ticktext": scale["ticktext"]}
    else:
        shown, ends, ticks = found.losses, np.array([low, high]), {"nticks": 7, "tickformat": "~g"}
    span = max(float(ends[1] - ends[0]), NARROWEST * abs(high), sys.float_info.min)
    size = round_up(span / LINES)
    return {
        "type": "contour", "x": packed(found.xs, "f8"), "y": packed(found.ys, "f8"), "z": packed(shown, "f8"),
        "customdata": packed(found.losses, "f8"), "hovertemplate": "loss %{customdata:.4~g}<extra></extra>",
        "zmin": float(ends[0]), "zmax": float(ends[0]) + span, "zauto": False, "colorscale": colorscale(theme.signed[2:]),
        "contours": {"start": math.ceil(ends[0] / size) * size, "end": float(ends[1]), "size": size, "coloring": "heatmap"},
        "autocontour": False, "line": {"width": 0.5, "color": theme.faint}, "showlegend": False,
        "colorbar": {
            "title": {"text": "training loss", "side": "right", "font": {"size": 12}},
            "thickness": 10, "outlinewidth": 0, "ticks": "", "tickfont": {"size": 11}, **ticks,
        },
    }  # fmt: skip


def _path(found, theme):
    """The way that the run came, ink on a broad line of the background, so that it is seen on every colour."""
    if len(found.path) < 2:
        return []
    place = {"type": "scatter", "x": packed(found.path[:, 0], "f8"), "y": packed(found.path[:, 1], "f8")}
    told = {"customdata": found.path_steps.tolist(), "hovertemplate": "step %{customdata:,d}<extra></extra>"}
    under = {"mode": "lines", "line": {"color": theme.surface, "width": 4}, "hoverinfo": "skip", "showlegend": False}
    over = {
        "mode": "lines+markers",
        "name": "the run's way",
        "line": {"color": theme.ink, "width": 1.6},
        "marker": {"size": 3, "color": theme.ink},
    }
    return [place | under, place | over | told]


def _mark(name, x, y, theme, symbol, text):
    """A mark in ink with the background's border, so that it is seen on every colour."""
    look = {"symbol": symbol, "size": 15 if symbol == "star" else 11, "color": theme.ink, "line": {"color": theme.surface, "width": 1.4}}
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [x], "y": [y], "marker": look, "cliponaxis": False,
        "hovertemplate": f"{text}<extra></extra>",
    }  # fmt: skip
