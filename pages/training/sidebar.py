"""What you choose: presets, data, network, training."""

from __future__ import annotations

import streamlit as st

from core.link import SETTINGS
from core.presets import PRESETS
from pages import wording
from pages.shell.controls import folded, refusal, show, stale
from pages.shell.tab import handler, tab
from pages.training import fault_switches
from pages.training.data import data
from pages.training.layers import layers
from pages.training.session import session
from pages.training.setting_controls import grid, learning_rate

JUST_MOVED = 5.0  # seconds for which a preset that comes back is the browser's, late, and not a person's


def sidebar():
    """All controls of the configuration. What is rarely used is folded, and made once it is opened."""
    session().draft.explained = False
    with st.sidebar, st.container(gap="xsmall"):
        st.markdown("### Descent")
        st.caption("Build a small network, press Play, and see what it learns or why it does not.")
        top = st.container()
        presets()
        section("Data", data, "data")
        section("Network", layers, "layers")
        section("Training", training)
        section(fault_switches.heading(), fault_switches.faults, "faults")
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
    """Ready-made runs, and what to look at in the one that is shown."""
    if tab().lesson.hides("preset"):
        return
    chosen = next((name for name, preset in PRESETS.items() if preset.config == session().config), None)
    st.selectbox(
        "Preset", PRESETS if chosen else [None, *PRESETS], **show("preset", chosen),
        format_func=lambda name: PRESETS[name].title if name else "", placeholder="Your own",
        help="Runs that learn, and runs that go wrong in instructive ways.", on_change=_load_preset,
    )  # fmt: skip
    st.caption(PRESETS[chosen].about if chosen else "Changed by you; the address in the browser holds all of it, to keep or to send.")


@handler
def _load_preset():
    if st.session_state["preset"] and not stale("preset", JUST_MOVED):
        session().draft.load(PRESETS[st.session_state["preset"]].config)


def training():
    """Loss, optimizer, learning rate and batches; the rest folded."""
    optimizer = [name for name in _names() if name.startswith("optimizer.") and name not in ("optimizer.name", "optimizer.learning_rate")]
    grid("loss", "optimizer.name")
    learning_rate()
    grid(*optimizer, "batch_size")
    folded("More", _more, "more")


def _more():
    grid(*(name for name in _names() if name not in ("loss", "batch_size") and not name.startswith("optimizer.")))


def _names():
    return [name for name, spec in SETTINGS.items() if "kind" in spec.metadata and not name.startswith("data.")]
