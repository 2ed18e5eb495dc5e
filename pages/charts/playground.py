"""All panels of the playground, in the order they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.diagnosis.failures import attempt
from pages.charts.cause import cause
from pages.charts.curves import gradients, loss, ratio, units
from pages.charts.gauge import gauge
from pages.charts.histograms import histograms
from pages.charts.network import network
from pages.charts.output import output
from pages.charts.style import THEMES, bare_axis, figure, note
from pages.charts.unit import unit_figures

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure


def panels(snapshot: Snapshot, options: ViewOptions, hidden: Callable[[str], bool] = lambda name: False) -> dict[str, Figure]:
    """Name -> Plotly figure of each panel: network, output, loss, gradients, cause, gauge, histograms, ratio, units.

    With a unit picked (`snapshot.unit`), also unit_map (planar data only), unit_weights and unit_activations, after output. Those that are
    `hidden`, by their names, are not drawn.
    """
    theme = THEMES[options.theme]
    shown = {name: _drawn(name, draw, snapshot, options, theme) for name, draw in PANELS.items() if not hidden(name)}
    if snapshot.unit is None:
        return shown
    of_unit = attempt("The unit", [], {}, unit_figures, snapshot, options, theme)
    first = {name: shown[name] for name in ("network", "output") if name in shown}
    return first | {name: made for name, made in of_unit.items() if not hidden(name)} | shown


PANELS = {
    "network": network, "output": output, "loss": loss, "gradients": gradients, "cause": cause, "gauge": gauge, "histograms": histograms,
    "ratio": ratio, "units": units,
}  # fmt: skip
HEIGHT = 240  # pixels of a chart that could not be drawn


def _drawn(name, draw, snapshot, options, theme):
    """The figure; where it cannot be drawn, one that says so: that is logged, and the others are drawn."""
    made = attempt(f"The chart {name}", [], None, draw, snapshot, options, theme)
    if made is not None:
        return made
    told = "This chart could not be drawn; the run goes on."
    axes = {"xaxis": bare_axis(), "yaxis": bare_axis()}
    return figure(theme, name.capitalize(), [], told, height=HEIGHT, axes=axes, annotations=[note(theme, told)])
