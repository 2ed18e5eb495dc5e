"""The small chart on a finding's card: the curve that shows it, around the step where it began.

It is drawn by the style sheet's clip-path alone, so that it follows the theme and changes without flickering.
"""

from __future__ import annotations

import html

import numpy as np

from core.diagnosis.detectors import DETECTORS

COLUMNS = 72
AROUND = 500  # steps shown before and after, at least; half of the steps until then otherwise

NAMES = {"gradient_norm": "gradient norm", "dead": "dead units", "saturated": "saturated units", "update_ratio": "update : weight"}
SHARES = ("dead", "saturated")


def evidence(snapshot, finding):
    """HTML of the chart; "" where there is no curve yet."""
    steps, values, name = _curve(snapshot, finding)
    span = max(AROUND, finding.step / 2)
    seen = (steps >= finding.step - span) & (steps <= finding.step + span)
    if seen.sum() < 3:
        return ""
    steps, values = steps[seen], values[seen]
    first, last = float(steps[0]), float(steps[-1])
    onset = 100 * float(np.clip((finding.step - first) / (last - first), 0, 1))
    column = np.minimum(((steps - first) / (last - first) * COLUMNS).astype(int), COLUMNS - 1)
    firsts = np.flatnonzero(np.diff(column, prepend=-1))
    x, heights = 100 * (column[firsts] + 0.5) / COLUMNS, 100 - 92 * np.fmax.reduceat(values, firsts)
    points = ", ".join(f"{across:.0f}% {down:.0f}%" for across, down in zip([0, *x, 100], [heights[0], *heights, heights[-1]]))
    text = f"{name}, steps {first:,.0f} to {last:,.0f}"
    return (
        f'<div class="evidence" role="img" aria-label="{html.escape(text)}; the finding begins at step {finding.step:,}">'
        f'<div class="curve" style="clip-path: polygon({points}, 100% 100%, 0% 100%); --onset: {onset:.0f}%"></div>'
        f'<i style="left: {onset:.0f}%"></i><span>{html.escape(text)}</span></div>'
    )


def _curve(snapshot, finding):
    """(steps, heights 0 to 1, name) of the curve that shows the finding."""
    metric = DETECTORS[finding.code].curve or "loss"
    values, name = np.asarray(getattr(snapshot.curves, metric), float), NAMES.get(metric, metric)
    if values.ndim == 2:
        layer = finding.layer or 1
        values, name = values[:, layer - 1], f"{name} of layer {layer}"
    steps = np.asarray(snapshot.curves.step)
    known = ~np.isnan(values)
    steps, values = steps[known], values[known]
    if metric not in SHARES:
        values = _by_size(values)
    return steps, values, name


def _by_size(values):
    """log10 of the sizes, from 0 for the smallest to 1 for the largest."""
    with np.errstate(divide="ignore"):
        decades = np.log10(values)
    finite = decades[np.isfinite(decades)]
    if not finite.size:
        return np.where(decades > 0, 1.0, 0.0)
    low, high = finite.min(), finite.max()
    return np.clip((decades - low) / max(high - low, 0.3), 0, 1)
