"""The network diagram: inputs and layers as columns of units, each with its own small map or colour, and the weights between.

Columns are spread over the width and units placed in pixels of the fixed height. All maps of a column are one picture.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pages.charts.images import enlarged, png
from pages.charts.style import bare_axis, figure, number, packed, plain, signed_color
from pages.wording import feature

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 372
TOP, BOTTOM = 30, 24  # pixels for the column's name, and for what is not shown
LARGEST_TILE = 44
LARGEST_CIRCLE = 26
EDGES = ((0.7, 0.4), (1.8, 0.7), (3.6, 1.0))  # (pixels, place on the diverging scale) for the thirds of the largest weight

# Palette of the pictures: 0 clear, 1 frame, 2 the picked unit's frame, 3..67 the diverging scale (more shades than 65 are not
# told apart, and cost twice the bytes)
FRAME, PICKED, ZERO, REACH = 1, 2, 35, 32


@dataclass(frozen=True)
class Column:
    """One column of the diagram. `layer` 0 is the inputs; `maps` (shown, size, size) in -1..1 or None; `y` (shown,) pixels."""

    layer: int
    title: str
    units: int
    maps: np.ndarray | None
    color: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    x: float
    y: np.ndarray


def network(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """The diagram of a snapshot; a click on a marker carries (layer, index) as its customdata."""
    columns = _columns(snapshot)
    tile = _tile(columns)
    width = 0.9 / len(columns)
    pictures = [
        {
            "source": _picture(column, tile, options.picked, theme),
            "layer": "above",
            "sizing": "contain",
            **{"xref": "x", "yref": "y", "xanchor": "center", "yanchor": "middle"},
            **{"x": column.x, "y": HEIGHT / 2, "sizex": width, "sizey": HEIGHT},
        }
        for column in columns
        if column.maps is not None
    ]
    return figure(
        theme,
        "Network",
        [
            _markers(columns, tile, options.picked, snapshot.input_names, theme),
            _texts(columns, theme),
        ],
        _alt(snapshot, columns),
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        axes={"xaxis": bare_axis(range=[0, 1]), "yaxis": bare_axis(range=[HEIGHT, 0])},
        shapes=_edges(snapshot.layers, columns, theme),
        images=pictures,
        dragmode=False,
    )


def _columns(snapshot):
    layers = snapshot.layers
    shown = len(layers[0].weights)
    planar = snapshot.input_maps is not None
    none = np.zeros(shown)
    scale = max((float(np.max(np.abs(layer.mean), initial=0.0, where=np.isfinite(layer.mean))) for layer in layers), default=0.0) or 1.0
    places = np.linspace(0.13 if planar else 0.16, 0.89, len(layers) + 1)
    maps = snapshot.input_maps[:shown] / 127.0 if planar else None
    columns = [Column(0, "Inputs", snapshot.inputs, maps, none, none, none, places[0], _rows(shown))]
    for position, layer in enumerate(layers, 1):
        maps = layer.maps / 127.0 if layer.maps is not None else None
        place = places[position], _rows(len(layer.mean))
        columns.append(
            Column(
                position,
                _title(position, layer.activation, len(layers)),
                layer.units,
                maps,
                layer.mean / scale,
                layer.biases,
                layer.mean,
                *place,
            )
        )
    return columns


def _title(layer, activation, layers):
    name = activation.replace("_", " ")
    return f"{layer} · {name}" if layers <= 5 else str(layer)


def _rows(count):
    pitch = min((HEIGHT - TOP - BOTTOM) / max(count, 1), LARGEST_TILE + 14)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return middle + pitch * (np.arange(count) - (count - 1) / 2)


def _tile(columns):
    """Side of a unit's square in pixels: what the fullest column leaves, and what leaves the edges room on a narrow panel."""
    rows = max(len(column.y) for column in columns)
    return int(min(LARGEST_TILE, (HEIGHT - TOP - BOTTOM) / rows - 5, 220 / (len(columns) - 1)))


def _picture(column, tile, picked, theme):
    """All maps of a column in one PNG, `tile` wide and as high as the diagram."""
    pixels = np.zeros((HEIGHT, tile), np.uint8)
    upright = column.maps[:, ::-1]  # maps begin at low x2, pictures at the top
    values = np.clip(np.rint(enlarged(upright, tile) * REACH), -REACH, REACH)
    for index, (value, y) in enumerate(zip(values, column.y)):
        top = round(y - tile / 2)
        square = pixels[top : top + tile]
        square[:] = FRAME
        edge = 1
        if picked == (column.layer, index):
            square[:], edge = PICKED, 3
        square[edge:-edge, edge:-edge] = value[edge:-edge, edge:-edge] + ZERO
    return png(pixels, _palette(theme))


