"""Data sources: `load` makes the Dataset of a DataConfig, `columns` looks into a file without loading it."""

from core.data.files import FileColumns, columns
from core.data.loading import load

__all__ = ["FileColumns", "columns", "load"]
