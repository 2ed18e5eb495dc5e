"""The loss surface on the page: begun by a press, and made again as the run trains."""

from __future__ import annotations

import html

import streamlit as st

from core.limits import ConfigError
from core.live.process import TooManyRuns
from pages import wording
from pages.charts.surface import surface_chart
from pages.shell.components import figures, theme
from pages.shell.tab import handler
from pages.training.session import session

KIND, DIRECTIONS = "surface", "surface directions"
RANDOM = {False: "Sharpest and update", True: "Random"}
GROWN = 1.5  # while a run plays its surface is made again each time that it has made so many times the updates


def begin():
    """Begin with this tab's run as it stands, along the directions that are chosen."""
    run = session().run
    try:
        if (task := _task()) is not None:
            run.experiment.start(KIND, task, run.person)
    except TooManyRuns as refused:
        session().notice = str(refused)


def due(session):
    """Whether the surface that is shown is to be made again: the run has gone on, or has become another one."""
    run, found = session.run, session.run.experiment.look()
    if found.kind != KIND or found.running or found.problem or not found.results:
        return False
    if session.last_snapshot is None or run.death or run.watching or not run.may_take:
        return False
    asked, now = found.results[-1].asked, session.now
    return now < asked or (now >= GROWN * asked + 1 if session.playing else now > asked) or found.config != run.live_run.config


def heading(found):
    """What its card says first, of an Experiment."""
    if not found.results:
        return "Loss surface under way."
    made = found.results[-1]
    after = f"Training loss around the parameters at step {wording.count(made.step)}"
    return f"{after}, the last sound moment." if made.step < made.asked else f"{after}; drawn anew as the run goes on."


def surface():
    """What the card shows; made again where that is due."""
    run = session().run
    if due(session()) and (task := _task()) is not None:
        run.experiment.renew(task, run.person)
    found = run.experiment.look()
    chart, words = st.columns([3, 2])
    if found.results:
        with chart:
            figures({"surface": surface_chart(found.results[-1], theme())}, "loss surface")
        told = "<br>".join(map(html.escape, found.results[-1].sentences))
        words.html(f'<div class="quiet">{told}</div>')
    words.segmented_control(
        "Directions", list(RANDOM), key=DIRECTIONS, default=False, required=True, format_func=RANDOM.get, on_change=_turned,
        help="Random directions, each unit's weights as large as the network's own (Li et al. 2018), say little of where the run goes.",
    )  # fmt: skip


def _task():
    """The SurfaceTask of the run as it stands; None, and a notice, where there is none."""
    try:
        return session().run.act("surface_task", bool(st.session_state.get(DIRECTIONS)))
    except ConfigError as refused:
        session().notice = f"{wording.complaint(refused)}."
    return None


@handler
def _turned():
    begin()
