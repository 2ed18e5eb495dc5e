"""What a server makes of an uploaded table, which is read apart."""

from __future__ import annotations

from core.live.apart import SECONDS, apart
from core.proposal import describe as described


def describe(data, given=frozenset(), seconds=SECONDS):
    """The Description of a DataConfig's file, as core.proposal has it; ConfigError when the file is no good, or takes longer."""
    return apart(described, data, frozenset(given), field="data.path", seconds=seconds)
