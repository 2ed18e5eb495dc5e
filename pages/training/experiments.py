"""What one checks of a run: the preflight's list with its remedies, the range test with its learning rate, and the loss surface."""

from __future__ import annotations

import html

import streamlit as st

from core.experiments.checks import CHECKS
from core.live.process import TooManyRuns
from pages import wording
from pages.charts.range_test import range_chart
from pages.shell.components import figures, theme
from pages.shell.tab import handler, tab
from pages.training import surface
from pages.training.session import ELSEWHERE, session

MARKS = {True: ("✓", "passed"), False: ("✕", "failed"), None: ("–", "not checked")}


def experiments_menu():
    """A menu with what there is to look into beside a run."""
    menu = st.popover("Check", icon=":material/checklist:", key="check menu", disabled=tab().lesson.fixes("check"))
    with menu, st.container(key="checks", gap="xsmall", width=280):
        st.button(
            "Preflight", key="preflight", on_click=_start, args=("preflight",), width="stretch", icon=":material/checklist:",
            help="Loss at the start, scales, gradients, one batch learned by heart, learning rate and more, before you train.",
        )  # fmt: skip
        st.button(
            "Range test", key="range", on_click=_start, args=("range",), width="stretch", icon=":material/trending_up:",
            help="Sweeps the learning rate up on a copy: where it learns, where it blows up, and what theory says.",
        )  # fmt: skip
        st.button(
            "Loss surface", key=surface.KIND, on_click=_start, args=(surface.KIND,), width="stretch", icon=":material/landscape:",
            help="A slice of the loss around the parameters as they stand, along the sharpest direction and the update's.",
        )  # fmt: skip


def experiment():
    """The card of the experiment that was begun last; nothing where none was."""
    found = session().run.experiment.look()
    if found.kind is None:
        return
    with st.container(key="experiment", gap=None):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(f'<div class="quiet">{html.escape(_heading(found))}</div>')
            st.button("Cancel" if found.running else "Close", key="end experiment", on_click=_forget)
        if found.kind == "preflight":
            for number, result in enumerate(found.results):
                _check(result, number)
        for result in found.results if found.kind == "range" else ():
            figures({"range": range_chart(result, theme())}, "range test")
            with st.container(horizontal=True, vertical_alignment="center"):
                st.html(f'<div class="quiet">{html.escape(result.text)}</div>')
                if result.suggested:
                    patch = {"optimizer": {"learning_rate": result.suggested}}
                    st.button(f"Use {result.suggested:g}", key="use suggested", on_click=_apply, args=(patch,), type="primary")
        if found.kind == surface.KIND:
            surface.surface()


def _heading(found):
    if found.problem:
        return found.problem
    if found.kind == surface.KIND:
        return surface.heading(found)
    if found.running:
        return f"Preflight: {len(found.results)} of {len(CHECKS)} checks made." if found.kind == "preflight" else "Range test under way."
    if found.config != session().run.live_run.config:
        return "This was for the settings before your last change. Run it again for those of now."
    if found.kind == "range":
        return "Losses of a copy of the run while its learning rate grows."
    failed = sum(result.passed is False for result in found.results)
    return f"Preflight: {failed} of {len(CHECKS)} checks failed." if failed else "Preflight: nothing is wrong. Ready to train."


def _check(result, number):
    """One line: what was asked for, what was found, and a button for the remedy."""
    check, (mark, word) = CHECKS[result.name], MARKS[result.passed]
    advice = f" {result.advice}" if result.advice else ""
    value = "" if result.value is None else f"{wording.number(result.value, 3)} ({check.relation} {wording.number(result.expected, 3)})"
    with st.container(key=f"trial check {number}", horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
        st.html(
            f'<div class="check"><b title="{word}">{mark}</b><span>{html.escape(check.title)}</span><span>{html.escape(value)}</span>'
            f"<span>{html.escape(result.text + advice)}</span></div>"
        )
        if result.fix:
            st.button("Apply", key=f"apply check {result.name}", on_click=_apply, args=(result.fix,))


@handler
def _start(kind):
    run = session().run
    if not session().ready() or run.death or run.watching or not run.may_take:
        session().notice = ELSEWHERE if not run.death else session().notice
        return
    if kind == surface.KIND:
        return surface.begin()
    try:
        run.experiment.start(kind, run.live_run.config, run.person)
    except TooManyRuns as error:
        session().notice = str(error)


@handler
def _apply(patch):
    session().apply(patch)
    st.rerun()  # the sidebar shows the settings


@handler
def _forget():
    session().run.experiment.cancel()
    st.rerun()
