"""A table in a text: its encoding, delimiter, decimal mark and header are found in its first lines; pandas reads the rest, in pieces of
bounded size.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.limits import LIMITS, ConfigError, shown

if TYPE_CHECKING:
    import pandas as pd

HEAD = 1 << 16  # characters that the layout is found in
LINES = 200  # of them, at most
RECORD = 1 << 20  # characters in the first line: 16,384 columns of 64
DELIMITERS = ("\t", ";", "|", ",", " ")  # of two that fit equally well the first one is meant; " " is any run of blanks
CONSISTENT = 0.8  # share of the lines that must have the usual number of cells
COMMENTS = ("#", "%")
UTF_16 = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
CONTROLS = bytes({*range(32)} - set(b"\t\n\v\f\r\x1b"))
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
YEARS = (1500, 2200)
COUNTED = 4  # columns at least that a first row 0, 1, 2, ... numbers, rather than holding data


@dataclass(frozen=True)
class Layout:
    """How a text is laid out. The rows begin `offset` bytes into it; `names` are its header's, None where it has none."""

    delimiter: str
    names: list[str] | None
    width: int
    decimal: str
    offset: int
    skipped: int


def decoded(raw: bytes) -> tuple[bytes, str | None]:
    """The bytes of a text as UTF-8, and what they were where that is worth saying (None: UTF-8). Raises ConfigError for what is no text."""
    encoding = next((name for mark, name in UTF_16 if raw.startswith(mark)), None)
    if encoding is None and len(raw) >= 4:
        even, odd = raw[0:400:2], raw[1:400:2]
        encoding = "utf-16-le" if not any(odd) and all(even) else "utf-16-be" if not any(even) and all(odd) else None
    if encoding is None:
        if len(raw.translate(None, CONTROLS)) < len(raw):
            raise ConfigError("data.path", "must be a table; holds bytes that are no text, and is of no kind that is read here")
        try:
            raw.decode("utf-8")
            return raw.removeprefix(b"\xef\xbb\xbf"), None
        except UnicodeDecodeError:
            encoding = "cp1252"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "cp1252":
            raise ConfigError("data.path", f"must be a sound text; its {encoding.upper()} is damaged") from None
        text, encoding = raw.decode("latin-1"), "latin-1"
    return text.encode("utf-8", "replace"), encoding


def layout(raw: bytes, header: bool | None = None, delimiter: str | None = None, least: int = 2) -> Layout:
    """The Layout of a text in UTF-8; `header` (bool) and `delimiter` are found in it unless they are given, `least` is how many columns it
    must have. Raises ConfigError."""
    head = raw[: 4 * HEAD].decode("utf-8", "ignore")
    if len(head) > HEAD and "\n" in head:
        cut = max(head.rfind("\n", 0, HEAD), head.find("\n"))
        head = head[: cut + 1]
    elif len(raw) > 4 * HEAD:
        end = raw.find(b"\n")
        if end < 0 or end > RECORD:
            raise ConfigError("data.path", f"must have at most {RECORD:,} characters in a row; has more")
        head = raw[: end + 1].decode("utf-8", "ignore") + raw[end + 1 : end + 1 + RECORD].decode("utf-8", "ignore")
    lines = head.splitlines(keepends=True)[: 4 * LINES]
    at, comment, skipped = 0, None, 0
    while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith(COMMENTS)):
        if lines[at].strip():
            comment, skipped = lines[at].lstrip().lstrip("".join(COMMENTS)).strip(), skipped + 1
        at += 1
    if at < len(lines) and (told := re.fullmatch(r"sep=(.)\s*", lines[at])):  # a line for Excel
        delimiter, at = delimiter or told[1], at + 1
    lines = lines[at:]
    offset = sum(len(line.encode()) for line in head.splitlines(keepends=True)[:at])
    if not any(line.strip() for line in lines):
        raise ConfigError("data.path", "must hold rows of data; it holds none")
    delimiter, rows = _delimited(lines, delimiter, least)
    width = _usual([len(row) for _, row in rows])
    if width > LIMITS["inputs"]:
        raise ConfigError("data.path", f"must have at most {LIMITS['inputs']:,} columns; has {width:,}")
    first = next(index for index, (_, row) in enumerate(rows) if len(row) == width or (len(row) == width - 1 > 1 and index == 0))
    skipped += first
    body = [row for _, row in rows[first + 1 :]]
    names = header_of(rows[first][1], body, header)
    above = None if comment is None else _cells(comment, delimiter)
    if names is None and header is None and above and len(above) == width and all(re.search("[^\\W\\d]", name) for name in above):
        names, skipped = above, skipped - 1  # as NumPy's savetxt writes it
        start = first
    else:
        start = first + (names is not None)
    consumed = rows[start - 1][0] if start else 0
    return Layout(
        delimiter, names, width, _decimal([row for _, row in rows[start:]], delimiter),
        offset + sum(len(line.encode()) for line in lines[:consumed]), skipped,
    )  # fmt: skip


