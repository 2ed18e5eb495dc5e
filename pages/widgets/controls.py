"""The controls of the sidebar, made from the configuration's one table: a new setting or choice appears by itself.

What the controls show is the session's draft; a change goes through `Session.edit`, which says when it is refused.
"""

from __future__ import annotations

import math

import streamlit as st

from core.data.sources import SOURCES
from core.link import SETTINGS
from core.nn.optimizers import OPTIMIZERS
from pages.widgets import words
from pages.widgets.echoes import heard, moved
from pages.widgets.requests import uninterrupted
from pages.widgets.session import session

# Settings that mean nothing for some values of others: name -> does it apply, from the draft
APPLIES = {
    "data.noise": lambda draft: SOURCES[draft["data.source"]].kind == "planar",
    "data.features": lambda draft: SOURCES[draft["data.source"]].kind == "planar",
    "data.target_scaling": lambda draft: task(draft) == "regression",
    "init.bias_scale": lambda draft: draft["init.bias"] != "zeros",
    "optimizer.schedule.steps": lambda draft: draft["optimizer.schedule.name"] != "constant",
    "optimizer.schedule.factor": lambda draft: draft["optimizer.schedule.name"] != "constant",
}
EVERY_OPTIMIZER = ("optimizer.name", "optimizer.learning_rate", "optimizer.schedule.")

EMPTY = {"batch_size": "all", "clip_norm": "off"}  # what no value means
SLIDERS = {"data.noise": 1.0, "data.test_fraction": 0.95}  # name -> where the slider ends, unless the value is beyond
LEARNING_RATES = (*(float(f"{digit}e{power}") for power in range(-5, 1) for digit in (1, 2, 3, 5)), 10.0)


def task(draft):
    """classification or regression, as the draft's data has it."""
    return SOURCES[draft["data.source"]].task or draft["data.task"]


def applies(name, draft):
    """Whether the setting does anything in this draft."""
    if name.startswith("optimizer.") and not name.startswith(EVERY_OPTIMIZER):
        return name.rpartition(".")[2] in OPTIMIZERS[draft["optimizer.name"]].hyperparameters
    return APPLIES.get(name, lambda draft: True)(draft)


def control(name):
    """The control of one setting, if it applies, and under it why its value was refused."""
    draft = session().draft
    if not applies(name, draft):
        return
    rule = SETTINGS[name].metadata
    unit = f" ({rule['unit']})" if rule.get("unit") and name not in EMPTY else ""
    common = {"label": words.label(name) + unit, "help": rule["help"], "on_change": changed, "args": (name,)}
    KINDS[rule["kind"]](name, draft[name], rule, common)
    complaint(name)


def grid(*names):
    """Controls of the settings that apply, two in a row."""
    names = [name for name in names if applies(name, session().draft)]
    if len(names) == 1:
        control(*names)
        return
    for start in range(0, len(names), 2):
        for name, column in zip(names[start : start + 2], st.columns(2, vertical_alignment="top"), strict=False):
            with column:
                control(name)


@uninterrupted
def changed(name):
    if heard(name):
        session().edit(name, st.session_state[name])


def complaint(name):
    """Why the value of this setting, or of a part of it, was refused."""
    problem = session().problem
    if problem and problem.field.partition("[")[0] == name and not session().explained:
        session().explained = True
        refusal(words.complaint(problem))


def refusal(text):
    """A refusal, marked by more than its colour."""
    st.markdown(f":red[:material/error: {words.literal(text)}]")


def show(key, value):
    """The arguments of a widget that is to show `value` under this key. Only a difference is written: it would undo what is being typed.
    A value that persists is sent until the browser has the widget: one that makes it late would show its first choice, and send that."""
    if key not in st.session_state or st.session_state[key] != value:
        moved(key)
        st.session_state[key] = value
    return {"key": key, "persist_state": "session"}


def _choice(name, value, rule, common):
    common |= show(name, value)
    if len(rule["options"]) == 2:
        st.segmented_control(**common, options=rule["options"], format_func=words.option, required=True, width="stretch")
    else:
        st.selectbox(**common, options=rule["options"], format_func=words.option)


def _names(name, value, rule, common):
    st.pills(**common, **show(name, list(value)), options=rule["options"], format_func=words.feature, selection_mode="multi", wrap=True)


def _number(name, value, rule, common):
    if name in SLIDERS:
        st.slider(**common, **show(name, value), min_value=rule["low"], max_value=max(SLIDERS[name], value), step=0.01)
        return
    kind = int if rule["kind"] == "whole" else float
    common |= show(name, None if value is None else kind(value))
    limits = {"min_value": kind(rule["low"]), "max_value": kind(rule["high"])}
    empty = {"value": None, "placeholder": EMPTY.get(name, "")} if rule["optional"] else {"required": True}
    step = 1 if kind is int else leading_digit(value)
    st.number_input(**common, **limits, **empty, step=step, format="%d" if kind is int else "%g")


def leading_digit(value):
    """One unit of a number's leading digit, a step of fitting size: 0.01 for 0.03."""
    return 10.0 ** math.floor(math.log10(value)) if value else 0.01


KINDS = {"choice": _choice, "names": _names, "number": _number, "whole": _number}


def learning_rate():
    """A slider over the decades, and beside it a field for any value."""
    name, slider = "optimizer.learning_rate", "learning rate slider"
    value, rule = session().draft[name], SETTINGS["optimizer.learning_rate"].metadata
    wide, narrow = st.columns([3, 2], vertical_alignment="bottom")
    with wide:
        st.select_slider(
            words.label(name), LEARNING_RATES, **show(slider, _mark(value)), format_func=lambda rate: f"{rate:g}", help=rule["help"],
            on_change=_slide, args=(name, slider),
        )  # fmt: skip
    with narrow:
        common = {"label": "Any learning rate", "help": rule["help"], "on_change": changed, "args": (name,)}
        _number(name, value, rule, common | {"label_visibility": "collapsed"})
    complaint(name)


def _mark(rate):
    """The slider's mark nearest to a learning rate."""
    return min(LEARNING_RATES, key=lambda mark: abs(math.log(mark / (rate or mark))))


@uninterrupted
def _slide(name, slider):
    """The slider was moved; that it was put on the mark nearest to what stands in the field says nothing."""
    if heard(slider) and st.session_state[slider] != _mark(session().draft[name]):
        session().edit(name, st.session_state[slider])
