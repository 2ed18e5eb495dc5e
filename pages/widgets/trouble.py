"""What the page shows when there is no run to look at, and what to press."""

from __future__ import annotations

import streamlit as st

from pages.widgets import words
from pages.widgets.session import session


def notice():
    """What the person must know first, until they have seen it."""
    text = session().notice
    if text:
        with st.container(key="notice", horizontal=True, wrap=False, vertical_alignment="center"):
            st.warning(words.literal(text), icon=":material/link_off:")
            st.button("OK", key="dismiss", on_click=_dismiss)


def no_room():
    """The server has no room for another run."""
    with st.container(key="trouble"):
        st.warning(words.literal(str(session().refusal)), icon=":material/hourglass_empty:")
        st.button("Try again", key="try again", type="primary", on_click=_start_again)


def worker_died():
    """The process that trained is gone: go on from its last checkpoint, or begin again."""
    death = session().death
    lost = f" It was saved at step {death.checkpoint_step:,}; at most {death.seconds_lost:.0f} seconds of it are lost."
    with st.container(key="trouble"):
        st.error(words.literal(death.message + (lost if death.checkpoint_step else "")), icon=":material/report:")
        with st.container(horizontal=True):
            if death.checkpoint_step:
                st.button(f"Go on from step {death.checkpoint_step:,}", key="recover", type="primary", on_click=_recover)
            st.button("Start again", key="start again", on_click=_start_again)


def _dismiss():
    session().notice = None


def _recover():
    session().recover()
    session().rerun()  # the sidebar shows the settings that the checkpoint was made with


def _start_again():
    session().start()
    session().rerun()
