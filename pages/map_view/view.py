"""What the page shows of a map over the live line, and what it takes there: a press on a cell, and a window to zoom into."""

from __future__ import annotations

import math
from dataclasses import replace

from core.experiments import fields
from core.limits import ConfigError
from core.live.process import TooManyRuns
from pages import wording
from pages.charts.map import curve_chart, map_chart


class MapView:
    """The view of a Making (see pages.shell.tab.Tab). `picked` is the configuration of the cell that was pressed, for the page to open;
    `pointed` the cell, [row, column], that the pointer was on last; `refusal` why a window could not be taken."""

    name = "map"

    def __init__(self, making):
        self.making = making
        self.picked = self.pointed = self.refusal = None
        self._drawn = None, None  # what the map was drawn of, and its figure: pointing at cells changes nothing of it
        self.commands = {"pick": self._pick, "point": self._point, "zoom": self._zoom}

    def picture(self, theme):
        """(head, figures) of the map as far as it is made."""
        found, running, problem = self.making.look()
        head = {"text": {"map state": f'<div class="quiet" role="status">{self._state(found, running, problem)}</div>'}}
        return head, {} if found is None else self._figures(found, theme)

    def _figures(self, found, theme):
        of = found.plan, int((found.outcomes >= 0).sum()), found.limit is None, theme
        if self._drawn[0] != of:
            self._drawn = of, map_chart(found, theme)
        cell = self.pointed if _is_cell(self.pointed, found.plan.shape) else None
        return {"map": self._drawn[1], "curve": curve_chart(found, cell, cell and self.making.losses(*cell), theme)}

    @staticmethod
    def _state(found, running, problem):
        if found is None:
            return "No map yet: choose two settings and press Make the map."
        known, cells = int((found.outcomes >= 0).sum()), found.outcomes.size
        if problem:
            return f"{problem} {wording.count(known)} of {wording.count(cells)} runs were made."
        if running:
            return f"{wording.count(known)} of {wording.count(cells)} runs made: refined from coarse to fine."
        made = "All" if known == cells else "Cancelled:"
        told = f"{made} {wording.count(known)} runs{' made' if known < cells else ''}."
        return f"{told} Point at a cell to see its loss, press it to open its run; drag to zoom in."

    def command(self, name, value):
        """Do what was pressed."""
        self.commands[name](value)

    def _pick(self, value):
        found, _, _ = self.making.look()
        if found is not None and _is_cell(value, found.plan.shape):
            self.picked = found.plan.cell(*value)

    def _point(self, value):
        self.pointed = value

    def _zoom(self, value):
        """Make the map of this window: {"x": [low, high], "y": [low, high]} as the axes have them, logarithms where they are such."""
        found, _, _ = self.making.look()
        try:
            axes = {name: _window(getattr(found.plan, name), value[name]) for name in ("x", "y")}
            plan = replace(found.plan, **axes)
            self.making.start(plan)
            self.making.left.append(found.plan)
            self.refusal = None
        except (ConfigError, TooManyRuns) as refused:
            self.refusal = str(refused)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return  # no window

    @property
    def playing(self):
        """Whether each picture differs from the last one."""
        return False

    @property
    def needs_updates(self):
        """Whether cells may come."""
        return self.making.look()[1]

    @property
    def outline(self):
        """What Streamlit's part of the page is made of."""
        found, running, problem = self.making.look()
        return found and found.plan, running, problem, self.picked, self.refusal


def _is_cell(value, shape):
    return (
        isinstance(value, list) and len(value) == 2 and all(type(index) is int and 0 <= index < most for index, most in zip(value, shape))
    )


def _window(axis, ends):
    """The axis with these ends, held within what it was. Raises ConfigError."""
    low, high = (float(end) for end in ends)
    low, high = (10.0**low, 10.0**high) if axis.log else (low, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError
    low, high = max(axis.low, min(low, high)), min(axis.high, max(low, high))
    if fields.kind(axis.field) == "whole":
        low, high = math.ceil(low), math.floor(high)
    return replace(axis, low=low, high=high)
