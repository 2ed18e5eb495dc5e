"""The doctor's comparison in pictures: how far off each gradient is, and yours against the right ones, number by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.comparison import WRONG, layer_of
from pages.charts.style import THEMES, axis, figure, layer_color, packed

if TYPE_CHECKING:
    from core.doctor.answers import Answer
    from pages.charts.style import Figure, Theme

HEIGHT = 300
KINDS = ("dW", "db")
LOW, HIGH = -12, 0  # decades of the relative error that the colours tell apart
POINTS = 300  # of each tensor, evenly picked
SYMBOLS = {"dW": "circle-open", "db": "diamond-open"}


def doctor_panels(answer: Answer, theme: str) -> dict[str, Figure]:
    """Name -> figure of the comparison in an Answer: half_errors and half_scatter. `theme` is light or dark."""
    return {"half_errors": errors(answer, THEMES[theme]), "half_scatter": scatter(answer, THEMES[theme])}


def errors(answer: Answer, theme: Theme) -> Figure:
    """Heat map of the relative error, gradients by layers; each cell also says it, with a mark."""
    layers = max(layer_of(row.tensor) or 0 for row in answer.table)
    found = {row.tensor: row.relative_error for row in answer.table}
    values = np.array([[found.get(f"{kind}{layer}", 0.0) for layer in range(1, layers + 1)] for kind in KINDS])
    with np.errstate(divide="ignore"):
        decades = np.clip(np.log10(values), LOW, HIGH)
    heat = {
        "type": "heatmap",
        "z": packed(np.where(np.isfinite(values), decades, HIGH)),
        "x": [f"layer {layer}" for layer in range(1, layers + 1)],
        "y": list(KINDS),
        "zmin": LOW,
        "zmax": HIGH,
        "xgap": 3,
        "ygap": 3,
        "colorscale": [[0, theme.grid], [1 + np.log10(WRONG) / (HIGH - LOW), theme.grid], [1, theme.trouble]],
        "showscale": False,
        "text": [[_cell(value) for value in row] for row in values],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} of %{x}: relative error %{text}<extra></extra>",
    }
    wrong = [row.tensor for row in answer.table if not row.relative_error <= WRONG]
    told = f"too large in {', '.join(wrong)}" if wrong else "small everywhere"
    sides = {
        "xaxis": axis(theme, "layer, from the inputs", showgrid=False, fixedrange=True, tickvals=[]) | {"showticklabels": True},
        "yaxis": axis(theme, "", showgrid=False, fixedrange=True, autorange="reversed"),
    }
    sides["xaxis"] |= {"tickvals": heat["x"], "ticktext": [str(layer) for layer in range(1, layers + 1)]}
    return figure(theme, "Relative error", [heat], f"Relative error of each gradient by layer: {told}.", height=HEIGHT, axes=sides)


def _cell(value):
    return f"{'✓' if value <= WRONG else '✕'} {value:.2g}"


def scatter(answer: Answer, theme: Theme) -> Figure:
    """Each number of yours against the right one, both as shares of the largest right one of their tensor."""
    layers = max(layer_of(name) or 0 for name in answer.right)
    traces, largest = [], 1.0
    for name, right in answer.right.items():
        x, y = _shares(right, answer.yours[name])
        color = layer_color(theme, layer_of(name) or 0, layers)
        largest = max(largest, float(np.abs(y).max()))
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": packed(x),
                "y": packed(y),
                "marker": {"color": color, "size": 8, "symbol": SYMBOLS[name[:2]], "line": {"width": 1.6}},
                "line": {"color": color},  # of the legend's mark
                "hovertemplate": f"{name}: right %{{x:.3g}}, yours %{{y:.3g}}<extra></extra>",
            }
        )
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    equal = {"type": "scatter", "mode": "lines", "name": "equal", "x": [-1, 1], "y": [-1, 1], "line": line, "hoverinfo": "skip"}
    bounds = 1.08 * largest
    return figure(
        theme,
        "Yours against right",
        [equal, *traces],
        "Each of your numbers against the right one: right gradients lie on the dotted line.",
        height=HEIGHT,
        legend="",
        axes={
            "xaxis": axis(theme, "right, as a share of the tensor's largest", range=[-1.08, 1.08]),
            "yaxis": axis(theme, "yours, on the same scale", range=[-bounds, bounds]),
        },
    )


def _shares(right, yours):
    """(right, yours) flattened, thinned, and over the largest right number; where all are zero, over the largest of yours."""
    right, yours = np.ravel(right), np.ravel(yours)
    scale = np.abs(right).max() or np.abs(yours).max() or 1.0
    kept = np.unique(np.linspace(0, right.size - 1, min(right.size, POINTS)).astype(int))
    return right[kept] / scale, yours[kept] / scale
