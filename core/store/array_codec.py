"""Named arrays as bytes and back: no pickle, nothing read that was not declared, and never more than was agreed on."""

from __future__ import annotations

import json
import math
import struct
import zlib

import numpy as np

KINDS = "fiubU"  # NumPy's kinds that are encoded: numbers and text
COMPRESSED = 4 << 20  # bytes up to which arrays are compressed: the weights of large networks are as good as random and would take seconds
TEXT_UNIT = 4  # bytes of a character in NumPy's text


class DecodeError(ValueError):
    """Bytes that are not what `encode` gives; the message says what is wrong with them."""


def encode(arrays: dict[str, np.ndarray]) -> bytes:
    """`arrays` (name -> array) as bytes. Bytes of like weight stand together: so they compress to less, and faster."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    head = json.dumps([(name, array.dtype.str, array.shape) for name, array in arrays.items()]).encode()
    parts = [struct.pack("<I", len(head)), head, *(_shuffled(array) for array in arrays.values())]
    return zlib.compress(b"".join(parts), 1 if sum(map(len, parts)) <= COMPRESSED else 0)


def decode(encoded: bytes, most: int) -> dict:
    """What `encode` was given. Raises DecodeError for anything else, and for what would be larger than `most` bytes."""
    try:
        stream = zlib.decompressobj()
        raw = stream.decompress(encoded, most + 1)
        if len(raw) > most:
            raise DecodeError(f"they unpack to more than {most:,} bytes")
        if not stream.eof:
            raise DecodeError("they are cut short")
        (length,) = struct.unpack_from("<I", raw)
        begin, arrays = 4 + length, {}
        for name, dtype, shape in json.loads(raw[4:begin]):
            array, begin = _unshuffled(raw, begin, np.dtype(dtype), tuple(shape))
            arrays[str(name)] = array
    except DecodeError:
        raise
    except Exception as error:  # damaged bytes fail in many ways
        raise DecodeError(f"they are damaged ({type(error).__name__})") from error
    if begin != len(raw):
        raise DecodeError("they are longer than they say")
    return arrays


def _unit(dtype):
    return TEXT_UNIT if dtype.kind == "U" else dtype.itemsize


def _shuffled(array):
    if array.dtype.kind not in KINDS:
        raise TypeError(f"arrays of numbers or text can be encoded; this one is of type {array.dtype}")
    columns = np.ascontiguousarray(array.T).reshape(-1).view(np.uint8)
    return columns.reshape(-1, _unit(array.dtype)).T.tobytes() if columns.size else b""


def _unshuffled(raw, begin, dtype, shape):
    """(the array that begins at `begin`, where it ends)."""
    if dtype.kind not in KINDS or any(type(size) is not int or size < 0 for size in shape):
        raise DecodeError(f"they hold an array of type {dtype} and shape {shape}")
    end = begin + math.prod(shape) * dtype.itemsize
    if end > len(raw):
        raise DecodeError("they are shorter than they say")
    if end == begin:
        return np.empty(shape, dtype), end
    columns = np.frombuffer(raw, np.uint8, end - begin, begin).reshape(_unit(dtype), -1).T
    return np.array(np.ascontiguousarray(columns).reshape(-1).view(dtype).reshape(shape[::-1]).T, order="C"), end
