"""The network diagram: inputs and layers as columns of units, each with its own small map or colour, and the weights between.

Columns are spread over the width and units placed in pixels of the fixed height. All maps of a column are one picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pages.charts.images import enlarged, png
from pages.charts.style import bare_axis, figure, packed, plain, signed_color

HEIGHT = 372
TOP, BOTTOM = 30, 24  # pixels for the column's name, and for what is not shown
LARGEST_TILE = 44
EDGE_WIDTHS = (0.6, 1.3, 2.4, 4.0)  # pixels, for the quarters of the largest weight

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


def network(snapshot, options, theme):
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
            *_edges(snapshot.layers, columns, theme),
            *_markers(columns, tile, options.picked, snapshot.input_names, theme),
            _texts(columns, tile, theme),
        ],
        _alt(snapshot, columns),
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        axes={"xaxis": bare_axis(range=[0, 1]), "yaxis": bare_axis(range=[HEIGHT, 0])},
        images=pictures,
        dragmode=False,
    )


def _columns(snapshot):
    layers, names = snapshot.layers, snapshot.input_names
    shown = len(layers[0].weights)
    planar = snapshot.input_maps is not None
    none = np.zeros(shown)
    scale = max((float(np.max(np.abs(layer.mean), initial=0.0, where=np.isfinite(layer.mean))) for layer in layers), default=0.0) or 1.0
    places = np.linspace(0.12 if planar else 0.16, 0.95, len(layers) + 1)
    maps = snapshot.input_maps[:shown] / 127.0 if planar else None
    columns = [Column(0, "Inputs", len(names), maps, none, none, none, places[0], _rows(shown))]
    for number, layer in enumerate(layers, 1):
        maps = layer.maps / 127.0 if layer.maps is not None else None
        place = places[number], _rows(len(layer.mean))
        columns.append(Column(number, layer.activation, layer.units, maps, layer.mean / scale, layer.biases, layer.mean, *place))
    return columns


def _rows(count):
    pitch = min((HEIGHT - TOP - BOTTOM) / max(count, 1), LARGEST_TILE + 14)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return middle + pitch * (np.arange(count) - (count - 1) / 2)


def _tile(columns):
    """Side of a unit's square in pixels: what the fullest column and the number of columns leave."""
    rows = max(len(column.y) for column in columns)
    return int(min(LARGEST_TILE, (HEIGHT - TOP - BOTTOM) / rows - 5, 340 / len(columns)))


def _picture(column, tile, picked, theme):
    """All maps of a column in one PNG, `tile` wide and as high as the diagram."""
    pixels = np.zeros((HEIGHT, tile), np.uint8)
    values = np.clip(np.rint(enlarged(column.maps, tile) * REACH), -REACH, REACH)
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
    """Lines between the columns in a few traces: one for each sign and quarter of the largest weight."""
    ends = [_ends(layer.weights, left, right) for layer, left, right in zip(layers, columns, columns[1:])]
    x, y, weights = (np.concatenate(parts) for parts in zip(*ends))
    keep = np.isfinite(weights)
    largest = np.max(np.abs(weights), initial=0.0, where=keep) or 1.0
    quarter = np.minimum(np.abs(np.where(keep, weights, 0.0)) / largest * 4, 3).astype(int)
    traces = []
    for size, width in enumerate(EDGE_WIDTHS):
        for sign in (-1, 1):
            chosen = keep & (quarter == size) & (np.sign(weights) == sign)
            line = {"color": signed_color(theme, sign * (0.35, 0.6, 0.8, 1.0)[size]), "width": width, "simplify": False}
            place = {"x": packed(x[chosen].ravel()), "y": packed(y[chosen].ravel())}
            traces.append({"type": "scatter", "mode": "lines", **place, "line": line, "hoverinfo": "skip", "showlegend": False})
    return traces


def _ends(weights, left, right):
    """x and y (edges, 3) of the lines of one layer, each closed by a gap, and their weights (edges,)."""
    sources, targets = np.indices(weights.shape).reshape(2, -1)
    gap = np.full(sources.size, np.nan)
    x = np.stack([np.full(sources.size, left.x), np.full(sources.size, right.x), gap], axis=1)
    return x, np.stack([left.y[sources], right.y[targets], gap], axis=1), np.ravel(weights)


def _markers(columns, tile, picked, names, theme):
    """One marker a unit, to hover over and to click: clear over a map, otherwise a circle coloured by the mean activation."""
    traces = []
    for column in columns:
        mapped = column.maps is not None
        outline = [picked == (column.layer, index) for index in range(len(column.y))]
        marker = {"symbol": "square" if mapped else "circle", "size": tile, "opacity": 1}
        if mapped:
            marker |= {"color": "rgba(0,0,0,0)", "line": {"width": 0}}
        else:
            frame = {"color": [theme.ink if on else theme.faint for on in outline], "width": [3 if on else 1 for on in outline]}
            colors = [signed_color(theme, float(value)) if np.isfinite(value) else theme.trouble for value in column.color]
            marker |= {"color": colors, "size": min(tile, 26), "line": frame}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": packed(np.full(len(column.y), column.x)),
                "y": packed(column.y),
                "marker": marker,
                "customdata": _custom(column),
                "hovertemplate": _hover(column),
                "showlegend": False,
            }
        )
    # Beside a marker, text keeps clear of it by the marker's size in pixels, whatever the panel's width
    labels = {"text": [plain(name, 10) for name in names[: len(columns[0].y)]], "textposition": "middle left"}
    full = {"hovertext": [plain(name) for name in names[: len(columns[0].y)]]}
    traces[0] |= {"mode": "markers+text", "textfont": {"size": 12, "color": theme.muted}, **labels, **full}
    return traces


def _custom(column):
    index = np.arange(len(column.y))
    return packed(np.stack([np.full(len(index), column.layer), index, index + 1, column.bias, column.mean], axis=1), "f8")


def _hover(column):
    if column.layer == 0:
        return "input %{hovertext}<extra></extra>"
    values = "bias %{customdata[3]:.4f}<br>mean activation %{customdata[4]:.4f}"
    return f"<b>layer {column.layer}, unit %{{customdata[2]}}</b><br>{values}<extra></extra>"


def _texts(columns, tile, theme):
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
    return {"type": "scatter", "mode": "text", "x": x, "y": y, "text": text, "textfont": font, "hoverinfo": "skip", "showlegend": False}


def _alt(snapshot, columns):
    sizes = ", ".join(f"{column.units:,} {column.title}" for column in columns[1:])
    weights = np.concatenate([np.ravel(layer.weights) for layer in snapshot.layers])
    weights = weights[np.isfinite(weights)]
    largest = f"the largest weight shown is {np.max(np.abs(weights)):.3g}" if weights.size else "no weight is finite"
    return f"Network diagram: {columns[0].units:,} inputs, then layers of {sizes} units; {largest}."
