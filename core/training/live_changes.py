"""Which settings a living run can change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.config import RunConfig

# The sections of the configuration, and of the optimizer all but its name
LIVE_CHANGES = ("optimizer", "penalty", "clip_norm", "batch_size")


def needs_new_run(old: RunConfig, new: RunConfig) -> str | None:
    """The first setting in which two configurations differ and that a living run cannot change; None if there is none."""
    before, after = old.to_dict(), new.to_dict()
    differing = [name for name in before if after[name] != before[name] and name not in LIVE_CHANGES]
    if not differing and old.optimizer.name != new.optimizer.name:
        return "optimizer.name"
    return next(iter(differing), None)
