"""The page without a browser: Streamlit's AppTest, started from app.py as a visitor would."""

from pathlib import Path
from unittest.mock import patch

import pytest
from streamlit.testing.v1 import AppTest

from core.numbers import parse_number, write_number

APP = Path(__file__).parents[2] / "app.py"


class Page:
    """One visitor's page."""

    def __init__(self, **query):
        self.test = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in query.items():
            self.test.query_params[name] = value
        self.run()

    def run(self):
        self.test.run()
        assert not self.test.exception, self.test.exception
        return self

    def __getattr__(self, name):
        return getattr(self.test, name)

    def navigate(self, query):
        """Come to this address with the browser's Back button."""
        self.test.query_params.clear()
        for name, value in query.items():
            self.test.query_params[name] = value
        with patch("pages.shell.requests.went_back", return_value=True):
            return self.run()

    def press(self, key):
        self.test.button(key=key).click()
        return self.run()

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

    def upload(self, name, raw):
        """Choose a file, as `file_uploader` hands it over."""
        self.test.file_uploader(key="file").set_value((name, raw, "application/octet-stream"))
        return self.run()

    @property
    def session(self):
        return self.test.session_state["session"]

    @property
    def live_run(self):
        return self.session._run.result()

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
        return "\n".join(plain + [element.proto.body for element in self.test.get("html")])

    def close(self):
        if "session" in self.test.session_state:
            self.session.close()


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
