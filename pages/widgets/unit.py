"""The picked unit: its weights and its bias can be set by hand."""

from __future__ import annotations

import streamlit as st

from pages.widgets import words
from pages.widgets.session import session


def unit_editor(unit):
    """Choose one incoming weight, or the bias, and set it. `unit` is a UnitView."""
    sources = {None: unit.bias} | dict(zip(unit.sources.tolist(), unit.weights.tolist()))
    names = dict(zip(unit.sources.tolist(), unit.source_names))
    where = f"layer {unit.layer}, unit {unit.index + 1}"
    with st.container(key="unit-editor", horizontal=True, vertical_alignment="bottom"):
        st.markdown(f"**Unit {unit.index + 1} of layer {unit.layer}**", width=130)
        source = st.selectbox(
            "Weight from", list(sources), key=f"source {where}", width=150, help="The bias, or the input or unit that a weight comes from.",
            format_func=lambda source: "Bias" if source is None else words.feature(names[source]),
        )  # fmt: skip
        key = f"value {where} {source}"
        st.number_input("New value", value=float(sources[source]), step=0.1, format="%.4f", key=key, width=150)
        st.button("Set", key="set", on_click=lambda: session().act("edit", unit.layer, unit.index, source, st.session_state[key]))
        st.button("Close", key="close unit", icon=":material/close:", on_click=_unpick)


def _unpick():
    session().picked = None
