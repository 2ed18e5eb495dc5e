"""What all pages share: the page settings, the navigation, the style sheet."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shell.live_figures import preload

STYLE = Path(__file__).with_name("shell") / "style.css"
PAGES_STYLE = Path(__file__).with_name("shell") / "pages.css"
ICON = Path(__file__).with_name("shell") / "icon.svg"  # an icon by name would be fetched from another server
FRAMED = "frame has run"
PAGE = "page last shown"
DAY = 86400  # seconds


def frame():
    """Set up the browser's page and return the page to run, from the address."""
    st.set_page_config(page_title="Descent", page_icon=str(ICON), layout="wide", initial_sidebar_state=340)
    preload()  # the browser needs a second for Plotly's script: time in which all else is imported
    from pages.shell.requests import ARRIVED  # not sooner
    from pages.training.session import KEY

    st.html(STYLE)
    st.fragment(_wait, run_every=DAY)()
    st.session_state[FRAMED] = True
    playground = "pages/playground.py"
    page = st.navigation(
        [
            st.Page(playground, title="Playground", icon=":material/tune:", url_path="", default=True),
            st.Page("pages/runs.py", title="Runs", icon=":material/history:", url_path="runs"),
            st.Page("pages/cases.py", title="Cases", icon=":material/auto_stories:", url_path="cases"),
            st.Page("pages/doctor.py", title="Doctor", icon=":material/stethoscope:", url_path="doctor"),
            # Streamlit gives the default page no path of its own, and /playground is a link that people write
            st.Page(playground, title="Playground", url_path="playground", visibility="hidden"),
        ]
    )
    if st.session_state.get(PAGE, page.title) != page.title:
        st.session_state[ARRIVED] = True
        if KEY in st.session_state:
            st.session_state[KEY].awake = False
    st.session_state[PAGE] = page.title
    return page


def _wait():
    """Nothing to draw, now or at the timer: a browser whose server was started anew asks for the page by itself if it has a timer, and only
    then. Otherwise all that is pressed on it would be of fragments that the new server does not know."""


def guard():
    """Begin a page with this. On a server that nobody has visited, Streamlit runs the page of a deep link without app.py:
    then set up the frame and start again."""
    if not st.session_state.pop(FRAMED, False):
        frame()
        st.rerun()


def head(title, about):
    """The top of a page beside the playground: what it is called and, in one line, what it is for."""
    st.html(PAGES_STYLE)
    st.html(f'<header class="page-head"><h1>{title}</h1><p>{about}</p></header>')
