"""The controls of the sidebar, made from the configuration's one table: a new setting or choice appears by itself.

What the controls show is the session's draft; a change goes through `Session.edit`, which says when it is refused.
"""

from __future__ import annotations

import math

import streamlit as st

from core.data.sources import SOURCES
from core.limits import ConfigError, shown
from core.link import SETTINGS, flat
from core.nn.optimizers import OPTIMIZERS
from core.numbers import parse_number, write_number
from pages import wording
from pages.shell.echoes import heard, moved
from pages.shell.requests import uninterrupted
from pages.training.session import session

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

NUMBERS = ("number", "whole")  # kinds of settings that are typed
EMPTY = {"batch_size": "all", "clip_norm": "off"}  # what no value means
REFUSED = "refused numbers"  # key of the tab's state: {a field's key: (what it was to show, what was typed, why that was refused)}
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
    common = {"label": wording.label(name) + unit, "help": rule["help"], "on_change": changed, "args": (name,)}
    KINDS[rule["kind"]](name, draft[name], rule, common)
    complaint(name, draft[name] if rule["kind"] in NUMBERS else None, rule["kind"] == "whole")


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
    value, rule = st.session_state[name], SETTINGS[name].metadata
    if not heard(name) or (rule["kind"] == "choice" and value is None):  # a person cannot empty a choice; a browser that makes it anew does
        return
    if rule["kind"] in NUMBERS and isinstance(value, str):
        value = read(value, rule["kind"] == "whole", rule["optional"])
    # A refused number whose field goes with this would stand in the way unseen
    draft, used = session().draft, flat(session().config)
    numbers = [other for other, spec in SETTINGS.items() if spec.metadata.get("kind") in NUMBERS]
    draft.update({other: used[other] for other in numbers if not applies(other, draft | {name: value})})
    session().edit(name, value)


def complaint(name, number=None, whole=False):
    """Why the value of this setting, or of a part of it, was refused. Of a `number`, or the text in its place, each says it for itself."""
    problem, told = session().problem, None
    if problem and name in (problem.field, problem.field.partition("[")[0]) and not session().explained:
        session().explained, told = True, problem
    if isinstance(number, str):
        try:
            parse_number(number, whole)
        except ConfigError as error:
            told = ConfigError(name, error.message)
    if told:
        refusal(wording.complaint(told))


def refusal(text):
    """A refusal, marked by more than its colour."""
    st.markdown(f":red[:material/error: {wording.literal(text)}]")


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
        st.segmented_control(**common, options=rule["options"], format_func=wording.option, required=True, width="stretch")
    else:
        st.selectbox(**common, options=rule["options"], format_func=wording.option)


def _names(name, value, rule, common):
    st.pills(**common, **show(name, list(value)), options=rule["options"], format_func=wording.feature, selection_mode="multi", wrap=True)


def _number(name, value, rule, common):
    if name in SLIDERS:
        st.slider(**common, **show(name, value), min_value=rule["low"], max_value=max(SLIDERS[name], value), step=0.01)
        return
    number_field(name, value, rule["kind"] == "whole", rule["optional"], placeholder=EMPTY.get(name), **common)


def number_field(key, value, whole=False, optional=False, **common):
    """A text field that shows a number, exact, or a refused text in its place. The browser's own field for numbers drops characters that
    it does not know, a comma for one, and says nothing. What stands in the field and reads as `value` is left as it was typed."""
    text = st.session_state.get(key, "")
    if read(text, whole, optional) != value:
        text = value if isinstance(value, str) else write_number(value)
    st.text_input(**common, **show(key, text), autocomplete="off")


def read(text, whole=False, optional=False):
    """What a field's text stands for: a number, None if it may be empty and is, or the text itself, for the setting's rule to refuse."""
    if optional and not text.strip():
        return None
    try:
        return parse_number(text, whole)
    except ConfigError:
        return text


def count_field(label, key, value, most, use, **common):
    """A field for a whole number from 1 to `most` that is no setting: `use` is called with it. Returns why what stands there is refused."""
    shows = value, most
    why = refused(label, key, shows)
    number_field(key, st.session_state[key] if why else value, whole=True, label=label, on_change=entered, args=(key, use, shows), **common)
    return why


@uninterrupted
def entered(key, use, shows=(None, None)):
    """Call `use` with the number in a field that is no setting's, unless it is refused: then it stays there. What the field `shows` is its
    value, and the most that a whole number may be."""
    text, most = st.session_state[key], shows[1]
    refusals = st.session_state.setdefault(REFUSED, {})
    refusals.pop(key, None)
    try:
        number = parse_number(text, whole=most is not None)
        if most is not None and not 1 <= number <= most:
            raise ConfigError("", f"must be a whole number from 1 to {most}; was {shown(text)}")
        use(number)
    except ConfigError as problem:
        refusals[key] = shows, text, problem.message


def refused(label, key, shows=(None, None)):
    """Why `entered` refused what stands in this field; None if it did not, or if the field has something else to show since."""
    then, text, why = st.session_state.get(REFUSED, {}).get(key, (None, None, None))
    return f"{label} {why}" if (then, text) == (shows, st.session_state.get(key)) else None


KINDS = {"choice": _choice, "names": _names, "number": _number, "whole": _number}


def learning_rate():
    """A slider over the decades, and beside it a field for any value."""
    name, slider = "optimizer.learning_rate", "learning rate slider"
    value, rule = session().draft[name], SETTINGS[name].metadata
    wide, narrow = st.columns([3, 2], vertical_alignment="bottom")
    with wide:
        st.select_slider(
            wording.label(name), LEARNING_RATES, **show(slider, _mark(value)), format_func=lambda rate: f"{rate:g}", help=rule["help"],
            on_change=_slide, args=(name, slider),
        )  # fmt: skip
    with narrow:
        common = {"label": "Any learning rate", "help": rule["help"], "on_change": changed, "args": (name,)}
        _number(name, value, rule, common | {"label_visibility": "collapsed"})
    complaint(name, value)


def _mark(rate):
    """The slider's mark nearest to a learning rate; nearest to the run's where that is refused."""
    rate = rate if isinstance(rate, float) and rate > 0 else session().config.optimizer.learning_rate
    return min(LEARNING_RATES, key=lambda mark: abs(math.log(mark / rate)))


@uninterrupted
def _slide(name, slider):
    """The slider was moved; that it was put on the mark nearest to what stands in the field says nothing."""
    if heard(slider) and st.session_state[slider] != _mark(session().draft[name]):
        session().edit(name, st.session_state[slider])
