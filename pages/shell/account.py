"""Logging in, where the owner of a shared server has set accounts up (Streamlit's `[auth]` secrets; docs/deploying.md)."""

from __future__ import annotations

import streamlit as st

from core.settings import Settings
from pages import wording


def account():
    """At the foot of the sidebar: log in, or who is logged in and how to log out."""
    if not (Settings.from_environment().shared and st.secrets.load_if_toml_exists() and "auth" in st.secrets):
        return
    with st.sidebar, st.container(key="account", gap="xsmall"):
        if st.user.is_logged_in:
            st.caption(f"Logged in as {wording.literal(str(st.user.get('name') or st.user.get('email') or 'somebody'))}.")
            st.button("Log out", icon=":material/logout:", key="log out", on_click=st.logout)
        else:
            st.button(
                "Log in", icon=":material/login:", key="log in", on_click=st.login,
                help="Your runs follow your account to another browser. Those that you trained before stay with this one.",
            )  # fmt: skip
