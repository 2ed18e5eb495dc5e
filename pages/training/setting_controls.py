"""The controls of the run's settings, made from the configuration's one table: a new setting or choice appears by itself.

What the controls show is the session's draft; a change goes through `Draft.edit`, which says when it is refused.
"""

from __future__ import annotations

import math

import streamlit as st

from core.data.sources import SOURCES
from core.limits import ConfigError
from core.link import SETTINGS, flat
from core.nn.optimizers import OPTIMIZERS
from core.numbers import parse_number
from pages import wording
from pages.shell.controls import number_field, read, refusal, show, stale
from pages.shell.tab import handler, tab
from pages.training.session import session

# Settings that mean nothing for some values of others: name -> does it apply, from the draft
APPLIES = {
    "data.samples": lambda draft: not SOURCES[draft["data.source"]].given,
    "data.noise": lambda draft: SOURCES[draft["data.source"]].kind == "planar" and not SOURCES[draft["data.source"]].given,
    "data.features": lambda draft: SOURCES[draft["data.source"]].kind == "planar",
    "data.target_scaling": lambda draft: task(draft) == "regression",
    "init.bias_scale": lambda draft: draft["init.bias"] != "zeros",
    "class_weight": lambda draft: task(draft) == "classification",
    "stop.min_delta": lambda draft: draft["stop.patience"] is not None,
    "optimizer.schedule.steps": lambda draft: draft["optimizer.schedule.name"] != "constant",
    "optimizer.schedule.factor": lambda draft: draft["optimizer.schedule.name"] != "constant",
}
EVERY_OPTIMIZER = ("optimizer.name", "optimizer.learning_rate", "optimizer.schedule.")

NUMBERS = ("number", "whole")  # kinds of settings that are typed
NONE = "none"  # stands for no choice: a widget cannot tell None from nothing chosen yet
EMPTY = {"batch_size": "all", "clip_norm": "off", "stop.patience": "off", "stop.min_delta": "0"}  # what no value means
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


def offered(name):
    """Whether the setting has a control: it applies, and no link for a class hides it."""
    return applies(name, session().draft.values) and not tab().lesson.hides(name)


def control(name):
    """The control of one setting, if it has one, and under it why its value was refused."""
    draft = session().draft.values
    if not offered(name):
        return
    rule = SETTINGS[name].metadata
    unit = f" ({rule['unit']})" if rule.get("unit") and name not in EMPTY else ""
    common = {"label": wording.label(name) + unit, "help": rule["help"], "on_change": changed, "args": (name,)}
    KINDS[rule["kind"]](name, draft[name], rule, common)
    complaint(name, draft[name] if rule["kind"] in NUMBERS else None, rule["kind"] == "whole")


def grid(*names):
    """Controls of the settings that apply, two in a row."""
    names = [name for name in names if offered(name)]
    if len(names) == 1:
        control(*names)
        return
    for start in range(0, len(names), 2):
        for name, column in zip(names[start : start + 2], st.columns(2, vertical_alignment="top"), strict=False):
            with column:
                control(name)


@handler
def changed(name):
    value, rule = st.session_state[name], SETTINGS[name].metadata
    if stale(name) or (rule["kind"] == "choice" and value is None):  # a person cannot empty a choice; a browser that makes it anew does
        return
    if rule["kind"] == "choice" and rule["optional"] and value == NONE:
        value = None
    if rule["kind"] in NUMBERS and isinstance(value, str):
        value = read(value, rule["kind"] == "whole", rule["optional"])
    # A refused number whose field goes with this would stand in the way unseen
    draft, used = session().draft.values, flat(session().config)
    numbers = [other for other, spec in SETTINGS.items() if spec.metadata.get("kind") in NUMBERS]
    draft.update({other: used[other] for other in numbers if not applies(other, draft | {name: value})})
    session().draft.edit(name, value)


def shown_value(name, value):
    """A setting's value as a sentence names it."""
    if name == "data.features":
        return [wording.feature(feature) for feature in value]
    return EMPTY.get(name) if value is None else value


def complaint(name, number=None, whole=False):
    """Why the value of this setting, or of a part of it, was refused. Of a `number`, or the text in its place, each says it for itself."""
    problem, told = session().draft.problem, None
    if problem and name in (problem.field, problem.field.partition("[")[0]) and not session().draft.explained:
        session().draft.explained, told = True, problem
    if isinstance(number, str):
        try:
            parse_number(number, whole)
        except ConfigError as error:
            told = ConfigError(name, error.message)
    if told:
        refusal(wording.complaint(told))


def _choice(name, value, rule, common):
    options = [NONE, *rule["options"]] if rule["optional"] else rule["options"]
    common |= show(name, NONE if value is None else value)
    if len(options) == 2:
        st.segmented_control(**common, options=options, format_func=wording.option, required=True, width="stretch")
    else:
        st.selectbox(**common, options=options, format_func=wording.option)


def _flag(name, value, rule, common):
    st.toggle(**common, **show(name, value))


def _names(name, value, rule, common):
    st.pills(**common, **show(name, list(value)), options=rule["options"], format_func=wording.feature, selection_mode="multi", wrap=True)


def _number(name, value, rule, common):
    if name in SLIDERS:
        st.slider(**common, **show(name, value), min_value=rule["low"], max_value=max(SLIDERS[name], value), step=0.01)
        return
    number_field(name, value, rule["kind"] == "whole", rule["optional"], placeholder=EMPTY.get(name), **common)


KINDS = {"choice": _choice, "flag": _flag, "names": _names, "number": _number, "whole": _number}


def learning_rate():
    """A slider over the decades, and beside it a field for any value."""
    name, slider = "optimizer.learning_rate", "learning rate slider"
    if not offered(name):
        return
    value, rule = session().draft.values[name], SETTINGS[name].metadata
    wide, narrow = st.columns([3, 2], vertical_alignment="bottom")
    with wide:
        st.select_slider(
            wording.label(name), LEARNING_RATES, **show(slider, _mark(value), name), format_func=lambda rate: f"{rate:g}",
            help=rule["help"], on_change=_slide, args=(name, slider),
        )  # fmt: skip
    with narrow:
        common = {"label": "Any learning rate", "help": rule["help"], "on_change": changed, "args": (name,)}
        _number(name, value, rule, common | {"label_visibility": "collapsed"})
    complaint(name, value)


def _mark(rate):
    """The slider's mark nearest to a learning rate; nearest to the run's where that is refused."""
    rate = rate if isinstance(rate, float) and rate > 0 else session().config.optimizer.learning_rate
    return min(LEARNING_RATES, key=lambda mark: abs(math.log(mark / rate)))


@handler
def _slide(name, slider):
    """The slider was moved; that it was put on the mark nearest to what stands in the field says nothing."""
    if not stale(slider) and st.session_state[slider] != _mark(session().draft.values[name]):
        session().draft.edit(name, st.session_state[slider])