def _delimited(lines, delimiter, least):
    """(the delimiter that cuts these lines most evenly, [(lines read so far, cells)])."""
    best, score = None, 0.0
    for candidate in [delimiter] if delimiter else DELIMITERS:
        rows = _rows(lines, candidate)
        widths = [len(row) for _, row in rows]
        usual = _usual(widths)
        share = widths.count(usual) / len(widths) if usual > 1 else 0.0
        if candidate == " " and best and score >= CONSISTENT:
            break
        if share > score + 1e-9:
            best, score = (candidate, rows), share
    if delimiter is None and score < CONSISTENT and best and best[0] == " ":
        best = None
    if best is None and least == 1:
        return delimiter or ",", _rows(lines, delimiter or ",")
    if best is None:
        wanted = "commas, semicolons, tabs, bars or blanks" if delimiter is None else shown(delimiter)
        first = lines[0].strip()
        raise ConfigError("data.path", f"must have at least two columns, separated by {wanted}; its first line is {shown(first[:60])}")
    return best


def _rows(lines, delimiter):
    """[(lines read so far, cells)] of the first LINES rows that hold anything."""
    if delimiter == " ":
        return [(at, line.split()) for at, line in enumerate(lines, 1) if line.strip()][:LINES]
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    rows = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:
                rows.append((reader.line_num, [cell.strip() for cell in row]))
            if len(rows) == LINES:
                break
    except csv.Error:  # a quote that stays open: what came before it tells enough
        pass
    return rows or [(1, [lines[0].strip()])]


def _cells(line, delimiter):
    return line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _usual(widths):
    return Counter(widths).most_common(1)[0][0] if widths else 0


def header_of(first: list[str], body: list[list[str]], header: bool | None) -> list[str] | None:
    """The names in a first row; None when it holds data. `header` says which, if it is known."""
    if header is False or (header is None and body and not _is_header(first, body)):
        return None
    return first


def _is_header(first, body):
    """Whether a first row names columns: a word above numbers, or names that count or are years, or words that never come again."""
    if len(first) < len(body[0]):  # as R writes it, without a name for the row names
        return True
    columns = [[row[index] for row in body if index < len(row) and row[index]] for index in range(len(first))]
    numeric = [bool(column) and sum(map(_is_number, column)) >= 0.9 * len(column) for column in columns]
    above = [name for name, is_numeric in zip(first, numeric) if is_numeric and name]
    if any(not _is_number(name) for name in above):
        return True
    words = [(name, column) for name, column, is_numeric in zip(first, columns, numeric) if not is_numeric and name and column]
    if any(name in column or _is_number(name) for name, column in words):
        return False
    if not above:
        return len(set(first)) == len(first)
    whole = [int(name) for name in above if re.fullmatch(r"\d{1,9}", name)]
    counted = len(whole) == len(above) and all(after - before == 1 for before, after in itertools.pairwise(whole))
    if counted and whole[0] in (0, 1):
        return bool(words) or len(above) >= COUNTED
    return bool(words) and counted and len(whole) > 1 and YEARS[0] <= whole[0] <= YEARS[1]


def _is_number(cell):
    return NUMBER.fullmatch(cell) is not None


def _decimal(rows, delimiter):
    """The decimal mark: a comma where it cuts numbers, none has a point, and it is not the delimiter."""
    if delimiter == ",":
        return "."
    cells = [cell for row in rows for cell in row]
    commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    if not commas or all(THOUSANDS.fullmatch(cell) for cell in commas):
        return "."
    return "." if any(DECIMAL_POINT.fullmatch(cell) and not re.fullmatch(r"\d{1,3}\.\d{3}", cell) for cell in cells) else ","


def frames(raw: bytes, found: Layout, names: list[str]) -> Iterator[pd.DataFrame]:
    """The rows as DataFrames of at most LIMITS["file_cells"] cells each. Raises ConfigError for rows that do not fit."""
    import pandas as pd

    size = max(1, min(LIMITS["file_cells"] // found.width, 2 * LIMITS["samples"]))
    common = {
        "header": None, "names": names, "index_col": False, "chunksize": size, "encoding": "utf-8", "low_memory": False,
        "na_values": ["?"], "decimal": found.decimal, "thousands": "." if found.decimal == "," else None, "skipinitialspace": True,
        "sep": r"\s+" if found.delimiter == " " else found.delimiter,
    }  # fmt: skip
    try:
        with pd.read_csv(io.BytesIO(memoryview(raw)[found.offset :]), **common) as pieces:
            yield from pieces
    except pd.errors.EmptyDataError:
        raise ConfigError("data.path", "must hold rows of data; holds nothing but a header") from None
    except pd.errors.ParserError as error:
        told = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise ConfigError("data.path", f"must be a well-formed table, with as many cells in each row; {shown(told)}") from None


def sampled(pieces: Iterable[pd.DataFrame], width: int) -> tuple[pd.DataFrame, int]:
    """(the rows of all DataFrames as one, how many there were): of more than LIMITS["samples"] rows, or than LIMITS["file_cells"] cells,
    so many at random, in their order; the same file gives the same ones. One pass, in bounded memory."""
    import pandas as pd

    most = min(LIMITS["samples"], max(2, LIMITS["file_cells"] // width))
    rng, rows, kept, keys = np.random.default_rng(0), 0, [], np.empty(0)
    for piece in pieces:
        drawn = rng.random(len(piece))
        rows += len(piece)
        kept, keys = [*kept, piece], np.concatenate([keys, drawn])
        if len(keys) > most:
            chosen = np.sort(np.argpartition(keys, most)[:most])
            kept, keys = [pd.concat(kept, ignore_index=True).iloc[chosen]], keys[chosen]
    if not rows:
        raise ConfigError("data.path", "must hold rows of data; holds nothing but a header")
    return (kept[0] if len(kept) == 1 else pd.concat(kept)).reset_index(drop=True), rows
