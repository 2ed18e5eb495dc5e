"""The bar at the foot of the page: back to any kept moment of a run that stands still, and on from there."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass

import streamlit as st

from core.config import differences
from core.limits import ConfigError, shown
from pages import wording
from pages.charts.output import influence_text
from pages.shell.components import live

START, NOW = "start", "now"
SLIDER = "look"
AROUND = 10  # steps before and after the first sign of trouble that are replayed
SECONDS_A_STEP = 0.7
HELP = "Looks back: all panels show the run as it was at that step. The run itself is left alone."
BUTTONS = [
    {
        "name": "healthy", "label": "Last healthy step", "icon": "back",
        "help": "The newest kept moment before the first sign of trouble.",
    },
    {
        "name": "replay", "label": "Replay slowly", "icon": "play",
        "help": "Shows where it went wrong step by step, from ten steps before.",
    },
    {"name": "now", "label": "Now", "help": "Back to the run as it stands."},
    {
        "name": "continue", "label": "Continue from here", "icon": "fork", "primary": True,
        "help": "Goes on from the step that is shown, as a new run with the settings of that step; this one is kept.",
    },
    {
        "name": "continue_changed", "label": "Continue with the new settings",
        "help": "Goes on from the step that is shown, with the settings as the controls are now.",
    },
]  # fmt: skip


def timebar():
    """The slider over the kept steps, and what can be done there. While the run plays it rests at now."""
    with st.container(key="timebar"):
        with st.container(key="time", horizontal=True, vertical_alignment="center", gap="small"):
            live("slider", "time slider", name=SLIDER, label="Time", help=HELP)
            live("buttons", "time buttons", buttons=BUTTONS)
        live("text", "time line", name="time")


def steps(session, snapshot):
    """{what the slider calls it: step}, the shown step's name."""
    now = session.now
    shown = now if session.moment is None else session.moment
    if session.playing:
        return {START: 0, NOW: now}, NOW
    return {_name(step, now): step for step in sorted({*snapshot.kept_steps, shown, now})}, _name(shown, now)


def _name(step, now):
    return NOW if step == now else wording.count(step)


def slider(session, snapshot):
    """What the slider shows."""
    names, shown = steps(session, snapshot)
    options = list(names) if len(names) > 1 else [START, NOW]
    return {
        "options": options,
        "index": options.index(shown),
        "disabled": session.playing or session.run.death is not None or len(names) < 2,
    }


def button_states(session, snapshot):
    """{button: how it differs from the table's}."""
    standing, past, healthy = not session.playing and not session.run.death, session.moment is not None, snapshot.healthy_step
    own = past and standing and not session.run.watching
    return {
        "healthy": {
            "label": "Last healthy step" if healthy is None else f"Last healthy step {wording.count(healthy)}",
            "disabled": not standing or healthy is None or session.moment == healthy,
        },
        "replay": {
            "hidden": not standing or trouble(snapshot) is None,
            "label": "Stop the replay" if session.replay else "Replay slowly",
        },
        "now": {"disabled": not past},
        "continue": {"disabled": not own},
        "continue_changed": {"hidden": not (own and session.settings_since())},
    }


def commands(session):
    """{name: what it does, given the value that came with it}."""

    def look(value):
        names, _ = steps(session, session.last_snapshot)
        if not isinstance(value, str):
            raise ConfigError("time", f"must be one of the steps on the slider; was {shown(value)}")
        if value in names and not session.playing:  # the names of a moment ago may be gone
            look_at(session, names[value])

    def healthy(value):
        if session.last_snapshot.healthy_step is not None and not session.playing:
            look_at(session, session.last_snapshot.healthy_step)

    def replay(value):
        began = trouble(session.last_snapshot)
        if session.replay or session.playing or began is None:
            session.replay = None
            return
        first = max(0, began - AROUND)
        session.moment = first
        session.replay = Replay(time.monotonic(), first, min(began + AROUND, session.now), first)

    def now(value):
        session.moment = None

    def go_on(changed):
        def pressed(value):
            if session.moment is not None:
                session.go_on_from(session.moment, session.settings_since() if changed else None)

        return pressed

    return {SLIDER: look, "healthy": healthy, "replay": replay, "now": now, "continue": go_on(False), "continue_changed": go_on(True)}


@dataclass
class Replay:
    """A slow replay of the steps `first` to `last`, `began` by the clock; `shown` is the moment that it showed last."""

    began: float
    first: int
    last: int
    shown: int


def go_on_replaying(session):
    """Show the step that the replay is at by now. It ends after its last step, and when anything else changes what is looked at."""
    replay = session.replay
    if replay is None:
        return
    if session.playing or session.moment != replay.shown:
        session.replay = None
        return
    step = replay.first + int((time.monotonic() - replay.began) / SECONDS_A_STEP)
    look_at(session, min(step, replay.last))
    replay.shown = session.moment
    if step >= replay.last:
        session.replay = None


def trouble(snapshot):
    """The step at which training went wrong, as far as it is known."""
    if snapshot.first_crossing:
        return snapshot.first_crossing[0]
    return snapshot.nonfinite and snapshot.nonfinite.step


def look_at(session, step):
    """Show the moment after so many updates; the run's own step is the present."""
    session.moment = None if step == session.now else step


def line(session, snapshot):
    """HTML of what is shown, in one line."""
    said = influence_text(snapshot.influence) if snapshot.influence is not None else ""
    if session.playing:
        text = "Playing. Pause to look back."
    elif snapshot.moment is None:
        text = said or ("Move the slider to look back: all panels show that moment." if session.now else "Nothing to look back at yet.")
    else:
        changed = session.settings_since()
        then = {name: snapshot.config[name] for name in changed}
        since = f" Set since: {', '.join(differences(then, changed))}." if changed else ""
        text = f"Looking back at step {wording.count(snapshot.step)}. {said}{since}"
    return f'<p class="quiet">{html.escape(text)}</p>'
