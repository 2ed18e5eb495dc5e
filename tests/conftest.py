"""What the browser tests stand on: the app's server on a port of its own, and Debian's Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
PATIENCE = 30_000  # milliseconds that a busy machine may take for anything


class Server:
    """`streamlit run app.py` on a free port, with DESCENT_ settings and Streamlit options."""

    def __init__(self, log, options=(), **settings):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        environment = os.environ | {f"DESCENT_{name.upper()}": str(value) for name, value in settings.items()}
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port),
            "--server.headless",
            "true",
            "--server.fileWatcherType",
            "none",
            *options,
        ]
        with log.open("w") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        self._wait_until_healthy()

    def _wait_until_healthy(self):
        until = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1)
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        pytest.fail(f"the server did not start:\n{self.log}")

    @property
    def log(self):
        return self._log.read_text()

    def workers(self):
        """Process ids of the living training processes that this server started."""
        found = subprocess.run(["ps", "-o", "pid=,stat=,args=", "--ppid", str(self._process.pid)], capture_output=True, text=True).stdout
        rows = [line.split(maxsplit=2) for line in found.splitlines()]
        return [int(pid) for pid, state, command in rows if "core.training.worker" in command and "Z" not in state]

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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
    server = Server(tmp_path_factory.mktemp("server") / "server.log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    """Chromium, as the system has it."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert executable, "the browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser, server):
    """Opens tabs; at the end none of them may have logged an error."""
    contexts, errors = [], []

    def opened(address="/", at=None, **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: errors.append(f"{message.text} ({message.location['url']})") if is_error(message) else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto((at or server).url + address)
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert not errors, errors


def is_error(message):
    """Errors of our own making: a page's path is tried as the server's base path first, by Streamlit itself."""
    return message.type == "error" and "/_stcore/" not in message.location["url"]
