"""Which settings of a sweep matter, as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pages.charts.style import THEMES, axis, figure, packed, plain

if TYPE_CHECKING:
    from core.experiments.importance import Importance
    from pages.charts.style import Figure

ROW, AROUND = 28, 70  # pixels of a bar, and of all else


def importance_chart(names: dict[str, str], found: Importance, theme: str) -> Figure:
    """The figure of an Importance (core.experiments.importance); `names` maps each of its settings to what it is called."""
    colors = THEMES[theme]
    labels = [plain(names[name], 30) for name in found.lost]
    lost = np.array(list(found.lost.values()))
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": labels,
        "x": packed(lost, "f8"),
        "marker": {"color": colors.layers[0]},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    said = ", ".join(f"{label} {value:.2f}" for label, value in zip(labels, lost))
    return figure(
        colors,
        "Importance",
        [bars],
        f"How much R² a random forest loses when a setting is shuffled among the runs: {said}.",
        height=AROUND + ROW * len(labels),
        margin={"l": 150, "r": 12, "t": 10, "b": 40},
        axes={
            "xaxis": axis(colors, "R² lost when shuffled", rangemode="tozero"),
            "yaxis": axis(colors, "", autorange="reversed", type="category"),
        },
        help=f"A random forest predicts the metric of runs it has not seen from their settings (R² {found.explained:.2f}). The bar is what "
        "it loses when that setting is shuffled among the runs. Where the forest predicts badly, the bars say little.",
    )
