"""The app on a port of its own, and Chromium, for whoever needs them: benchmarks, browser tests, the README's picture."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
START = 60  # seconds that a busy machine may take


def chromium():
    """Arguments with which Playwright starts the system's Chromium."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert executable, "Chromium is needed: apt-get install chromium"
    return {"executable_path": executable, "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]}


def toured(url):
    """What Playwright has a browser keep that has had the tour on the server at this address."""
    return {"cookies": [], "origins": [{"origin": url, "localStorage": [{"name": "descent tour", "value": "yes"}]}]}


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`streamlit run app.py` on a free `port`, or on this one, with Streamlit options and DESCENT_ settings; its output goes to the path
    `log`, its runs into a folder beside that."""

    def __init__(self, log, options=(), port=None, **settings):
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        settings = {"data_folder": log.parent / "data", **settings}
        environment = os.environ | {f"DESCENT_{name.upper()}": str(value) for name, value in settings.items()}
        command = f"-m streamlit run app.py --server.port {port} --server.headless true --server.fileWatcherType none".split()
        with log.open("w") as output:
            self._process = subprocess.Popen([sys.executable, *command, *options], cwd=ROOT, env=environment, stdout=output, stderr=output)
        self._wait_until_healthy()

    def _wait_until_healthy(self):
        until = time.monotonic() + START
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"The server did not start: {self.log[-2000:]}")

    @property
    def log(self):
        """What the server has printed."""
        return self._log.read_text()

    def workers(self):
        """Process ids of the living training processes that this server started."""
        return [
            pid
            for pid, parent, state in _processes()
            if parent == self._process.pid and state != "Z" and "core.live.worker" in _command(pid)
        ]

    def memory(self):
        """Bytes that the server itself holds in memory, its workers not counted."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def seconds(self):
        """Seconds of processor time that the server itself has taken, its workers not counted."""
        user, system = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        """End the server without a warning; its workers find out by themselves."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _processes():
    """(process id, parent's id, state) of everything that runs."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        yield int(path.parent.name), int(parent), state


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def serve(**settings):
    """The address of a fresh server, stopped on leaving."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "server.log", **settings)
        try:
            yield server.url
        finally:
            server.stop()
