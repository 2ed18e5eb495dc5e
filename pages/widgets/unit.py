"""The picked unit: its weights and its bias can be set by hand."""

from __future__ import annotations

import streamlit as st

from pages.widgets import words
from pages.widgets.session import session


def unit_editor(unit):
    """Choose one incoming weight, or the bias, and set it. `unit` is a UnitView, or None when no unit is picked."""
    with st.container(key="unit-editor", horizontal=True, vertical_alignment="center", gap="xsmall"):
        if unit is None:
            st.caption("Click a unit in the network to look inside it and to set its weights.")
        else:
            _row(unit, f"unit {unit.index + 1} of layer {unit.layer}")


def _row(unit, where):
    values = {None: unit.bias} | dict(zip(unit.sources.tolist(), unit.weights.tolist()))
    names = {None: "Bias"} | {
        source: f"Weight from {words.feature(name)}" for source, name in zip(unit.sources.tolist(), unit.source_names)
    }
    st.markdown(f"**{words.sentence(where)}**", width="content")
    source = st.selectbox(
        f"What to set of {where}", list(values), key=f"source of {where}", format_func=names.get, width=190, label_visibility="collapsed",
        help="The bias, or the weight of one input or unit of the layer before.",
    )  # fmt: skip
    key = f"value {source} of {where}"
    st.number_input(
        "New value", value=float(values[source]), step=0.1, format="%.4f", key=key, width=130, label_visibility="collapsed",
        help="Takes effect with Set, also while the run plays.",
    )  # fmt: skip
    st.button("Set", key="set", on_click=lambda: session().act("edit", unit.layer, unit.index, source, st.session_state[key]))
    st.button("Close", key="close unit", icon=":material/close:", on_click=_unpick)


def _unpick():
    session().picked = None
