"""What the page shows when there is no run to look at, and what to press."""

from __future__ import annotations

import html

import streamlit as st

from pages import wording
from pages.shell.tab import handler
from pages.training.session import session


def notice():
    """What the person must know first, until they have seen it."""
    text = session().notice
    if text:
        with st.container(key="notice", horizontal=True, wrap=False, vertical_alignment="center"):
            st.warning(wording.literal(text), icon=":material/link_off:")
            st.button("OK", key="dismiss", on_click=_dismiss)


def no_run():
    """Why nothing trains, and what to press: there is no room, or the process that trained is gone."""
    if session().run.refusal:
        with st.container(key="trouble"):
            st.warning(wording.literal(str(session().run.refusal)), icon=":material/hourglass_empty:")
            st.button("Try again", key="try again", type="primary", on_click=_start_again)
    elif session().run.death:
        _worker_died(session().run.death)


def looked_at():
    """Of a run that can only be looked at: why, and how to get one to play with."""
    if not session().run.watching:
        return
    with st.container(key="looked-at", horizontal=True, wrap=False, vertical_alignment="center", gap="small", width="content"):
        if session().run.foreign:
            st.html("<p>You are looking at a run that is somebody else's, or that another server trains.</p>", width="content")
            borrows = session().draft.borrows
            about = "Not of this run: it trains on its owner's file." if borrows else "Step 0 of a new run with the same settings."
            st.button("A run of my own", key="own run", on_click=_start_again, disabled=borrows, help=about)
        else:
            st.html("<p>You are looking at a run that another tab drives.</p>", width="content")
            st.button("Drive it here", key="drive here", type="primary", on_click=_drive, help="The other tab can only look then.")


def not_applied():
    """Beside the buttons that wait: the controls show something that could not be applied, so what the run stays with."""
    if not session().draft.pending:
        return
    with st.container(key="not-applied", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<p>Not applied. The run stays with: <b>{html.escape(wording.settings(session().draft.pending))}</b></p>", width="content")
        st.button("Undo", key="take back", on_click=_take_back, help="Sets the controls back to what the run uses.")


def not_kept(snapshot):
    """Why this run may not train now, or will not be there after this page is closed, and what could not be worked out."""
    if exhausted := session().run.exhausted:
        st.warning(exhausted, icon=":material/timer:")
    if snapshot.store_error:
        st.warning(wording.literal(snapshot.store_error), icon=":material/save:")
    if snapshot.failures:
        st.html(f'<p class="quiet">{html.escape(" ".join(snapshot.failures))} Training goes on.</p>')


def _worker_died(death):
    """Go on from its last checkpoint, or begin again."""
    lost = f" It was saved at step {death.checkpoint_step:,}; at most {death.seconds_lost:.0f} seconds of it are lost."
    with st.container(key="trouble"):
        st.error(wording.literal(death.message + (lost if death.checkpoint_step else "")), icon=":material/report:")
        with st.container(horizontal=True):
            if death.checkpoint_step:
                st.button(f"Go on from step {death.checkpoint_step:,}", key="recover", type="primary", on_click=_recover)
            if death.put_away and session().run.run_id:
                st.button("Go on with it", key="open again", type="primary", on_click=_open_again)
            st.button("Start again", key="start again", on_click=_start_again)


@handler
def _take_back():
    session().draft.take_back()
    st.rerun()


@handler
def _dismiss():
    session().notice = None


@handler
def _drive():
    session().take_over()
    st.rerun()


@handler
def _recover():
    session().recover()
    st.rerun()  # the sidebar shows the settings that the checkpoint was made with


@handler
def _open_again():
    session().open_again()
    st.rerun()


@handler
def _start_again():
    session().start_again()
    st.rerun()
