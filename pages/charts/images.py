"""Small pictures as data URIs: a PNG that the browser decodes is far cheaper than a chart trace of as many cells."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def png(pixels: np.ndarray, palette: Sequence | np.ndarray | None = None, level: int = 1) -> str:
    """A PNG data URI of `pixels` uint8: (h, w) indices into `palette` (n, 4) RGBA, or (h, w, 3) colours. `level` is zlib's: 1 is
    right for what changes with every frame."""
    pixels = np.ascontiguousarray(pixels, np.uint8)
    height, width = pixels.shape[:2]
    rows = np.full((height, 1 + pixels[0].size), 2, np.uint8)  # filter 2, each row less the one above: smooth maps pack well
    rows[:, 1:] = pixels.reshape(height, -1)
    rows[1:, 1:] -= pixels.reshape(height, -1)[:-1]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2 if palette is None else 3, 0, 0, 0))]
    if palette is not None:
        palette = np.asarray(palette, np.uint8)
        chunks += [(b"PLTE", palette[:, :3].tobytes()), (b"tRNS", palette[:, 3].tobytes())]
    chunks += [(b"IDAT", zlib.compress(rows, level)), (b"IEND", b"")]  # pyright: ignore[reportArgumentType]
    body = b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode("ascii")


def enlarged(maps: np.ndarray, size: int) -> np.ndarray:
    """(n, s, s) -> (n, size, size) float32, bilinear, for smooth small maps."""
    source = maps.shape[-1]
    place = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    left = np.minimum(place.astype(int), max(source - 2, 0))
    weights = np.zeros((size, source), np.float32)
    weights[np.arange(size), left] = 1 - (place - left)
    if source > 1:
        weights[np.arange(size), left + 1] += place - left
    return weights @ maps.astype(np.float32) @ weights.T


SIDE = 640  # pixels of the picture of the samples: about twice what it is shown in, so that scaling smooths the discs
RADIUS, CORE = 7, {"filled": 5.5, "outlined": 4.2}  # of the discs, and of what is inside their rim


@lru_cache(maxsize=32)  # a run's samples stay the same from frame to frame
def points_png(parts: tuple[tuple[str, bytes, tuple[str, ...]], ...], low: float, high: float, surface: str) -> str:
    """A PNG data URI of samples over the square [low, high], clear between them. `parts` are (style, xy, colors): "filled" or
    "outlined", the bytes of a float32 (m, 2) array, and m hex colours."""
    palette = ["#000000", surface]
    canvas = np.zeros((SIDE + 2 * RADIUS, SIDE + 2 * RADIUS), np.uint8)
    distance = np.hypot(*np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1])
    for style, xy, colors in parts:
        places = np.frombuffer(xy, np.float32).reshape(-1, 2)
        places = np.stack([places[:, 0] - low, high - places[:, 1]], axis=1) / (high - low) * (SIDE - 1)
        for (x, y), color in zip(np.rint(places).astype(int).tolist(), colors):
            if not (0 <= x < SIDE and 0 <= y < SIDE):
                continue
            if color not in palette:
                palette.append(color)
            index = palette.index(color)
            square = canvas[y : y + 2 * RADIUS + 1, x : x + 2 * RADIUS + 1]
            square[distance <= RADIUS] = 1 if style == "filled" else index
            square[distance <= CORE[style]] = index if style == "filled" else 1
    colors = [[*bytes.fromhex(color[1:]), 255 if index else 0] for index, color in enumerate(palette)]
    return png(canvas[RADIUS:-RADIUS, RADIUS:-RADIUS], colors, level=6)
