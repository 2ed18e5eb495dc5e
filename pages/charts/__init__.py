"""Snapshot in, Plotly figure out: a plain dict with "data", "layout" and "alt" (one sentence that says what it shows)."""

from pages.charts.options import ViewOptions
from pages.charts.playground import panels

__all__ = ["ViewOptions", "panels"]
