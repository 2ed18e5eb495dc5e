"""Curves over the steps: loss, and per layer gradient norm, update:weight ratio, dead and saturated units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.glossary import explained
from core.training.telemetry import downsample_keep_peaks
from pages.charts.style import axis, figure, held, layer_color, layer_name, log_axis, note, number, packed, plain, power_text, step_axis

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 250
LOW_HEIGHT = 196

CHART_POINTS = 1500  # points of all lines of a chart together

# log10 of update norm over parameter norm: what common practice calls healthy, and what to aim for
HEALTHY_RATIO = (-4, -1)
AIMED_RATIO = -3


def loss(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """Loss on a log axis: batch (faint), train (solid), test (dashed); events and the first value that was not finite."""
    curves, frames = snapshot.curves, snapshot.frames
    values = [curves.loss, frames.train_loss, frames.test_loss]
    y_axis, floor = log_axis(theme, "loss", np.concatenate([np.ravel(part) for part in values]))
    x_axis = step_axis(theme, last_step(snapshot))
    drawn = (
        ("batch", curves.step, curves.loss, {"color": theme.faint, "width": 1}),
        ("train", frames.step, frames.train_loss, {"color": theme.ink, "width": 2}),
        ("test", frames.step, frames.test_loss, {"color": theme.ink, "width": 1.6, "dash": "dash"}),
    )
    traces = [line(name, step, held(y, floor), look) for name, step, y, look in drawn if np.isfinite(y).any()]
    last = f"train {number(snapshot.train_loss)}" + (f", test {number(snapshot.test_loss)}" if snapshot.test_loss is not None else "")
    return figure(
        theme,
        "Loss",
        [*traces, *_marks(snapshot, *_ends(y_axis), theme), *moment_line(snapshot, *_ends(y_axis), theme)],
        f"Loss after {snapshot.step:,} steps on a logarithmic axis: {last}.",
        height=HEIGHT,
        legend="",
        axes={"xaxis": x_axis, "yaxis": y_axis},
        hovermode="x unified",
        annotations=[] if len(frames.step) > 1 or len(curves.step) else [note(theme, "Press Play to see the loss fall.")],
    )


def gradients(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """Norm of each layer's gradient on a log axis."""
    values = snapshot.curves.gradient_norm
    y_axis, floor = log_axis(theme, "gradient norm", values)
    empty = "Press Play to see each layer's gradient."
    return _layer_curves(snapshot, theme, "Gradient norm", held(values, floor), y_axis, empty, height=HEIGHT, help=explained("gradient"))


def ratio(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """Update norm over parameter norm of each layer, with the healthy band."""
    values = snapshot.curves.update_ratio
    low, high = (10.0**end for end in HEALTHY_RATIO)
    y_axis, floor = log_axis(theme, "update : weight", values, include=(low, high))
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": low, "y1": high, "layer": "below", "fillcolor": theme.band}
    aim = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 10.0**AIMED_RATIO, "y1": 10.0**AIMED_RATIO, "layer": "below"}
    name = f"healthy {power_text(HEALTHY_RATIO[0])} to {power_text(HEALTHY_RATIO[1])}"
    label = {"text": name, "font": {"size": 11, "color": theme.muted}, "textposition": "top right", "padding": 4}
    shapes = [band | {"line": {"width": 0}, "label": label}, aim | {"line": {"width": 1, "dash": "dot", "color": theme.faint}}]
    empty = "Press Play to see how far each update goes."
    told = {"shapes": shapes, "help": explained("update_ratio")}
    return _layer_curves(snapshot, theme, "Update : weight ratio", held(values, floor), y_axis, empty, height=LOW_HEIGHT, **told)


