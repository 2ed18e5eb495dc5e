"""Stored runs over one another: losses, gradient norms, what each has learned, and their settings as parallel coordinates.

A run has one colour and one number in all charts; the number stands at the end of its line, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.training.telemetry import FRAME_COLUMNS, LAYER_METRICS, downsample_keep_peaks
from pages.charts.options import ViewOptions
from pages.charts.output import output_panel
from pages.charts.style import THEMES, axis, colorscale, figure, held, log_axis, note, number, packed, plain, power_text, round_up

if TYPE_CHECKING:
    from pages.charts.style import Figure, Theme

HEIGHT = 320
LEARNED_HEIGHT = 300
POINTS = 2400  # of all lines of a chart together
TITLES = {"step": "step", "epoch": "epoch", "time": "time in training (s)"}
SHORTEST = {"step": 10, "epoch": 0.1, "time": 0.01}  # axes, however short the runs were
BLOWN_UP = 1e3  # times what it began with: what is higher leaves the picture, so that the other runs can be told apart
WIDE = 30.0  # numbers that span more than this factor are put on a logarithmic axis

# Told apart with any colour vision (after Okabe and Ito 2008, without the reds, which mean trouble), one list a theme
COLORS = {
    "light": (
        *("#1d5c9f", "#c77700", "#00876a", "#8a4f9e", "#4aa3d8", "#6b5d00"),
        *("#5b6773", "#332288", "#2f7d1f", "#b0559b", "#0f8b9d", "#8c6d4f"),
    ),
    "dark": (
        *("#62b3f2", "#f7a248", "#35c79a", "#c79be0", "#a6dcff", "#e0d36b"),
        *("#b5c0ca", "#9d8df1", "#9fd67f", "#f0a8dc", "#5fd9e6", "#d3b491"),
    ),
}
MOST = len(COLORS["light"])  # runs that are drawn over one another


@dataclass(frozen=True)
class Line:
    """One run as it is drawn: its `name`, the tables of its history (rows as Telemetry has them), where their rows lie on the chosen axis,
    and what it has learned (None: not looked at)."""

    name: str
    samples: np.ndarray
    frames: np.ndarray
    sampled_at: np.ndarray
    evaluated_at: np.ndarray
    learned: Any = None


def run_panels(lines: Sequence[Line], along: str, logarithmic: bool, theme: str) -> dict[str, Figure]:
    """Name -> figure of at most MOST Lines, `along` step, epoch or time, which may be `logarithmic`; `theme` is light or dark."""
    colors = COLORS[theme]
    panels = {
        "half_losses": losses(lines, along, logarithmic, THEMES[theme], colors),
        "half_norms": gradient_norms(lines, along, logarithmic, THEMES[theme], colors),
    }
    for place, line in enumerate(lines):
        if line.learned is not None:
            made = output_panel(line.learned, ViewOptions(theme=theme), THEMES[theme])
            title = f"{place + 1} · {_cut(line.name, 34)}"
            made["layout"] |= {"title": {"text": title}, "height": LEARNED_HEIGHT}
            made["alt"] = f"{title}. {made['alt']}"
            panels[f"unit_learned_{place + 1}"] = made
    return panels


def losses(lines: Sequence[Line], along: str, logarithmic: bool, theme: Theme, colors: Sequence[str]) -> Figure:
    """Train (solid) and test (dashed) losses; of a run that broke before it was evaluated twice, the loss of its batches."""
    train, test = (FRAME_COLUMNS.index(f"{name}_loss") for name in ("train", "test"))
    curves = []
    for place, line in enumerate(lines):
        if np.count_nonzero(np.isfinite(line.frames[:, train])) > 1 or not len(line.samples):
            curves.append((place, "train", line.evaluated_at, line.frames[:, train], "solid"))
        else:
            curves.append((place, "batch", line.sampled_at, line.samples[:, 1], "solid"))
        curves.append((place, "test", line.evaluated_at, line.frames[:, test], "dash"))
    keys = [("train", "solid"), ("test", "dash")]
    return _curves("Loss", "loss", lines, curves, along, logarithmic, theme, colors, keys)


def gradient_norms(lines: Sequence[Line], along: str, logarithmic: bool, theme: Theme, colors: Sequence[str]) -> Figure:
    """The norm of the whole gradient, all layers together, of each sampled update."""
    with np.errstate(over="ignore"):
        curves = [
            (place, "gradient", line.sampled_at, np.sqrt(np.square(line.samples[:, 2 :: len(LAYER_METRICS)]).sum(axis=1)), "solid")
            for place, line in enumerate(lines)
        ]
    return _curves("Gradient norm", "gradient norm", lines, curves, along, logarithmic, theme, colors, [])


def _curves(title, name, lines, curves, along, logarithmic, theme, colors, keys):
    """`curves` are (place of the run, which of its curves, x, y, dash)."""
    curves = [(place, what, *_finite(x, y, logarithmic), dash) for place, what, x, y, dash in curves]
    ceiling = BLOWN_UP * max((y[0] for *_, y, _ in curves if len(y)), default=1.0)
    shown = np.concatenate([y for *_, y, _ in curves]) if curves else np.empty(0)
    y_axis, floor = log_axis(theme, name, np.minimum(shown, ceiling))
    top = 10.0 ** y_axis["range"][1]
    traces, last = [], {}
    for place, what, x, y, dash in curves:
        if not len(x):
            continue
        rows = downsample_keep_peaks(np.column_stack([x, y]), [1], max(50, POINTS // len(curves)))
        rows = np.union1d(rows, [len(x) - 1])
        first = place not in last
        if first:
            last[place] = x[-1], min(held(y[-1:], floor)[0], top), y[-1]
        traces.append(_line(place, lines[place].name, what, x[rows], held(y[rows], floor), dash, colors[place], first))
    traces += [_end(place, lines[place].name, x, y, colors[place]) for place, (x, y, _) in last.items()]
    ends = ", ".join(f"{place + 1} {_cut(lines[place].name)} {number(value)}" for place, (*_, value) in last.items())
    return figure(
        theme,
        title,
        traces,
        f"{title} of {len(lines)} runs over {TITLES[along]}, on a logarithmic axis; at the end {ends or 'nothing yet'}.",
        height=HEIGHT,
        legend="",
        keys=keys,
        margin={"l": 54, "r": 26, "t": 10, "b": 40},
        axes={"xaxis": _x_axis(theme, along, logarithmic, [x for _, _, x, _, _ in curves if len(x)]), "yaxis": y_axis},
        annotations=[] if traces else [note(theme, "Nothing was recorded of these runs.")],
    )


def _finite(x, y, logarithmic):
    kept = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not logarithmic))
    return x[kept], y[kept]


def _x_axis(theme, along, logarithmic, values):
    title = TITLES[along]
    if logarithmic:
        return log_axis(theme, title, np.concatenate(values) if values else np.ones(1))[0]
    last = max((float(part[-1]) for part in values), default=1.0)
    return axis(theme, title, range=[0, round_up(max(last, SHORTEST[along]))], tickformat="~s", nticks=7)


def _cut(text, length=30):
    """A name as titles and legends show it, which read no markup."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _line(place, name, what, x, y, dash, color, named):
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{place + 1} {_cut(name)}",
        "showlegend": named,
        "x": packed(x, "f8"),
        "y": packed(y, "f8"),
        "line": {"color": color, "width": 2 if dash == "solid" else 1.5, "dash": dash},
        "hovertemplate": f"{place + 1} {plain(name, 30)}<br>{what} %{{y:.4~g}}<br>at %{{x:,.5~g}}<extra></extra>",
    }


