"""What a server makes of an uploaded table, which is read apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from core.live.apart import SECONDS, apart
from core.proposal import describe as described

if TYPE_CHECKING:
    from core.config import DataConfig
    from core.proposal import Description


def describe(data: DataConfig, given: Iterable[str] = frozenset(), seconds: float = SECONDS) -> Description:
    """The Description of a DataConfig's file, as core.proposal has it; ConfigError when the file is no good, or takes longer."""
    return apart(described, data, frozenset(given), field="data.path", seconds=seconds)
