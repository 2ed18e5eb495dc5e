"""Data sources: `load` makes the Dataset of a DataConfig."""

from core.data.loading import load

__all__ = ["load"]