def units(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """Share of dead units (solid) and of saturated activations (dotted) of each layer."""
    curves = snapshot.curves
    y_axis = axis(
        theme, "share", range=[-2, 102], tickvals=[0, 25, 50, 75, 100], ticktext=["0", "25", "50", "75", "100 %"], hoverformat=".1f"
    )
    empty = "Press Play to see dead and saturated units."
    keys = [("dead", "solid"), ("saturated", "dot")]
    solid = {"what": "dead", "keys": keys, "height": LOW_HEIGHT, "help": explained("dead", "saturated")}
    shown = _layer_curves(snapshot, theme, "Dead and saturated units", 100 * curves.dead, y_axis, empty, **solid)
    dotted = _layer_lines(curves.step, 100 * curves.saturated, theme, "saturated", {"dash": "dot"})
    worst = f"{_worst(curves.dead)} are dead, {_worst(curves.saturated)} saturated"
    shown["data"] += [trace | {"showlegend": False} for trace in dotted]
    shown["alt"] = f"Dead and saturated units after {snapshot.step:,} steps: at most, in one layer, {worst}."
    return shown


def _worst(shares):
    last = shares[-1] if len(shares) else np.zeros(1)
    return f"{np.max(last, initial=0.0, where=np.isfinite(last)):.0%}"


def _layer_curves(snapshot, theme, title, values, y_axis, empty, *, height, what="", **layout):
    """One line a layer of `values` (n, layers)."""
    step = snapshot.curves.step
    layers = values.shape[1]
    last = ", ".join(f"layer {layer} {number(value)}" for layer, value in enumerate(values[-1], 1)) if len(values) else "nothing yet"
    return figure(
        theme,
        title,
        [*_layer_lines(step, values, theme, what), *moment_line(snapshot, *_ends(y_axis), theme)],
        f"{title} after {snapshot.step:,} steps: {last}.",
        height=height,
        legend="Layer",
        axes={"xaxis": step_axis(theme, last_step(snapshot)), "yaxis": y_axis},
        hovermode="x unified",
        annotations=[] if len(step) and layers else [note(theme, empty)],
        **layout,
    )


def _layer_lines(step, values, theme, what="", look=None):
    layers = values.shape[1]
    kept = downsample_keep_peaks(np.column_stack([step, values]), range(1, layers + 1), CHART_POINTS // max(layers, 1))
    step, values = step[kept], values[kept]
    return [
        line(
            layer_name(layer, layers),
            step,
            values[:, layer - 1],
            {"color": layer_color(theme, layer, layers), "width": 1.3, **(look or {})},
            f"layer {layer} {what}".rstrip(),
        )
        for layer in range(1, layers + 1)
    ]


def line(name: str, step: np.ndarray, values: np.ndarray, look: dict[str, Any], label: str | None = None) -> Figure:
    """One curve over the steps; `look` is Plotly's line, `label` what hovering calls it."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": packed(step, "i4"),
        "y": packed(values),
        "line": look,
        "hovertemplate": f"{label or name}  %{{y}}<extra></extra>",
    }


def _marks(snapshot, low, high, theme):
    """Vertical lines: dotted where something was changed, red where the first value that is not finite appeared."""
    marks = []
    if snapshot.events:
        x = [step for event in snapshot.events for step in (event.step, event.step, None)]
        y = [low, high, None] * len(snapshot.events)
        text = [words for event in snapshot.events for words in (plain(event.text), plain(event.text), "")]
        marks.append(_mark("change", x, y, text, {"color": theme.muted, "width": 1, "dash": "dot"}))
    if snapshot.nonfinite is not None:
        step = snapshot.nonfinite.step
        text = f"{snapshot.nonfinite.tensor.replace('_', ' ')} not finite"
        marks.append(_mark("not finite", [step, step], [low, high], [text] * 2, {"color": theme.trouble, "width": 2}))
    return marks


def _mark(name, x, y, text, line):
    hover = "%{text}<extra></extra>"
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "text": text, "line": line, "hovertemplate": hover}


def moment_line(snapshot: Snapshot, low: float, high: float, theme: Theme) -> list[Figure]:
    """A vertical line at the past step that is shown, if one is."""
    if snapshot.moment is None:
        return []
    return [_mark("shown", [snapshot.moment] * 2, [low, high], ["shown"] * 2, {"color": theme.ink, "width": 1.5}) | {"showlegend": False}]


def _ends(y_axis):
    """Lowest and highest value of an axis."""
    low, high = y_axis["range"]
    return (10.0**low, 10.0**high) if y_axis.get("type") == "log" else (low, high)


def last_step(snapshot: Snapshot) -> float:
    """The last step that any curve knows."""
    steps = [snapshot.step, *snapshot.curves.step[-1:], *snapshot.frames.step[-1:]]
    return max(float(step) for step in steps)
