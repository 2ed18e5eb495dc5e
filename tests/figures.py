"""Reading figures back: what a test needs to see in them."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

DTYPES = {"f4": "<f4", "f8": "<f8", "i4": "<i4", "u1": "u1"}


def unpacked(spec):
    array = np.frombuffer(base64.b64decode(spec["bdata"]), DTYPES[spec["dtype"]])
    return array.reshape([int(side) for side in spec["shape"].split(", ")]) if "shape" in spec else array


def decoded_png(uri):
    """Pixels, and the palette (n, 4) or None, of a PNG whose rows are filtered by difference to the row above."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height, _, color, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    pixels = rows[:, 1:].cumsum(axis=0, dtype=np.uint8).reshape((height, width, 3) if color == 2 else (height, width))
    if color == 2:
        return pixels, None
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return pixels, np.column_stack([palette, np.frombuffer(chunks[b"tRNS"], np.uint8)])


def lines(figure):
    return {trace["name"]: trace for trace in figure["data"] if trace.get("name") and trace.get("showlegend", True)}
