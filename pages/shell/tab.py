"""One browser tab: what it shows over the live line, and how far Streamlit's part of its page is drawn."""

from __future__ import annotations

import functools
import hashlib
import secrets
import threading
import time
import weakref

import streamlit as st

from core.lesson import Lesson
from pages.shell.identity import browser_name

KEY = "tab"
GRACE = 10.0  # seconds for which a tab without a connection counts as open: it is about to connect, at first or again
PATIENCE = 10.0  # seconds after which a drawing that the browser has not shown counts as shown all the same
CONNECTING = 3.0  # seconds that a page waits for its live line before it draws what stands still
TOLD = 0.05  # seconds by which the word that the Back button was pressed may come after the address that it led to

_tabs = weakref.WeakValueDictionary()


class Tab:
    """`view` is what the page in it shows over the line. It has a `name`; `picture(theme)`, which gives (head, {name: figure});
    `commands`, the names that `command(name, value)` takes; `playing` and `needs_updates`, which say whether the next picture will differ;
    and `outline`, of which Streamlit's part of the page is made. `theme` is as the browser shows the page.

    `drawing` counts the drawings of Streamlit's part that were begun, `drawn` is the last one that the browser shows. While they differ the
    browser is not told that its page is out of date: what it sent then would be older than what is being drawn. `lesson` is what the page
    hides or locks.
    """

    def __init__(self):
        self.key = secrets.token_urlsafe(32)
        self.browser = browser_name()
        self.lock = threading.RLock()  # what comes over the line and what Streamlit's widgets do, one at a time
        self.view = None
        self.lesson = Lesson()
        self.theme = st.context.theme.type or "light"
        self.connections, self.connected = set(), threading.Event()
        self.drawing, self.drawn = 0, None
        self.moved = {}  # key of a widget that the page moved -> (the drawing that did, where it stood before, when)
        self.shown = {}  # key of a widget -> where the page has put it
        self._page, self._came, self._stale = None, False, True
        self.went_back = threading.Event()  # the browser told that its Back or Forward button was pressed
        self._began = self._left = time.monotonic()
        self._shown = None
        _tabs[self.key] = self

    def visit(self, page):
        """A page is about to be drawn."""
        before, self._page = self._page, page
        self.lesson = Lesson()  # the playground has one, if its address does
        self._came = before is not None and page != before
        self._stale = before is None or self.behind(self.drawing)

    def led(self):
        """What led to an address that is another one than the page shows: "link", one of another page; "back", the browser's Back or
        Forward button; None where the browser has yet to show what was drawn last, so that its address is old, unless it tells of that
        button."""
        if self._came:
            return "link" if st.query_params else None
        return "back" if not self._stale or self.went_back.wait(TOLD) else None

    def behind(self, drawing):
        """Whether the browser is known not to show this drawing yet."""
        return bool(self.connections) and (self.drawn or 0) < drawing

    def begin(self):
        """Streamlit's part of the page is about to be drawn, or a widget's change to be taken in, after which it will be."""
        self.drawing += 1
        self._began = time.monotonic()

    def outline(self):
        """What Streamlit's part has to show, as one short text; as it was last told while a drawing is on its way."""
        if self._shown is None or not self.behind(self.drawing) or time.monotonic() > self._began + PATIENCE:
            self._shown = digest(self.view.outline)
        return self._shown

    def wake(self):
        """Have the browser get a picture now."""
        for connection in list(self.connections):
            connection.wake()

    def left(self, connection):
        """A connection has gone."""
        self.connections.discard(connection)
        self._left = time.monotonic()

    def await_connection(self):
        """At the first drawing of a page, give the browser a moment to connect: what moves is there before it makes all the controls."""
        if self.browser and not self.connections:
            self.connected.wait(CONNECTING)

    @property
    def open(self):
        """Whether somebody has this tab before them, as far as can be known."""
        return bool(self.connections) or time.monotonic() < self._left + GRACE


def tab():
    """This script's tab."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Tab()
    return st.session_state[KEY]


def tab_of(key):
    """The Tab with this key, or None."""
    return _tabs.get(key) if isinstance(key, str) else None


def is_open(key):
    """Whether the tab with this key is still there."""
    there = tab_of(key)
    return there is not None and there.open


def digest(outline):
    """A short text that differs where what it is made of does."""
    return hashlib.sha256(repr(outline).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def handler(callback):
    """A widget's callback: one at a time in a tab, and before the page is drawn anew nothing of it is told to the browser. Streamlit may
    stop a callback wherever it touches the session's state, so it reads what it needs first, and then does all of it."""

    @functools.wraps(callback)
    def handled(*arguments):
        mine = tab()
        mine.begin()
        with mine.lock:
            callback(*arguments)
        mine.wake()

    return handled
