"""Panels of a watched program: loss, gradients and updates of its tensors, the map of tensors over time, and its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.failures import attempt
from core.training.telemetry import downsample_keep_peaks
from core.watch.modules import modules
from pages.charts.curves import CHART_POINTS, HEALTHY_RATIO, HEIGHT, line
from pages.charts.style import THEMES, axis, colorscale, figure, held, layer_color, log_axis, note, number, packed, plain, step_axis

if TYPE_CHECKING:
    from core.watch.history import WatchedRun
    from core.watch.report import Examined
    from pages.charts.style import Figure

LINES = 8  # tensors that have a line of their own
ROWS = 40  # rows of the map; more are put together by module
NAME = 26  # characters of a tensor's name


def watch_panels(run: WatchedRun, examined: Examined, theme: str, moment: int | None = None) -> dict[str, Figure]:
    """Name -> figure of a WatchedRun and what was found of it (an Examined); `moment` is the whole step that is looked at, or None."""
    colors = THEMES[theme]
    shown = dict(PANELS)
    if not run.names:
        shown = {"loss": _loss}
    elif not run.layers:
        del shown["units"]
    if not (examined.twin and len(examined.twin.steps) > 1):
        shown.pop("twin", None)
    made = {name: attempt(f"The chart {name}", [], None, draw, run, examined, colors, moment) for name, draw in shown.items()}
    return {name: chart for name, chart in made.items() if chart}


def _chart(run, theme, title, traces, alt, y_axis, moment, empty="", **layout):
    low, high = y_axis["range"]
    ends = (10.0**low, 10.0**high) if y_axis.get("type") == "log" else (low, high)
    if moment is not None:
        look = {"color": theme.ink, "width": 1.5}
        mark = {"type": "scatter", "mode": "lines", "name": "shown", "x": [moment] * 2, "y": list(ends), "line": look, "showlegend": False}
        traces = [*traces, mark]
    return figure(
        theme, title, traces, alt, height=HEIGHT, legend="", axes={"xaxis": step_axis(theme, run.steps), "yaxis": y_axis},
        hovermode="x unified", annotations=[] if traces else [note(theme, empty)], **layout,
    )  # fmt: skip


def _loss(run, examined, theme, moment):
    step, loss, _, test = run.scalars.T
    kept = downsample_keep_peaks(run.scalars, (1,), CHART_POINTS)
    positive = (loss[np.isfinite(loss)] > 0).all()
    values = np.concatenate([loss, test])
    if positive:
        y_axis, floor = log_axis(theme, "loss", values)
    else:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        y_axis, floor = axis(theme, "loss", range=[low, high + (high - low or 1) * 0.05]), -np.inf
    told = ~np.isnan(test)
    drawn = [
        ("loss", step[kept], loss[kept], {"color": theme.ink, "width": 1.5}),
        ("test", step[told], test[told], {"color": theme.ink, "width": 1.6, "dash": "dash"}),
    ]
    traces = [line(name, x, held(y, floor), look) for name, x, y, look in drawn if np.isfinite(y).any()]
    last = number(float(loss[-1])) if len(loss) else "nothing yet"
    return _chart(run, theme, "Loss", traces, f"Loss after {run.steps:,} steps: {last}.", y_axis, moment, "Waiting for the loss.")


def _twin(run, examined, theme, moment):
    twin = examined.twin
    first, last = twin.steps[0], twin.steps[-1]
    y_axis, floor = log_axis(theme, "loss", np.array([*twin.yours, *twin.twins]))
    pairs = (
        ("yours", twin.yours, {"color": theme.ink, "width": 2}),
        ("right copy", twin.twins, {"color": theme.signed[4], "width": 2, "dash": "dash"}),
    )
    traces = [line(name, np.array(twin.steps), held(np.array(values), floor), look) for name, values, look in pairs]
    alt = (
        f"Your loss and that of a right copy over the same {len(twin.steps)} steps: {number(twin.yours[-1])} and {number(twin.twins[-1])}."
    )
    x_axis = axis(theme, "step", range=[first, last], tickformat=",d", dtick=max(1, (last - first) // 5))
    return figure(theme, "Your program and its twin", traces, alt, height=HEIGHT, legend="", axes={"xaxis": x_axis, "yaxis": y_axis},
                  hovermode="x unified", help="A right copy, trained from the same weights on the same batches.")  # fmt: skip


def _chosen(run, examined):
    """Indices of the tensors with a line: those of findings first, then matrices, in their order."""
    found = [run.names.index(finding.tensor) for finding in examined.findings if finding.tensor in run.names]
    matrices = [at for at, shape in enumerate(run.shapes) if len(shape) > 1]
    if len(matrices) > LINES:
        matrices = [matrices[round(at)] for at in np.linspace(0, len(matrices) - 1, LINES)]
    return sorted(dict.fromkeys([*found, *matrices, *range(len(run.names))][:LINES]))


def _tensor_lines(run, examined, theme, values):
    chosen = _chosen(run, examined)
    steps = np.array(run.norm_steps)
    traces = []
    for place, tensor in enumerate(chosen, 1):
        there = np.isfinite(values[:, tensor])
        x, y = steps[there], values[there, tensor]
        kept = downsample_keep_peaks(np.column_stack([x, y]), (1,), CHART_POINTS // LINES)
        look = {"color": layer_color(theme, place, len(chosen)), "width": 1.3}
        if len(kept):
            traces.append(line(plain(run.names[tensor], NAME), x[kept], y[kept], look))
    return traces


def _gradients(run, examined, theme, moment):
    values = run.norms[:, 1]
    y_axis, floor = log_axis(theme, "gradient norm", values)
    traces = _tensor_lines(run, examined, theme, held(values, floor))
    alt = f"Gradient norm of {len(traces)} of {len(run.names)} tensors after {run.steps:,} steps."
    return _chart(run, theme, "Gradient norm", traces, alt, y_axis, moment, "No gradients were told.")


def _ratio(run, examined, theme, moment):
    with np.errstate(all="ignore"):
        values = run.norms[:, 2] / run.norms[:, 0]
    low, high = (10.0**end for end in HEALTHY_RATIO)
    y_axis, floor = log_axis(theme, "update : weight", values, include=(low, high))
    band = {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "layer": "below",
        "fillcolor": theme.band,
        "line": {"width": 0},
    }
    traces = _tensor_lines(run, examined, theme, held(values, floor))
    alt = f"Update norm over weight norm of {len(traces)} tensors after {run.steps:,} steps; {low:g} to {high:g} is healthy."
    return _chart(run, theme, "Update : weight ratio", traces, alt, y_axis, moment, "Waiting for two steps in a row.", shapes=[band])


def _map(run, examined, theme, moment):
    """Gradient norm of every tensor, or module, over time."""
    with np.errstate(all="ignore"):
        values = np.log10(np.where(run.norms[:, 1] > 0, run.norms[:, 1], np.nan))
    names = [plain(name, NAME) for name in run.names]
    if len(names) > ROWS:
        values, names = _grouped(values, run, examined)
    kept = np.unique(np.linspace(0, len(values) - 1, 90).astype(int)) if len(values) else []
    steps = [f"{run.norm_steps[at]:,}" for at in kept]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 1.0)
    trace = {
        "type": "heatmap", "z": packed(values[kept].T if len(kept) else np.zeros((len(names), 0))), "x": steps, "y": names,
        "colorscale": colorscale(theme.layers), "zmin": low, "zmax": high,
        "colorbar": {"title": {"text": "log10"}, "thickness": 10}, "hovertemplate": "%{y}, step %{x}: 10^%{z:.2f}<extra></extra>",
    }  # fmt: skip
    axes = {"xaxis": axis(theme, "step", type="category", nticks=6), "yaxis": axis(theme, "", autorange="reversed", automargin=True)}
    alt = f"Gradient norm of {len(names)} tensors or modules over the steps, as a map."
    return figure(theme, "Gradients over time", [trace], alt, height=max(HEIGHT, 14 * len(names) + 60), axes=axes)


def _grouped(values, run, examined):
    """(rows, modules): the largest in each module, the worst module first; and the modules' names."""
    groups = modules(run, examined.findings, ROWS)
    with np.errstate(all="ignore"):
        largest = [np.where(np.isfinite(part), part, -np.inf).max(axis=1) for part in (values[:, group] for group in groups.values())]
    columns = np.column_stack(largest)
    return np.where(np.isfinite(columns), columns, np.nan), [plain(module, NAME) for module in groups]


