"""Who a browser is, and where this server keeps runs."""

from __future__ import annotations

import hashlib
import re
import secrets
from http.cookies import CookieError, SimpleCookie

import streamlit as st

from core.live import quota
from core.settings import Settings
from core.store.store import Store

COOKIE = "descent_browser"
YEAR = 365 * 86400  # seconds
NAME = re.compile(r"[A-Za-z0-9_-]{43}")  # as secrets.token_urlsafe(32) makes them
ANYONE = "someone"  # the key of a session's own name, where its browser has none


class Identity:
    """Middleware that gives each browser a name of its own, which no script can read and no other site can send. Streamlit's own cookie
    against forged requests is masked anew again and again: it names nobody."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        if is_page(scope) and not _named(scope):
            secure = "; Secure" if scope["scheme"] == "https" else ""
            cookie = f"{COOKIE}={secrets.token_urlsafe(32)}; Max-Age={YEAR}; Path=/; HttpOnly; SameSite=Lax{secure}"
            send = with_header(send, "set-cookie", cookie)
        await self._app(scope, receive, send)


def with_header(send, name, value):
    """A `send` of ASGI's that adds this header to the response."""

    async def sends(message):
        if message["type"] == "http.response.start":
            message = message | {"headers": [*message["headers"], (name.encode(), value.encode())]}
        await send(message)

    return sends


def _headers(scope, name):
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def is_page(scope):
    """Whether the browser asks for a page: what a page loads, several things at once, must not be named one by one."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return any("text/html" in accepted for accepted in _headers(scope, b"accept"))


def _named(scope):
    try:
        cookies = [SimpleCookie(text) for text in _headers(scope, b"cookie")]
    except CookieError:
        return False
    return any(COOKIE in jar and NAME.fullmatch(jar[COOKIE].value) for jar in cookies)


@st.cache_resource
def store():
    """The server's Store."""
    settings = Settings.from_environment()
    return Store(settings.data_folder, settings.run_bytes, settings.store_bytes, settings.visitor_store_bytes)


def take_upload(field, raw):
    """Count an upload of this session's person. ConfigError(field) when it is more than a visitor may upload."""
    quota.take_upload(owner(), field, len(raw), Settings.from_environment())


def browser_name():
    """What `Identity` named this session's browser; None where it has no such name."""
    name = st.context.cookies.get(COOKIE)
    return name if isinstance(name, str) and NAME.fullmatch(name) else None


def owner():
    """Whose runs this session's are: None on one's own machine; on a shared server the person who logged in, or else this browser."""
    if not Settings.from_environment().shared:
        return None
    person = st.user.to_dict()
    if person.get("is_logged_in"):
        return f"person:{person.get('iss')} {person.get('sub') or person.get('email')}"  # a name is one provider's
    name = browser_name() or st.session_state.setdefault(ANYONE, Store.new_id())
    return f"browser:{hashlib.sha256(name.encode()).hexdigest()}"
