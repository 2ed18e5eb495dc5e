"""The process that trains one live run: `python -m core.live.worker DESCRIPTOR`, started by `core.live.client`.

Single-threaded: train a chunk, answer what is asked, repeat. A request is (command, arguments); a reply is (kind, value,
at_risk): kind "ok" with the result, "refused" with the error to raise, or "gone" with the worker's last words, one sentence sent
unasked; `at_risk` is how many seconds of training a sudden death could cost. The end of the connection means that the server is
gone, however it went.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import resource
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection

from core.diagnosis.forecast import LIVE
from core.export import STEPS, exported
from core.limits import ConfigError
from core.live import checkpoint
from core.live.forecaster import Forecaster, forecast_or_none
from core.live.persistence import Persistence, loaded
from core.live.priority import give_way
from core.snapshot.maker import SnapshotMaker
from core.training.live_changes import LIVE_CHANGES, needs_new_run
from core.training.recorder import FlightRecorder, last_sound_step
from core.training.replay import Replay
from core.training.telemetry import Event

NICENESS = 4  # pages are answered before networks are trained: with more playing than there are processors, clicks come first
CHUNK = 0.010  # seconds of training between two looks at the connection
HAD_ENOUGH = 1 / 3  # of the time on a processor: a run that gets less gives way to pages
REST, LONGEST_REST = 2.0, 0.1  # seconds that it then rests for every one that it went short, and at most
QUIET = 0.2  # seconds without a command after which a run that stands still looks ahead
RATE_WINDOW = 1.0  # seconds that steps_per_second looks back
RECORDING_SHARE = 0.02  # of the time at most goes into states for the flight recorder
LOOK_REPLAY, FORK_REPLAY = 0.3, 5.0  # seconds of training that may be replayed to show a moment of the past, and to go on from there
TRIAL_STEPS = 2000  # updates that a fix gets at least, to show what it does
SNAPSHOT_SHARE = 0.3  # of the time at most, while training: of a large network not every look brings a new picture


class _Asked(Exception):
    """Something must be done before the present work is finished."""


class Worker:
    """One run with its clock and its checkpoint. What stands below `serve` are the commands.

    The run begins as the StartRequest says, or goes on from the checkpoint at `path` if there is a newer one. Raises ConfigError.
    """

    def __init__(self, connection, settings, path, request):
        self._connection = connection
        self._settings = settings
        self._path = path
        self._speed = request.speed
        self._heard = self._commanded = time.monotonic()
        self._request = None  # what was heard and not answered yet
        self._next_picture = self._heard  # no new one before this time, while training
        self._share = 1.0  # of the time that may be trained
        self._persistence = Persistence(settings, path, request)
        self._begin(*self._persistence.resumed(request))

    def serve(self):
        """Train and answer until the server is gone or has not asked for `exit_after` seconds."""
        with suppress(EOFError, ConnectionError):
            while time.monotonic() < self._heard + self._settings.exit_after:
                if request := self._next_request():
                    self._answer(*request)
                if self._running:
                    self._train()
                elif self._connection.poll():
                    continue
                elif self._persistence.unsaved:
                    self._save()
                elif self._to_look_ahead and time.monotonic() >= self._commanded + QUIET:
                    with suppress(_Asked):
                        self._forecaster.look(self._between)
        self._stand()
        self._save()
        self._persistence.finish()

    def play(self):
        self._past = None
        self._go(math.inf, self._speed)

    def pause(self):
        if self._running:
            self._stand()

    def step(self, updates):
        self._go(self.trainer.step + updates)
        self._train()

    def epoch(self):
        whole = self.trainer.batches_per_epoch
        left = math.ceil((1 - self.trainer.epoch % 1) * whole - 1e-3)  # epochs are fractions: rounding must not cost an update
        self._go(self.trainer.step + (left or whole))

    def reset(self):
        self._leave()
        self.trainer.reset()
        self._begin_anew(self.trainer)

    def configure(self, config, parameters=None):
        self._past = None
        gc.collect()  # what is left of earlier runs, so that never more than two are in memory
        trainer = loaded(config, parameters)
        self._leave()
        self._begin_anew(trainer)
        return self.trainer.config

    def change(self, patch):
        self._recorder.record()
        self.trainer.change(patch)
        self._recorder.note("change", patch)
        self._forecaster.forget()
        self._persistence.unsaved = True
        self._pace = 0.0  # another batch size may take a thousand times as long
        return self.trainer.config

    def edit(self, layer, unit, source, value):
        self._recorder.record()
        self.trainer.edit(layer, unit, source, value)
        self._recorder.note("edit", layer, unit, source, value)
        self._forecaster.forget()
        self._persistence.unsaved = True

    def export(self, name):
        try:
            return exported(name, self.trainer, self.trainer.step or STEPS)
        except MemoryError:
            raise ConfigError("", "This file needs more memory than one run may take here") from None

    def set_speed(self, updates_per_second):
        self._speed = updates_per_second
        if self._running and self._until == math.inf:
            self.play()

    def fork(self, at, patch):
        past = self._past_at(at, FORK_REPLAY).trainer
        config = past.config.patched(patch or {})
        if needs_new_run(past.config, config):
            return self.configure(config)
        if patch:
            past.change(patch)  # refused, it leaves the run as it is
        self._leave(forked_at=past.step)
        self._recorder.forget_after(past.step)
        self._maker.forget_after(past.step)
        self._forecaster.forget_after(past.step)
        self.trainer.restore(past.checkpoint())
        if patch:
            self._recorder.note("change", patch)
        self._past = self._picture = None
        self._sound = 0, 0
        self._stand()
        return config

    def trial_task(self, at):
        """What a trial worker needs to know: (configuration, findings, patches to try first, steps, where the state at `at` is)."""
        config, findings = self.trainer.config, self.snapshot(None).findings
        if at is None:
            return config, findings, (), max(self.trainer.step, TRIAL_STEPS), None
        before = self._past_at(at - 1, FORK_REPLAY).trainer.config.to_dict()  # under which it came to be as it is at `at`
        past = self._past_at(at, FORK_REPLAY).trainer
        path = checkpoint.beside(self._path)
        try:
            checkpoint.save(path, past.checkpoint())
        except OSError as error:
            raise ConfigError("", f"The state to begin with could not be written: {error.strerror}") from None
        settings = {name: before[name] for name in LIVE_CHANGES}
        return config, findings, (settings,), max(self.trainer.step, past.step + TRIAL_STEPS), path

    def snapshot(self, unit, at=None, share=None):
        self._share = share or self._share
        if at is not None and at < self.trainer.step:
            return self._look_back(at, unit)
        rate, started = self._steps_per_second, time.monotonic()
        if self._running and started < self._next_picture and unit == self._unit:
            return dataclasses.replace(self._picture, step=self.trainer.step, epoch=self.trainer.epoch, steps_per_second=rate)
        known = {finding.code for finding in self._picture.findings} if self._picture else set()
        self._picture, self._unit = self._on_record(self._maker.make(self._status, rate, unit)), unit
        if {finding.code for finding in self._picture.findings} - known:
            self._persistence.hasten()
        self._next_picture = started + (time.monotonic() - started) / SNAPSHOT_SHARE
        return self._picture

    def _on_record(self, picture):
        """The picture with what the recorder has to say; at a sign of trouble the last state before it is kept for good."""
        troubles = [finding.step for finding in picture.findings if finding.severity != "info" and not finding.mistake]
        if picture.first_crossing:
            troubles.append(picture.first_crossing[0])
        trouble = min(troubles, default=0)
        if trouble and self._sound != (trouble, self._recorder.at(self._sound[1]).step):
            self._sound = trouble, last_sound_step(self.trainer, self._recorder, trouble)
            self._recorder.pin(self._sound[1])
        healthy = self._sound[1] if trouble else None
        return dataclasses.replace(
            picture,
            kept_steps=self._recorder.overview(healthy),
            healthy_step=healthy,
            forecast=self._forecaster.forecast,
            forecast_history=self._forecaster.history(),
            forecast_due=self._forecaster.outdated and not self._running,
            run_id=self._persistence.run_id,
            store_error=self._persistence.problem,
        )

    def _look_back(self, at, unit):
        past = self._past_at(at, LOOK_REPLAY).trainer
        now = self._picture or self.snapshot(None)
        return dataclasses.replace(
            self._maker.make(self._status, self._steps_per_second, unit, past),
            kept_steps=now.kept_steps,
            healthy_step=now.healthy_step,
            first_crossing=now.first_crossing,
            forecast=forecast_or_none(past, LIVE),
            forecast_history=now.forecast_history,
            run_id=now.run_id,
            store_error=now.store_error,
        )

    def _past_at(self, at, replay):
        """The Replay, taken to step `at`, or at a kept one near it if more than `replay` seconds of training lie between."""
        try:
            self._past = self._past or Replay(self.trainer, self._recorder)
            return self._past.go(min(max(at, 0), self.trainer.step), replay)
        except MemoryError:
            raise ConfigError("", "Going back needs more memory than one run may take here") from None

    @property
    def at_risk(self):
        """Seconds of training that a sudden death could cost at most."""
        return self._persistence.longest_age if self._running or self._persistence.unsaved else 0.0

    @property
    def _status(self):
        if self.trainer.nonfinite is not None:
            return "nonfinite"
        return "running" if self._running else "paused"

    @property
    def _steps_per_second(self):
        if not self._running or len(self._marks) < 2:
            return 0.0
        (started, first), (now, step) = self._marks[0], self._marks[-1]
        return (step - first) / (now - started)

    def _begin(self, trainer, recorder):
        self.trainer, self._recorder = trainer, recorder
        self._next_record = 0.0
        self._past = self._picture = None
        self._sound = 0, 0  # (first step of trouble, the last healthy step before it), as last worked out
        self._forecaster = Forecaster(trainer)
        self._maker = SnapshotMaker(trainer, lambda trainer: self._forecaster.first)
        self._pace = 0.0  # updates a second at full speed, as last measured
        self._stand()

    def _begin_anew(self, trainer):
        self._begin(trainer, FlightRecorder(trainer))
        self._persistence.forget()

    def _leave(self, forked_at=None):
        """The run is about to become another one."""
        self._running = False
        self._persistence.leave(*self._to_be_saved(), forked_at)

    def _save(self):
        self._persistence.save(*self._to_be_saved())

    def _to_be_saved(self):
        return self.trainer, self._recorder, self._status, self._picture.findings if self._picture else ()

    def _stand(self):
        self._running = False
        self._persistence.unsaved = True

    def _go(self, until, speed=None):
        """Train up to step `until`, with `speed` updates a second."""
        now = time.monotonic()
        self._persistence.resume(self._running)
        self._running = self.trainer.nonfinite is None
        self._until = until
        self._interval = 1 / speed if speed else 0.0
        self._due = self._rested = now  # when the next updates may be made: for the speed, and for others who need the processors
        self._marks = deque([(now, self.trainer.step)])

    def _train(self):
        """The updates that are due, for about CHUNK seconds; then look whether to pause and whether to save."""
        started, worked = time.monotonic(), time.thread_time()
        updates = min(self._updates_due(started), self._until - self.trainer.step)
        if updates:
            self.trainer.advance(updates)
            self._persistence.unsaved = True
            now = time.monotonic()
            worked = time.thread_time() - worked
            if self._until == math.inf:  # a number of steps is waited for, and gets no rests
                short = max(0.0, now - started - worked / HAD_ENOUGH)
                self._rested = now + max(min(REST * short, LONGEST_REST), (now - started) * (1 / self._share - 1))
            self._pace = updates / (now - started)
            self._recorder.spent += now - started
            self._marks.append((now, self.trainer.step))
            while self._marks[1][0] < now - RATE_WINDOW:
                self._marks.popleft()
            self._record()
            self._forecaster.glance()
        if self.trainer.nonfinite is not None:
            self._recorder.forget_after(self.trainer.step)  # what went on for a while with finite weights did so after an overflow
            self._stand()
        elif self.trainer.step >= self._until:
            self._stand()
        elif time.monotonic() > self._heard + self._settings.pause_after:
            self._note(f"Paused: not looked at for {spoken(self._settings.pause_after)}")
            self._stand()
        elif self._persistence.unsaved and time.monotonic() >= self._persistence.next:
            self._save()

    def _record(self):
        began = time.thread_time()  # not the clock: on a busy machine it would count others' work too
        if began >= self._next_record:
            with suppress(MemoryError):  # then the past has a gap
                self._recorder.record()
            self._next_record = began + (time.thread_time() - began) / RECORDING_SHARE

    def _updates_due(self, now):
        """How many updates to make now: a chunk at most, and of what could not be made in time nothing is made up for."""
        if now < max(self._due, self._rested):
            return 0
        chunk = max(1, int(CHUNK * self._pace))
        if not self._interval:
            return chunk
        updates = min(chunk, 1 + int((now - self._due) / self._interval))
        self._due = max(self._due + updates * self._interval, now)
        return updates

    def _patience(self):
        """Seconds to wait for a request when there is nothing else to do."""
        now = time.monotonic()
        if not self._running:
            wake = self._commanded + QUIET if self._to_look_ahead else self._heard + self._settings.exit_after
            return 0.0 if self._persistence.unsaved else max(0.0, wake - now)
        wake = min(max(self._due, self._rested), self._heard + self._settings.pause_after)
        return max(0.0, min(wake, self._persistence.next) - now if self._persistence.unsaved else wake - now)

    @property
    def _to_look_ahead(self):
        """Whether a run that stands still has been seen where it stands, and a forecast is what it lacks."""
        return self._picture is not None and self._forecaster.outdated

    def _next_request(self):
        request, self._request = self._request, None
        return request or (self._connection.recv() if self._connection.poll(self._patience()) else None)

    def _between(self):
        """Called between the pieces of long work: looks at the run are answered, and whatever else is asked comes first."""
        while self._connection.poll():
            self._request = self._connection.recv()
            if self._request[0] != "snapshot":
                raise _Asked
            try:
                self._answer(*self._request)
            except MemoryError:
                raise _Asked from None  # there may be enough once the work is given up
            self._request = None

    def _answer(self, command, arguments):
        self._heard = time.monotonic()
        if command != "snapshot":
            self._next_picture = self._commanded = self._heard  # what was done must be seen
        try:
            reply = "ok", getattr(self, command)(*arguments)
        except ConfigError as error:
            reply = "refused", error
        self._connection.send((*reply, self.at_risk))

    def _note(self, text):
        """Mark something on the charts."""
        self.trainer.telemetry.events.append(Event(self.trainer.step, text))


def spoken(seconds):
    """A time as a sentence says it."""
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def main(descriptor):
    """Serve the server at the other end of this socket; it begins with (settings, checkpoint path, StartRequest)."""
    connection = Connection(descriptor)
    settings, path, request = connection.recv()
    give_way(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (settings.worker_memory_bytes,) * 2)
    worker = None
    try:
        worker = Worker(connection, settings, path, request)
        connection.send(("ok", worker.trainer.config, worker.at_risk))
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
        connection.send((*last, worker.at_risk if worker else 0.0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
