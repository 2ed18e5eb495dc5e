"""What the browser sends and no person has done. A timer sends the state of all widgets along, and on a busy server what it sends is old:
a press that was obeyed already, or where a control stood before the page moved it."""

from __future__ import annotations

import math
import time

import streamlit as st

from pages.training.session import session

PRESS, MOVED = "last press", "moved controls"  # keys of the tab's state
AGAIN = 0.04  # seconds after the answer to a press within which it may come again; a person, or a test, has not seen the answer yet
BEHIND = 2.0  # seconds for which a browser may not know yet that a control was moved


def pressed_again(button):
    """Whether this press of a button is the one before once more: sent by a timer as well, and heard when the first has been answered."""
    last, timed, answered = st.session_state.get(PRESS, (None, False, 0.0))
    if last == button and timed and time.monotonic() < answered + AGAIN:
        return True
    st.session_state[PRESS] = button, session().restless, math.inf
    return False


def answered():
    """The page has been drawn: if a button was pressed, that was the answer."""
    last, timed, when = st.session_state.get(PRESS, (None, False, 0.0))
    st.session_state[PRESS] = last, timed, min(when, time.monotonic())


def moved(key):
    """The page is about to move the widget with this key."""
    st.session_state.setdefault(MOVED, {})[key] = st.session_state.get(key), time.monotonic()


def heard(key):
    """Whether a change of this widget is a person's, and not where it stood before it was `moved`."""
    before, when = st.session_state.get(MOVED, {}).get(key, (None, -math.inf))
    return not (session().restless and st.session_state[key] == before and time.monotonic() < when + BEHIND)
