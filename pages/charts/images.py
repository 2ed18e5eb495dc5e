"""Small pictures as data URIs: a PNG that the browser decodes is far cheaper than a chart trace of as many cells."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def png(pixels, palette=None):
    """A PNG data URI of `pixels` uint8: (h, w) indices into `palette` (n, 4) RGBA, or (h, w, 3) colours."""
    pixels = np.ascontiguousarray(pixels, np.uint8)
    height, width = pixels.shape[:2]
    rows = np.full((height, 1 + pixels[0].size), 2, np.uint8)  # filter 2, each row less the one above: smooth maps pack well
    rows[:, 1:] = pixels.reshape(height, -1)
    rows[1:, 1:] -= pixels.reshape(height, -1)[:-1]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2 if palette is None else 3, 0, 0, 0))]
    if palette is not None:
        palette = np.asarray(palette, np.uint8)
        chunks += [(b"PLTE", palette[:, :3].tobytes()), (b"tRNS", palette[:, 3].tobytes())]
    chunks += [(b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode("ascii")


def enlarged(maps, size):
    """(n, s, s) -> (n, size, size) float32, bilinear, for smooth small maps."""
    source = maps.shape[-1]
    place = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    left = np.minimum(place.astype(int), max(source - 2, 0))
    weights = np.zeros((size, source), np.float32)
    weights[np.arange(size), left] = 1 - (place - left)
    if source > 1:
        weights[np.arange(size), left + 1] += place - left
    return weights @ maps.astype(np.float32) @ weights.T
