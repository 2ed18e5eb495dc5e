"""The door: where a server takes what probes send, and where the probe itself can be had.

It is open to programs on this machine. Others need the key of the settings; on a shared server everybody needs a key, which the page shows
and which says whose the run is, since behind a proxy every caller seems local. A batch must have a header that no web page can send here
without asking first, and no `Origin`, which every browser sends along.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
import threading
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.limits import ConfigError
from core.settings import Settings
from core.watch import WatchedRuns
from core.watch.probe_format import BATCH_BYTES
from pages.shell.components import served
from pages.watching.keeping import keep_soon

PROBE = Path(__file__).resolve().parents[2] / "probe" / "descent_probe.py"
DOOR, SCRIPT = "/descent/probe", "/probe/descent_probe.py"
HEADER = "x-descent-probe"
LOCAL = ("127.0.0.1", "::1", "localhost")
AT_ONCE = 4  # batches that are read at the same time; the others wait
SECONDS = 20.0  # that a batch may take to come

runs = WatchedRuns()
_reading = asyncio.Semaphore(AT_ONCE)
_keys, _keys_lock = {}, threading.Lock()  # owner -> key


def key_of(owner: str | None) -> str:
    """The key that names this owner in a probe's url, on a shared server: the same until the server ends."""
    with _keys_lock:
        return _keys.setdefault(owner, secrets.token_urlsafe(24))


def routes():
    """What the server offers to probes."""
    return [Route(served(DOOR), take, methods=["POST"]), Route(served(SCRIPT), probe_script)]


async def probe_script(request):
    """The probe, to be put beside a script."""
    return FileResponse(PROBE, media_type="text/x-python", headers={"Cache-Control": "no-cache"})


async def take(request) -> Response:
    """Take a batch: 204, or a sentence on why not."""
    if request.headers.get(HEADER) != "1" or "origin" in request.headers:
        return _refused(403, "Only a probe may send here.")
    try:
        owner = _owner(request)
    except PermissionError as error:
        return _refused(401, str(error))
    try:
        async with _reading, asyncio.timeout(SECONDS):
            body = await _body(request)
            keep_soon(await run_in_threadpool(runs.take, body, owner))
    except TimeoutError:
        return _refused(408, f"A batch must come within {SECONDS:g} seconds.")
    except ConfigError as error:
        return _refused(413 if "MiB" in error.message else 400, f"What a probe sends {error.message}.")
    return Response(status_code=204)


def _refused(status, sentence):
    return PlainTextResponse(sentence, status, headers={"X-Content-Type-Options": "nosniff"})


async def _body(request):
    """The body, never more of it than a batch may have."""
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit() or len(declared) > 12 or int(declared) > BATCH_BYTES:
        raise ConfigError("probe", f"must be at most {BATCH_BYTES >> 20} MiB")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BATCH_BYTES:
            raise ConfigError("probe", f"must be at most {BATCH_BYTES >> 20} MiB")
    return bytes(body)


def _owner(request):
    """Whose batch this is: None on one's own machine. Raises PermissionError."""
    settings, key = Settings.from_environment(), request.query_params.get("key", "")
    if settings.shared:
        with _keys_lock:
            known = list(_keys.items())
        found = [owner for owner, own in known if hmac.compare_digest(own.encode(), key.encode("utf-8", "replace"))]
        if not found:
            raise PermissionError("This server asks for a key: the page Watch shows the url with yours in it.")
        return found[0]
    if settings.probe_key and hmac.compare_digest(settings.probe_key.encode(), key.encode("utf-8", "replace")):
        return None
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    here = request.client is not None and _is_loopback(request.client.host) and host.strip("[]") in LOCAL
    if not here or "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        raise PermissionError("This server takes programs on its own machine only; DESCENT_PROBE_KEY opens it to others.")
    return None


def _is_loopback(address):
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback  # ::ffff:127.0.0.1 is how a server on both kinds of address sees it


def url(owner):
    """The url that a probe needs for this page's server, None where it is the one that a probe has by itself."""
    address = st.context.url or ""
    base = "/".join(address.split("/")[:3]) + served("")
    if Settings.from_environment().shared:
        return f"{base.rstrip('/')}?key={key_of(owner)}"
    return None if base.rstrip("/") in ("http://localhost:8501", "http://127.0.0.1:8501", "") else base.rstrip("/")
