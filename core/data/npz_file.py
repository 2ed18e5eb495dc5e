"""Reading an NPZ: the zip's list and each array's header are checked first; only then are exactly the declared bytes read.

NumPy's own loader is not used for the data: it allocates what a header claims.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from core.data.dataset import Samples
from core.limits import LIMITS, ConfigError, listed, shown

ARRAYS = ("X", "y")
ENTRY = b"PK\1\2"  # begins each entry of a zip's list
MEMBERS = 64  # entries that are listed at all; two are wanted
HEADER = 4096  # bytes of an array's header; NumPy writes 118
NUMBERS = "fiub"  # NumPy's kinds: float, int, unsigned, bool
TEXT = "US"  # unicode and bytes


@dataclass(frozen=True)
class Header:
    """What an array says of itself; its data begin `offset` bytes into the member."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    offset: int


def read(raw, data):
    """The Samples of an NPZ's bytes: X (m, n) and y, where y (m,) is raw labels or values and (m, k) is used as it is.
    Raises ConfigError."""
    with _archive(raw) as archive:
        headers = _headers(archive)
        X, y = (_array(archive, name, headers[name]) for name in ARRAYS)
    X = X.astype(float)
    if y.ndim == 2 or data.task == "regression":
        if y.dtype.kind not in NUMBERS:
            raise ConfigError("data.path", f"must hold numbers in y; holds text (type {y.dtype})")
        y = y.astype(float).reshape(len(y), -1)
    elif y.dtype.kind == "f":
        y = y.astype(float)
    elif y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    outputs = y.shape[1] if y.ndim == 2 else 1
    names = ("y",) if outputs == 1 else tuple(f"y{index}" for index in range(1, outputs + 1))
    return Samples(X, y, tuple(f"x{index}" for index in range(1, X.shape[1] + 1)), names)


def columns(raw):
    """Each array's name with its shape and type, such as "150 x 4 float64". Raises ConfigError."""
    with _archive(raw) as archive:
        headers = _headers(archive)
    return {name: f"{' x '.join(map(str, header.shape))} {header.dtype}" for name, header in headers.items()}


def _archive(raw):
    """The open zip, sure to hold exactly X.npy and y.npy, stored or deflated."""
    if raw.count(ENTRY) > MEMBERS:
        raise ConfigError("data.path", "must be an NPZ with the arrays X and y alone; holds many more")
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise ConfigError("data.path", "must be a complete NPZ; its zip archive is damaged or cut short") from error
    members = archive.infolist()
    names = [member.filename for member in members]
    if sorted(names) != [f"{name}.npy" for name in ARRAYS]:
        held = listed(name.removesuffix(".npy") for name in names) or "nothing"
        raise ConfigError("data.path", f"must be an NPZ with the arrays X and y alone; holds {held}")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1 for member in members):
        raise ConfigError("data.path", "must be an NPZ as NumPy writes it; this one is encrypted or compressed in another way")
    return archive


def _headers(archive):
    """The headers of X and y, which fit together and are within the limits. Raises ConfigError."""
    headers = {name: _header(archive, name) for name in ARRAYS}
    X, y = headers["X"].shape, headers["y"].shape
    if len(X) != 2:
        raise ConfigError("data.path", f"must have X of shape (rows, columns); was {shown(X)}")
    if len(y) not in (1, 2):
        raise ConfigError("data.path", f"must have y of shape (rows,) or (rows, outputs); was {shown(y)}")
    if y[0] != X[0]:
        raise ConfigError("data.path", f"must have as many rows in y as in X; X was {shown(X)} and y {shown(y)}")
    if 0 in X or 0 in y:
        raise ConfigError("data.path", f"must hold rows and columns of data; X was {shown(X)} and y {shown(y)}")
    if X[0] > LIMITS["samples"]:
        raise ConfigError("data.path", f"must have at most {LIMITS['samples']:,} rows; had {X[0]:,}")
    for name, limit in (("X", LIMITS["inputs"]), ("y", LIMITS["output_units"])):
        shape = headers[name].shape
        if len(shape) == 2 and shape[1] > limit:
            raise ConfigError("data.path", f"must have at most {limit:,} columns in {name}; had {shape[1]:,}")
    return headers


def _header(archive, name):
    """The Header of an array, once it is sure that what it declares may be read. Raises ConfigError."""
    file = io.BytesIO(_unpacked(archive, name, HEADER))
    try:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran_order, dtype = reader(file, max_header_size=HEADER)
    except Exception as error:  # the header is parsed as a Python literal, which fails in many ways
        raise ConfigError("data.path", f"must be an NPZ with the arrays X and y; {name} is not an array") from error
    if dtype.kind not in (NUMBERS if name == "X" else NUMBERS + TEXT) or not dtype.itemsize:
        raise ConfigError("data.path", f"must hold plain numbers in {name}; its type is {shown(str(dtype))}")
    if any(size < 0 for size in shape):
        raise ConfigError("data.path", f"must have no negative sizes in {name}; its shape is {shown(shape)}")
    cells, most = math.prod(shape), LIMITS["file_cells"]
    if cells > most or cells * dtype.itemsize > 8 * most:
        raise ConfigError("data.path", f"must have at most {most:,} numbers in {name}; its shape is {shown(shape)}, of {dtype}")
    return Header(shape, fortran_order, dtype, file.tell())


def _array(archive, name, header):
    """The array, read to exactly the length that its header declares. Raises ConfigError."""
    cells = math.prod(header.shape)
    length = header.offset + cells * header.dtype.itemsize
    content = _unpacked(archive, name, length + 1)
    if len(content) != length:
        raise ConfigError("data.path", f"must be a complete NPZ; {name} is {'shorter' if len(content) < length else 'longer'} than it says")
    values = np.frombuffer(content, header.dtype, cells, header.offset)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


def _unpacked(archive, name, size):
    """The first `size` bytes of an array's member, or all if it has fewer. Raises ConfigError."""
    try:
        with archive.open(f"{name}.npy") as member:
            return member.read(size)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError("data.path", f"must be a complete NPZ; {name} is damaged or cut short") from error
