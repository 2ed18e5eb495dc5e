"""What you choose: presets, data, network, training."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.link import SETTINGS
from core.presets import PRESETS
from pages import wording
from pages.shell.controls import grid, learning_rate, refusal, show
from pages.shell.echoes import heard
from pages.shell.requests import uninterrupted
from pages.training import fault_switches
from pages.training.data import data
from pages.training.layers import layers
from pages.training.session import session


def sidebar():
    """All controls of the configuration but those that are folded away: what this returns draws them, once the charts are on their way."""
    session().explained = False
    with st.sidebar, st.container(gap="xsmall"):
        st.markdown("### Descent")
        st.caption("Build a small network, press Play, and see what it learns or why it does not.")
        top = st.container()
        presets()
        section("Data", data)
        section("Network", layers)
        more = section("Training", training)
        switches = section(fault_switches.heading(), fault_switches.summary)
    return partial(_folded, top, more, switches)


def _folded(top, more, switches):
    with more:
        _more()
    with switches:
        fault_switches.switches()
    problem = session().problem
    if problem and not session().explained:
        with top:
            refusal(wording.complaint(problem))


def section(title, content):
    st.markdown(f"#### {title}")
    return content()


def presets():
    """Ready-made runs, and what to look at in the one that is shown."""
    chosen = next((name for name, preset in PRESETS.items() if preset.config == session().config), None)
    st.selectbox(
        "Preset", PRESETS if chosen else [None, *PRESETS], **show("preset", chosen),
        format_func=lambda name: PRESETS[name].title if name else "", placeholder="Your own",
        help="Runs that learn, and runs that go wrong in instructive ways.", on_change=_load_preset,
    )  # fmt: skip
    st.caption(PRESETS[chosen].about if chosen else "Changed by you; the address in the browser holds all of it, to keep or to send.")


@uninterrupted
def _load_preset():
    if st.session_state["preset"] and heard("preset"):
        session().load(PRESETS[st.session_state["preset"]].config)


def training():
    """Loss, optimizer, learning rate and batches; returns where the rest goes."""
    optimizer = [name for name in _names() if name.startswith("optimizer.") and name not in ("optimizer.name", "optimizer.learning_rate")]
    grid("loss", "optimizer.name")
    learning_rate()
    grid(*optimizer, "batch_size")
    return st.expander("More")


def _more():
    grid(*(name for name in _names() if name not in ("loss", "batch_size") and not name.startswith("optimizer.")))


def _names():
    return [name for name, spec in SETTINGS.items() if "kind" in spec.metadata and not name.startswith("data.")]
