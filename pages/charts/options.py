"""What the viewer chose about the charts; nothing here changes the run."""

from __future__ import annotations

from dataclasses import dataclass

HISTOGRAMS = ("weights", "gradients", "activations")
CAUSES = ("gradients", "activations")


@dataclass(frozen=True)
class ViewOptions:
    """How the playground's panels are drawn.

    `hard_edges` shows classes without their confidence; `show_test` adds test samples to the output panel; `confusion` shows the confusion
    matrix there; `marked` is where on the plane a sample is marked, (x1, x2), or None; `histogram` is one of
    HISTOGRAMS and `histogram_layer` (from 1) the layer shown over time; `cause` is one of CAUSES, what the map of layers over time
    shows; `theme` is "light" or "dark"; `picked` is the unit that is outlined, as (layer from 1, index from 0), or None.
    """

    hard_edges: bool = False
    show_test: bool = False
    confusion: bool = False
    marked: tuple[float, float] | None = None
    histogram: str = "weights"
    histogram_layer: int = 1
    cause: str = "gradients"
    theme: str = "light"
    picked: tuple[int, int] | None = None
