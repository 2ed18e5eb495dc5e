"""The live line: a WebSocket beside Streamlit's own. Pictures of what a tab shows go down it; what a person presses comes up it.

A message of the browser's is JSON: first {"key", "theme", "hidden"}, then {"do": name, "value": ...} each time. `drawn` says that the last
picture has been drawn, `page` which drawing of Streamlit's part the browser shows, `back` that its Back or Forward button was pressed,
`hidden` and `theme` how it shows the page; every other name is one of the view's commands. A message of the server's is a line of JSON,
the head, and a line for each figure that the head names, empty where that figure has not changed; an empty message is a sign of life.
The head's `heard` is how many commands had been done when the picture was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import streamlit as st
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.diagnosis.failures import attempt
from pages.shell.identity import COOKIE
from pages.shell.tab import tab_of

PATH = "/descent/line"
UNKNOWN = 4404  # close code: there is no tab with this key (any more)
REFUSED = 1008  # close code of the protocol's: what was sent is not allowed
LONGEST = 1000  # characters of a message
FIRST_WORD = 10.0  # seconds that the browser has to say its key
SHORTEST = 1 / 30  # seconds from one picture to the next
RESTING = 0.3  # seconds from one look to the next at a run that stands, and that something is being worked out for
STANDING = 60.0  # seconds from one look to the next at a run that stands still: it lives as long as somebody has it before them
HIDDEN = 1.0  # seconds from one picture to the next of a tab that nobody sees
BEAT = 5.0  # seconds after which a line that has nothing to say gives a sign of life

_threads = ThreadPoolExecutor(64, thread_name_prefix="line")  # most of them wait for a worker's answer


async def live_line(socket: WebSocket) -> None:
    """Serve one browser tab until it goes."""
    if not _from_own_page(socket):
        await socket.close(REFUSED)
        return
    await socket.accept()
    try:
        hello = await asyncio.wait_for(_received(socket), FIRST_WORD)
        tab = tab_of(hello.get("key"))
        if tab is None or tab.browser not in (None, socket.cookies.get(COOKIE)):
            await socket.close(UNKNOWN)
        else:
            await Connection(socket, tab, hello).serve()
    except (WebSocketDisconnect, TimeoutError):
        pass
    except Refused:
        await socket.close(REFUSED)


class Refused(ValueError):
    """What the browser sent is no message of this line."""


class Connection:
    """One browser tab at the other end."""

    def __init__(self, socket, tab, hello):
        self._socket, self._tab = socket, tab
        self._loop = asyncio.get_running_loop()
        self._due, self._drawn = asyncio.Event(), asyncio.Event()
        self._figures = {}  # name -> text, as last sent
        self._head = None  # as last sent
        self._heard = 0  # commands that were done
        self._sent = -math.inf  # when it last heard of us
        self._playing = self._goes_on = False  # of the run, as last seen
        self._hidden = hello.get("hidden") is True
        self._set_theme(hello.get("theme"))

    async def serve(self):
        """Listen and send until the browser goes."""
        self._tab.connections.add(self)
        self._tab.connected.set()
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._send_pictures())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._tab.left(self)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def wake(self):
        """Have a picture made now; from any thread."""
        self._loop.call_soon_threadsafe(self._due.set)

    async def _listen(self):
        while True:
            message = await _received(self._socket)
            name, value = message.get("do"), message.get("value")
            match name:
                case "drawn":
                    self._drawn.set()
                    continue
                case "back":
                    self._tab.went_back.set()
                    continue
                case "page" if isinstance(value, int):
                    self._tab.drawn = value
                case "hidden" if isinstance(value, bool):
                    self._hidden = value
                case "theme":
                    self._set_theme(value)
                case str() if name in self._tab.view.commands:
                    await self._in_thread(self._command, name, value)
                case _:
                    raise Refused
            self._due.set()

    def _command(self, name, value):
        with self._tab.lock:
            attempt(f"The command {name}", [], None, self._tab.view.command, name, value)
            self._heard += 1

    async def _send_pictures(self):
        self._drawn.set()
        while True:
            began = time.monotonic()
            self._due.clear()
            picture = await self._in_thread(self._picture)  # while the browser still draws the last one
            await self._until(self._drawn, math.inf)
            if self._due.is_set():  # something was pressed meanwhile: that is to be seen at once
                self._due.clear()
                picture = await self._in_thread(self._picture)
            if picture is not None and (message := self._news(*picture)):
                self._drawn.clear()
                await self._send(message)
            if self._playing and not self._hidden:
                await asyncio.sleep(max(0.0, began + SHORTEST - time.monotonic()))
            else:
                await self._until(self._due, (HIDDEN if self._hidden else RESTING) if self._goes_on else STANDING)

    async def _until(self, event, longest):
        """Wait for the event, or so many seconds, and give signs of life meanwhile."""
        until = time.monotonic() + longest
        while not event.is_set() and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, BEAT)):  # wait_for, in Python 3.11, loses a cancellation that comes with the event
                    await event.wait()
            if time.monotonic() > self._sent + BEAT:
                await self._send(b"")

    async def _send(self, message):
        self._sent = time.monotonic()
        await self._socket.send_bytes(message)

    def _picture(self):
        """The next picture, as the texts (head, {name: figure}); None where it could not be made."""
        with self._tab.lock:
            picture = attempt("The picture", [], None, self._tab.view.picture, self._tab.theme)
            if picture is None:
                return None
            head, figures = picture
            # Asked here, in this thread: a worker that is slow to answer must not hold up the whole server
            self._playing, self._goes_on = self._tab.view.playing, self._tab.view.needs_updates
            head |= {"view": self._tab.view.name, "names": list(figures), "outline": self._tab.outline(), "drawing": self._tab.drawing}
            head["heard"] = self._heard
        return _text(head), {name: _text(figure) for name, figure in figures.items()}

    def _news(self, head, figures):
        """The message that tells of this picture; None where the browser shows it already."""
        changed = ["" if self._figures.get(name) == text else text for name, text in figures.items()]
        if head == self._head and not any(changed):
            return None
        self._head, self._figures = head, figures
        return "\n".join([head, *changed]).encode()

    def _set_theme(self, theme):
        if theme not in ("light", "dark"):
            raise Refused
        self._tab.theme = theme

    def _in_thread(self, function, *arguments):
        return self._loop.run_in_executor(_threads, function, *arguments)


def _text(value):
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


async def _received(socket):
    """The next message, as a dict."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text = message.get("text") or ""  # bytes are none of ours
    try:
        message = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise Refused
    return message


def _from_own_page(socket):
    """Whether a page of this server's asks, or one of Streamlit's option for allowed origins: other pages must not drive runs by the
    browser of a person who is known here."""
    origin = socket.headers.get("origin", "")
    own = f"//{socket.headers.get('host')}"
    return origin.removeprefix("http:").removeprefix("https:") == own or origin in (st.get_option("server.corsAllowedOrigins") or ())
