"""What a run may ask for, what a text may be, and the error that refuses the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

# What protects a shared server. Hidden layers and outputs differ: a 64x64 RGB picture alone is 12,288 outputs.
LIMITS = {
    "layers": 32,
    "units": 4096,
    "output_units": 16_384,
    "parameters": 20_000_000,
    "samples": 100_000,
    "inputs": 16_384,
    "memory_bytes": 1 << 30,  # of the data, and of a stored state
    "run_bytes": 5 << 30,  # of a run that trains, is drawn and saved: core/fit.py
    "file_bytes": 64 << 20,
    "file_cells": 1 << 24,  # 128 MiB as float64
    "classes": 100,
}

TEXT_LENGTH = 4096  # characters of a text in a configuration
JSON_VALUES = 200_000  # of one JSON text: an empty list takes 64 bytes of memory for three of the text

# What neither a page, a file nor the store can take, or what would break a line: control characters, line ends, lone surrogates
NOT_PLAIN = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
NOT_PLAIN_LINES = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class ConfigError(ValueError):
    """A configuration that cannot run. `field` is the dotted path, `message` says what it must be and what it was."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message

    def __reduce__(self):
        return type(self), (self.field, self.message)


def shown(value: object) -> str:
    """A value as an error message quotes it: short, on one line, whatever was sent."""
    try:
        text = legible(repr(value))
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    except RecursionError:  # json.loads goes a little deeper than repr does
        text = "lists in lists, hundreds deep"
    return text if len(text) <= 60 else f"{text[:57]}..."


class NotJSON(ValueError):
    """A text that is no JSON, or too much of it; the message says which."""


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text (str or bytes) from outside. Raises NotJSON, and nothing else."""
    marks: Any = b"[{," if isinstance(text, bytes) else "[{,"
    if sum(text.count(marks[at : at + 1]) for at in range(3)) > JSON_VALUES:
        raise NotJSON(f"it holds more than {JSON_VALUES:,} values")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NotJSON("it cannot be read") from None


def plain_text(field: str, text: object, most: int, lines: bool = False) -> str:
    """`text`, when it is a string of at most `most` characters that UTF-8 can encode, without control characters, and one line; with
    `lines` it may have newlines and tabs. Raises ConfigError(field)."""
    wanted = f"must be {'' if lines else 'one line of '}plain text, without control characters or lone surrogates"
    if not isinstance(text, str):
        raise ConfigError(field, f"{wanted}; was {shown(text)}")
    if len(text) > most:
        raise ConfigError(field, f"must be at most {most:,} characters long; had {len(text):,}")
    if found := (NOT_PLAIN_LINES if lines else NOT_PLAIN).search(text):
        raise ConfigError(field, f"{wanted}; had {shown(found[0])}")
    return text


def legible(text: str, lines: bool = False) -> str:
    """`text` with the replacement sign for whatever `plain_text` refuses in it."""
    return (NOT_PLAIN_LINES if lines else NOT_PLAIN).sub("\N{REPLACEMENT CHARACTER}", text)


def listed(names: Iterable[object]) -> str:
    """Names as an error message lists them: quoted, the first three and how many more there are."""
    names = list(names)
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(shown(name) for name in names[:3]) + more
