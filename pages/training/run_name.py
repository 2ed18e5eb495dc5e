"""A name for the run, by which it is found among the runs."""

from __future__ import annotations

import streamlit as st

from core.limits import ConfigError
from core.store.store import NAME_LENGTH, StoreError
from pages import wording
from pages.shell.controls import refusal
from pages.shell.identity import store
from pages.shell.tab import handler
from pages.training.session import session

REFUSED = "run name refused"  # key of the tab's state: why the last name was


@st.fragment
def name_menu():
    """A menu with the run's name, for its owner, once it is kept."""
    if session().run.foreign or not session().run.may_take:
        return
    menu = st.popover("Name", icon=":material/edit:", key="name menu", on_change="rerun")
    if not menu.open:
        return
    with menu:
        id = session().run.run_id
        try:
            name = None if id is None else store().name_of(id)
        except StoreError:  # it is kept only from its first step on
            name = None
        if name is None:
            st.caption("A run can be named once it has trained a step.")
            return
        key = f"run name {id}"
        st.text_input(
            "Name of this run", name, max_chars=NAME_LENGTH, key=key, placeholder="Its data and layers", on_change=_rename, args=(id, key),
            help="Shown in the list of runs. Empty: its data and layers.",
        )  # fmt: skip
        if told := st.session_state.pop(REFUSED, None):
            refusal(told)


@handler
def _rename(id, key):
    try:
        store().rename(id, st.session_state[key])
    except ConfigError as error:
        st.session_state[REFUSED] = wording.complaint(error)
    except StoreError as error:
        st.session_state[REFUSED] = str(error)
