"""What the browser tests stand on: the app's server on a port of its own, and Debian's Chromium."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Error

from benchmarks.app import Server, chromium, toured

PAUSE = "document.querySelector('.descent-buttons [data-name=pause]:enabled')?.click()"
WAITING = ("app", "browser")  # folders of tests that wait for browsers and training processes
PATIENCE = 30_000  # milliseconds that a busy machine may take for anything
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # speed belongs in benchmarks
settings.load_profile("any machine")


def pytest_collection_modifyitems(items):
    """A test that waits for other processes gets a second try; the summary names it, and it is a defect to look into."""
    for item in items:
        if item.path.parent.name in WAITING or item.path.name.startswith("test_live_run"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory):
    """Runs are kept in a folder that goes with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESCENT_DATA_FOLDER", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def start_server(tmp_path):
    """Starts servers of a test's own."""
    servers = []

    def started(options=(), **settings):
        servers.append(Server(tmp_path / f"server-{len(servers)}.log", options, **settings))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that do not ask for their own."""
    # What a test has left must not hold up the others, and what is tried out must not wait for them
    server = Server(tmp_path_factory.mktemp("server") / "server.log", pause_after=20, trial_niceness=1)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    """Chromium, as the system has it."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium())
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser, server):
    """Opens tabs, and counts their `frames`; at the end none of them may have logged an error. Their browser has had the tour, unless this
    is its `first_visit`."""
    contexts, errors = [], []

    def opened(address="/", at=None, frames=None, first_visit=False, **settings):
        kept = {} if first_visit else {"storage_state": toured((at or server).url)}
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **kept, **settings})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: errors.append(f"{message.text} ({message.location['url']})") if is_error(message) else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        if frames is not None:
            tab.on("websocket", frames.follow)
        tab.goto((at or server).url + address)
        return tab

    yield opened
    for context in contexts:
        for tab in context.pages:
            with suppress(Error):  # the page is going
                tab.evaluate(PAUSE)  # a run that plays on would hold up the tests that follow
        context.close()
    assert not errors, errors


class Frames:
    """Counts what goes over a tab's sockets, while the test waits for the tab: `asked` is how often the browser asked Streamlit for
    something, `pictures` how many came over the live line."""

    def __init__(self):
        self.asked = self.pictures = 0

    def follow(self, socket):
        """Count what goes over this one, too."""
        if "/_stcore/stream" in socket.url:
            socket.on("framesent", lambda frame: self._count("asked"))
        elif "/descent/line" in socket.url:
            socket.on("framereceived", lambda frame: frame and self._count("pictures"))  # an empty one is a sign of life

    def _count(self, what):
        setattr(self, what, getattr(self, what) + 1)


@pytest.fixture
def frames():
    """Frames of the tab that is opened with them."""
    return Frames()


def is_error(message):
    """Errors of our own making: Streamlit tries a page's path as the server's base path first, and both sockets tell of a server that is
    gone."""
    gone = any(words in message.text for words in ("disconnected from server", "net::ERR_CONNECTION_REFUSED"))
    return message.type == "error" and "/_stcore/" not in message.location["url"] and not gone
