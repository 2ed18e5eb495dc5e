"""Who reaches the server, and what its answers tell browsers."""

import asyncio
import base64
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from starlette.applications import Starlette

from core.settings import Settings
from pages.shell import access, identity


def asked(app, path, kind="http"):
    """(status, headers, body) of a GET request."""
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    scope = {"type": kind, "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": "", "scheme": "http"}
    asyncio.run(app(scope, receive, send))
    return said[0]["status"], dict(said[0]["headers"]), b"".join(message.get("body", b"") for message in said[1:])


def test_it_listens_to_this_machine_alone():
    config = (Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text()
    assert 'address = "127.0.0.1"' in config


@pytest.mark.parametrize(
    ("address", "shared"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("10.0.0.7", True),
        (None, True),
        ("lab", True),
    ],
)
def test_where_others_can_come_in_shared_mode_is_on_unless_somebody_said(monkeypatch, address, shared):
    monkeypatch.setattr(st, "get_option", lambda name: address)
    environment = {}
    access.share_with_others(environment)
    assert Settings.from_environment(environment).shared is shared
    environment = {"DESCENT_SHARED": "0"}
    access.share_with_others(environment)
    assert environment == {"DESCENT_SHARED": "0"}


def test_every_answer_has_the_headers_once(monkeypatch):
    monkeypatch.setenv("DESCENT_FRAME_ANCESTORS", "https://school.example")
    app = access.Headers(Starlette(routes=access.routes()))
    for path, status in ((access.HEALTH, 200), ("/nothing", 404)):
        answer, headers, _ = asked(app, path)
        assert answer == status and headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"content-security-policy"].endswith(b"; frame-ancestors https://school.example")
    assert asked(app, access.HEALTH)[2] == b"ok"


def test_no_script_runs_that_the_server_did_not_bring():
    rules = dict(rule.split(" ", 1) for rule in access.policy().split("; "))
    page = (Path(st.__file__).parent / "static" / "index.html").read_text()
    inline = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]
    assert rules["script-src"].split() == ["'self'", "'wasm-unsafe-eval'", "blob:", *[f"'sha256-{digest}'" for digest in digests]]
    assert rules["default-src"] == rules["base-uri"] == "'self'" and rules["object-src"] == "'none'"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (b"descent.example:8501", "'self' ws://descent.example:8501 wss://descent.example:8501"),
        (b"[::1]:8501", "'self' ws://[::1]:8501 wss://[::1]:8501"),
        (b"x; script-src *", "'self'"),
        (b"*", "'self'"),
        (b"", "'self'"),
    ],
)
def test_a_page_connects_to_its_own_server_alone(host, allowed):
    assert access.connections({"headers": [(b"host", host)]}) == f"connect-src {allowed}"


@pytest.mark.parametrize("content", [{"text": "x"}, {"bytes": b"\xff" * 9}, {"bytes": None, "text": "x"}])
@pytest.mark.parametrize(("path", "heard"), [("/_stcore/stream", "websocket.disconnect"), ("/descent/line", "websocket.receive")])
def test_what_is_no_message_of_streamlits_ends_its_websocket(path, heard, content):
    sound = b"\x60\x01"  # field 12 is true
    said = [{"type": "websocket.receive", "bytes": sound}, {"type": "websocket.receive", **content}]

    async def app(scope, receive, send):
        assert (await receive())["bytes"] == sound
        assert (await receive())["type"] == heard

    async def receive():
        return said.pop(0)

    asyncio.run(access.MessagesAlone(app)({"type": "websocket", "path": path}, receive, None))


def test_a_policy_cannot_be_widened_by_a_semicolon():
    with pytest.raises(ValueError, match="DESCENT_FRAME_ANCESTORS must be"):
        Settings.from_environment({"DESCENT_FRAME_ANCESTORS": "*; script-src *"})


def test_an_account_is_its_providers(monkeypatch):
    monkeypatch.setenv("DESCENT_SHARED", "1")
    names = []
    for claims in (
        {"iss": "https://a.example", "sub": "7"},
        {"iss": "https://b.example", "sub": "7"},
        {"iss": "https://a.example", "sub": "8"},
    ):
        monkeypatch.setattr(st, "user", SimpleNamespace(to_dict=lambda claims=claims: claims | {"is_logged_in": True}))
        names.append(identity.owner())
    assert len(set(names)) == 3 and all(name.startswith("person:") for name in names)
