"""The playground: choose data, a network and how to train it; press Play; see what it learns, or what goes wrong."""

import streamlit as st

from pages.shell.components import listener, live
from pages.shell.tab import tab
from pages.training import notices
from pages.training.experiments import experiment, experiments_menu
from pages.training.export_menu import export_menu
from pages.training.findings import findings
from pages.training.fixes import fixes
from pages.training.handed_over import take_over
from pages.training.lesson_card import lesson_card
from pages.training.predict_menu import predict_menu
from pages.training.run_name import name_menu
from pages.training.run_view import RunView
from pages.training.samples_menu import samples_menu
from pages.training.session import session
from pages.training.sidebar import sidebar
from pages.training.thumbnails import thumbnails
from pages.training.timebar import timebar
from pages.training.tour import tour
from pages.training.transport import buttons, status
from pages.training.unit_editor import unit_editor
from pages.training.view_menu import view_menu

MENUS = {
    "check": experiments_menu, "view": view_menu, "samples": samples_menu, "export": export_menu, "predict": predict_menu,
    "name": name_menu,
}  # fmt: skip
DRAWN = "drawn with"  # key of the tab's state: what the page beside its cards was drawn with


def page():
    """What moves comes over the live line; its places are drawn first, so that it comes while the controls are still being made."""
    tab().begin()
    with tab().lock:
        session().follow_address(tab().led)
        tab().went_back.clear()
        tab().lesson = session().lesson
    if not isinstance(tab().view, RunView):
        tab().view = RunView(session())
    take_over()
    st.session_state[DRAWN] = drawn_with()
    with st.container(gap="xsmall"):
        with st.container(key="transport"):
            with st.container(key="buttons", horizontal=True, vertical_alignment="center", gap="xsmall"):
                buttons()
                for name, menu in MENUS.items():
                    if not tab().lesson.hides(name):
                        menu()
                notices.not_applied()
            with st.container(key="status", horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
                status()
        lesson_card(tab().lesson)
        told = st.container()
        live("board", "figures", waiting="Starting the trainer…")
        timebar()
    tab().await_connection()
    thumbnails("data-source")
    sidebar()
    tour()
    with told:
        cards()


def drawn_with():
    """What decides how the page beside its cards is drawn."""
    return session().config, session().draft.pending


@st.fragment
def cards():
    """What is wrong, and what can be done about it: drawn again when the live line says that this has changed."""
    tab().begin()
    with tab().lock:
        snapshot = session().look() if session().ready() else None
        outline = tab().view.outline
    if drawn_with() != st.session_state[DRAWN]:
        st.rerun()
    notices.notice()
    notices.no_run()
    if snapshot is not None:
        notices.looked_at()
        notices.not_kept(snapshot)
        if not tab().lesson.hides("findings"):
            findings(snapshot)
            fixes(snapshot)
        experiment()
        unit_editor(snapshot.unit)
    listener("cards", outline)


page()
