"""Who reaches the server, and what it tells browsers to allow: shared mode where others come in, headers, and a door for health checks."""

from __future__ import annotations

import ipaddress

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.settings import Settings
from pages.shell.components import served

HEALTH = "/descent/health"


def share_with_others(environment) -> None:
    """Turn shared mode on in the environment when the server listens to more than this machine, unless that is said there."""
    if not is_local(st.get_option("server.address")):
        environment.setdefault("DESCENT_SHARED", "1")


def is_local(address: str | None) -> bool:
    """Whether only this machine reaches a server that listens at `address`; None stands for all addresses."""
    try:
        return address == "localhost" or ipaddress.ip_address(address or "0.0.0.0").is_loopback
    except ValueError:  # a name
        return False


class Headers:
    """Middleware that tells browsers not to guess what a file is, not to run plugins or take another base address, and which pages may
    show this one in a frame (the setting `frame_ancestors`)."""

    def __init__(self, app):
        policy = f"frame-ancestors {Settings.from_environment().frame_ancestors}; object-src 'none'; base-uri 'self'"
        self._app = app
        self._headers = {
            b"content-security-policy": policy.encode("latin-1"),
            b"x-content-type-options": b"nosniff",
            b"referrer-policy": b"same-origin",
        }

    async def __call__(self, scope, receive, send):
        async def sends(message):
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name.lower() not in self._headers]
                message = message | {"headers": [*others, *self._headers.items()]}
            await send(message)

        await self._app(scope, receive, sends if scope["type"] == "http" else send)


def routes():
    """The door for health checks: it answers, and tells nothing."""
    return [Route(served(HEALTH), lambda request: PlainTextResponse("ok", headers={"Cache-Control": "no-store"}))]
