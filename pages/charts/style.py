"""The one colour language and the parts that every chart is made of.

Signed things go on one diverging scale, orange below, near the background at zero, blue above. Layers go on one ordered
scale from first to last. Train is solid or filled, test dashed or outlined. Red is for trouble alone.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pages.wording import SUPERSCRIPTS, powers

Figure = dict[str, Any]  # of Plotly, as a plain dict: data, layout, and what `figure` adds


@dataclass(frozen=True)
class Theme:
    """Colours of one theme as hex. `signed` are five stops from -1 to 1, `layers` the stops of the ordered scale."""

    ink: str
    muted: str
    faint: str
    grid: str
    surface: str
    signed: tuple[str, ...]
    layers: tuple[str, ...]
    band: str
    trouble: str


# The layer scale is the middle of viridis: ordered in lightness, and told apart with any colour vision.
THEMES = {
    "light": Theme(
        ink="#1f2933",
        muted="#5b6773",
        faint="#a9b3bd",
        grid="#e9ecef",
        surface="#ffffff",
        signed=("#b25a08", "#efa75b", "#f8f8f6", "#7db3dd", "#1d5c9f"),
        layers=("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d"),
        band="#eaf1ec",
        trouble="#c62828",
    ),
    "dark": Theme(
        ink="#e6eaee",
        muted="#a3aeb9",
        faint="#66717c",
        grid="#2a3038",
        surface="#12161b",
        signed=("#f7a248", "#8f561c", "#1a1f25", "#25618f", "#62b3f2"),
        layers=("#7a6bc4", "#4f8ac0", "#35b0ab", "#5cc98a", "#b8de5c"),
        band="#1b2a24",
        trouble="#ff6b6b",
    ),
}


def mixed(stops: Sequence[str], position: float) -> str:
    """The hex colour at `position` 0..1 of evenly spaced hex `stops`."""
    place = min(max(position, 0.0), 1.0) * (len(stops) - 1)
    left = min(int(place), len(stops) - 2)
    pair = np.array([[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in stops[left : left + 2]])
    red, green, blue = np.rint(pair[0] + (place - left) * (pair[1] - pair[0])).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def signed_color(theme: Theme, value: float) -> str:
    """The colour of `value` in [-1, 1] on the diverging scale."""
    return mixed(theme.signed, (value + 1) / 2)


def layer_color(theme: Theme, layer: int, layers: int) -> str:
    """The colour of `layer` (from 1) of `layers`, the same in every chart."""
    return mixed(theme.layers, (layer - 1) / max(layers - 1, 1))


def colorscale(stops: Sequence[str]) -> list[list[float | str]]:
    """Evenly spaced hex stops as Plotly's colour scale."""
    return [[index / (len(stops) - 1), stop] for index, stop in enumerate(stops)]


def layer_name(layer: int, layers: int) -> str:
    """What a legend calls `layer` (from 1)."""
    return "Output" if layer == layers else str(layer)


def packed(values: np.ndarray | Sequence, dtype: str = "f4") -> dict[str, str]:
    """An array as Plotly's typed array (base64). What is not finite becomes NaN, which Plotly shows as a gap; what is finite
    but beyond the type's range is held at its ends."""
    array = np.asarray(values)
    if dtype.startswith("f"):
        limit = np.finfo(dtype).max
        array = np.where(np.isfinite(array), np.clip(array, -limit, limit), np.nan)
    array = np.ascontiguousarray(array, dtype)
    spec = {"dtype": dtype, "bdata": base64.b64encode(array).decode("ascii")}  # pyright: ignore[reportArgumentType]
    if array.ndim > 1:
        spec["shape"] = ", ".join(map(str, array.shape))
    return spec


def figure(
    theme: Theme,
    title: str,
    data: list[dict[str, Any]],
    alt: str,
    *,
    height: int,
    axes: dict[str, dict[str, Any]],
    legend: str | None = None,
    keys: Sequence[tuple[str, str]] = (),
    help: str = "",
    margin: dict[str, int] | None = None,
    **layout: Any,
) -> Figure:
    """A figure in the common style. `axes` maps "xaxis", "yaxis2" ... to what `axis` made; `legend` is the legend's title, None
    leaves the legend out. The key "alt" says in a sentence what the chart shows, "keys" are entries (name, dash) of the legend
    that explain a kind of line rather than one trace; "help" is told on demand."""
    return {
        "keys": list(keys),
        "help": help,
        "data": data,
        "layout": {
            "title": {"text": title},
            "height": height,
            "margin": margin or {"l": 54, "r": 12, "t": 10, "b": 40},
            "font": {"size": 12, "color": theme.muted},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": "closest",
            "hoverlabel": {"bgcolor": theme.surface, "bordercolor": theme.faint, "font": {"size": 12, "color": theme.ink}},
            "showlegend": legend is not None,
            "legend": {"title": {"text": legend or ""}, "orientation": "h"},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.faint, "activecolor": theme.ink},
            **axes,
            **layout,
        },
        "alt": alt,
    }


