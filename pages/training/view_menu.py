"""How the charts are drawn: the viewer's choice, which changes nothing in the run."""

from __future__ import annotations

import streamlit as st

from pages import wording
from pages.charts.options import CAUSES, HISTOGRAMS
from pages.shell.controls import show
from pages.shell.tab import tab
from pages.training.session import session

CHOICES = ("hard_edges", "show_test", "confusion", "histogram", "histogram_layer", "cause")
MARKED = "marked"


@st.fragment
def view_menu():
    """A menu with the choices, made once it is opened."""
    menu = st.popover("View", icon=":material/tune:", key="view", on_change="rerun", disabled=tab().lesson.fixes("view"))
    if menu.open:
        with menu:
            _choices()
    use_choices()


def use_choices():
    """Have the charts drawn as was chosen, and what is marked (`mark`)."""
    state = st.session_state
    tab().view.chosen = {name: state[f"view.{name}"] for name in (*CHOICES, MARKED) if f"view.{name}" in state}
    tab().wake()


def mark(place):
    """Mark this place (x1, x2) of the plane on the decision map; None: no place."""
    st.session_state[f"view.{MARKED}"] = place
    use_choices()


def _choices():
    layers, over_time = len(session().config.layers), "view.histogram_layer"
    shown = show(over_time, min(st.session_state.get(over_time, 1), layers))
    st.toggle("Hard edges", key="view.hard_edges", persist_state="session", help="Show the winning class without its confidence.")
    st.toggle("Test samples", key="view.show_test", persist_state="session", help="Draw the samples that were held back, too.")
    seen = session().last_snapshot
    if seen and seen.confusion and (seen.gallery or seen.output is not seen.confusion):
        st.toggle(
            "Confusion matrix", key="view.confusion", persist_state="session",
            help="What each class was taken for, in place of the picture of the output; with Test samples, of those that were held back.",
        )  # fmt: skip
    st.segmented_control(
        "Histograms of", HISTOGRAMS, key="view.histogram", persist_state="session", format_func=wording.option, default=HISTOGRAMS[0],
        required=True, help="Weights, gradients or activations of every layer.",
    )  # fmt: skip
    st.selectbox(
        "Layer shown over time", list(range(1, layers + 1)), **shown, help="The layer whose histogram is drawn against the step.",
    )  # fmt: skip
    st.segmented_control(
        "Layers over time", CAUSES, key="view.cause", persist_state="session", format_func=wording.option, default=CAUSES[0],
        required=True, help="What the map of layers over time shows, where the first thing that went wrong is marked.",
    )  # fmt: skip
