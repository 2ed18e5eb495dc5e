"""Where trouble began: how large gradients or activations were, layer by layer and step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.onset import OUT_OF_RANGE
from pages.charts.curves import last_step, moment_line
from pages.charts.style import (
    LOG_LOWEST,
    axis,
    colorscale,
    figure,
    held,
    layer_name,
    note,
    packed,
    power_text,
    round_up,
    step_axis,
)  # fmt: skip

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 250
COLUMNS = 120  # of the map, over the whole step axis
DECADES = 6  # either way from where the run began, that the colours tell apart
SIZES = {"gradients": ("gradient_norm", "gradient norm"), "activations": ("activation_deviation", "spread of activations")}
# What a Snapshot's first_crossing names
CROSSED = {"gradient_norm": "its gradient left the range it had", "activation": "its activations left the range they had"}
HELP = (
    f"The mark is where a layer's gradient or activations first grew beyond {OUT_OF_RANGE:g} times their median until then, and went on "
    "to what the findings tell of. The View menu switches between gradients and activations."
)


def cause(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """Layers over steps, coloured by log10 of the size; the first crossing is marked."""
    metric, what = SIZES[options.cause]
    values = getattr(snapshot.curves, metric)
    layers, end = values.shape[1], round_up(max(last_step(snapshot), 100))
    sizes = _columns(snapshot.curves.step, values, end)
    low, high = _decades(sizes)
    shown = [_map(sizes, end, low, high, what, theme)] if len(snapshot.curves.step) else []
    names = [layer_name(layer, layers) for layer in range(1, layers + 1)]
    rows = {"range": [0.5, layers + 0.5], "tickvals": list(range(1, layers + 1)), "ticktext": names, "showgrid": False, "fixedrange": True}
    empty = [] if shown else [note(theme, f"Press Play to see the {what} of each layer.")]
    return figure(
        theme,
        f"Where it began: {what}" if snapshot.first_crossing else f"Layer by layer: {what}",
        [*shown, *moment_line(snapshot, 0.5, layers + 0.5, theme)],
        f"{what.capitalize()} of {layers} layers over {snapshot.step:,} steps. {crossing_text(snapshot) or 'No layer left its range.'}",
        height=HEIGHT,
        axes={"xaxis": step_axis(theme, last_step(snapshot), showgrid=False), "yaxis": axis(theme, "layer", **rows)},
        annotations=empty or _mark(snapshot, end, theme),
        margin={"l": 60, "r": 12, "t": 10, "b": 40},
        help=HELP,
    )


def crossing_text(snapshot: Snapshot) -> str:
    """One sentence for the first crossing; "" when there is none."""
    if snapshot.first_crossing is None:
        return ""
    step, layer, size = snapshot.first_crossing
    place = "the output layer" if layer == len(snapshot.layers) else f"layer {layer}"
    return f"It began in {place} at step {step:,}: {CROSSED[size]} until then."


def _columns(steps, values, end):
    """(layers, COLUMNS): of each stretch of the steps the largest size, as log10; NaN where nothing is known."""
    sizes = np.full((values.shape[1], COLUMNS), np.nan)
    if not len(steps):
        return sizes
    column = np.minimum((np.asarray(steps) / end * COLUMNS).astype(int), COLUMNS - 1)
    firsts = np.flatnonzero(np.diff(column, prepend=-1))
    with np.errstate(invalid="ignore"):
        peaks = np.log10(held(np.fmax.reduceat(values, firsts, axis=0), LOG_LOWEST))
    known = np.searchsorted(column[firsts], np.arange(column[-1] + 1), side="right") - 1
    sizes[:, : len(known)] = peaks[np.maximum(known, 0)].T
    return sizes


def _decades(sizes):
    """Whole decades between which the colours lie."""
    known = sizes[np.isfinite(sizes) & (sizes > np.log10(LOG_LOWEST))]
    if not known.size:
        return 0, 1
    first = sizes[:, :1]
    start = np.median(first[np.isfinite(first)]) if np.isfinite(first).any() else np.median(known)
    low = int(np.floor(max(known.min(), start - DECADES)))
    return low, max(low + 1, int(np.ceil(min(known.max(), start + DECADES))))


def _map(sizes, end, low, high, what, theme):
    ticks = list(range(low, high + 1, max(1, (high - low + 3) // 4)))
    bar = {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, "xpad": 4}
    return {
        "type": "heatmap",
        "z": packed(np.where(np.isposinf(sizes), high, sizes)),
        "x0": end / COLUMNS / 2,
        "dx": end / COLUMNS,
        "y0": 1,
        "dy": 1,
        "zmin": low,
        "zmax": high,
        "colorscale": colorscale((theme.signed[2], theme.signed[3], theme.signed[4])),
        "colorbar": bar | {"tickvals": ticks, "ticktext": [power_text(tick) for tick in ticks]},
        "hovertemplate": f"step %{{x:,.0f}}, layer %{{y}}<br>{what} 10^%{{z:.1f}}<extra></extra>",
    }


def _mark(snapshot, end, theme):
    if snapshot.first_crossing is None:
        return []
    step, layer, _ = snapshot.first_crossing
    layers = len(snapshot.layers)
    left, low = step < end / 2, layer <= (layers + 1) / 2
    return [
        {
            "x": step,
            "y": layer,
            "text": f"✕ {'output' if layer == layers else f'layer {layer}'}, step {step:,}",
            "font": {"size": 12, "color": theme.trouble},
            "bgcolor": theme.surface,
            "bordercolor": theme.trouble,
            "borderpad": 3,
            "arrowcolor": theme.trouble,
            "arrowwidth": 1.5,
            "ax": 70 if left else -70,
            "ay": -36 if low else 36,
        }
    ]
