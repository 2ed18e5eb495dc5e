"""How Streamlit answers what the browser sends: one request may overtake another."""

from __future__ import annotations

import functools
import threading

import streamlit as st
from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx

TURN = "turn"  # the key of a tab's lock
ARRIVED = "arrived"  # the key under which it stands that the person has just come from another page


def uninterrupted(callback):
    """Have this callback, or part of the script, run to its end, one at a time in a tab. Streamlit stops a script wherever it touches the
    session's state once the browser asks for the whole page, takes what was being answered for done, and begins at once. A change that a
    timer brings along is overtaken by its own request as a rule: it would be lost, made by half, or made behind the new page's back."""

    @functools.wraps(callback)
    def whole(*arguments):
        state = get_script_run_ctx().session_state
        stop = state._yield_callback  # there is no public way
        object.__setattr__(state, "_yield_callback", lambda: None)
        try:
            with st.session_state.setdefault(TURN, threading.RLock()):
                return callback(*arguments)
        finally:
            object.__setattr__(state, "_yield_callback", stop)

    return whole


def draw_next(fragment):
    """Have the fragment of this key drawn once the one that calls this has ended. `st.rerun(key)` may be called in callbacks only. The rest
    of the page, most of what there is to draw, stays as it is; where all of it is being drawn, it is drawn once more."""
    ctx = get_script_run_ctx()
    if not ctx.fragment_ids_this_run:
        st.rerun()
    ctx.script_requests.request_rerun(
        RerunData(
            query_string=ctx.query_string,
            page_script_hash=ctx.page_script_hash,
            fragment_id_queue=ctx.fragment_storage.resolve_target(fragment),
            cached_message_hashes=ctx.cached_message_hashes,
            context_info=ctx.context_info,
        )
    )


def navigated():
    """What led to the address: "back", the browser's Back or Forward button, or "link", one of another page. None if nothing did: then what
    it holds may be old."""
    arrived = st.session_state.pop(ARRIVED, False)
    if went_back():
        return "back"
    return "link" if arrived and st.query_params else None


def went_back():
    """Whether the browser asks because of its Back or Forward button."""
    return get_script_run_ctx().is_history_navigation
