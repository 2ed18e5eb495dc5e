"""The tour of the playground: four steps, in the order in which a first visitor needs them."""

from __future__ import annotations

import streamlit as st

from pages.shell.components import tour as mounted
from pages.shell.tab import tab

OPENER = '[data-testid="stExpandSidebarButton"]'  # what opens the sidebar, where that is closed
STEPS = [
    {
        "title": "Data",
        "text": "What the network learns from. Choose a data set here, draw points of your own or open a table.",
        "at": [".st-key-data-source", OPENER],
    },
    {
        "title": "Network",
        "text": "Each box is a unit with what it responds to, each line a weight. Layers are set at the left, under Network.",
        "at": [".descent-panel[data-name=network]"],
    },
    {
        "title": "Play",
        "text": "Trains the network; everything on the page follows. Step makes a single update.",
        "at": ["[data-name=play]:not([hidden])", "[data-name=pause]"],
    },
    {
        "title": "What is found",
        "text": "When training goes wrong, a card here says what happened, since which step, why, and what to change.",
        "at": [".st-key-findings", ".reading.state"],
    },
]


def tour():
    """The tour's button at the foot of the sidebar. A page with a lesson, or within another site's, explains itself."""
    if not tab().lesson.query and not st.context.is_embedded:
        with st.sidebar:
            mounted("tour", STEPS)
