"""An NPZ that nothing is taken for granted of: its zip's list and each array's header are checked first; only then are exactly the
declared bytes read.

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

from core.limits import LIMITS, ConfigError, shown

ENTRY = b"PK\1\2"  # begins each entry of a zip's list
HEADER = 4096  # bytes of an array's header; NumPy writes 118
NUMBERS = "fiub"  # NumPy's kinds: float, int, unsigned, bool
TEXT = "US"  # unicode and bytes
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True)
class Header:
    """What an array says of itself; its data begin `offset` bytes into the member."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    offset: int

    @property
    def cells(self) -> int:
        """How many values the array has."""
        return math.prod(self.shape)

    def __str__(self):
        return f"{' x '.join(map(str, self.shape))} {self.dtype}"


class Archive:
    """The open zip in the bytes `raw`, stored or deflated. `field` is what errors are filed under, `wanted` says in them what
    arrays it should hold, `most` how many members are listed at all. Raises ConfigError everywhere."""

    def __init__(self, raw: bytes, field: str, wanted: str, most: int) -> None:
        self._field, self._wanted = field, wanted
        if raw.count(ENTRY) > most:
            raise self._error(f"{wanted} alone; holds many more")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
        except DAMAGE as error:
            raise ConfigError(field, "must be a complete NPZ; its zip archive is damaged or cut short") from error
        self._members = self._zip.infolist()
        self.names = [member.filename.removesuffix(".npy") for member in self._members]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._zip.close()

    def _error(self, message):
        return ConfigError(self._field, f"must be an NPZ with {message}")

    def check_packing(self) -> None:
        """Refuse what NumPy does not write."""
        stored = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if any(member.compress_type not in stored or member.flag_bits & 1 for member in self._members):
            raise ConfigError(self._field, "must be an NPZ as NumPy writes it; this one is encrypted or compressed in another way")

    def header(self, name: str, kinds: str = NUMBERS) -> Header:
        """The Header of an array of these NumPy kinds, once it is sure that what it declares may be read."""
        return _header(self._unpacked(name, HEADER), name, kinds, self._field, self._wanted)

    def array(self, name: str, header: Header) -> np.ndarray:
        """The array, read to exactly the length that its header declares."""
        length = header.offset + header.cells * header.dtype.itemsize
        return _values(self._unpacked(name, length + 1), header, name, self._field)

    def _unpacked(self, name, size):
        """The first `size` bytes of an array's member, or all if it has fewer."""
        try:
            with self._zip.open(f"{name}.npy") as member:
                return member.read(size)
        except (*DAMAGE, KeyError) as error:
            raise ConfigError(self._field, f"must be a complete NPZ; {name} is damaged or cut short") from error


def read_npy(raw: bytes, field: str) -> np.ndarray:
    """The array in the bytes of an NPY. Raises ConfigError."""
    header = _header(raw[:HEADER], "the array", NUMBERS, field, "a table")
    return _values(raw, header, "the array", field)


def _header(content, name, kinds, field, wanted):
    """The Header in an array's first bytes, once it is sure that what it declares may be read."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran_order, dtype = reader(file, max_header_size=HEADER)
    except Exception as error:  # the header is parsed as a Python literal, which fails in many ways
        raise ConfigError(field, f"must be an NPZ with {wanted}; {name} is not an array") from error
    if dtype.kind not in kinds or not dtype.itemsize:
        plain = "plain text" if kinds == TEXT else "plain numbers"
        raise ConfigError(field, f"must hold {plain} in {name}; its type is {shown(str(dtype))}")
    if any(size < 0 for size in shape):
        raise ConfigError(field, f"must have no negative sizes in {name}; its shape is {shown(shape)}")
    header, most = Header(shape, fortran_order, dtype, file.tell()), LIMITS["file_cells"]
    if header.cells > most or header.cells * dtype.itemsize > 8 * most:
        raise ConfigError(field, f"must have at most {most:,} numbers in {name}; its shape is {shown(shape)}, of {dtype}")
    return header


def _values(content, header, name, field):
    """The array of this Header in bytes that are exactly as long as it declares."""
    length = header.offset + header.cells * header.dtype.itemsize
    if len(content) != length:
        differs = "shorter" if len(content) < length else "longer"
        raise ConfigError(field, f"must be a complete array file; {name} is {differs} than it says")
    values = np.frombuffer(content, header.dtype, header.cells, header.offset)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")
