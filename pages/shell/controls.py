"""Controls that any page may have: fields for numbers, what a control is to show, and why something was refused."""

from __future__ import annotations

import math
import time

import streamlit as st

from core.limits import ConfigError, shown
from core.numbers import parse_number, write_number
from pages import wording
from pages.shell.tab import handler, tab

REFUSED = "refused numbers"  # key of the tab's state: {a field's key: (what it was to show, what was typed, why that was refused)}


def refusal(text):
    """A refusal, marked by more than its colour."""
    st.markdown(f":red[:material/error: {wording.literal(text)}]")


def show(key, value, name=None):
    """The arguments of a widget that is to show `value` under this key, disabled where a link for a class has locked the control, whose
    `name` is the key unless it is given. Only a difference is written: it would undo what is being typed.
    A value that persists is sent until the browser has the widget: one that makes it late would show its first choice, and send that."""
    if key not in st.session_state or st.session_state[key] != value:
        tab().moved[key] = tab().drawing, st.session_state.get(key), time.monotonic()
        st.session_state[key] = value
    tab().shown[key] = value
    return {"key": key, "persist_state": "session", "disabled": tab().lesson.fixes(name or key)}


def stale(key, patience=0.0):
    """Whether this widget's value is where it stood before the page moved it, and the browser had yet to hear of that. A busy one may have
    drawn the page and send the old value all the same: beside that of the control that a person has changed, or alone within `patience`
    seconds."""
    mine = tab()
    changed = {other for other, value in mine.shown.items() if other in st.session_state and st.session_state[other] != value}
    drawing, before, at = mine.moved.get(key, (0, None, -math.inf))
    late = key in mine.moved and (len(changed) > 1 or time.monotonic() < at + patience)
    old = st.session_state[key] == before and (mine.behind(drawing) or late)
    for heard in mine.moved.keys() - changed:  # what it sends of these is where the page has put them
        if not mine.behind(mine.moved[heard][0]):
            del mine.moved[heard]
    return old


def folded(title, content, key):
    """`content()` under a title that opens it, made only while it is open: what is not made costs the page nothing."""
    opened = st.expander(title, key=key, on_change="rerun")
    if opened.open:
        with opened:
            content()


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


@handler
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
