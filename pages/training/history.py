"""Undo and redo of settings: the configurations that this tab had, one after the other."""

from __future__ import annotations

import streamlit as st

from pages import wording
from pages.shell.tab import handler, tab
from pages.training.session import session

KEY = "history"
LONGEST = 100  # configurations that are kept


class History:
    """`done` are the configurations before the one that is `shown`, the newest last, `undone` those that were left by Undo."""

    def __init__(self, config):
        self.shown, self.done, self.undone = config, [], []

    def follow(self, config):
        """The tab has this configuration now, by whatever way."""
        if config != self.shown:
            self.done = [*self.done, self.shown][-LONGEST:]
            self.shown, self.undone = config, []

    def move(self, back, use):
        """Go one configuration back, or forward again, by `use(config)`, which says whether it could be used."""
        here, there = (self.done, self.undone) if back else (self.undone, self.done)
        if here and use(here[-1]):
            there.append(self.shown)
            self.shown = here.pop()


def undo_and_redo():
    """Two buttons, which say what they would change."""
    if tab().lesson.hides("undo"):
        return
    config = session().config
    history = st.session_state.setdefault(KEY, History(config))
    history.follow(config)
    with st.container(key="history", horizontal=True, gap="xsmall"):
        _button("Undo", "Z", True, history.done, config)
        _button("Redo", "Y", False, history.undone, config)


def _button(title, shortcut, back, others, config):
    told = wording.changes(config, others[-1]) if others else "nothing yet"
    st.button(
        title, key=title.lower(), icon=f":material/{title.lower()}:", type="tertiary", shortcut=shortcut, on_click=_move, args=(back,),
        disabled=not others or tab().lesson.fixes("undo"), help=f"{title}: {wording.literal(told)}",
    )  # fmt: skip


@handler
def _move(back):
    def use(config):
        session().draft.load(config)
        return session().config == config

    st.session_state[KEY].move(back, use)
