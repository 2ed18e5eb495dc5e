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
from typing import TYPE_CHECKING, Any

from core.live import quota

if TYPE_CHECKING:
    from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # must be set before NumPy is imported
LEAVING = 2.0  # seconds that a process which has closed its connection gets to end by itself
STILL = 4.0  # seconds without any sign of life in the system's accounts after which a process that owes an answer counts as hung

PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")  # bytes; a second of a processor in the system's accounts
IDLE_BYTES = 96 << 20  # of memory that a worker takes with the smallest of runs: 50 MB of it before it has one

_processes = weakref.WeakSet()  # of all runs of this server
_starting = threading.Lock()  # so that they are counted right


class TooManyRuns(RuntimeError):
    """There is no room for another live run; the message is for the user. `person` is the visitor whose own share is full, None where the
    server is."""

    def __init__(self, message: str, person: str | None = None) -> None:
        super().__init__(message)
        self.person = person


class ChildProcess:
    """A process and the line to it; `module` is what it runs, with the line's descriptor as its argument."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: Any = None  # a Popen, once it is started
        self._connection: Any = None
        self._hung = False
        self.person, self._counted = None, 0.0  # whose it is, and the seconds of a processor that were charged to them
        self.needs = 0  # bytes that it may take beside IDLE_BYTES; what it takes already counts if that is more

    def start(self, settings: Settings, person: str | None = None, needs: int = 0) -> None:
        """Start the process, for a visitor of a shared server (None: nobody in particular), which will need so many bytes. TooManyRuns when
        the server, or that visitor, has as many as the settings allow, or there is no memory for it."""
        with _starting:
            _check_room(self, settings, person, needs)
            self.person, self._counted, self.needs = person, 0.0, min(needs, settings.worker_memory_bytes)
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
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def has_spoken(self) -> bool:
        """Whether there is something to `receive`, if only that the process is gone."""
        return self._connection.poll()

    @property
    def memory(self) -> int:
        """Bytes that it takes, or will."""
        try:
            resident = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError):  # the system does not tell
            resident = 0
        return max(resident, IDLE_BYTES + self.needs)

    def reserve(self, needs: int, settings: Settings) -> None:
        """It is about to need so many bytes. Raises TooManyRuns when there is no memory for that."""
        with _starting:
            _check_memory(self, settings, needs)
            self.needs = min(needs, settings.worker_memory_bytes)

    def charge(self) -> None:
        """Count the processor time since the last call as its visitor's."""
        if self.person is not None and self.alive:
            used = _processor_seconds(self._process.pid)
            quota.charge(self.person, quota.PROCESSOR, used - self._counted)
            self._counted = max(used, self._counted)

    def send(self, message: Any) -> None:
        """Tell the process something."""
        with suppress(OSError):  # one that is gone may have left its last words
            self._connection.send(message)

    def receive(self, timeout: float) -> Any:
        """What the process says; None when it is gone, says nothing in time, or hangs: stands still for STILL seconds."""
        self.charge()
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

    def story(self, timeout: float) -> str:
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

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def end(self, patience: float = 0.0) -> None:
        """Leave neither process, zombie nor connection behind. A process that finds its connection closed saves what it has, and gets so
        many seconds for that."""
        if self._process is not None:
            self.charge()
            self._connection.close()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _check_room(ours, settings, person, needs):
    living = [process for process in _processes if process.alive and process is not ours]
    if len(living) >= settings.max_runs:
        raise TooManyRuns(
            f"This server already runs {settings.max_runs} networks, which is its limit; close a tab or try again in some minutes."
        )
    if person is not None and sum(process.person == person for process in living) >= settings.visitor_runs:
        raise TooManyRuns(
            f"You already run {settings.visitor_runs} networks here, the limit for each visitor; close one of your tabs, or pause one and "
            "try again in some minutes.",
            person,
        )
    _check_memory(ours, settings, needs)


def _check_memory(ours, settings, needs):
    needs = min(needs, settings.worker_memory_bytes)  # it cannot take more
    taken = sum(process.memory for process in _processes if process.alive and process is not ours)
    if taken + needs + IDLE_BYTES > settings.memory_bytes:
        raise TooManyRuns(
            f"This network needs up to {(needs + IDLE_BYTES) >> 20:,} MiB of memory; of the {settings.memory_bytes >> 20:,} MiB that all "
            f"networks of this server may take, {taken >> 20:,} MiB are taken. Try again in some minutes, or with a smaller network."
        )


def _processor_seconds(pid):
    """Seconds of a processor that a process has had; 0 where the system does not tell."""
    try:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / TICKS
    except OSError:
        return 0.0


def _signs_of_life(pid):
    """Numbers that change whenever a thread of a process gets a processor or waits for a disk: None where the system does not tell."""
    try:
        told = [((task / "stat").read_text(), (task / "status").read_text()) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return None
    accounts = [stat.rpartition(")")[2].split() for stat, _ in told]
    waits = time.monotonic() if any(account[0] == "D" for account in accounts) else 0.0
    return [account[11:13] for account in accounts], [status.partition("voluntary_ctxt_switches:")[2] for _, status in told], waits
