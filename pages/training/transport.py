"""The bar that stays in view: what to do with the run, and where it stands."""

from __future__ import annotations

import html

import streamlit as st

from pages import wording
from pages.shell.controls import show
from pages.shell.echoes import pressed_again
from pages.shell.requests import uninterrupted
from pages.training.export_menu import take_home
from pages.training.gauge import gauge, use_stable_rate
from pages.training.notices import looked_at, not_applied
from pages.training.session import session
from pages.training.view_menu import view_menu

SPEEDS = {"Full speed": None, "1,000 steps/s": 1000, "100 steps/s": 100, "10 steps/s": 10, "1 step/s": 1}
WAITING = ("play", "step", "epoch", "new_seed")  # what waits while the controls show something that the run does not have
STATES = {"running": "Running", "paused": "Paused", "finished": "Finished"}


def buttons(snapshot):
    """Play or Pause, Step, Epoch, Reset, New seed, and the speed. Each has a letter on the keyboard. Who only watches has none of them."""
    with st.container(key="buttons", horizontal=True, vertical_alignment="center", gap="xsmall"):
        if session().watching:
            looked_at()
        else:
            _drive(snapshot)
        view_menu()
        take_home(snapshot)
        not_applied()


def _drive(snapshot):
    over, playing, waiting = snapshot.status == "nonfinite", snapshot.status == "running", bool(session().pending)
    # Both are always there, and the style sheet shows one: were one taken away, the others would move under the pointer
    _button("Play", "play", "play_arrow", shortcut="P", type="primary", disabled=over or playing or waiting)
    _button("Pause", "pause", "pause", shortcut="P", type="primary", disabled=not playing)
    _button("Step", "step", "skip_next", shortcut="S", disabled=over or waiting)
    _button("Epoch", "epoch", "fast_forward", shortcut="E", disabled=over or waiting)
    _button("Reset", "reset", "replay", shortcut="0", help="Back to step 0, with the same first weights; this run stays among the runs")
    _button("New seed", "new_seed", "casino", shortcut="N", disabled=waiting, help="Step 0, with other first weights")
    shown = show("speed", next(name for name, speed in SPEEDS.items() if speed == session().speed))
    st.selectbox(
        "Speed", SPEEDS, **shown, label_visibility="collapsed", width=135, on_change=_set_speed, help="How fast a playing run goes."
    )


def _button(label, action, icon, **settings):
    st.button(label, icon=f":material/{icon}:", key=action, on_click=_act, args=(action,), **settings)


@uninterrupted
def _act(action):
    if pressed_again(action) or (action in WAITING and session().pending):  # what was pressed may not be what is shown any more
        return
    if action == "new_seed":
        session().edit("seed", (session().config.seed + 1) % 2**31)
        st.rerun()  # the sidebar shows the seed
    if action == "reset":
        session().had_findings = False
    session().moment = None
    session().act(action)


@uninterrupted
def _set_speed():
    session().set_speed(SPEEDS[st.session_state["speed"]])


def status(snapshot):
    """Where the run stands, in figures that keep their places."""
    metric = wording.phrase(snapshot.metric)
    readings = [
        ("Step", wording.count(snapshot.step), 10, ""),
        ("Epoch", f"{snapshot.epoch:,.1f}", 8, "epoch"),
        ("Steps/s", wording.rate(snapshot.steps_per_second) if snapshot.status == "running" else "–", 6, "rate"),
        ("Train loss", wording.number(snapshot.train_loss), 8, ""),
        ("Test loss", wording.number(snapshot.test_loss), 8, ""),
        (f"Train {metric}", wording.number(snapshot.train_metric, 3), 8, ""),
        (f"Test {metric}", wording.number(snapshot.test_metric, 3), 8, ""),
    ]
    cells = "".join(
        f'<div class="reading {kind}" style="min-width:{width}ch"><span>{html.escape(name)}</span><b>{html.escape(value)}</b></div>'
        for name, value, width, kind in readings
    )
    kind, word = state(snapshot)
    shown = f'<div class="reading state {kind}" role="status"><span>Status</span><b>{word}</b></div>'
    with st.container(key="status", horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
        st.html(f'<div class="readings">{cells}{shown}{gauge(snapshot)}</div>')
        use_stable_rate(snapshot)


def state(snapshot):
    """(style, words) for what the run is doing."""
    if session().death:
        return "trouble", "✕ Stopped"
    if snapshot.moment is not None:
        return "past", f"◷ Step {wording.count(snapshot.step)} of {wording.count(session().now)}"
    if snapshot.nonfinite is not None:
        return "trouble", f"✕ Not a number at step {wording.count(snapshot.nonfinite.step)}"
    if snapshot.status == "paused" and snapshot.step == 0:
        return "ready", "Waiting for the settings" if session().pending else "Ready: press Play"
    return snapshot.status, STATES[snapshot.status]
