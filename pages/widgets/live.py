"""The live figures: one component that draws every panel and updates it in place."""

from __future__ import annotations


def theme():
    """ "light" or "dark", as the browser shows the page now."""
    return "light"


def live_figures(figures, key, on_pick=None):
    """Draw `figures` (name -> figure of pages.charts) in a grid, in place from one call to the next.

    `on_pick(layer, index)` (layer from 1, index from 0) is called when a unit of the network diagram is clicked.
    """
