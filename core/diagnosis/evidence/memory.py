"""What neither training nor live changes alter is worked out once in the life of a run."""

from __future__ import annotations

import weakref

_known = weakref.WeakKeyDictionary()  # Trainer -> {(function, key): what it gave}


def memoize_per_run(trainer, function, *arguments, key=None):
    """What `function` gives for these arguments, asked for once in the life of a Trainer, or once for each `key`."""
    known = _known.setdefault(trainer, {})
    if (function, key) not in known:
        known[function, key] = function(*arguments)
    return known[function, key]
