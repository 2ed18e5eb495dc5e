"""What kinds of file hold a table, told apart by their content, and how each is read: into one pandas DataFrame, in bounded memory.

A row of FORMATS is a kind: how its bytes are known, and its reader. Nothing is unpickled; sizes are checked before anything is unpacked.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.data.npz_archive import DAMAGE
from core.data.table import arrays, text
from core.limits import LIMITS, ConfigError, legible, listed, shown

if TYPE_CHECKING:
    import pandas as pd


UNPACKED = 4 * LIMITS["file_bytes"]  # bytes of all parts of a workbook together
PARTS = 2000  # of a zip archive that are listed at all
HEAD = 1 << 12  # bytes in which a JSON text begins, blanks before it counted
NAME_LENGTH = 200  # letters of a column's name
ROLES = "train", "test"  # of a zip of two tables
PART = re.compile(r"(?i)(?:^|[/_. -])(train|test)")
LONGEST = 1 << 16  # letters of a text in a Parquet file, where a short page can stand for many of them


@dataclass
class Table:
    """What a file holds, as pandas reads it: `frame` has a column for each of the file's, under names of their own. `rows` are the file's,
    of which `frame` may be a sample. `notes` say what was decided. Of arrays: `targets` are the columns that they give as such,
    `matrix` says that these are numbers (m, k), to be used as they are, `held_back` (m,) bool the rows that they give for testing, `image`
    (height, width, channels) what an input row is a picture of."""

    frame: pd.DataFrame
    rows: int
    format: str
    notes: list[str] = field(default_factory=list)
    header: bool | None = None
    delimiter: str | None = None
    targets: tuple[str, ...] | None = None
    matrix: bool = False
    held_back: np.ndarray | None = None
    image: tuple[int, int, int] | None = None


def opened(raw: bytes, header: bool | None = None, delimiter: str | None = None, single: bool = False) -> Table:
    """The Table in a file's bytes. `header` (bool) and `delimiter` of a text are found out unless given; with `single`, one column is
    enough. Raises ConfigError."""
    if not (pair := _is_zip(raw) and _pair(_files(raw))):
        return _single(raw, header, delimiter, single)
    training, tests = pair
    return with_tests(_single(_member(raw, training), header, delimiter, single), _member(raw, tests), tests, header, delimiter)


def packed(training: tuple[str, bytes], tests: tuple[str, bytes]) -> bytes:
    """A zip of two files, (name, bytes) each, that `opened` takes for a table with a test part of its own. The same files give the same."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for part, (name, raw) in zip(ROLES, (training, tests)):
            archive.writestr(zipfile.ZipInfo(f"{part}/{name}"), raw)
    return stream.getvalue()


def with_tests(table: Table, raw: bytes, name: str, header: bool | None, delimiter: str | None) -> Table:
    """This Table with another one's rows, those in the bytes of a test file of this name, behind its own. Raises ConfigError."""
    import pandas as pd

    try:
        tests = _single(raw, header, delimiter, False)
    except ConfigError as error:
        raise ConfigError("data.test_path", error.message) from None
    if list(tests.frame.columns) != list(table.frame.columns):
        absent = [name for name in table.frame.columns if name not in set(tests.frame.columns)]
        had = f"has no {listed(absent)}" if absent else f"has more, or another order: {listed(tests.frame.columns)}"
        raise ConfigError("data.test_path", f"must have the columns of the training file; it {had}")
    rows = len(table.frame)
    table.frame = pd.concat([table.frame, tests.frame], ignore_index=True)
    table.held_back = np.arange(len(table.frame)) >= rows
    table.rows += tests.rows
    table.notes.append(f"The test part is a file of its own, {shown(name.rpartition('/')[2])}, of {len(tests.frame):,} rows")
    return table


