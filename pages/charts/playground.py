"""All panels of the playground, in the order they are shown."""

from __future__ import annotations

from pages.charts.cause import cause
from pages.charts.curves import gradients, loss, ratio, units
from pages.charts.gauge import gauge
from pages.charts.histograms import histograms
from pages.charts.network import network
from pages.charts.output import output
from pages.charts.style import THEMES
from pages.charts.unit import unit_figures


def panels(snapshot, options):
    """Name -> Plotly figure of each panel: network, output, loss, gradients, cause, gauge, histograms, ratio, units.

    With a unit picked (`snapshot.unit`), also unit_map (planar data only), unit_weights and unit_activations, after output.
    """
    theme = THEMES[options.theme]
    shown = {"network": network(snapshot, options, theme), "output": output(snapshot, options, theme)}
    if snapshot.unit is not None:
        shown |= unit_figures(snapshot, options, theme)
    first = {"loss": loss, "gradients": gradients, "cause": cause, "gauge": gauge}
    rest = first | {"histograms": histograms, "ratio": ratio, "units": units}
    return shown | {name: draw(snapshot, options, theme) for name, draw in rest.items()}