def _histograms(run, examined, theme, moment):
    """The parameters' values, of the newest histogram or of the whole step that is looked at."""
    chosen = _chosen(run, examined)[:6]
    traces, step = [], run.histograms.get("step", 0)
    for place, tensor in enumerate(chosen, 1):
        if moment is not None and moment in run.whole:
            step, values = moment, np.asarray(run.whole[moment].params[tensor], float).ravel()
            values = values[np.isfinite(values)]
            counts, edges = np.histogram(values, 24) if values.size else (np.zeros(1), np.zeros(2))
        elif run.histograms:
            counts = run.histograms["parameter_counts"][tensor]
            edges = np.linspace(*run.histograms["parameter_range"][tensor], len(counts) + 1)  # pyright: ignore[reportCallIssue]
        else:
            break
        look = {"color": layer_color(theme, place, len(chosen)), "width": 1.3, "shape": "hvh"}
        centres = (edges[1:] + edges[:-1]) / 2
        traces.append(line(plain(run.names[tensor], NAME), np.zeros(0), counts / max(counts.sum(), 1), look) | {"x": packed(centres)})
    axes = {"xaxis": axis(theme, "value"), "yaxis": axis(theme, "share of entries", rangemode="tozero")}
    empty = [] if traces else [note(theme, "Waiting for the first histogram.")]
    alt = f"How the values of {len(traces)} tensors are spread at step {step:,}."
    return figure(theme, "Parameters", traces, alt, height=HEIGHT, legend="", axes=axes, annotations=empty)


def _units(run, examined, theme, moment):
    units, steps = run.units, np.array(run.norm_steps)
    y_axis = axis(theme, "share", range=[-2, 102], ticksuffix=" %")
    traces = []
    for place, name in enumerate(run.layers[:LINES]):
        for kind, dash in ((0, "solid"), (1, "dot")):
            look = {"color": layer_color(theme, place + 1, len(run.layers)), "width": 1.3, "dash": dash}
            trace = line(plain(name, NAME), steps, 100 * units[:, place, kind], look, f"{plain(name, NAME)} {('dead', 'saturated')[kind]}")
            traces.append(trace | {"showlegend": kind == 0})
    alt = f"Share of dead units and saturated outputs of {len(run.layers)} layers after {run.steps:,} steps."
    return _chart(run, theme, "Dead and saturated units", traces, alt, y_axis, moment, keys=[("dead", "solid"), ("saturated", "dot")])


PANELS = {
    "loss": _loss, "twin": _twin, "gradients": _gradients, "ratio": _ratio, "map": _map, "histograms": _histograms, "units": _units,
}  # fmt: skip
