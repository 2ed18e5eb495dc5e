"""Experiments: many runs at once, and what becomes of them."""

import streamlit as st

from core.link import to_query
from pages.map_view.controls import controls, took_over
from pages.map_view.maps import making
from pages.map_view.view import MapView
from pages.shell.components import listener, live
from pages.shell.page_head import head
from pages.shell.tab import tab

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


# What there is to do -> what draws it; one at a time, since each has a view of its own
TABS = {"Map of divergence": divergence}

head("Experiments", "Two settings against each other: where a network learns, where it stands still, and where it blows up.")
tab().begin()
chosen = st.segmented_control("Experiment", list(TABS), default=next(iter(TABS)), key="experiment tab", label_visibility="collapsed")
TABS[chosen or next(iter(TABS))]()
