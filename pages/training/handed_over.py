"""What another page hands over to the playground: a configuration on a file of its own, with first weights."""

from __future__ import annotations

import streamlit as st

from core.config import RunConfig
from core.limits import ConfigError
from pages import wording
from pages.shell.tab import tab
from pages.training.session import session

KEY = "handed over"


def hand_over(rebuilt):
    """Open the playground with a core.watch.rebuilt.Rebuilt."""
    st.session_state[KEY] = rebuilt
    st.switch_page("playground.py")


def take_over():
    """Begin the run that was handed over, if one was; a file or network that cannot be used is told, and leaves all as it was."""
    if KEY not in st.session_state:
        return
    with tab().lock:
        if not session().ready():
            return
        given, here = st.session_state.pop(KEY), session()
        try:
            token = here.draft.uploads.add("watched.npz", given.table)
            config = RunConfig.from_dict({**given.config, "data": {**given.config["data"], "path": token}})
            here.open_weights(config, given.parameters)
        except ConfigError as error:
            here.notice = f"This program cannot be opened here. {wording.complaint(error)}."
    st.rerun()  # the sidebar shows the layers
