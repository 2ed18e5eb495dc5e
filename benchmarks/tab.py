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
import secrets
import urllib.request
from contextlib import suppress
from http.cookies import SimpleCookie

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
    run that the figures say they are of, or None. `page` is the page's path, "" for the playground; `cookie` is the browser's.
    """

    def __init__(self, host, query, on_readings=lambda: None, on_run=lambda run: None, page="", cookie=""):
        self.query, self.readings, self.exceptions, self.pages, self.pictures = query, {}, [], 0, 0
        self._host, self._on_readings, self._on_run = host, on_readings, on_run
        self._page_name, self._headers = page, {"Cookie": cookie} if cookie else {}
        self._elements = {}  # place in the page -> (element, id of its fragment, id of the script run that made it)
        self._states = {}  # widget id -> WidgetState
        self._session = self._page = self._run = ""
        self._socket = self._listening = None
        self.key = self._line = self._on_line = None  # the live line: its key, its connection, the task that listens
        self._buttons, self._outline, self._asked = {}, None, None
        self._news = asyncio.Event()

    async def connect(self):
        """Connect, or connect again after the server was gone, as a browser does, and ask for the page. Raises one of GONE."""
        names = ["streamlit", "PLACEHOLDER_AUTH_TOKEN", *([self._session] if self._session else [])]
        address = f"ws://{self._host}/_stcore/stream"
        self._socket = await connect(address, subprotocols=names, max_size=None, open_timeout=30, additional_headers=self._headers)
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
            await self.send(key)
            return
        await self.until(lambda: self.widget(key), PATIENCE)
        button, fragment = self._found(key)
        await self._ask(fragment, WidgetState(id=button.id, trigger_value=True))

    async def enter(self, key, text):
        """Write a text into a field."""
        field, fragment = self._found(key)
        self._states[field.id] = WidgetState(id=field.id, string_value=text)
        await self._ask(fragment)

    async def choose(self, key, index):
        """Choose one of a control's options."""
        group, fragment = self._found(key)
        self._states[group.id] = WidgetState(id=group.id, string_array_value={"data": [_names(group)[index]]})
        await self._ask(fragment)

    async def upload(self, key, name, raw):
        """Choose a file, as a browser does: ask where it may be put, put it there, and say so. Raises TimeoutError."""
        uploader, fragment = self._found(key)
        asked = BackMsg()
        asked.file_urls_request.request_id, asked.file_urls_request.session_id = "upload", self._session
        asked.file_urls_request.file_names.append(name)
        self._places = None
        await self._socket.send(asked.SerializeToString())
        if not await self.until(lambda: self._places, PATIENCE):
            raise TimeoutError("The server did not say where a file may be put.")
        place = self._places[0]
        await asyncio.to_thread(_put_file, self._host, place.upload_url, name, raw)
        state = WidgetState(id=uploader.id)
        state.file_uploader_state_value.uploaded_file_info.add(file_id=place.file_id, name=name, size=len(raw), file_urls=place)
        self._states[uploader.id] = state
        await self._ask(fragment)

    def found(self, pattern):
        """The first group of the first place on the page, as it was sent, that the pattern is found in; None where there is none."""
        for element, _, _ in self._elements.values():
            if match := re.search(pattern.encode(), element.SerializeToString()):
                return match[1].decode()
        return None

    def _found(self, key):
        for element, fragment, _ in self._elements.values():
            widget = getattr(element, element.WhichOneof("type"))
            if getattr(widget, "id", "").endswith(f"-{key}"):
                return widget, fragment
        return None, ""

    async def _ask(self, fragment="", *triggers):
        message = BackMsg()
        request = message.rerun_script
        request.query_string, request.page_script_hash, request.page_name = self.query, self._page, "" if self._page else self._page_name
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
            case "file_urls_response":
                self._places = list(message.file_urls_response.file_urls)
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
        if "line" in part and part["line"]["key"] != self.key:
            if self._on_line is not None:
                self._on_line.cancel()
            self.key = part["line"]["key"]
            self._on_line = asyncio.create_task(self._follow_line(f"ws://{self._host}{part['line']['url']}"))
        if part["part"] == "listener":
            self._outline, self._asked, self._drawing = part["outline"], None, part["drawing"]
            await self.send("page", part["drawing"])

    async def send(self, name, value=None):
        """Send a command up the live line, whether there is a button for it or not."""
        if self._line is not None:
            with suppress(*GONE):
                await self._line.send(json.dumps({"do": name, "value": value}))

    async def _follow_line(self, address):
        while True:
            try:
                settings = {"origin": f"http://{self._host}", "max_size": None, "open_timeout": 30, "additional_headers": self._headers}
                async with connect(address, **settings) as self._line:
                    await self._line.send(json.dumps({"key": self.key, "theme": "light", "hidden": False}))
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
            await self.send("page", self._drawing)
        elif self._outline is not None and head["outline"] not in (self._outline, self._asked):
            self._asked = head["outline"]
            await self._trigger("cards", "outdated")
        await asyncio.sleep(DRAWING)
        await self.send("drawn")

    async def _trigger(self, key, event):
        component, fragment = self._found(key)
        if component is not None:
            told = json.dumps([{"event": event, "value": True}])
            await self._ask(fragment, WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{component.id}__events", json_trigger_value=told))


def _put_file(host, path, name, raw):
    with urllib.request.urlopen(f"http://{host}/_stcore/health") as answer:
        cookies = SimpleCookie("; ".join(answer.headers.get_all("set-cookie")))
    token, border = cookies["_streamlit_xsrf"].value, secrets.token_hex(16)
    head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={border}", "X-Xsrftoken": token, "Cookie": f"_streamlit_xsrf={token}"}
    body = head + raw + f"\r\n--{border}--\r\n".encode()
    request = urllib.request.Request(f"http://{host}/{path.lstrip('/')}", body, headers, method="PUT")
    urllib.request.urlopen(request).close()


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


def _names(group):
    return [getattr(option, "content", option) for option in group.options]


def _choices(group):
    names = _names(group)
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