def axis(theme: Theme, title: str, **settings: Any) -> Figure:
    """A quiet axis: thin grid, no zero line, no tick marks."""
    return {
        "title": {"text": title, "standoff": 6, "font": {"size": 12}},
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "ticks": "",
        "automargin": False,
        "ticklabeloverflow": "allow",  # to look for overflow costs a layout of the page for every axis
        **settings,
    }


def bare_axis(**settings: Any) -> dict[str, Any]:
    """An axis that is there for its coordinates alone."""
    return {"visible": False, "fixedrange": True, **settings}


def step_axis(theme: Theme, last_step: float, **settings: Any) -> Figure:
    """Update counts from 0, with an end that moves in few, round steps as the run goes on."""
    over_all = {"unifiedhovertitle": {"text": "step %{x:,d}"}}
    return axis(theme, "step", range=[0, round_up(max(last_step, 100))], tickformat="~s", nticks=6, **over_all, **settings)


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2.5, 4, 6 times a power of ten: few enough that an axis seldom has to be drawn anew."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 1.5, 2.5, 4, 6, 10, 15) if factor * power >= value * (1 - 1e-12))


LOG_FACTORS = (1, 2, 5)
LOG_LOWEST = 1e-20  # smaller is as good as nothing: a float64 near 1 does not notice what is below 1e-16


def log_axis(
    theme: Theme, title: str, values: Sequence[float] | np.ndarray, *, include: Sequence[float] = (), **settings: Any
) -> tuple[dict[str, Any], float]:
    """(axis, floor) of a logarithmic axis that holds every positive finite one of `values` and of `include`.

    The ends are powers of ten, or within two decades 1, 2 or 5 times one, so that they move seldom. `floor` is the lower end:
    zeros are drawn on it.
    """
    values = np.concatenate([np.ravel(values), np.asarray(include, float)])
    values = np.clip(values[np.isfinite(values) & (values > 0)], 1e-300, 1e300)
    high = float(values.max()) if values.size else 1.0
    low = max(float(values.min()), min(LOG_LOWEST, high)) if values.size else 0.1
    top, bottom = _log_round(high, up=True), _log_round(low, up=False)
    if top - bottom > 2:
        top, bottom = math.ceil(top), math.floor(bottom)
    elif top - bottom < 1:
        bottom = top - 1
    ticks = _log_ticks(bottom, top)
    ticks = {"tickvals": [10.0**tick for tick in ticks], "ticktext": [power_text(tick) for tick in ticks], "hoverformat": ".4~g"}
    return axis(theme, title, type="log", range=[bottom, top], **ticks, **settings), 10.0**bottom


def _log_round(value, up):
    """log10 of the nearest 1, 2 or 5 times a power of ten above or below `value`."""
    steps = np.log10([factor * 10.0**power for power in (-1, 0, 1) for factor in LOG_FACTORS])
    whole = math.floor(math.log10(value))
    rest = math.log10(value) - whole
    return whole + float(steps[steps >= rest - 1e-9][0] if up else steps[steps <= rest + 1e-9][-1])


def _log_ticks(bottom, top):
    """log10 of at most seven tick values: 1, 2 and 5 within two decades, otherwise whole powers, some left out."""
    powers = range(math.floor(bottom), math.ceil(top) + 1)
    if top - bottom <= 2:
        ticks = [power + math.log10(factor) for power in powers for factor in LOG_FACTORS]
    else:
        every = math.ceil((top - bottom) / 6)
        ticks = [power for power in powers if power % every == 0]
    return [tick for tick in ticks if bottom - 1e-9 <= tick <= top + 1e-9]


def power_text(exponent: float) -> str:
    """10**exponent as a tick label: written out from a hundredth to a thousand."""
    if -2 <= exponent <= 3:
        return f"{10.0**exponent:.4g}"
    factor = round(10.0 ** (exponent - math.floor(exponent + 1e-9)))
    power = f"10{str(math.floor(exponent + 1e-9)).translate(SUPERSCRIPTS)}"
    return power if factor == 1 else f"{factor}·{power}"


def held(values: np.ndarray, floor: float) -> np.ndarray:
    """Values for a logarithmic axis: zeros, and what lies below the axis, sit on its lower end."""
    with np.errstate(invalid="ignore"):
        return np.where(np.asarray(values) < floor, floor, values)


def note(theme: Theme, text: str, **settings: Any) -> Figure:
    """A quiet line of text in the middle of the plot: what is missing and what to press."""
    place = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
    return {"text": text, "font": {"size": 13, "color": theme.muted}, **place, **settings}


def plain(text: str, length: int = 60) -> str:
    """A name that came with the data, cut to `length` and with nothing in it that Plotly would read as markup."""
    return html.escape(text if len(text) <= length else text[: length - 1] + "…", quote=False)


def number(value: float) -> str:
    """A figure for a sentence: four significant digits, or what it is when it is not a number."""
    return powers(f"{value:.4g}") if value is not None and math.isfinite(value) else "not finite"
