"""What a link for a class can hide or lock: every control and every panel of the playground, by its name."""

from __future__ import annotations

from core.lesson import PANEL
from core.link import SETTINGS
from pages.charts.playground import PANELS
from pages.training import timebar, transport

MENUS = ("preset", "undo", "check", "view", "samples", "export", "predict", "name", "findings")  # what has a name of its own on the page


def live_controls():
    """Names of what the live line shows and takes, but for the time slider."""
    return [entry["name"] for entry in (*transport.BUTTONS, *transport.CHOICES, transport.STABLE_RATE, *timebar.BUTTONS)]


def control_names():
    """All names, dotted; those of panels begin with PANEL."""
    panels = (*PANELS, "unit_map", "unit_weights", "unit_activations")
    return (*SETTINGS, *MENUS, *live_controls(), timebar.SLIDER, *(PANEL + name for name in panels))
