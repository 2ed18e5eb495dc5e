"""The picked unit: its weights and its bias can be set by hand."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.numbers import write_number
from pages import wording
from pages.shell.controls import count_field, entered, refusal, refused, show
from pages.shell.tab import handler
from pages.training.session import session


def unit_editor(unit):
    """Pick a unit, also without a mouse; choose one of its incoming weights, or the bias, and set it. `unit` is a UnitView or None."""
    with st.container(key="unit-editor", horizontal=True, vertical_alignment="center", gap="xsmall"):
        problems = [_picker()]
        if unit is None:
            st.caption("Click a unit, or choose its layer here, to look inside it and to set its weights.")
        elif not session().run.may_take:
            st.caption("This run is somebody else's: its weights are its owner's.")
        else:
            problems.append(_row(unit, f"unit {unit.index + 1} of layer {unit.layer}"))
    for problem in filter(None, problems):
        refusal(problem)


def _picker():
    """Layer and unit, as the keyboard picks them. Returns why what was typed was refused."""
    layers, picked = session().config.layers, session().picked
    st.selectbox(
        "Layer", list(range(1, len(layers) + 1)), index=None, placeholder="Layer", width=120, on_change=_pick_layer,
        format_func=lambda layer: f"Layer {layer}", label_visibility="collapsed", help="The layer of the unit to look inside.",
        **show("picked layer", picked and picked[0]),
    )  # fmt: skip
    return picked and count_field(
        "Unit", "picked unit", picked[1] + 1, layers[picked[0] - 1].units, _pick_unit, width=80, label_visibility="collapsed",
        help="The unit to look inside, counted from the top.",
    )  # fmt: skip


@handler
def _pick_layer():
    layer, picked = st.session_state["picked layer"], session().picked
    session().picked = layer and (layer, min(picked[1] if picked else 0, session().config.layers[layer - 1].units - 1))


def _pick_unit(unit):
    session().picked = session().picked[0], unit - 1


def _row(unit, where):
    """Returns why a new value was refused."""
    values = {None: unit.bias} | dict(zip(unit.sources.tolist(), unit.weights))
    names = {None: "Bias"} | {
        source: f"Weight from {wording.feature(name)}" for source, name in zip(unit.sources.tolist(), unit.source_names)
    }
    past = session().moment is not None
    st.markdown(f"**{wording.sentence(where)}**", width="content")
    source = st.selectbox(
        f"What to set of {where}", list(values), key=f"source of {where}", format_func=names.get, width=170, label_visibility="collapsed",
        help="The bias, or the weight of one input or unit of the layer before.",
    )  # fmt: skip
    key = f"value {source} of {where}"
    st.text_input(
        "New value", write_number(float(str(values[source]))), key=key, width=170, label_visibility="collapsed", autocomplete="off",
        help="Takes effect with Set, also while the run plays.",
    )  # fmt: skip
    st.button(
        "Set", key="set", disabled=past, on_click=entered, args=(key, partial(session().act, "edit", unit.layer, unit.index, source)),
        help="The past stays as it was: continue from here first." if past else None,
    )  # fmt: skip
    st.button("Close", key="close unit", icon=":material/close:", on_click=_unpick)
    return refused("New value", key)


@handler
def _unpick():
    session().picked = None
