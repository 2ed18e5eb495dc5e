"""Little pictures of the data sources, drawn from their own samples, as a style sheet for the buttons that choose them."""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import quote

import numpy as np
import streamlit as st
from starlette.responses import Response
from starlette.routing import Route

from core.config import DataConfig
from core.data import load
from core.data.sources import SOURCES
from core.snapshot.outputs import pixels
from pages.charts.style import THEMES, layer_color, signed_color
from pages.shell.components import served

PATH = "/descent/thumbnails.css"
SIDE = 32  # of the drawing's own units
DOTS = 110  # samples drawn of each source
BLOCKS = 8  # a picture is drawn as this many blocks a side
ARROW = '<path d="M16 21V8m-6 6 6-6 6 6M7 25h18" fill="none" stroke="#808b96" stroke-width="2.2" stroke-linecap="round"/>'


def thumbnails(key):
    """Style the segmented control with this key, whose options are the SOURCES."""
    st.html(f'<style>@import url("{served(PATH)}?control={key}");</style>')


def _style_sheet(request):
    """The drawings are made once for all, when the first page asks: the tables alone take seconds to import."""
    control = re.sub("[^a-z-]", "", request.query_params.get("control", ""))
    rules = (
        f'.st-key-{control} button:nth-of-type({index})::before {{ background-image: url("data:image/svg+xml,{quote(drawing)}") }}'
        for index, drawing in enumerate(_drawings(), 1)
    )
    return Response(" ".join(rules), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


ROUTE = Route(served(PATH), _style_sheet)  # a plain function: Starlette runs it in a thread


@cache
def _drawings():
    return [_drawing(name) for name in SOURCES]


def _drawing(name):
    shapes = ARROW if SOURCES[name].kind == "file" else _shapes(load(DataConfig(source=name, test_fraction=0.0)))
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}">{shapes}</svg>'


def _shapes(dataset):
    rows = dataset.train
    if dataset.image:
        liveliest = rows.inputs[np.argmax(rows.inputs.std(axis=1))]
        return _blocks(pixels(dataset, liveliest[None])[0])
    points = _two_columns(rows.inputs) if rows.points is None else rows.points
    return _dots(points[:DOTS], _colors(dataset)[:DOTS])


def _two_columns(inputs):
    """(m, 2): the two directions in which the standardised columns spread most."""
    spread = inputs.std(axis=0)
    centred = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T


def _colors(dataset):
    """A colour for each training sample: classes and values on the scales that the charts use."""
    theme, targets = THEMES["light"], dataset.train.targets
    if dataset.labels and dataset.outputs == 2:
        return [signed_color(theme, 0.9 if target else -0.75) for target in targets]
    if dataset.labels:
        return [layer_color(theme, target + 1, dataset.outputs) for target in targets]
    values = targets[:, 0] - targets[:, 0].mean()
    shades = np.copysign(np.maximum(np.abs(values / np.abs(values).max()), 0.4), values)  # no dot as pale as its background
    return [signed_color(theme, shade) for shade in shades.round(1)]


def _dots(points, colors):
    low, high = points.min(axis=0), points.max(axis=0)
    places = 3 + (SIDE - 6) * (points - low) / (high - low)
    strokes = {}
    for (x, y), color in zip(places, colors):
        strokes.setdefault(color, []).append(f"M{x:.1f} {SIDE - y:.1f}h0")
    paths = "".join(f'<path d="{"".join(moves)}" stroke="{color}"/>' for color, moves in strokes.items())
    return f'<g stroke-width="2.6" stroke-linecap="round">{paths}</g>'


def _blocks(picture):
    """A picture (height, width, 1 or 3) uint8, as squares: in its colours, or as a drawing in one colour."""
    size = picture.shape[0] // BLOCKS
    colors = picture.reshape(BLOCKS, size, BLOCKS, size, -1).mean(axis=(1, 3))
    side = SIDE / BLOCKS
    squares = (
        f'<rect x="{column * side}" y="{row * side}" width="{side}" height="{side}" {_fill(color)}/>'
        for row, line in enumerate(np.rint(colors).astype(int).tolist())
        for column, color in enumerate(line)
    )
    return f'<g shape-rendering="crispEdges">{"".join(squares)}</g>'


def _fill(color):
    if len(color) == 3:
        return f'fill="rgb({",".join(map(str, color))})"'
    return f'fill="{signed_color(THEMES["light"], 0.9)}" fill-opacity="{color[0] / 255:.2f}"'
