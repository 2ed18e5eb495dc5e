"""What you choose: first the data, the network and the learning rate, and in one line what all else is set to; that is folded."""

from __future__ import annotations

import streamlit as st

from core.data.sources import SOURCES
from core.link import SETTINGS
from core.presets import PRESETS
from pages import wording
from pages.shell.controls import folded, refusal, show, stale
from pages.shell.tab import handler, tab
from pages.training import fault_switches
from pages.training.data import PLAIN as UNFOLDED_DATA
from pages.training.data import data
from pages.training.draft import PLAIN
from pages.training.history import undo_and_redo
from pages.training.layers import layers
from pages.training.session import session
from pages.training.setting_controls import applies, grid, learning_rate, shown_value

TOLD = ("loss", "optimizer.name", "batch_size", "data.noise", "data.test_fraction")  # of what is folded, in the one line at all times
SEEN = ("optimizer.learning_rate", *UNFOLDED_DATA)  # settings that are not folded
FOLDED = [*TOLD, *(name for name, spec in SETTINGS.items() if "kind" in spec.metadata and name not in (*SEEN, *TOLD))]

JUST_MOVED = 5.0  # seconds for which a preset that comes back is the browser's, late, and not a person's


def sidebar():
    """All controls of the configuration. What is rarely used is folded, and made once it is opened."""
    session().draft.explained = False
    with st.sidebar, st.container(key="settings", gap="xsmall"):
        top = st.container()
        with st.container(key="preset and history", horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
            about = presets()
            undo_and_redo()
        if about:
            st.caption(about)
        section("Data", data, "data")
        section("Network", layers, "layers")
        training()
        if not tab().lesson.hides("faults"):
            fault_switches.faults()
    problem = session().draft.problem
    if problem and not session().draft.explained:
        with top:
            refusal(wording.complaint(problem))


def section(title, content, name=""):
    """Some controls under their title, unless a link for a class hides all that have this name."""
    if tab().lesson.hides(name):
        return
    st.markdown(f"#### {title}")
    content()


def presets():
    """Ready-made runs; the result says what to look at in the one that is shown."""
    if tab().lesson.hides("preset"):
        return None
    chosen = next((name for name, preset in PRESETS.items() if preset.config == session().config), None)
    st.selectbox(
        "Preset", PRESETS if chosen else [None, *PRESETS], **show("preset", chosen),
        format_func=lambda name: PRESETS[name].title if name else "", placeholder="Your own",
        help="Runs that learn, and runs that go wrong in instructive ways.", on_change=_load_preset, label_visibility="collapsed",
    )  # fmt: skip
    return PRESETS[chosen].about if chosen else "Custom set-up. Export has a link to share it."


@handler
def _load_preset():
    if st.session_state["preset"] and not stale("preset", JUST_MOVED):
        session().draft.load(PRESETS[st.session_state["preset"]].config)


def training():
    """The learning rate, and what else there is; the rest folded."""
    learning_rate()
    st.caption(wording.literal(_in_one_line()))
    folded("Training settings", _more, "more")


def _in_one_line():
    """What the folded settings are: the most important ones, and all that differ from what a run has by itself."""
    values = session().draft.values
    usual = PLAIN | {"data.samples": SOURCES[values["data.source"]].samples}
    told = [name for name in FOLDED if applies(name, values) and (name in TOLD or values[name] != usual[name])]
    return wording.sentence(wording.settings({name: shown_value(name, values[name]) for name in told}))


def _more():
    grid(*(name for name in FOLDED if not name.startswith("data.")))
