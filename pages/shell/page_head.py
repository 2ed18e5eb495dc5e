"""The top of a page beside the playground."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

STYLE = Path(__file__).with_name("pages.css")


def head(title, about):
    """What the page is called and, in one line, what it is for."""
    st.html(STYLE)
    st.html(f'<header class="page-head"><h1>{title}</h1><p>{about}</p></header>')
