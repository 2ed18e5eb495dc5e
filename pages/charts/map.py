"""The map of divergence: a colour for what became of each run, and the stability limit as a line; and the losses of one of them."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from core.experiments.map import OUTCOMES
from pages.charts.style import THEMES, axis, figure, held, log_axis, note, number, packed, plain

if TYPE_CHECKING:
    from core.experiments.map import Map
    from pages.charts.style import Figure

HEIGHT, CURVE_HEIGHT = 560, 300
# Told apart with any colour vision, also by lightness: blue for what learns, orange to red for what breaks (Okabe & Ito 2008)
COLORS = {
    "learns": "#0072b2", "slow": "#56b4e9", "plateau": "#999999", "oscillates": "#f0e442", "diverged": "#e69f00", "nonfinite": "#8b1a1a",
}  # fmt: skip
WORDS = {name: name for name in OUTCOMES} | {"nonfinite": "not a number"}
MOST_TOLD = 4096  # cells up to which each is told of while the map is being made: the text is most of what is sent
MARGIN = {"l": 64, "r": 12, "t": 10, "b": 44}


def map_chart(found: Map, theme: str) -> Figure:
    """The figure of a Map as far as it is made."""
    look, plan = THEMES[theme], found.plan
    xs, ys = np.array(plan.x.values, float), np.array(plan.y.values, float)
    known = found.outcomes >= 0
    colors = [[step / len(COLORS), color] for at, color in enumerate(COLORS.values()) for step in (at, at + 1)]
    cells = {
        "type": "heatmap", "x": packed(_edges(xs, plan.x.log), "f8"), "y": packed(_edges(ys, plan.y.log), "f8"),
        "z": [[at if at >= 0 else None for at in row] for row in found.outcomes.tolist()],
        "zmin": -0.5, "zmax": len(COLORS) - 0.5, "colorscale": colors,
        "showscale": False, "hoverongaps": False, "hoverinfo": "skip",
    }  # fmt: skip
    if known.all() or known.size <= MOST_TOLD:
        cells |= {"text": _told(found, xs, ys), "hoverinfo": "text", "hovertemplate": "%{text}<extra></extra>"}
    keys = [
        {"type": "scatter", "mode": "lines", "name": WORDS[name], "x": [None], "y": [None], "hoverinfo": "skip",
         "line": {"color": color, "width": 6}}
        for name, color in COLORS.items()
    ]  # fmt: skip
    traces = [cells, *keys]
    if found.limit is not None and np.isfinite(found.limit).any():
        line = {"color": look.ink, "width": 2.2, "dash": "dash"}
        traces.append(
            {"type": "scatter", "mode": "lines", "name": "stability limit", "x": packed(xs, "f8"), "y": packed(found.limit, "f8"),
             "line": line, "hoverinfo": "skip"}
        )  # fmt: skip
    counts = [f"{int((found.outcomes == at).sum())} {WORDS[name]}" for at, name in enumerate(OUTCOMES) if (found.outcomes == at).any()]
    alt = f"What became of {known.sum()} of {known.size} runs over {_name(plan.x)} and {_name(plan.y)}: {', '.join(counts) or 'none yet'}."
    axes = {"xaxis": _axis(look, plan.x), "yaxis": _axis(look, plan.y)}
    return figure(look, "Map of divergence", traces, alt, height=HEIGHT, legend="", axes=axes, dragmode="zoom", margin=MARGIN, meta="cells")


def curve_chart(found: Map, cell: tuple[int, int] | None, losses: np.ndarray | None, theme: str) -> Figure:
    """The figure of the losses (1 + looks,) of the run in a cell, (row, column), of a Map; a note where none is pointed at, or made."""
    look, plan = THEMES[theme], found.plan
    title, alt, traces, notes = "Loss of a run", "No run of the map is pointed at.", [], [note(look, "Point at a cell of the map.")]
    if cell is not None:
        row, column = cell
        title = f"{plain(_name(plan.x))} {number(plan.x.values[column])}, {plain(_name(plan.y))} {number(plan.y.values[row])}"
        notes = [] if found.outcomes[row, column] >= 0 else [note(look, "This run is not made yet.")]
        alt = f"Training loss of the run with {title}: {_became(found, row, column) or 'not made yet'}."
    y_axis, floor = log_axis(look, "training loss", [] if losses is None else losses)
    if cell is not None and losses is not None and not notes:
        line, dots = {"color": look.ink, "width": 1.8}, {"color": look.ink, "size": 4}
        traces = [
            {"type": "scatter", "mode": "lines+markers", "x": [0, *plan.looks.tolist()], "y": packed(held(losses, floor)), "line": line,
             "marker": dots, "hovertemplate": "step %{x:,d}<br>loss %{y:.4~g}<extra></extra>"}
        ]  # fmt: skip
    axes = {"xaxis": axis(look, "step", range=[0, plan.steps], tickformat="~s", nticks=6), "yaxis": y_axis}
    return figure(look, title, traces, alt, height=CURVE_HEIGHT, axes=axes, annotations=notes)


def _name(axis):
    return axis.field.replace("_", " ").replace(".", " ")


def _axis(theme, plan):
    low, high = _edges(np.array(plan.values, float), plan.log)[[0, -1]]
    if plan.log:
        return axis(theme, _name(plan), type="log", range=np.log10([low, high]).tolist(), exponentformat="power", nticks=8)
    return axis(theme, _name(plan), range=[float(low), float(high)], nticks=8)


def _edges(values, log):
    """The borders (n + 1,) of the cells around these values."""
    places = np.log(values) if log else values
    inner = (places[1:] + places[:-1]) / 2
    edges = np.concatenate([[2 * places[0] - inner[0]], inner, [2 * places[-1] - inner[-1]]])
    return np.exp(edges) if log else edges


def _told(found, xs, ys):
    """What is told of each cell, in rows."""
    names = html.escape(_name(found.plan.y)), html.escape(_name(found.plan.x))
    return [[_cell(found, row, column, names, ys[row], xs[column]) for column in range(len(xs))] for row in range(len(ys))]


def _cell(found, row, column, names, y, x):
    if found.outcomes[row, column] < 0:
        return ""
    told, loss = _became(found, row, column), found.final[row, column]
    return f"{told}<br>{names[1]} {number(x)}, {names[0]} {number(y)}<br>loss at the end {number(loss)}"


def _became(found, row, column):
    """What became of a cell's run; empty where that is not known."""
    outcome, at = int(found.outcomes[row, column]), found.diverged_at[row, column]
    return "" if outcome < 0 else f"{WORDS[OUTCOMES[outcome]]}{f' at step {at:.0f}' if at == at else ''}"
