"""The panels of two runs beside each other, aligned in time: each from its first step to its last, both losses on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pages.charts.curves import gradients, loss, units
from pages.charts.histograms import histograms
from pages.charts.images import png
from pages.charts.options import ViewOptions
from pages.charts.output import output
from pages.charts.style import THEMES, log_axis

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.style import Figure

PANELS = {"loss": loss, "gradients": gradients, "output": output, "histograms": histograms, "units": units}
OVER_STEPS = ("loss", "gradients", "units")
MOST_DECADES = 8  # of a loss axis that two runs share


def pair_panels(sides: Sequence[tuple[str, int, Snapshot]], theme: str) -> dict[str, Figure]:
    """Name -> figure, a panel of one run beside that of the other. `sides` are (title, steps in all, Snapshot); `theme` is light or
    dark."""
    options = ViewOptions(theme=theme)
    figures = {}
    for name, draw in PANELS.items():
        for number, (title, steps, snapshot) in enumerate(sides):
            made = draw(snapshot, options, THEMES[theme])
            made["layout"]["title"]["text"] = f"{title}: {made['layout']['title']['text'].lower()}"
            made["alt"] = f"{title}. {made['alt']}"
            for note in made["layout"].get("annotations", []):
                note["text"] = note["text"].replace("Press Play", "Press Run both")
            if name in OVER_STEPS:
                made["layout"]["xaxis"]["range"] = [0, steps]
            figures[f"half_{name}_{number}"] = made
    _one_scale([figures[f"half_loss_{number}"] for number in range(len(sides))], [snapshot for _, _, snapshot in sides], THEMES[theme])
    return figures


def _one_scale(figures, snapshots, theme):
    """Have the loss charts share their axis, unless one of them blew up so far that the other would be a flat line."""
    losses = [part for one in snapshots for part in (one.curves.loss, one.frames.train_loss, one.frames.test_loss)]
    y_axis, _ = log_axis(theme, "loss", np.concatenate([np.ravel(part) for part in losses]))
    if y_axis["range"][1] - y_axis["range"][0] > MOST_DECADES:
        return
    for figure in figures:
        figure["layout"]["yaxis"] = y_axis


def picture(pixels: np.ndarray, shape: tuple[int, ...]) -> str:
    """A data URI of a picture of values 0 to 1."""
    return png(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8).reshape(shape), level=6)