@lru_cache
def _palette(theme):
    scale = [signed_color(theme, value / REACH) for value in range(-REACH, REACH + 1)]
    colors = ["#000000", theme.faint, theme.ink, *scale]
    return [[*bytes.fromhex(color[1:]), 255 if index else 0] for index, color in enumerate(colors)]


def _edges(layers, columns, theme):
    """All weights as six paths: one for each sign and third of the largest weight."""
    weights = np.concatenate([np.ravel(layer.weights) for layer in layers])
    lines = np.array([line for left, right in itertools.pairwise(columns) for line in _lines(left, right)], dtype=object)
    keep = np.isfinite(weights)
    largest = np.max(np.abs(weights), initial=0.0, where=keep) or 1.0
    third = np.minimum(np.abs(np.where(keep, weights, 0.0)) / largest * len(EDGES), len(EDGES) - 1).astype(int)
    shapes = []
    for size, (width, shade) in enumerate(EDGES):
        for sign in (-1, 1):
            path = "".join(lines[keep & (third == size) & (np.sign(weights) == sign)]) or "M0,0"
            line = {"color": signed_color(theme, sign * shade), "width": width}
            shapes.append({"type": "path", "path": path, "line": line, "layer": "below", "xref": "x", "yref": "y"})
    return shapes


def _lines(left, right):
    """The lines from every unit of one column to every unit of the next, as parts of a path."""
    starts = [f"M{left.x:.4f},{y:.1f}" for y in left.y]
    ends = [f"L{right.x:.4f},{y:.1f}" for y in right.y]
    return [start + end for start in starts for end in ends]


def _markers(columns, tile, picked, names, theme):
    """One marker a unit, to hover over and to click: clear over a map, otherwise a circle coloured by the mean activation."""
    shown = len(columns[0].y)
    marker = {"symbol": "square", "size": tile, "color": "rgba(0,0,0,0)", "line": {"width": 0}}
    if columns[0].maps is None:
        outlined = [picked == (column.layer, index) for column in columns for index in range(len(column.y))]
        line = {"color": [theme.ink if on else theme.faint for on in outlined], "width": [3 if on else 1 for on in outlined]}
        colors = [_unit_color(theme, value) for column in columns for value in column.color]
        marker = {"symbol": "circle", "size": min(tile, LARGEST_CIRCLE), "color": colors, "line": line}
    return {
        "type": "scatter",
        # Text beside a marker keeps clear of it by the marker's size in pixels, whatever the panel's width
        "mode": "markers+text",
        "text": [plain(feature(name), 10) for name in names[:shown]],
        "textposition": "middle left",
        "textfont": {"size": 12, "color": theme.muted},
        "x": packed(np.concatenate([np.full(len(column.y), column.x) for column in columns])),
        "y": packed(np.concatenate([column.y for column in columns])),
        "marker": marker,
        "customdata": packed([(column.layer, index) for column in columns for index in range(len(column.y))], "i4"),
        "hovertext": [text for column in columns for text in _hover(column, names)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _unit_color(theme, value):
    return signed_color(theme, float(value)) if np.isfinite(value) else theme.trouble


def _hover(column, names):
    if column.layer == 0:
        return [f"input {plain(feature(name))}" for name, _ in zip(names, column.y)]
    values = zip(column.bias.tolist(), column.mean.tolist())
    return [
        f"<b>unit {index} of layer {column.layer}</b><br>bias {number(bias)}<br>mean activation {number(mean)}"
        for index, (bias, mean) in enumerate(values, 1)
    ]


def _texts(columns, theme):
    """Names over the columns, and under them how many units are not shown."""
    x, y, text = [], [], []
    for column in columns:
        hidden = column.units - len(column.y)
        for place, words in ((TOP / 2, column.title), (HEIGHT - BOTTOM / 2, f"+{hidden:,} more" if hidden else "")):
            if words:
                x.append(column.x)
                y.append(place)
                text.append(words)
    font = {"size": 12, "color": theme.muted}
    return {"type": "scatter", "mode": "text", "x": x, "y": y, "text": text, "textfont": font, "hoverinfo": "skip"}


def _alt(snapshot, columns):
    sizes = ", ".join(f"{layer.units:,} {layer.activation}" for layer in snapshot.layers)
    weights = np.concatenate([np.ravel(layer.weights) for layer in snapshot.layers])
    weights = weights[np.isfinite(weights)]
    largest = f"the largest weight shown is {np.max(np.abs(weights)):.3g}" if weights.size else "no weight is finite"
    return f"Network diagram: {columns[0].units:,} inputs, then layers of {sizes} units; {largest}."