def _single(raw, header, delimiter, single):
    raw, notes = _unpacked(raw)
    kind = next(kind for kind in FORMATS if kind.holds(raw))
    table = kind.read(raw, header, delimiter, 1 if single else 2)
    table.notes[:0] = notes
    if len(table.frame) < table.rows:
        table.notes.append(f"A random sample of {len(table.frame):,} of the {table.rows:,} rows is used")
    return table


def _unpacked(raw):
    """(the bytes that a gzip, or a zip of one file, holds, what to say of it)."""
    if raw.startswith(b"\x1f\x8b"):
        unpacker, most = zlib.decompressobj(31), LIMITS["file_bytes"]
        try:
            content = unpacker.decompress(raw, most + 1)
        except zlib.error:
            raise ConfigError("data.path", "must be a sound gzip; this one is damaged") from None
        if len(content) <= most and not unpacker.eof:
            raise ConfigError("data.path", "must be a complete gzip; this one is cut short")
        return _bounded(content), ["Unpacked from gzip"]
    if _is_zip(raw) and (name := _only_file(raw)):
        return _member(raw, name), [f"Unpacked from zip: {shown(name)}"]
    return raw, []


def _member(raw, name):
    """The bytes of a file in a zip."""
    with _archive(raw) as archive:
        try:
            with archive.open(name) as member:
                return _bounded(member.read(LIMITS["file_bytes"] + 1))
        except DAMAGE:
            raise ConfigError("data.path", "must be a complete zip archive without a password; this one cannot be unpacked") from None


def _bounded(content):
    if len(content) > LIMITS["file_bytes"]:
        raise ConfigError("data.path", f"must be at most {LIMITS['file_bytes'] >> 20} MiB once it is unpacked; has more")
    if not content:
        raise ConfigError("data.path", "must not be empty once it is unpacked")
    return content


def _is_zip(raw):
    return raw.startswith((b"PK\3\4", b"PK\5\6"))


def _archive(raw):
    if raw.count(b"PK\1\2") > PARTS:
        raise ConfigError("data.path", "must be a zip archive of few files; holds many more")
    try:
        return zipfile.ZipFile(io.BytesIO(raw))
    except DAMAGE:
        raise ConfigError("data.path", "must be a complete zip archive; this one is damaged or cut short") from None


def _files(raw):
    """Names of the files in a zip; none of an NPZ or a workbook."""
    with _archive(raw) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    return [] if any(name.endswith(".npy") for name in names) or "[Content_Types].xml" in names else names


def _only_file(raw):
    """The name of the one file in a zip; None for an NPZ or a workbook. Raises ConfigError for several."""
    names = _files(raw)
    if len(names) > 1:
        wanted = "one table, or of two whose names begin with train and test"
        raise ConfigError("data.path", f"must be a zip archive of {wanted}; holds {listed(names)}")
    return names[0] if names else None


def _pair(names):
    """(the name with the training rows, the one with the tests) of two files' names that say so; otherwise None."""
    said = {found[1].lower(): name for name in names if (found := PART.search(name))}
    return tuple(said[part] for part in ROLES) if len(names) == len(said) == 2 else None


def _is_workbook(raw):
    return _is_zip(raw) and b"[Content_Types].xml" in raw


def _text(raw, header, delimiter, least):
    raw, encoding = (b"", None) if raw.isspace() else text.decoded(raw)  # the quick answer to 64 MiB of newlines
    if not raw or raw.isspace():
        raise ConfigError("data.path", "must hold a header and rows of data; holds blanks only")
    found = text.layout(raw, header, delimiter, least)
    names, notes = named(found.names, found.width)
    if encoding:
        notes.insert(0, f"Read as {encoding.upper()}")
    if found.skipped:
        notes.append(f"{found.skipped} line{'s' * (found.skipped > 1)} before the table left out")
    if found.decimal == ",":
        notes.append("Numbers have decimal commas")
    if found.names is None:
        notes.append("No header: the first row holds data, and columns are numbered")
    frame, rows = text.sampled(text.frames(raw, found, names), found.width)
    return Table(frame, rows, "csv", notes, found.names is not None, found.delimiter)