def _end(place, name, x, y, color):
    """The number of a run at the end of its first line; it goes with the line."""
    return {
        "type": "scatter",
        "mode": "text",
        "name": f"{place + 1} {_cut(name)}",
        "x": [float(x)],
        "y": [float(y)],
        "text": [f"<b>{place + 1}</b>"],
        "textposition": "middle right",
        "textfont": {"color": color, "size": 12},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def parallel(columns: dict[str, Sequence], results: dict[str, Sequence[float]], theme: str) -> Figure:
    """Parallel coordinates: `columns` maps a setting's label to its values, one a run, numbers or texts; `results` maps a result's label to
    numbers (nan: none). Up to MOST runs have their own colours, more are coloured by the first result."""
    colors = THEMES[theme]
    dimensions = [_dimension(label, values) for label, values in {**columns, **results}.items()]
    judged = np.asarray(next(iter(results.values())), float)
    few = len(judged) <= MOST
    lines = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {**(_own_colors(len(judged), theme) if few else _shades(judged, colors)), "showscale": False},
        "labelfont": {"color": colors.ink, "size": 12},
        "tickfont": {"color": colors.muted, "size": 11, "shadow": "none"},
        "rangefont": {"color": colors.muted, "size": 10, "shadow": "none"},
        "unselected": {"line": {"color": colors.faint, "opacity": 0.25}},
        "labelangle": 0,
    }
    best = int(np.nanargmin(judged)) if np.isfinite(judged).any() else None
    told = ", ".join(f"{label} {_plainly(values[best])}" for label, values in columns.items()) if best is not None else ""
    return figure(
        colors,
        "Settings and results",
        [lines],
        f"Parallel coordinates of {len(judged)} runs over {', '.join(columns)} and the results."
        + (f" The lowest {next(iter(results))} has {_cut(told, 120)}." if told else ""),
        height=HEIGHT,
        margin={"l": 70, "r": 60, "t": 44, "b": 26},
        axes={},
        help="Each line is a run, from setting to setting to what came of it; "
        + ("its colour is that of the other charts" if few else "darker lines ended lower")
        + ". Drag along an axis to pick runs.",
    )


