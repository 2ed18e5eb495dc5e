"""Experiments: many runs at once, and what becomes of them."""

import streamlit as st

from core.link import to_query
from core.presets import OPENING
from pages.map_view.controls import controls, took_over
from pages.map_view.maps import making
from pages.map_view.view import MapView
from pages.shell.components import listener, live
from pages.shell.page_head import head
from pages.shell.tab import tab
from pages.training.session import KEY as SESSION
from pages.training.sweep import sweep_section

SHOWN = "map shown"  # the plan that the fields were last made to show


def divergence():
    """The map of divergence."""
    mine = tab()
    if not isinstance(mine.view, MapView):
        mine.view = MapView(making())
    with mine.lock:
        outline, picked = mine.view.outline, mine.view.picked  # the playground has a view of its own: this one is not met again
    if picked is not None:
        st.switch_page("playground.py", query_params=to_query(picked))
    plan = outline[0]
    if plan is not None and plan != st.session_state.get(SHOWN):
        took_over(plan)
        st.session_state[SHOWN] = plan
    controls()
    live("board", "map figures")
    listener("map listener", outline)
    tab().await_connection()


def sweep():
    """Many runs that differ in a few settings: the playground's run, or the opening one where that was not visited."""
    config = st.session_state[SESSION].config if SESSION in st.session_state else OPENING
    if config.data.source == "file":
        st.info("A sweep here is made on data that Descent has itself. On a table of your own: python -m core sweep.")
    else:
        sweep_section(config)


# What there is to do -> what draws it; one at a time, since each has a view of its own
TABS = {"Map of divergence": divergence, "Sweep": sweep}

head("Experiments", "Many runs at once: where a network learns, where it stands still, where it blows up, and which settings matter.")
tab().begin()
chosen = st.segmented_control("Experiment", list(TABS), default=next(iter(TABS)), key="experiment tab", label_visibility="collapsed")
TABS[chosen or next(iter(TABS))]()
