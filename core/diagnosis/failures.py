"""Parts of what is said of a run that may fail without ending it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from core.limits import ConfigError

T = TypeVar("T")

_logger = logging.getLogger(__name__)
_logged = set()  # (where it was raised, type) of errors that were logged already: pictures are made many times a second


def attempt(name: str, failures: list[str], otherwise: T, function: Callable[..., T], *arguments: Any) -> T:
    """What `function` gives for these arguments. If it raises, the traceback is logged, once for each kind of error, the list `failures`
    gets a sentence for the user about what `name` names, and `otherwise` is given in its place.

    MemoryError and ConfigError are raised all the same: they have a meaning of their own.
    """
    try:
        return function(*arguments)
    except (MemoryError, ConfigError):
        raise
    except Exception as error:
        log_once(f"{name} could not be worked out", error)
        sentence = f"{name} could not be worked out."
        if sentence not in failures:
            failures.append(sentence)
        return otherwise


def log_once(message: str, error: Exception) -> None:
    """Log an error with its traceback, unless one of its type was logged from the same line of code."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    kind = frame.filename, frame.lineno, type(error)
    if kind not in _logged:
        _logged.add(kind)
        _logger.error(message, exc_info=error)
