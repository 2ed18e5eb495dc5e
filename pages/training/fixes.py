"""Fixes that are being tried, and what each reached, best first."""

from __future__ import annotations

import html

import streamlit as st

from pages import wording
from pages.shell.tab import handler
from pages.training.session import session

BLOWN = ("nonfinite", "diverged")


def fixes(snapshot):
    """Progress while fixes are tried, then the table; nothing when none were."""
    trials = session().run.trials
    if trials.running:
        with st.container(key="trying", horizontal=True, vertical_alignment="center"):
            tried = f"{len(trials.trials)} tried so far" if trials.trials else "the run as it is comes first"
            st.progress(trials.progress, f"Trying fixes beside the run: {tried}.")
            st.button("Cancel", key="cancel trials", on_click=_forget, help="Stops the trials and forgets what they found.")
    elif trials.trials or trials.problem:
        with st.container(key="tried", gap=None):
            _head(trials)
            for number, trial in enumerate(trials.trials):
                _row(trial, number, wording.sentence(wording.phrase(snapshot.metric)))


def _head(trials):
    with st.container(horizontal=True, vertical_alignment="center"):
        begun = "step 0" if session().tried_from is None else f"step {wording.count(session().tried_from)}, or step 0 where it must"
        said = trials.problem or f"What each fix reached, best first. All began at {begun}."
        st.html(f'<div class="quiet">{html.escape(said)}</div>')
        st.button("Close", key="close trials", icon=":material/close:", on_click=_forget, help="Forgets what was tried.")


def _row(trial, number, metric):
    """One line: what was changed, what it reached, what is still wrong, and a button that takes it over."""
    mark, word = ("✓", "mended") if trial.mended else ("✕", "blew up") if trial.status in BLOWN else ("–", "not mended")
    left = ", ".join(wording.phrase(code) for code in trial.findings) or "nothing wrong"
    with st.container(key=f"trial {number}", horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
        st.html(
            f'<div class="trial {"mended" if trial.mended else ""}"><b title="{word}">{mark}</b><span>{html.escape(trial.title)}</span>'
            f"<span>{metric} <b>{wording.number(trial.metric, 3)}</b></span><span>Loss <b>{wording.number(trial.loss)}</b></span>"
            f'<span title="{html.escape(left)}">{html.escape(wording.sentence(left))}</span></div>'
        )
        st.button(
            "Apply", key=f"apply trial {number}", disabled=not trial.patch, on_click=_apply, args=(trial.patch,),
            type="primary" if number == 0 and trial.mended else "secondary", help="Goes on with this: from where it was tried from.",
        )  # fmt: skip


@handler
def _apply(patch):
    session().apply(patch, session().tried_from)
    st.rerun()  # the sidebar shows the settings


@handler
def _forget():
    session().act("cancel_trials")
    st.rerun()
