"""A process that works for a run, as its parent sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # must be set before NumPy is imported
LEAVING = 2.0  # seconds that a process which has closed its connection gets to end by itself
STILL = 4.0  # seconds without any sign of life in the system's accounts after which a process that owes an answer counts as hung

_processes = weakref.WeakSet()  # of all runs of this server
_starting = threading.Lock()  # so that they are counted right


class TooManyRuns(RuntimeError):
    """The server has no room for another live run; the message is for the user."""


class ChildProcess:
    """A process and the line to it; `module` is what it runs, with the line's descriptor as its argument."""

    def __init__(self, module):
        self._module = module
        self._process = None
        self._connection = None
        self._hung = False

    def start(self, limit):
        """Start the process; TooManyRuns when `limit` others of this server live."""
        with _starting:
            if sum(process.alive for process in _processes) >= limit:
                raise TooManyRuns(
                    f"This server already runs {limit} networks, which is its limit; close a tab or try again in some minutes."
                )
            ours, theirs = socket.socketpair()
            self._hung = False
            with theirs:
                self._connection = Connection(ours.detach())
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._module, str(theirs.fileno())],
                    cwd=ROOT,
                    env={**os.environ, **ONE_THREAD},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C in the server's terminal is meant for the server
                )
            _processes.add(self)

    @property
    def alive(self):
        return self._process is not None and self._process.poll() is None

    @property
    def has_spoken(self):
        """Whether there is something to `receive`, if only that the process is gone."""
        return self._connection.poll()

    def send(self, message):
        """Tell the process something."""
        with suppress(OSError):  # one that is gone may have left its last words
            self._connection.send(message)

    def receive(self, timeout):
        """What the process says; None when it is gone, says nothing in time, or hangs: stands still for STILL seconds."""
        try:
            return self._connection.recv() if self._answers(timeout) else None
        except (EOFError, OSError):
            return None

    def _answers(self, timeout):
        """Wait until there is something to receive; False when there is nothing in time."""
        now = last_sign = time.monotonic()
        until, seen = now + timeout, None
        while not self._connection.poll(min(0.5, max(0.0, until - now))):
            now, signs = time.monotonic(), _signs_of_life(self._process.pid)
            if signs is None or signs != seen:
                last_sign, seen = now, signs
            self._hung = now > last_sign + STILL
            if self._hung or now >= until:
                return False
        return True

    def story(self, timeout):
        """What became of a process that has not replied, in one sentence."""
        if self._hung:
            return f"The training process stood still for {STILL:g} seconds and was stopped."
        try:
            status = self._process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            return f"The training process did not answer for {timeout:g} seconds and was stopped."
        if status == -signal.SIGKILL:
            return "The training process was killed (signal 9), probably because the server ran out of memory."
        if status < 0:
            return f"The training process was killed by signal {-status}."
        return f"The training process ended with exit status {status}."

    def kill(self):
        if self._process is not None:
            self._process.kill()

    def end(self, patience=0.0):
        """Leave neither process, zombie nor connection behind. A process that finds its connection closed saves what it has, and gets so
        many seconds for that."""
        if self._process is not None:
            self._connection.close()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _signs_of_life(pid):
    """Numbers that change whenever a thread of a process gets a processor or waits for a disk: None where the system does not tell."""
    try:
        told = [((task / "stat").read_text(), (task / "status").read_text()) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return None
    accounts = [stat.rpartition(")")[2].split() for stat, _ in told]
    waits = time.monotonic() if any(account[0] == "D" for account in accounts) else 0.0
    return [account[11:13] for account in accounts], [status.partition("voluntary_ctxt_switches:")[2] for _, status in told], waits
