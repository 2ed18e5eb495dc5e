"""The page without a browser: Streamlit's AppTest for what people choose, Starlette's TestClient for the live line."""

import importlib.metadata
import json
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.numbers import parse_number, write_number
from pages.shell import tab
from pages.shell.live_line import PATH, live_line
from pages.training import session
from tests.core.live_runs import until

FRAME = Path(__file__).parents[2] / "pages" / "frame.py"
CLIENT = TestClient(Starlette(routes=[WebSocketRoute(PATH, live_line)]))
FOLDED = (
    "more",
    "layers folded",
    "faults folded",
    "data folded",
    "table folded",
    "tests folded",
    "view",
    "export menu",
    "predict menu",
)  # open in these tests: what is folded is not made
ORIGIN = {"origin": "http://testserver"}
BROWSER = Mock()  # a connection that is there, and no more


@pytest.fixture(scope="session", autouse=True)
def no_search_for_components():
    """Streamlit looks through all installed packages for components each time that a page opens: 0.1 s, and there are none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "distributions", list)
        yield


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A tab of these tests has no connection most of the time, and is there all the same."""
    monkeypatch.setattr(tab, "GRACE", 1e9)


@pytest.fixture(autouse=True)
def full_speed(monkeypatch):
    """What plays in these tests is waited for."""
    monkeypatch.setattr(session, "SPEED", None)


@contextmanager
def line(key, **hello):
    """The live line of a tab, as its browser begins it: (WebSocket, head, figures)."""
    with CLIENT.websocket_connect(PATH, headers=ORIGIN) as socket:
        socket.send_json({"key": key, "theme": "light", "hidden": False} | hello)
        head, *figures = socket.receive_bytes().decode().split("\n")
        head = json.loads(head)
        yield socket, head, dict(zip(head["names"], map(json.loads, figures)))


class Page:
    """One visitor's page."""

    is_lagging = False

    def __init__(self, **query):
        self.test = AppTest.from_file(str(FRAME), default_timeout=60)
        for name, value in query.items():
            self.test.query_params[name] = value
        for key in FOLDED:
            self.test.session_state[key] = True
        self.run()

    def run(self):
        """Ask for the page, as a browser with a live line does that shows all that was drawn before, unless it is `lagging`."""
        if "tab" in self.test.session_state:
            self.tab.connections.add(BROWSER)
            self.tab.drawn = self.tab.drawn if self.is_lagging else self.tab.drawing
        self.test.run()
        self.tab.connections.discard(BROWSER)
        assert not self.test.exception, self.test.exception
        self.keep_address()
        return self

    def keep_address(self):
        """Where the address names a run, have it name the one that the live line says, as a browser does."""
        if "run" in self.test.query_params and (address := self.head.get("address")):
            self.test.query_params.pop("run")
            self.test.query_params |= {name: value for name, value in [address] if value}

    @contextmanager
    def lagging(self):
        """The browser has yet to show what is drawn from now on."""
        self.tab.drawn, self.is_lagging = self.tab.drawing, True
        yield
        self.is_lagging = False

    def __getattr__(self, name):
        return getattr(self.test, name)

    def navigate(self, query):
        """Come to this address with the browser's Back button."""
        self.test.query_params.clear()
        for name, value in query.items():
            self.test.query_params[name] = value
        return self.run()

    def press(self, key, value=None):
        """Press a button: one of Streamlit's by its key, one of the live line's by its name there."""
        if key in self.view.commands:
            self.send(key, value)
        else:
            self.test.button(key=key).click()
        return self.run()

    def send(self, name, value=None):
        """Send a command up the live line; done when this returns."""
        others = len(self.tab.connections)
        with line(self.tab.key) as (socket, _, _):
            socket.send_json({"do": name, "value": value})
            socket.close()
            until(lambda: len(self.tab.connections) == others)  # the line ends once it has done all that came before
        self.keep_address()

    @property
    def tab(self):
        return self.test.session_state["tab"]

    @property
    def view(self):
        return self.tab.view

    @property
    def head(self):
        """What the live line says of the run now."""
        with line(self.tab.key) as (_, head, _):
            return head

    def has(self, name):
        """Whether the live line shows this button."""
        buttons = self.head["buttons"]
        return buttons is not None and not buttons.get(name, {}).get("hidden", False)

    def can(self, name):
        """Whether the live line shows this button, to be pressed."""
        return self.has(name) and not self.head["buttons"].get(name, {}).get("disabled", False)

    @property
    def moments(self):
        """What the time slider offers, and which of it it shows."""
        slider = self.head["slider"]
        return slider["options"], slider["options"][slider["index"]]

    @property
    def figures(self):
        """The charts that the live line brings now."""
        with line(self.tab.key) as (_, _, figures):
            return figures

    def set(self, kind, key, value):
        """Change a control, as `set("selectbox", "loss", "mse")`; a number, or None, is written into a field as text."""
        if kind == "text_input" and not isinstance(value, str):
            value = write_number(value)
        getattr(self.test, kind)(key=key).set_value(value)
        return self.run()

    def number(self, key):
        """The number that a field shows; None where it is empty."""
        text = self.test.text_input(key=key).value
        return parse_number(text) if text else None

    def upload(self, name, raw, key="file"):
        """Choose a file, as `file_uploader` hands it over."""
        self.test.file_uploader(key=key).set_value((name, raw, "application/octet-stream"))
        return self.run()

    @property
    def session(self):
        return self.test.session_state["session"]

    @property
    def live_run(self):
        return self.session.run.live_run

    @property
    def step(self):
        return self.live_run.snapshot().step

    @property
    def query(self):
        return {name: values[0] if isinstance(values, list) else values for name, values in self.test.query_params.items()}

    @property
    def words(self):
        """All text on the page."""
        plain = [element.value for kind in ("markdown", "caption", "warning", "error", "info") for element in getattr(self.test, kind)]
        written = [element.proto.body for element in self.test.get("html")]
        return "\n".join([*plain, *written, *self.head["text"].values()])

    def close(self):
        if "session" in self.test.session_state:
            self.session.run.close()


@pytest.fixture
def open_page():
    """Opens pages at an address's query, and leaves no run behind."""
    pages = []

    def opened(**query):
        pages.append(Page(**query))
        return pages[-1]

    yield opened
    for page in pages:
        page.close()
