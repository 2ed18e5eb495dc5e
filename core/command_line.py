"""What the commands without a browser have in common: where a configuration comes from, and how an answer or a refusal goes out.

Anything that needs NumPy is imported inside the functions: `core.__main__` sets variables that only count until it is first imported.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.limits import ConfigError

MAX_STEPS = 1_000_000_000
MAX_BYTES = 1 << 20  # of one configuration; a whole one with 32 layers takes about 7,000
INVALID = 2  # exit status, also argparse's own
T = TypeVar("T")


class Commands(Protocol):
    """What `ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """The parser of a command."""
        ...


def answered(answer: Callable[[], tuple[Any, object]], as_json: bool) -> int:
    """Print what `answer()` gives, (plain values, what reads well), as JSON or to be read; the exit status."""
    from core.limits import ConfigError

    try:
        values, words = answer()
    except ConfigError as error:
        if as_json:
            print_json(refusal(error))
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return INVALID
    if as_json:
        print_json(values)
    else:
        print(words)
    return 0


def configuration(text: bytes) -> RunConfig:
    """The RunConfig in these bytes; ConfigError says what is wrong with them."""
    from core.proposal import configured

    return parsed(text, configured)


def parsed(text: bytes, made: Callable[[Any], T]) -> T:
    """What `made` makes of the JSON values in these bytes; ConfigError says what is wrong with them."""
    from core.limits import ConfigError

    if len(text) > MAX_BYTES:
        raise ConfigError("configuration", f"must be at most {MAX_BYTES:,} bytes of JSON; was longer")
    try:
        return made(json.loads(text.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise ConfigError("configuration", f"must be UTF-8 text; byte {error.start + 1} is not") from None
    except json.JSONDecodeError as error:
        raise ConfigError("configuration", f"must be JSON; line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ConfigError("configuration", "must be JSON of a few levels; was nested too deeply") from None
    except ConfigError:
        raise
    except ValueError:  # Python refuses to read numbers of thousands of digits
        raise ConfigError("configuration", "must be JSON with numbers of ordinary length; one is far too long") from None


def refusal(error: ConfigError) -> dict[str, dict[str, str]]:
    """A ConfigError as JSON has it."""
    return {"error": {"field": error.field, "message": error.message}}


def opened(name: str) -> BinaryIO:
    """The bytes of a file or of standard input, as a context manager."""
    return open(sys.stdin.fileno() if name == "-" else name, "rb", closefd=name != "-")


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines that hold anything, none longer than what `parsed` refuses."""
    while line := stream.readline(MAX_BYTES + 1):
        rest = line
        while len(rest) > MAX_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_BYTES + 1)
        if line.strip(b" \t\r\n\xef\xbb\xbf"):
            yield line


def print_json(outcome: object) -> None:
    """Print plain values as one line of strict JSON."""
    print(json.dumps(outcome, allow_nan=False), flush=True)


def updates(text: str) -> int:
    """How many parameter updates an argument asks for."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= MAX_STEPS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {MAX_STEPS:,}; was {text[:60]!r}")
    return number


def read(name: str) -> bytes:
    """The bytes of a file, or of standard input (`-`), as far as a configuration may go. Raises ConfigError."""
    from core.limits import ConfigError

    try:
        with opened(name) as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError("file", f"cannot be read: {error.strerror or error}; was {name!r}") from None
