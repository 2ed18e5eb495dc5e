"""The run of a worker process: what it is told to do, and its training."""

from __future__ import annotations

import dataclasses
import gc
import math
import time
from contextlib import suppress

from core.export import STEPS, exported
from core.limits import ConfigError
from core.live import checkpoint
from core.live.pacing import Pacing
from core.live.persistence import Persistence, loaded
from core.live.pictures import Pictures
from core.training.live_changes import LIVE_CHANGES, needs_new_run
from core.training.recorder import FlightRecorder
from core.training.telemetry import Event

RECORDING_SHARE = 0.02  # of the time at most goes into states for the flight recorder
FORK_REPLAY = 5.0  # seconds of training that may be replayed to go on from a moment of the past
TRIAL_STEPS = 2000  # updates that a fix gets at least, to show what it does


class Run:
    """One run with its clock, its pictures and its checkpoint. What stands below `snapshot` is for the worker, the rest are commands.

    It begins as the StartRequest says, or goes on from the checkpoint at `path` if there is a newer one. Raises ConfigError.
    """

    def __init__(self, settings, path, request):
        self._path = path
        self.pacing = Pacing(request.speed)
        self.persistence = Persistence(settings, path, request)
        self._begin(*self.persistence.resumed(request))

    def play(self):
        self.pictures.leave_past()
        self._go(math.inf)

    def pause(self, why=None):
        if self.running:
            if why:
                self.trainer.telemetry.events.append(Event(self.trainer.step, why))
            self._stand()

    def step(self, updates):
        self._go(self.trainer.step + updates)
        self.train()

    def epoch(self):
        whole = len(self.trainer.batches)
        left = math.ceil((1 - self.trainer.epoch % 1) * whole - 1e-3)  # epochs are fractions: rounding must not cost an update
        self._go(self.trainer.step + (left or whole))

    def reset(self):
        self._leave()
        self.trainer.reset()
        self._begin(self.trainer)
        self.persistence.forget()

    def configure(self, config, parameters=None):
        self.pictures.leave_past()
        gc.collect()  # what is left of earlier runs, so that never more than two are in memory
        trainer = loaded(config, parameters)
        self._leave()
        self._begin(trainer)
        self.persistence.forget()
        return self.trainer.config

    def change(self, patch):
        self._recorder.record()
        self.trainer.change(patch)
        self._done("change", patch)
        self.pacing.forget()
        return self.trainer.config

    def edit(self, layer, unit, source, value):
        self._recorder.record()
        self.trainer.edit(layer, unit, source, value)
        self._done("edit", layer, unit, source, value)

    def export(self, name):
        try:
            return exported(name, self.trainer, self.trainer.step or STEPS)
        except MemoryError:
            raise ConfigError("", "This file needs more memory than one run may take here") from None

    def set_speed(self, updates_per_second):
        self.pacing.speed = updates_per_second
        if self.running and self.pacing.until == math.inf:
            self.play()

    def fork(self, at, patch):
        past = self.pictures.replayed(at, FORK_REPLAY)
        config = past.config.patched(patch or {})
        if needs_new_run(past.config, config):
            return self.configure(config)
        if patch:
            past.change(patch)  # refused, it leaves the run as it is
        self._leave(forked_at=past.step)
        self._recorder.forget_after(past.step)
        self.trainer.restore(past.checkpoint())
        self.pictures.forget_after(past.step)
        if patch:
            self._recorder.note("change", patch)
        self._stand()
        return config

    def trial_task(self, at):
        """What a trial worker needs to know: (configuration, findings, patches to try first, steps, where the state at `at` is)."""
        config, findings = self.trainer.config, self.snapshot(None).findings
        if at is None:
            return config, findings, (), max(self.trainer.step, TRIAL_STEPS), None
        before = self.pictures.replayed(at - 1, FORK_REPLAY).config.to_dict()  # under which it came to be as it is at `at`
        past = self.pictures.replayed(at, FORK_REPLAY)
        path = checkpoint.beside(self._path)
        try:
            checkpoint.save(path, past.checkpoint())
        except OSError as error:
            raise ConfigError("", f"The state to begin with could not be written: {error.strerror}") from None
        settings = {name: before[name] for name in LIVE_CHANGES}
        return config, findings, (settings,), max(self.trainer.step, past.step + TRIAL_STEPS), path

    def snapshot(self, unit, at=None, share=None):
        self.pacing.share = share or self.pacing.share
        rate = self.pacing.steps_per_second if self.running else 0.0
        if at is not None and at < self.trainer.step:
            picture = self.pictures.past(at, self._status, rate, unit)
        else:
            known = {finding.code for finding in self._findings}
            picture = self.pictures.present(self._status, rate, unit)
            if {finding.code for finding in picture.findings} - known:
                self.persistence.hasten()
        return dataclasses.replace(picture, run_id=self.persistence.run_id, store_error=self.persistence.problem)

    @property
    def at_risk(self):
        """Seconds of training that a sudden death could cost at most."""
        return self.persistence.longest_age if self.running or self.persistence.unsaved else 0.0

    @property
    def forecast_due(self):
        """Whether a run that stands still has been seen where it stands, and a forecast is what it lacks."""
        return self.pictures.last is not None and self.pictures.forecaster.outdated

    def train(self):
        """The updates that are due; then look whether to stand still."""
        started, worked = time.monotonic(), time.thread_time()
        updates = self.pacing.updates_due(self.trainer.step)
        if updates:
            self.trainer.advance(updates)
            self.persistence.unsaved = True
            seconds = time.monotonic() - started
            self.pacing.trained(self.trainer.step, updates, seconds, time.thread_time() - worked)
            self._recorder.spent += seconds
            self._record()
            self.pictures.forecaster.glance()
        if self.trainer.nonfinite is not None:
            self._recorder.forget_after(self.trainer.step)  # what went on for a while with finite weights did so after an overflow
            self._stand()
        elif self.trainer.step >= self.pacing.until:
            self._stand()

    def save(self):
        """Save it as it is now."""
        self.persistence.save(self.trainer, self._recorder, self._status, self._findings)

    def finish(self):
        """Nobody listens any more: stand still, and wait until all is saved."""
        self._stand()
        self.save()
        self.persistence.finish()

    @property
    def _status(self):
        if self.trainer.nonfinite is not None:
            return "nonfinite"
        return "running" if self.running else "paused"

    @property
    def _findings(self):
        return self.pictures.last.findings if self.pictures.last else ()

    def _begin(self, trainer, recorder=None):
        self.trainer, self._recorder = trainer, recorder or FlightRecorder(trainer)
        self._next_record = 0.0
        self.pictures = Pictures(trainer, self._recorder)
        self.pacing.forget()
        self._stand()

    def _leave(self, forked_at=None):
        """The run is about to become another one."""
        self.running = False
        self.persistence.leave(self.trainer, self._recorder, self._status, self._findings, forked_at)

    def _done(self, method, *arguments):
        """This has just been done to the run."""
        self._recorder.note(method, *arguments)
        self.pictures.forecaster.forget()
        self.persistence.unsaved = True

    def _stand(self):
        self.running = False
        self.persistence.unsaved = True

    def _go(self, until):
        """Train up to step `until`."""
        self.persistence.resume(self.running)
        self.running = self.trainer.nonfinite is None
        self.pacing.start(self.trainer.step, until)

    def _record(self):
        began = time.thread_time()  # not the clock: on a busy machine it would count others' work too
        if began >= self._next_record:
            with suppress(MemoryError):  # then the past has a gap
                self._recorder.record()
            self._next_record = began + (time.thread_time() - began) / RECORDING_SHARE
