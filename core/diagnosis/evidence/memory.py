"""What neither training nor live changes alter is worked out once in the life of a run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from core.training.trainer import Trainer

T = TypeVar("T")

_known = weakref.WeakKeyDictionary()  # Trainer -> {(function, key): what it gave}


def memoize_per_run(trainer: Trainer, function: Callable[..., T], *arguments: Any, key: Hashable = None) -> T:
    """What `function` gives for these arguments, asked for once in the life of a Trainer, or once for each `key`."""
    known = _known.setdefault(trainer, {})
    if (function, key) not in known:
        known[function, key] = function(*arguments)
    return known[function, key]