def _whole(digits):
    """A whole number of a JSON text; Python makes none of more than 4,300 digits, and no column can hold it: that is infinite."""
    return int(digits) if len(digits) < 400 else float(digits)


def _json(raw, header, delimiter, least):
    import pandas as pd

    try:
        content = json.loads(raw.decode("utf-8-sig"), parse_int=_whole)
    except json.JSONDecodeError:
        try:  # one record a line
            content = [json.loads(line, parse_int=_whole) for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise ConfigError("data.path", f"must be sound JSON; line {error.lineno}, column {error.colno}: {error.msg}") from None
    if isinstance(content, dict) and isinstance(content.get("data"), list) and isinstance(content.get("columns"), list):
        content = [dict(zip(map(str, content["columns"]), row)) for row in content["data"]]
    elif isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        records = len(lists) == 1 and lists[0] and all(isinstance(entry, dict) for entry in lists[0])
        content = lists[0] if records else content
    sound = isinstance(content, dict) or (isinstance(content, list) and content and all(isinstance(entry, dict) for entry in content))
    if not sound:
        raise ConfigError("data.path", "must be JSON with a list of records ({name: value}), or a list of values for each name")
    return _of_frame(pd.DataFrame(content), "json")


def _workbook(raw, header, delimiter, least):
    import pandas as pd
    from openpyxl import load_workbook

    with _archive(raw) as archive:
        if sum(member.file_size for member in archive.infolist()) > UNPACKED:
            raise ConfigError("data.path", f"must be a workbook of at most {UNPACKED >> 20} MiB once it is unpacked; has more")
    book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
    sheet = next((sheet for sheet in book.worksheets if sheet.sheet_state == "visible"), None)
    rows, cells = [], 0
    for row in sheet.iter_rows(values_only=True) if sheet else ():
        row = _trimmed(row)
        cells += len(row) + 1
        if cells > LIMITS["file_cells"] or len(rows) > LIMITS["samples"]:
            raise ConfigError("data.path", f"must have at most {LIMITS['samples']:,} rows in its first sheet; has more: save it as CSV")
        if row:
            rows.append(row)
    notes = [f"Sheet {shown(sheet.title)} of {len(book.sheetnames)} is read"] if sheet and len(book.sheetnames) > 1 else []
    width = max(map(len, rows), default=0)
    if width < least:
        raise ConfigError("data.path", "must have at least two columns in its first sheet; has fewer")
    first = next(index for index, row in enumerate(rows) if sum(cell is not None for cell in row) >= min(least, width))
    rows = [row + [None] * (width - len(row)) for row in rows[first:]]
    words = [["" if cell is None else str(cell).strip() for cell in row] for row in rows[: text.LINES]]
    names = text.header_of(words[0], words[1:], header)
    if first:
        notes.append(f"{first} line{'s' * (first > 1)} before the table left out")
    names_used, more = named(names, width)
    table = _of_frame(pd.DataFrame(rows[names is not None :], columns=names_used).infer_objects(), "xlsx", notes + more)
    table.header = names is not None
    return table


def _trimmed(row):
    row = list(row)
    while row and (row[-1] is None or row[-1] == ""):
        row.pop()
    return row


def _parquet(raw, header, delimiter, least):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(raw))
    schema, about = file.schema_arrow, file.metadata
    size = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
    if about.num_columns > LIMITS["inputs"] or size > UNPACKED:
        most = f"{LIMITS['inputs']:,} columns and {UNPACKED >> 20} MiB once it is unpacked"
        raise ConfigError("data.path", f"must have at most {most}; has more")
    words = [name.name for name in schema if pa.types.is_string(name.type) or pa.types.is_large_string(name.type)]
    file = pq.ParquetFile(io.BytesIO(raw), read_dictionary=words)  # a dictionary is held once, however often its texts come
    columns = [name for name in schema.names if name != "__index_level_0__"]
    pieces = (_plain(batch.to_pandas()) for batch in file.iter_batches(1 << 14, columns=columns))
    frame, rows = text.sampled(pieces, max(len(columns), 1))
    return _of_frame(frame, "parquet", rows=rows)


