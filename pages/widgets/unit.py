"""The picked unit: its weights and its bias can be set by hand."""

from __future__ import annotations

import streamlit as st

from pages.widgets import words
from pages.widgets.controls import show
from pages.widgets.requests import uninterrupted
from pages.widgets.session import session


def unit_editor(unit):
    """Pick a unit, also without a mouse; choose one of its incoming weights, or the bias, and set it. `unit` is a UnitView or None."""
    with st.container(key="unit-editor", horizontal=True, vertical_alignment="center", gap="xsmall"):
        _picker()
        if unit is None:
            st.caption("Click a unit, or choose its layer here, to look inside it and to set its weights.")
        else:
            _row(unit, f"unit {unit.index + 1} of layer {unit.layer}")


def _picker():
    """Layer and unit, as the keyboard picks them."""
    layers, picked = session().config.layers, session().picked
    st.selectbox(
        "Layer", list(range(1, len(layers) + 1)), index=None, placeholder="Layer", width=120, on_change=_pick,
        format_func=lambda layer: f"Layer {layer}", label_visibility="collapsed", help="The layer of the unit to look inside.",
        **show("picked layer", picked and picked[0]),
    )  # fmt: skip
    if picked:
        shown = show("picked unit", picked[1] + 1)
        st.number_input(
            "Unit", 1, layers[picked[0] - 1].units, **shown, width=110, label_visibility="collapsed", on_change=_pick,
            help="The unit to look inside, counted from the top.",
        )  # fmt: skip


@uninterrupted
def _pick():
    layer, unit = st.session_state["picked layer"], st.session_state.get("picked unit", 1)
    session().picked = None if layer is None else (layer, min(unit, session().config.layers[layer - 1].units) - 1)


def _row(unit, where):
    values = {None: unit.bias} | dict(zip(unit.sources.tolist(), unit.weights.tolist()))
    names = {None: "Bias"} | {
        source: f"Weight from {words.feature(name)}" for source, name in zip(unit.sources.tolist(), unit.source_names)
    }
    past = session().moment is not None
    st.markdown(f"**{words.sentence(where)}**", width="content")
    source = st.selectbox(
        f"What to set of {where}", list(values), key=f"source of {where}", format_func=names.get, width=170, label_visibility="collapsed",
        help="The bias, or the weight of one input or unit of the layer before.",
    )  # fmt: skip
    key = f"value {source} of {where}"
    st.number_input(
        "New value", value=float(values[source]), step=0.1, format="%.4f", key=key, width=120, label_visibility="collapsed",
        help="Takes effect with Set, also while the run plays.",
    )  # fmt: skip
    st.button(
        "Set", key="set", disabled=past, on_click=_set, args=(unit, source, key),
        help="The past stays as it was: continue from here first." if past else None,
    )  # fmt: skip
    st.button("Close", key="close unit", icon=":material/close:", on_click=_unpick)


@uninterrupted
def _set(unit, source, key):
    session().act("edit", unit.layer, unit.index, source, st.session_state[key])


@uninterrupted
def _unpick():
    session().picked = None
