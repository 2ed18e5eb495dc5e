"""The runs that were kept: look back, compare, name, hand on."""

from contextlib import suppress

import streamlit as st

from core.store.store import StoreError
from pages import wording
from pages.run_list.actions import actions, bring_in, messages
from pages.run_list.comparison import comparison
from pages.run_list.table import chosen, filtered, filters, runs_list
from pages.shell.identity import owner, store
from pages.shell.page_head import head

FOLLOW = 4.0  # seconds between two looks at runs that train, which are saved about as often


def clear_away():
    """Once in a session, have what was deleted long ago really gone."""
    if "runs.cleared" not in st.session_state:
        st.session_state["runs.cleared"] = True
        with suppress(StoreError):  # whatever is wrong is told when the list is read
            store().purge()


def kept():
    """This person's runs, the newest first; None when the store cannot be read, which is told."""
    try:
        return store().table(owner()).sort_values("number", ascending=False)
    except StoreError as error:
        st.error(wording.literal(str(error)), icon=":material/error:")
        return None


def nothing_yet():
    """What a newcomer sees."""
    with st.container(border=True, key="runs empty"):
        st.markdown("**No runs yet.** Every run that trains in the playground, and every program that you watch, is kept here by itself.")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link("playground.py", label="Train one in the playground", icon=":material/play_arrow:")
            bring_in()


def page(following):
    """The list, what can be done with the chosen ones, and how they compare; drawn again by itself while a run trains (`following`)."""
    messages()
    table = kept()
    if table is None:
        return
    if trains(table) != following:
        st.rerun()
    if table.empty:
        nothing_yet()
        return
    filters()
    listed = filtered(table)
    if listed.empty:
        st.caption("No run has all of these words.")
    else:
        runs_list(listed)
    picked = listed[listed["id"].isin(chosen())]  # what the filter hides is not acted upon
    actions(picked)
    if not picked.empty:
        comparison(picked, table)
    elif not listed.empty:
        comparison(listed.head(1), table, quiet=True)


def trains(table):
    """Whether a run of the store's table trains now."""
    return bool((table["status"] == "running").any())


def begin():
    """The page, which follows runs that train."""
    clear_away()
    try:
        following = trains(store().table(owner()))
    except StoreError:
        following = False
    st.fragment(page, run_every=FOLLOW if following else None)(following)


head("Runs", "Every run that trained is kept: look back, compare, go on from where it was, hand it on.")
begin()
