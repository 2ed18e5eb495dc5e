"""Where this server keeps runs, and whose they are."""

from __future__ import annotations

import hashlib

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.settings import Settings
from core.store.store import Store

ANYONE = "someone"  # the key of a session's own name, where its browser has none


@st.cache_resource
def store():
    """The server's Store."""
    settings = Settings.from_environment()
    return Store(settings.data_folder, settings.run_bytes, settings.store_bytes)


def owner():
    """Whose runs this session's are: None on one's own machine; on a shared server the person who logged in, or else this browser."""
    if not Settings.from_environment().shared:
        return None
    person = st.user.to_dict()
    if person.get("is_logged_in"):
        return f"person:{person.get('sub') or person.get('email')}"
    name = st.context.cookies.get("_streamlit_xsrf") or st.session_state.setdefault(ANYONE, Store.new_id())
    return f"browser:{hashlib.sha256(name.encode()).hexdigest()}"


def this_tab():
    """The name of the connection that this session has with its browser."""
    return get_script_run_ctx().session_id


def is_open(tab):
    """Whether the tab of this name is still there, as far as can be known."""
    return not runtime.exists() or runtime.get_instance().is_active_session(tab)
