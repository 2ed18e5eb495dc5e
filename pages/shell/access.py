"""Who reaches the server, and what it tells browsers to allow: shared mode where others come in, headers, and a door for health checks."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from pathlib import Path

import streamlit as st
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.settings import Settings
from pages.shell.components import served

HEALTH = "/descent/health"
HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")  # as a browser names a server
UNSUPPORTED = 1003  # WebSocket close code: data of a kind that is not taken


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


def policy():
    """The content security policy. Scripts come from this server alone: no inline script but Streamlit's own, no `eval`. Streamlit makes
    modules of what components bring (blob:), its protobuf uses WebAssembly, and both it and Plotly write styles into the page."""
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "'wasm-unsafe-eval'", "blob:", *_inline_scripts()]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": Settings.from_environment().frame_ancestors,
    }
    return "; ".join(f"{name} {allowed}" for name, allowed in rules.items())


def connections(scope):
    """The rule of the policy for what a page may connect to: this server. By 'self' not all browsers mean its WebSockets, too."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    return f"connect-src 'self' ws://{host} wss://{host}" if HOST.fullmatch(host) else "connect-src 'self'"


def _inline_scripts():
    """The scripts that stand in Streamlit's page itself, by their digests."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    digests = (hashlib.sha256(script.encode()).digest() for script in re.findall("<script>(.*?)</script>", page, re.DOTALL))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


class Headers:
    """Middleware that tells browsers what a page may load and run, which pages may show it in a frame (the setting `frame_ancestors`), and
    not to guess what a file is."""

    def __init__(self, app):
        self._app = app
        self._policy = policy()
        self._headers = {b"x-content-type-options": b"nosniff", b"referrer-policy": b"same-origin"}

    async def __call__(self, scope, receive, send):
        async def sends(message):
            if message["type"] == "http.response.start":
                ours = {b"content-security-policy": f"{connections(scope)}; {self._policy}".encode("latin-1")} | self._headers
                others = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
                message = message | {"headers": [*others, *ours.items()]}
            await send(message)

        await self._app(scope, receive, sends if scope["type"] == "http" else send)


class MessagesAlone:
    """Middleware for Streamlit's WebSocket: who sends anything but a protobuf message is no page of ours, and counts as gone. Streamlit
    would fail on a text, and log a traceback for bytes that are no message."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def receives():
            message = await receive()
            sound = message["type"] != "websocket.receive" or _is_message(message.get("bytes"))
            return message if sound else {"type": "websocket.disconnect", "code": UNSUPPORTED, "reason": ""}

        of_streamlit = scope["type"] == "websocket" and scope["path"].endswith("/_stcore/stream")
        await self._app(scope, receives if of_streamlit else receive, send)


def _is_message(content):
    try:
        return content is not None and Empty.FromString(content) is not None  # fields that it does not know are let through
    except DecodeError:
        return False


def routes():
    """The door for health checks: it answers, and tells nothing."""
    return [Route(served(HEALTH), lambda request: PlainTextResponse("ok", headers={"Cache-Control": "no-store"}))]
