"""The browser's address and the run that it stands for."""

from __future__ import annotations

import streamlit as st

from core.lesson import split
from core.link import RUN, stored_run, to_query
from core.presets import OPENING


class Address:
    """What the address of a tab shows. It holds the settings of a run, and the id of the run once that is kept, and
    what a link for a class added (core/lesson.py)."""

    def __init__(self):
        self._settings = {}  # what the address shows
        self._lesson = {}
        self._stands_for = None  # the configuration that it stands for: a run may have gone on with others
        self._plain = OPENING  # what an address without settings stands for

    def opened(self, settings, run_id, config, lesson):
        """A link with these settings, of this stored run and for this `lesson`, was opened: the run uses `config`."""
        self._plain = OPENING if settings else config
        self._settings, self._lesson = settings, lesson
        self._stands_for = None if settings and run_id else config

    def asked(self, led, run_id):
        """(settings, id of a stored run, what is for a class) that the address asks for, None where the tab shows that already. `led()`
        says what led there: "back", the browser's Back button, "link", one of another page, or None: then it is older than what is
        shown."""
        settings, run, lesson = parts(st.query_params.to_dict())
        other_run = run not in (None, run_id)
        if not other_run and (settings, lesson) == (self._settings, self._lesson):
            return None
        by = led()
        if by is None or (by == "link" and run and not settings and not other_run):  # that is a link to the very run
            return None
        self._lesson = lesson
        return settings, run if other_run else None, lesson

    @property
    def plain(self):
        """The configuration of an address without settings."""
        return self._plain

    def write(self, config, run_id):
        """Put the configuration in use into the address, unless that shows it; an empty one stands for what the page opened with. The id
        of a run that is kept stays there; that of another one is added by the browser, once it is: that is no step to come back to."""
        shown, _, lesson = parts(st.query_params.to_dict())
        if config != self._stands_for:
            self._settings = to_query(config) if shown or config != self._plain else {}
            self._stands_for = config
        if (self._settings, self._lesson) != (shown, lesson):
            st.query_params.from_dict(self._lesson | self._settings | ({RUN: run_id} if run_id else {}))


def parts(query):
    """(settings, id of a stored run or None, what is for a class) of an address's query."""
    rest, lesson = split(query)
    return *stored_run(rest), lesson