def _plainly(value):
    return value if isinstance(value, str) else f"{value:g}"


def _own_colors(runs, theme):
    stops = COLORS[theme][:runs]
    stepped = [[(place + side) / runs, color] for place, color in enumerate(stops) for side in (0, 1)]
    return {"color": list(range(runs)), "cmin": -0.5, "cmax": runs - 0.5, "colorscale": stepped}


def _shades(judged, colors):
    """Colours from the lowest value to the highest; what has none counts as the highest."""
    shade = _log(judged) if _is_wide(judged) else judged
    finite = shade[np.isfinite(shade)]
    shade = np.where(np.isfinite(shade), shade, finite.max() if len(finite) else 0.0)
    return {"color": packed(shade), "colorscale": colorscale(colors.layers)}


def _dimension(label, values):
    """One axis: numbers as they are, or their logarithm, everything else as names in order."""
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        names = sorted(set(map(str, values)))
        codes = [names.index(str(value)) for value in values]
        ends = [-0.5, len(names) - 0.5] if len(names) == 1 else [0, len(names) - 1]
        ticks = {"tickvals": list(range(len(names))), "ticktext": [plain(name, 14) for name in names]}
        return {"label": label, "values": codes, "range": ends, **ticks}
    numbers = np.asarray(values, float)
    if not _is_wide(numbers):
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        high = high if high > low else low + 1
        ticks = np.linspace(low, high, 5)
        return _scale(label, numbers, low, high, ticks, [f"{tick:.3g}" for tick in ticks])
    decades = _log(numbers)
    finite = decades[np.isfinite(decades)]
    low, high = float(np.floor(finite.min())), float(np.ceil(finite.max()))
    ticks = np.arange(low, high + 1, max(1, round((high - low) / 6)))
    return _scale(label, decades, low, high, ticks, [power_text(tick) for tick in ticks])


def _scale(label, numbers, low, high, ticks, texts):
    """An axis of numbers; runs that have none are put above its end, where it says so."""
    missing = ~np.isfinite(numbers)
    if missing.any():
        end = high
        high += (high - low) / 8
        numbers = np.where(missing, high, numbers)
        ticks, texts = [*ticks[ticks <= end], high], [*texts, "none"]
    return {"label": label, "values": packed(numbers), "range": [low, high], "tickvals": list(map(float, ticks)), "ticktext": texts}


def _is_wide(numbers):
    finite = numbers[np.isfinite(numbers)]
    return len(finite) > 0 and finite.min() > 0 and finite.max() > WIDE * finite.min()


def _log(numbers):
    with np.errstate(all="ignore"):
        return np.log10(numbers)