def _plain(frame):
    """Without pandas' categories, whose texts must be short."""
    for name in frame.columns[frame.dtypes == "category"]:
        if any(len(str(level)) > LONGEST for level in frame[name].cat.categories):
            raise ConfigError("data.path", f"must have texts of at most {LONGEST:,} letters; longer ones in column {shown(str(name))}")
        frame[name] = frame[name].astype(object)
    return frame


def _of_frame(frame, kind, notes=(), rows=None):
    """The Table of a DataFrame whose cells may be anything."""
    if frame.shape[1] > LIMITS["inputs"]:
        raise ConfigError("data.path", f"must have at most {LIMITS['inputs']:,} columns; has {frame.shape[1]:,}")
    names, more = named([str(name) for name in frame.columns], frame.shape[1])
    frame.columns = names
    for name in names:
        if frame[name].dtype == object:
            frame[name] = _plain_cells(frame[name])
    if rows is None:
        frame, rows = text.sampled([frame], max(frame.shape[1], 1))
    return Table(frame, rows, kind, [*notes, *more])


def _plain_cells(cells):
    """Numbers as they are; dates and all else as texts."""
    held = cells.dropna()
    if all(isinstance(cell, (bool, int, float)) for cell in held):
        return cells
    return held.map(lambda cell: cell.isoformat() if hasattr(cell, "isoformat") else legible(str(cell))).reindex(cells.index).astype("str")


def named(names: list[str] | None, width: int) -> tuple[list[str], list[str]]:
    """(a distinct printable name for each of `width` columns, what to say of those that had none or were there already)."""
    if names is None:
        return [f"column {index + 1}" for index in range(width)], []
    names = [""] * (width - len(names)) + [legible(name.strip())[:NAME_LENGTH] for name in names]
    unnamed = [index for index, name in enumerate(names) if not name]
    notes = [f"Column {index + 1} has no name" for index in unnamed[:3]]
    for index in unnamed:
        names[index] = f"column {index + 1}"
    seen, repeated = set(), []
    for index, name in enumerate(names):
        copy = 1
        while names[index] in seen:
            copy += 1
            names[index] = f"{name} ({copy})"
        if copy > 1:
            repeated.append(name)
        seen.add(names[index])
    if repeated:
        notes.append(f"The header repeats {listed(repeated)}: the later ones are numbered")
    return names, notes


def _npz(raw, header, delimiter, least):
    return Table(**arrays.npz(raw))


def _npy(raw, header, delimiter, least):
    return Table(**arrays.npy(raw))


def _pickle(raw, header, delimiter, least):
    raise ConfigError("data.path", "must be a table; this is a Python pickle, which is never opened")


def _old_workbook(raw, header, delimiter, least):
    raise ConfigError("data.path", "must be a workbook of Excel 2007 or later (.xlsx); this is an older one: save it as .xlsx or CSV")


@dataclass(frozen=True)
class Format:
    """A kind of file: whether these bytes are one, and the Table in them."""

    holds: Callable
    read: Callable


FORMATS = (
    Format(lambda raw: raw.startswith(b"\x93NUMPY"), _npy),
    Format(lambda raw: raw.startswith(b"PAR1"), _parquet),
    Format(_is_workbook, _workbook),
    Format(_is_zip, _npz),
    Format(lambda raw: raw.startswith(b"\xd0\xcf\x11\xe0"), _old_workbook),
    Format(lambda raw: raw[0] == 0x80 and raw[1:2] in (b"\2", b"\3", b"\4", b"\5"), _pickle),
    Format(lambda raw: raw[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"), _json),
    Format(lambda raw: True, _text),
)
