"""The process that trains one live run: `python -m core.live.worker DESCRIPTOR`, started by `core.live.client`.

Single-threaded: train a chunk, answer what is asked, repeat. A request is (command, arguments); a reply is (kind, value,
at_risk): kind "ok" with the result, "refused" with the error to raise, or "gone" with the worker's last words, one sentence sent
unasked; `at_risk` is how many seconds of training a sudden death could cost. The end of the connection means that the server is
gone, however it went.
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from core.diagnosis.failures import log_once
from core.limits import ConfigError
from core.live.commands import COMMANDS, pause
from core.live.priority import give_way
from core.live.run import Run

if TYPE_CHECKING:
    from core.live.start_request import StartRequest
    from core.settings import Settings

NICENESS = 4  # pages are answered before networks are trained: with more playing than there are processors, clicks come first
QUIET = 0.2  # seconds without a command after which a run that stands still looks ahead
READING = ("snapshot", "export", "examples", "predict", "worst_samples", "trial_task", "surface_task")  # when they fail, the run goes on
LOOKING = ("snapshot", "set_speed")  # commands of whoever may only look at a copy of somebody else's run


class _Asked(BaseException):
    """Something must be done before the present work is finished. No failure of that work, so no Exception."""


class Worker:
    """The line to the server, and the time in between: its `run` is trained, saved and looked ahead of."""

    def __init__(self, connection: Connection, settings: Settings, path: Path, request: StartRequest) -> None:
        self._connection = connection
        self._settings = settings
        self._heard = self._commanded = time.monotonic()
        self._request = None  # what was heard and not answered yet
        self.run = Run(settings, path, request)

    def serve(self) -> None:
        """Train and answer until the server is gone or has not asked for `exit_after` seconds."""
        run = self.run
        with suppress(EOFError, ConnectionError):
            while time.monotonic() < self._heard + self._settings.exit_after:
                if request := self._next_request():
                    self._answer(*request)
                if run.running:
                    run.train()
                    if time.monotonic() > self._heard + self._settings.pause_after:
                        pause(run, f"Paused: not looked at for {spoken(self._settings.pause_after)}")
                    elif run.running and run.persistence.due:
                        run.save()
                elif self._connection.poll():
                    continue
                elif run.persistence.unsaved:
                    run.save()
                elif run.forecast_due and time.monotonic() >= self._commanded + QUIET:
                    with suppress(_Asked):
                        run.pictures.forecaster.look(self._between)
        run.finish()

    def patience(self) -> float:
        """Seconds to wait for a request when there is nothing else to do."""
        now, run = time.monotonic(), self.run
        if not run.running:
            wake = self._commanded + QUIET if run.forecast_due else self._heard + self._settings.exit_after
            return 0.0 if run.persistence.unsaved else max(0.0, wake - now)
        wake = min(run.pacing.wake, self._heard + self._settings.pause_after)
        return max(0.0, min(wake, run.persistence.next) - now if run.persistence.unsaved else wake - now)

    def _next_request(self):
        request, self._request = self._request, None
        return request or (self._connection.recv() if self._connection.poll(self.patience()) else None)

    def _between(self):
        """Called between the pieces of long work: looks at the run are answered, and whatever else is asked comes first."""
        while self._connection.poll():
            try:
                self._request = self._connection.recv()
                if self._request[0] != "snapshot":
                    raise _Asked
                self._answer(*self._request)
            except (EOFError, ConnectionError, MemoryError):  # the server has gone; or there may be enough once the work is given up
                raise _Asked from None
            self._request = None

    def _answer(self, command, arguments):
        self._heard = time.monotonic()
        if command != "snapshot":
            self._commanded = self._heard
            self.run.pictures.expire()  # what was done must be seen
        try:
            if command not in LOOKING:
                self.run.persistence.check_taking()
            reply = "ok", COMMANDS[command](self.run, *arguments)
        except ConfigError as error:
            reply = "refused", error
        except Exception as error:
            if command not in READING or isinstance(error, MemoryError):
                raise
            log_once(f"The command {command} failed", error)
            reply = "refused", ConfigError("", "This could not be worked out; the run itself is not affected")
        self._connection.send((*reply, self.run.at_risk))


def spoken(seconds: float) -> str:
    """A time as a sentence says it."""
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def main(descriptor: int) -> None:
    """Serve the server at the other end of this socket; it begins with (settings, checkpoint path, StartRequest)."""
    connection = Connection(descriptor)
    settings, path, request = connection.recv()
    give_way(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (settings.worker_memory_bytes,) * 2)
    worker = None
    try:
        worker = Worker(connection, settings, path, request)
        connection.send(("ok", worker.run.trainer.config, worker.run.at_risk))
        worker.serve()
        last = "gone", f"The run was not looked at for {spoken(settings.exit_after)} and was put away."
    except ConfigError as error:
        last = "refused", error
    except ConnectionError:
        return  # the server went while this began
    except Exception as error:
        traceback.print_exc()
        last = "gone", f"The training process failed: {traceback.format_exception_only(error)[-1].strip()}."
    with suppress(ConnectionError):
        connection.send((*last, worker.run.at_risk if worker else 0.0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
