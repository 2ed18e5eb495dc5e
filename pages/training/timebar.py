"""The bar at the foot of the page: back to any kept moment of a run that stands still, and on from there."""

from __future__ import annotations

import streamlit as st

from core.config import differences
from pages import wording
from pages.charts.output import influence_text
from pages.shell.controls import show
from pages.shell.echoes import heard
from pages.shell.requests import uninterrupted
from pages.training.session import session

START, NOW = "start", "now"
HELP = "Looks back: all panels show the run as it was at that step. The run itself is left alone."


def timebar(snapshot):
    """The slider over the kept steps, and what can be done there. While the run plays it rests at now."""
    with st.container(key="timebar"):
        with st.container(key="time", horizontal=True, vertical_alignment="center", gap="small"):
            _slider(snapshot)
            _buttons(snapshot)
        st.caption(_line(snapshot))


def _slider(snapshot):
    """One slider always: another in its place would lose what the browser last knew of it. Its options are what is written on them: that is
    all the browser knows, and the step that was shown is "now" once the run goes on from there."""
    now = session().now
    shown = now if session().moment is None else session().moment
    steps = {_name(step, now): step for step in sorted({*snapshot.kept_steps, shown, now})}
    resting = session().playing or len(steps) < 2
    if resting:
        steps, shown = {START: 0, NOW: now}, now
    st.select_slider(
        "Time", list(steps), **show("moment", _name(shown, now)), disabled=resting, on_change=_slide, args=(steps,), help=HELP,
        label_visibility="collapsed",
    )  # fmt: skip


def _name(step, now):
    return NOW if step == now else wording.count(step)


@uninterrupted
def _slide(steps):
    if not session().playing and heard("moment"):
        look_at(steps[st.session_state["moment"]])


def _buttons(snapshot):
    standing, past = not session().playing, session().moment is not None
    healthy = snapshot.healthy_step
    name = "Last healthy step" if healthy is None else f"Last healthy step {wording.count(healthy)}"
    st.button(
        name, key="healthy", icon=":material/history:", disabled=not standing or healthy is None or session().moment == healthy,
        on_click=look_at, args=(healthy,), help="The newest kept moment before the first sign of trouble.",
    )  # fmt: skip
    st.button("Now", key="now", disabled=not past, on_click=look_at, args=(session().now,), help="Back to the run as it stands.")
    st.button(
        "Continue from here", key="continue", type="primary", icon=":material/fork_right:", disabled=not past,
        on_click=_continue, args=(False,),
        help="Goes on from the moment that is shown, with the settings of then, as a run of its own: this one stays among the runs.",
    )  # fmt: skip
    if past and session().settings_since():
        st.button(
            "Continue with the new settings", key="continue changed", icon=":material/tune:", on_click=_continue, args=(True,),
            help="Goes on from the moment that is shown, with the settings as the controls are now.",
        )  # fmt: skip


def _line(snapshot):
    """What is shown, in one line."""
    said = influence_text(snapshot.influence) if snapshot.influence is not None else ""
    if session().playing:
        return "Playing. Pause to look back."
    if snapshot.moment is None:
        return said or ("Move the slider to look back: all panels show that moment." if session().now else "Nothing to look back at yet.")
    changed = session().settings_since()
    then = {name: snapshot.config[name] for name in changed}
    since = f" Set since: {', '.join(differences(then, changed))}." if changed else ""
    return wording.literal(f"Looking back at step {wording.count(snapshot.step)}. {said}{since}")


@uninterrupted
def look_at(step):
    """Show the moment after so many updates; the run's own step is the present."""
    session().moment = None if step == session().now else step


@uninterrupted
def _continue(changed):
    if session().moment is None:
        return
    session().go_on_from(session().moment, session().settings_since() if changed else None)
    st.rerun()  # the sidebar shows the settings
