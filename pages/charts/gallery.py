"""Samples that are pictures, each with what the network says it is."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from pages.charts.images import png
from pages.charts.style import bare_axis, figure, mixed, plain

PICTURE, CAPTION = 0.6, 0.66  # of a cell's height: its picture, and where its caption begins
NAME = 9  # letters of a class's name in a caption; all of it is told on hover
DARK = 32  # of 255: pictures that are darker than this in most of their pixels are drawings, not photographs


def gallery(shown, theme, height):
    """The figure of a Gallery: what was predicted under each picture, and where that is wrong what it is."""
    count = len(shown.pictures)
    columns = math.ceil(math.sqrt(1.5 * count))
    rows = math.ceil(count / columns)
    wrong = np.zeros(count, bool) if shown.wrong is None else shown.wrong
    places = [(index % columns, index // columns) for index in range(count)]
    captions = {
        "type": "scatter",
        "mode": "text",
        "x": [column + 0.5 for column, _ in places],
        "y": [row + CAPTION for _, row in places],
        "text": [_caption(*said, shown.wrong is None) for said in zip(shown.true, shown.predicted, wrong.tolist())],
        "textposition": "bottom center",
        "textfont": {"size": 12, "color": [theme.trouble if is_wrong else theme.muted for is_wrong in wrong.tolist()]},
        "customdata": [[plain(true), plain(predicted)] for true, predicted in zip(shown.true, shown.predicted)],
        "hovertemplate": "true %{customdata[0]}<br>predicted %{customdata[1]}<extra></extra>",
    }
    size = {"sizex": 0.9, "sizey": PICTURE, "xanchor": "center", "xref": "x", "yref": "y", "sizing": "contain"}
    sources = framed(shown.pictures, theme)
    images = [{"source": source, "x": column + 0.5, "y": row + 0.04, **size} for source, (column, row) in zip(sources, places)]
    return figure(
        theme,
        f"Predictions, {shown.part} samples",
        [captions],
        _alt(shown, wrong),
        height=height,
        legend="" if shown.wrong is None else "× wrong",
        margin={"l": 4, "r": 4, "t": 6, "b": 4},
        axes={"xaxis": bare_axis(range=[0, columns]), "yaxis": bare_axis(range=[rows, 0])},
        images=images,
        meta="pixels",  # shown pixel by pixel, however much they are enlarged
        dragmode=False,
    )


def _caption(true, predicted, is_wrong, are_values):
    if are_values:
        return f"{plain(predicted, NAME)}<br>true {plain(true, NAME)}"
    return f"<b>× {plain(predicted, NAME)}</b><br>is {plain(true, NAME)}" if is_wrong else plain(predicted, NAME)


def _alt(shown, wrong):
    count = len(shown.pictures)
    if shown.wrong is None:
        return f"Pictures of {count} {shown.part} samples with their predicted and their true values."
    pairs = [(plain(true, 20), plain(said, 20)) for true, said, is_wrong in zip(shown.true, shown.predicted, wrong) if is_wrong]
    mistakes = "; taken for another: " + ", ".join(f"{true} for {said}" for true, said in pairs) if pairs else ""
    return f"Pictures of {count} {shown.part} samples: {count - len(pairs)} are predicted right{mistakes}."


def framed(pictures, theme):
    """PNG data URIs of `pictures` (n, height, width, 1 or 3) uint8. Drawings, bright on black, are drawn in ink on the theme's ground."""
    return _sources(pictures.tobytes(), pictures.shape, theme.surface, theme.ink)


@lru_cache(8)  # they stay the same from frame to frame
def _sources(raw, shape, surface, ink):
    pictures = np.frombuffer(raw, np.uint8).reshape(shape)
    if shape[3] == 3:
        return tuple(map(png, pictures))
    ends = (surface, ink) if np.median(pictures) < DARK else ("#000000", "#ffffff")
    palette = [[*bytes.fromhex(mixed(ends, level / 255)[1:]), 255] for level in range(256)]
    return tuple(png(picture[..., 0], palette) for picture in pictures)
