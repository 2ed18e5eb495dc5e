"""A browser's tab without a browser: what the server hears and says is the same, and nothing is drawn.

Streamlit's protocol: protobuf messages over a websocket. The server sends elements with their places in the page, and timers; the tab
sends the address and the state of all widgets, when something is pressed and when a timer fires. Unlike a browser it does not offer
messages that it still has, so the server sends all of them.
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
from websockets.exceptions import WebSocketException

READING = re.compile(r"<span>([^<]*)</span><b>([^<]*)</b>")
GONE = (OSError, TimeoutError, WebSocketException)  # what a server that is not there raises
LOST = 5.0  # seconds, as in live.js
FINISHED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Tab:
    """A tab at `host` (name and port) with the address's `query`, which the server changes.

    `readings` {name: text} are the figures in the bar of the playground, `exceptions` the tracebacks on the page, `pages` how many times
    the whole page has come. `on_readings` is called without arguments at new readings, `on_run` with the id of the run that the figures
    say they are of, or None.
    """

    def __init__(self, host, query, on_readings, on_run):
        self.query, self.readings, self.exceptions, self.pages = query, {}, [], 0
        self._host, self._on_readings, self._on_run = host, on_readings, on_run
        self._elements = {}  # place in the page -> (element, id of its fragment, id of the script run that made it)
        self._states = {}  # widget id -> WidgetState
        self._timers = {}  # fragment id -> (seconds, task)
        self._session = self._page = self._run = ""
        self._socket = self._listening = None
        self._missing = asyncio.Future()  # asks for a message that was to come
        self._news = asyncio.Event()

    async def connect(self):
        """Connect, or connect again after the server was gone, as a browser does, and ask for the page. Raises one of GONE."""
        names = ["streamlit", "PLACEHOLDER_AUTH_TOKEN", *([self._session] if self._session else [])]
        self._socket = await connect(f"ws://{self._host}/_stcore/stream", subprotocols=names, max_size=None, open_timeout=30)
        self._listening = asyncio.create_task(self._listen())
        await self._ask()

    async def close(self):
        """Close the tab."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._missing.cancel()
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
        button = self.widget(key)
        return button is not None and not button.disabled

    async def press(self, key, ahead=None):
        """Press a button. A timer may fire first and bring the press along, `ahead` by that many seconds."""
        button, fragment = self._found(key)
        await self._tell(fragment, ahead, WidgetState(id=button.id, trigger_value=True))

    async def enter(self, key, text, ahead=None):
        """Write a text into a field; `ahead` is as for `press`."""
        field, fragment = self._found(key)
        self._states[field.id] = WidgetState(id=field.id, string_value=text)
        await self._tell(fragment, ahead)

    async def _tell(self, fragment, ahead, *triggers):
        if ahead is not None and self._timers:
            often = min(self._timers, key=lambda fragment: self._timers[fragment][0])
            await self._ask(often, *triggers, timer=True)
            await asyncio.sleep(ahead)
        await self._ask(fragment, *triggers)

    def _found(self, key):
        for element, fragment, _ in self._elements.values():
            widget = getattr(element, element.WhichOneof("type"))
            if getattr(widget, "id", "").endswith(f"-{key}"):
                return widget, fragment
        return None, ""

    async def _ask(self, fragment="", *triggers, timer=False):
        message = BackMsg()
        request = message.rerun_script
        request.query_string, request.page_script_hash = self.query, self._page
        request.fragment_id, request.is_auto_rerun = fragment, timer
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
                if not run.fragment_ids:
                    self._stop_timers(list(self._timers))
            case "delta":
                await self._put(tuple(message.metadata.delta_path), message.delta)
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "auto_rerun":
                self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "stop_auto_rerun":
                self._stop_timers(message.stop_auto_rerun.fragment_ids)
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
            case "html" if 'class="reading ' in widget.body:
                self.readings = {html.unescape(name): html.unescape(value) for name, value in READING.findall(widget.body)}
                self._on_readings()
            case "bidi_component" if widget.component_name.endswith("figures"):
                await self._draw(widget, delta.fragment_id)
            case kind if kind in STATES and (widget.set_value or widget.id not in self._states):
                self._states[widget.id] = STATES[kind](widget)

    async def _draw(self, component, fragment):
        """What live.js does: the run's id goes into the address, drawing is told if wanted, and a message that does not come asked for."""
        head = json.loads(component.bytes.partition(b"\n")[0])
        name, run = head["address"]
        others = [part for part in self.query.split("&") if part and not part.startswith(f"{name}=")]
        self.query = "&".join([*others, *([f"{name}={run}"] if run else [])])
        self._on_run(run)
        if head["tell"]:
            await self._trigger(component.id, fragment, "drawn")
        self._missing.cancel()
        if head["goes_on"] or head["tell"]:
            self._missing = asyncio.create_task(self._trigger(component.id, fragment, "lost", LOST))

    async def _trigger(self, component, fragment, event, after=0.0):
        await asyncio.sleep(after)
        told = json.dumps([{"event": event, "value": True}])
        await self._ask(fragment, WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{component}__events", json_trigger_value=told))

    def _clear(self, run, fragments):
        """Remove what a run of the script, or of these fragments of it, did not make again, and the state of widgets that are gone."""
        for place, (_, fragment, made_by) in list(self._elements.items()):
            if made_by != run and (not fragments or fragment in fragments):
                del self._elements[place]
        widgets = (getattr(element, element.WhichOneof("type")) for element, _, _ in self._elements.values())
        there = {getattr(widget, "id", None) for widget in widgets}
        self._states = {id: state for id, state in self._states.items() if id in there}

    def _start_timer(self, fragment, seconds):
        if fragment in self._timers and self._timers[fragment][0] == seconds:
            return
        self._stop_timers([fragment])
        self._timers[fragment] = seconds, asyncio.create_task(self._tick(fragment, seconds))

    async def _tick(self, fragment, seconds):
        while True:
            await asyncio.sleep(seconds)
            await self._ask(fragment, timer=True)

    def _stop_timers(self, fragments):
        for fragment in fragments:
            if fragment in self._timers:
                self._timers.pop(fragment)[1].cancel()


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
