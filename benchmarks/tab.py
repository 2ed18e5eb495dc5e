"""A browser's tab without a browser: what the server hears and says is the same, and nothing is drawn.

Streamlit's protocol: protobuf messages over a websocket. The server sends elements with their places in the page; the tab sends the
address and the state of all widgets, when something is pressed. Beside it the live line, as in pages/shell/browser. Unlike a browser it
does not offer messages that it still has, so the server sends all of them.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
from contextlib import suppress

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from pages.shell.live_line import UNKNOWN

READING = re.compile(r"<span>([^<]*)</span><b>([^<]*)</b>")
GONE = (OSError, TimeoutError, WebSocketException)  # what a server that is not there raises
PATIENCE = 10.0  # seconds for which a button is waited for
DRAWING = 0.02  # seconds that a browser takes to draw a picture
FINISHED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Tab:
    """A tab at `host` (name and port) with the address's `query`, which the server changes.

    `readings` {name: text} are the figures in the bar of the playground, `pictures` how many came, `exceptions` the tracebacks on the page,
    `pages` how many times the whole page has come. `on_readings` is called without arguments at new readings, `on_run` with the id of the
    run that the figures say they are of, or None.
    """

    def __init__(self, host, query, on_readings=lambda: None, on_run=lambda run: None):
        self.query, self.readings, self.exceptions, self.pages, self.pictures = query, {}, [], 0, 0
        self._host, self._on_readings, self._on_run = host, on_readings, on_run
        self._elements = {}  # place in the page -> (element, id of its fragment, id of the script run that made it)
        self._states = {}  # widget id -> WidgetState
        self._session = self._page = self._run = ""
        self._socket = self._listening = None
        self._key = self._line = self._on_line = None  # the live line: its key, its connection, the task that listens
        self._buttons, self._outline, self._asked = {}, None, None
        self._news = asyncio.Event()

    async def connect(self):
        """Connect, or connect again after the server was gone, as a browser does, and ask for the page. Raises one of GONE."""
        names = ["streamlit", "PLACEHOLDER_AUTH_TOKEN", *([self._session] if self._session else [])]
        self._socket = await connect(f"ws://{self._host}/_stcore/stream", subprotocols=names, max_size=None, open_timeout=30)
        self._listening = asyncio.create_task(self._listen())
        await self._ask()

    async def close(self):
        """Close the tab."""
        if self._on_line is not None:
            self._on_line.cancel()
        if self._socket is not None:
            self._listening.cancel()
            with suppress(*GONE):
                await self._socket.close()

    @property
    def connected(self):
        if self._listening is not None and self._listening.done():
            self._listening.result()  # raises what went wrong here, and not with the connection
            return False
        return self._listening is not None

    async def until(self, condition, seconds):
        """Wait until the condition holds; whether it does, after that many seconds at most, or when the connection is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition() and self.connected:
                    self._news.clear()
                    await self._news.wait()
        return bool(condition())

    def widget(self, key):
        """The element of this key on the page, or None."""
        return self._found(key)[0]

    def alerts(self):
        """The warnings on the page."""
        return [element.alert.body for element, _, _ in self._elements.values() if element.WhichOneof("type") == "alert"]

    def can_press(self, key):
        """Whether there is a button of this key, Streamlit's or one of the live line's, that can be pressed."""
        if key in self._buttons:
            return not (self._buttons[key].get("disabled") or self._buttons[key].get("hidden"))
        button = self.widget(key)
        return button is not None and not button.disabled

    async def press(self, key):
        """Press a button, once it is there: one that stands behind others is gone for a moment when a line comes between them."""
        if key in self._buttons or key == "reset":
            await self._tell_line(key)
            return
        await self.until(lambda: self.widget(key), PATIENCE)
        button, fragment = self._found(key)
        await self._ask(fragment, WidgetState(id=button.id, trigger_value=True))

    async def enter(self, key, text):
        """Write a text into a field."""
        field, fragment = self._found(key)
        self._states[field.id] = WidgetState(id=field.id, string_value=text)
        await self._ask(fragment)

    def _found(self, key):
        for element, fragment, _ in self._elements.values():
            widget = getattr(element, element.WhichOneof("type"))
            if getattr(widget, "id", "").endswith(f"-{key}"):
                return widget, fragment
        return None, ""

    async def _ask(self, fragment="", *triggers):
        message = BackMsg()
        request = message.rerun_script
        request.query_string, request.page_script_hash = self.query, self._page
        request.fragment_id = fragment
        request.widget_states.widgets.extend([*self._states.values(), *triggers])
        request.context_info.url = f"http://{self._host}/"
        request.context_info.timezone = "UTC"
        with suppress(*GONE):
            await self._socket.send(message.SerializeToString())

    async def _listen(self):
        try:
            async for data in self._socket:
                await self._receive(ForwardMsg.FromString(data))
                self._news.set()
        except GONE:
            pass
        finally:
            self._news.set()

    async def _receive(self, message):
        run = message.metadata.run
        match message.WhichOneof("type"):
            case "new_session":
                self._run = run.script_run_id
                self._page = message.new_session.page_script_hash
                self._session = message.new_session.initialize.session_id or self._session
            case "delta":
                await self._put(tuple(message.metadata.delta_path), message.delta)
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "script_finished" if message.script_finished in FINISHED:
                self._clear(run.script_run_id, run.fragment_ids)
                self.pages += not run.fragment_ids

    async def _put(self, place, delta):
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        self._elements[place] = element, delta.fragment_id, self._run
        widget = getattr(element, element.WhichOneof("type"))
        match element.WhichOneof("type"):
            case "exception":
                self.exceptions.append(f"{widget.type}: {widget.message}\n" + "\n".join(widget.stack_trace))
            case "bidi_component":
                await self._mount(json.loads(widget.bytes.partition(b"\n")[0]))
            case kind if kind in STATES and (widget.set_value or widget.id not in self._states):
                self._states[widget.id] = STATES[kind](widget)

    def _clear(self, run, fragments):
        """Remove what a run of the script, or of these fragments of it, did not make again, and the state of widgets that are gone."""
        for place, (_, fragment, made_by) in list(self._elements.items()):
            if made_by != run and (not fragments or fragment in fragments):
                del self._elements[place]
        widgets = (getattr(element, element.WhichOneof("type")) for element, _, _ in self._elements.values())
        there = {getattr(widget, "id", None) for widget in widgets}
        self._states = {id: state for id, state in self._states.items() if id in there}

    # The live line

    async def _mount(self, part):
        if "line" in part and part["line"]["key"] != self._key:
            if self._on_line is not None:
                self._on_line.cancel()
            self._key = part["line"]["key"]
            self._on_line = asyncio.create_task(self._follow_line(f"ws://{self._host}{part['line']['url']}"))
        if part["part"] == "listener":
            self._outline, self._asked, self._drawing = part["outline"], None, part["drawing"]
            await self._tell_line("page", part["drawing"])

    async def _tell_line(self, name, value=None):
        if self._line is not None:
            with suppress(*GONE):
                await self._line.send(json.dumps({"do": name, "value": value}))

    async def _follow_line(self, address):
        while True:
            try:
                async with connect(address, origin=f"http://{self._host}", max_size=None, open_timeout=30) as self._line:
                    await self._line.send(json.dumps({"key": self._key, "theme": "light", "hidden": False}))
                    async for data in self._line:
                        if data:
                            await self._show(data)
            except ConnectionClosed as closed:
                if closed.rcvd and closed.rcvd.code == UNKNOWN:
                    await self._trigger("transport-buttons", "lost")
            except GONE:
                pass
            await asyncio.sleep(0.5)

    async def _show(self, data):
        head = json.loads(data.partition(b"\n")[0])
        self.pictures += 1
        self._buttons = head["buttons"] or {}
        written = head["text"].get("readings", "")
        self.readings = {html.unescape(name): html.unescape(re.sub("<.*?>", "", value)) for name, value in READING.findall(written)}
        if "address" in head:
            name, run = head["address"]
            others = [part for part in self.query.split("&") if part and not part.startswith(f"{name}=")]
            self.query = "&".join([*others, *([f"{name}={run}"] if run else [])])
            self._on_run(run)
        if self.readings:
            self._on_readings()
        self._news.set()
        if self._outline is not None and head["drawing"] != self._drawing:
            await self._tell_line("page", self._drawing)
        elif self._outline is not None and head["outline"] not in (self._outline, self._asked):
            self._asked = head["outline"]
            await self._trigger("cards", "outdated")
        await asyncio.sleep(DRAWING)
        await self._tell_line("drawn")

    async def _trigger(self, key, event):
        component, fragment = self._found(key)
        if component is not None:
            told = json.dumps([{"event": event, "value": True}])
            await self._ask(fragment, WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{component.id}__events", json_trigger_value=told))


def _text(field):
    return WidgetState(id=field.id, string_value=field.value if field.set_value else field.default)


def _slider(slider):
    if slider.options:
        chosen = slider.raw_value if slider.set_value else [slider.options[int(index)] for index in slider.default]
        return WidgetState(id=slider.id, string_array_value={"data": chosen})
    return WidgetState(id=slider.id, double_array_value={"data": slider.value if slider.set_value else slider.default})


def _choice(box):
    if box.set_value:
        return WidgetState(id=box.id, string_value=box.raw_value if box.HasField("raw_value") else None)
    return WidgetState(id=box.id, string_value=box.options[box.default] if box.HasField("default") and box.options else None)


def _choices(group):
    names = [getattr(option, "content", option) for option in group.options]
    return WidgetState(id=group.id, string_array_value={"data": group.raw_values if group.set_value else [names[i] for i in group.default]})


def _toggle(box):
    return WidgetState(id=box.id, bool_value=box.value if box.set_value else box.default)


# Kind of widget -> its state as the server has set it, or as it begins
STATES = {
    "text_input": _text,
    "slider": _slider,
    "selectbox": _choice,
    "button_group": _choices,
    "multiselect": _choices,
    "checkbox": _toggle,
}
