"""What a map is made of: a network, two settings with their ranges, and how long each run is."""

from __future__ import annotations

import streamlit as st

from core.config import RunConfig
from core.experiments import fields
from core.experiments.map import STEPS, Axis, MapPlan
from core.limits import ConfigError
from core.link import SETTINGS
from core.live.process import TooManyRuns
from core.numbers import parse_number, write_number
from core.presets import PRESETS
from pages import wording
from pages.map_view.maps import making, most_runs
from pages.shell.components import live
from pages.shell.controls import refusal
from pages.shell.tab import handler, tab
from pages.training.session import session

BASE, NOTE = "map base", "map note"
PLAYGROUND, SAME = "playground", "same"
AXES = {"x": ("optimizer.learning_rate", "across"), "y": ("init.scale", "upwards")}
COUNT = 32  # values of an axis, unless others are asked for
AROUND = 100.0  # a range goes from the value over this to the value times this
MOST_WHOLE = 32
BASES = {PLAYGROUND: "As in the playground", SAME: "As in the map below"}


def controls():
    """The controls, and the buttons."""
    found, running, _ = making().look()
    bases = [*([SAME] if found else []), *([PLAYGROUND] if "session" in st.session_state else []), *PRESETS]
    if st.session_state.get(BASE) not in bases:
        st.session_state[BASE] = bases[0]
    st.selectbox("Network", bases, key=BASE, format_func=lambda name: BASES.get(name) or PRESETS[name].title, width=420)
    config = _config(st.session_state[BASE])
    for name, (usual, place) in AXES.items():
        _axis(name, usual, place, config, found and getattr(found.plan, name))
    st.session_state.setdefault("map steps", str(found.plan.steps if found else STEPS))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input("Steps of each run", key="map steps", autocomplete="off", width=140)
        st.button("Make the map", key="make map", type="primary", on_click=_make)
        st.button("Cancel", key="cancel map", on_click=_cancel, disabled=not running)
        st.button("Zoom out", key="zoom out", on_click=_zoom_out, disabled=not making().left, help="Back to the window before.")
    if told := tab().view.refusal or st.session_state.get(NOTE):
        refusal(told)
    live("text", "map state", name="map state")


def _config(base):
    found, _, _ = making().look()
    if base == SAME and found:
        return found.plan.config
    return PRESETS[base].config if base in PRESETS else session().config


def _axis(name, usual, place, config, before):
    """The controls of one axis; `before` is that of the map that there is."""
    known = fields.fields(config)
    key = f"map {name} field"
    if st.session_state.get(key) not in known:
        st.session_state[key] = before.field if before and before.field in known else usual
    field = st.session_state[key]
    if f"map {name} low" not in st.session_state:
        _fill(name, before if before and before.field == field else _suggested(config, field))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        label = f"Setting {place}"
        st.selectbox(label, list(known), key=key, format_func=_label, on_change=_changed, args=(name,), width=260)
        for part, width in (("low", 120), ("high", 120), ("count", 90)):
            words = {"low": "From", "high": "To", "count": "Values"}[part]
            st.text_input(f"{words}, {place}", key=f"map {name} {part}", autocomplete="off", width=width)
        st.checkbox("Logarithmic", key=f"map {name} log")


def _label(field):
    return wording.sentence(field.replace(".", " ").replace("_", " ")) if field not in SETTINGS else wording.label(field)


def _suggested(config, field):
    """An Axis around the value that a field has."""
    low, high = fields.fields(config)[field]
    value = fields.value_of(config, field)
    if fields.kind(field) == "whole":
        first = max(low, 1) if field != "seed" else 0
        last = min(high, max(first + 1, 2 * (value or 16)) if "seed" not in field else MOST_WHOLE - 1)
        return Axis(field, first, last, min(MOST_WHOLE, last - first + 1))
    if not value:
        return Axis(field, low, min(high, 1.0), COUNT) if low < 1 else Axis(field, low, high, COUNT)
    if value * AROUND <= high:
        return Axis(field, value / AROUND, value * AROUND, COUNT, log=True)
    return Axis(field, low, high, COUNT)


def _fill(name, axis):
    st.session_state[f"map {name} low"], st.session_state[f"map {name} high"] = write_number(axis.low), write_number(axis.high)
    st.session_state[f"map {name} count"], st.session_state[f"map {name} log"] = str(axis.count), axis.log


@handler
def _changed(name):
    _fill(name, _suggested(_config(st.session_state[BASE]), st.session_state[f"map {name} field"]))


@handler
def _make():
    state = {key: st.session_state[key] for key in list(st.session_state) if isinstance(key, str) and key.startswith("map ")}
    try:
        config = _config(state[BASE])
        if config.data.source == "file":
            raise ConfigError("data.source", "must be one of Descent's own here; was a file")
        plan = MapPlan(config, _read("x", state), _read("y", state), _number("steps", state["map steps"], whole=True))
        runs, most = plan.shape[0] * plan.shape[1], most_runs()
        if runs > most:
            raise ConfigError("map", f"must have at most {most:,} runs here; had {runs:,}")
        making().start(plan)
        making().left.clear()
        tab().view.refusal = st.session_state[NOTE] = None
    except (ConfigError, TooManyRuns) as refused:
        tab().view.refusal = None
        st.session_state[NOTE] = wording.complaint(refused) if isinstance(refused, ConfigError) else str(refused)


def _read(name, state):
    low, high = (_number(state[f"map {name} field"], state[f"map {name} {part}"]) for part in ("low", "high"))
    count = _number(state[f"map {name} field"], state[f"map {name} count"], whole=True)
    return Axis(state[f"map {name} field"], low, high, count, state[f"map {name} log"])


def _number(field, text, whole=False):
    try:
        return parse_number(text, whole)
    except ConfigError as refused:
        raise ConfigError(field, refused.message) from None


@handler
def _cancel():
    making().cancel()


@handler
def _zoom_out():
    mine = making()
    if mine.left:
        plan = mine.left.pop()
        try:
            mine.start(plan)
        except TooManyRuns as refused:
            st.session_state[NOTE] = str(refused)


def took_over(plan: MapPlan) -> RunConfig:
    """Have the fields show a plan that zooming made; its configuration."""
    for name in AXES:
        axis = getattr(plan, name)
        if st.session_state.get(f"map {name} field") == axis.field:
            _fill(name, axis)
    return plan.config
