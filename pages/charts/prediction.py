"""How the outputs change with one value of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pages.charts.style import axis, figure, layer_color, plain

if TYPE_CHECKING:
    from core.prediction import Prediction
    from pages.charts.style import Figure, Theme

HEIGHT = 220
LINES = 6  # outputs that are drawn


def what_if(name: str, values: Sequence[str], said: Prediction, theme: Theme) -> Figure:
    """The outputs (rows, outputs) of a Prediction over `values` (texts) of the column `name`."""
    shown = list(zip(said.names, said.outputs.T))
    if len(shown) == 2 and said.probable:
        shown = shown[1:]  # the other one is what is left of 1
    shown = shown[:LINES]
    numbers = all(_is_number(value) for value in values)
    x = [float(value) for value in values] if numbers else [plain(value, 20) for value in values]
    lines = [
        {
            "type": "scatter" if numbers else "bar",
            "x": x,
            "y": outputs.tolist(),
            "name": plain(output),
            **({"mode": "lines"} if numbers else {}),
            ("line" if numbers else "marker"): {"color": layer_color(theme, index + 1, max(len(shown), 2))},
        }
        for index, (output, outputs) in enumerate(shown)
    ]
    what = "probability" if said.probable else "output"
    bounds = {"range": [0, 1]} if said.probable else {}
    return figure(
        theme,
        f"What if {plain(name)} changes",
        lines,
        f"The {what} of {', '.join(plain(output) for output, _ in shown)} over {plain(name)}.",
        height=HEIGHT,
        axes={"xaxis": axis(theme, plain(name)), "yaxis": axis(theme, what, **bounds)},
    )


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
