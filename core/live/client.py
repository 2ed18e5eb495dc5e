"""The page's handle on one live run: a worker process that trains, and the line to it."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from core.limits import ConfigError
from core.live import checkpoint, quota, registry
from core.live.memory import expected_bytes, peak_bytes
from core.live.pacing import GROWING, Speed
from core.live.process import LEAVING, ChildProcess, TooManyRuns
from core.live.start_request import StartRequest
from core.live.trials_client import TrialsClient
from core.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from core.config import RunConfig
    from core.diagnosis.trials import Trials
    from core.experiments.surface import SurfaceTask
    from core.prediction import Prediction
    from core.snapshot.snapshot import Snapshot, WorstSamples

TRAINING = ("play", "step", "epoch")  # what takes a visitor's processor time


class WorkerDied(RuntimeError):
    """The worker is gone. `message` is one sentence for the user, `checkpoint_step` where `recover` goes on, and `seconds_lost` how
    many seconds of training are gone at most. `put_away`: it was closed on purpose, and what it was is in the store."""

    def __init__(self, message: str, checkpoint_step: int, seconds_lost: float, put_away: bool = False) -> None:
        super().__init__(message)
        self.put_away = put_away
        self.message = message
        self.checkpoint_step = checkpoint_step
        self.seconds_lost = seconds_lost


class LiveRun:
    """A run that trains in a process of its own. Any thread may call; calls wait for each other, and for one chunk of training.

    It begins at step 0 of `config`; or where the store has `run_id`, and then `config` says only where its data file is. A `kept`
    run is saved in the store as `owner`'s; its id there is `run_id`, None until it is saved for the first time. A stored run that is not
    `kept` is a copy: unless `owner` may take what it is made of (Store.access), all but `snapshot` is refused with a ConfigError.
    `speed` is as it was set. `driver` is for the pages: who of several that look at it may do more than look.

    Every method but `recover` and `close` raises WorkerDied once the worker is gone. Starting, as `recover` does too, raises
    TooManyRuns, and ConfigError when the data cannot be loaded or the store cannot give the run. Closed or garbage-collected, a run leaves
    neither process nor file, but for what the store keeps.
    """

    def __init__(
        self, config: RunConfig, settings: Settings | None = None, run_id: str | None = None, kept: bool = False, owner: str | None = None
    ) -> None:
        self.config, self.run_id = config, run_id
        self.owner, self.driver = owner, None
        self.kept = kept
        self._settings = settings or Settings.from_environment()
        self.speed: Speed = None  # updates a second, as set
        self._lock = threading.RLock()
        self._path = checkpoint.new_path(self._settings.checkpoint_folder)
        self._worker = ChildProcess("core.live.worker")
        self._trials = TrialsClient(self._settings, self._path, owner)
        self._closing = weakref.finalize(self, _leave_nothing, self._worker, self._trials, self._path, LEAVING if kept else 0.0)
        self.looked_at = self.pressed_at = time.monotonic()  # when that was last
        self._plays_until = 0.0  # as far as is known
        self._death: Any = None  # what WorkerDied is raised with
        try:
            with self._lock:  # whoever finds it now waits until it has begun
                registry.register(self)
                self._start()
        except BaseException:
            self.close()
            raise

    def play(self) -> None:
        """Train until told otherwise; after a non-finite value nothing happens."""
        self._ask("play")

    def pause(self) -> None:
        """Stand still."""
        self._ask("pause")

    def step(self, updates: int = 1) -> None:
        """Make this many updates at full speed, then stand still. Waits for the first 10 ms of them only."""
        self._ask("step", updates)

    def epoch(self) -> None:
        """Train at full speed to the end of the current epoch, then stand still. Does not wait for it."""
        self._ask("epoch")

    def reset(self) -> None:
        """Back to step 0 with the same first weights and the current settings, paused."""
        self._ask("reset")
        self.run_id = None

    def new_seed(self) -> RunConfig:
        """Step 0 with the next seed's weights, paused. Returns the new configuration."""
        with self._lock:
            return self.configure(dataclasses.replace(self.config, seed=(self.config.seed + 1) % 2**31))

    def configure(self, config: RunConfig, parameters: dict[str, np.ndarray] | None = None) -> RunConfig:
        """Step 0 of another configuration, paused, in the same process; with `parameters`, in the shapes of `Trainer.parameters()`,
        these are its first weights. After a ConfigError the old run is untouched."""
        self.cancel_trials()
        return self._reconfigure("configure", config, parameters)

    def change(self, patch: dict[str, Any]) -> RunConfig:
        """Change settings (those in LIVE_CHANGES) while it runs; ConfigError for others. Returns the new configuration."""
        return self._reconfigure("change", patch)

    def fork(self, at: int, patch: dict[str, Any] | None = None) -> RunConfig:
        """Go back to step `at` and stand there: another path begins, which the store keeps as a run of its own.

        With a `patch` its settings hold from there on; but when a living run cannot change them, it is step 0 of a new run with the
        settings of that moment and these. Where too much training would have to be replayed to get to `at`, it is the nearest moment
        the recorder has. Returns the configuration; ConfigError leaves the run untouched.
        """
        self.cancel_trials()
        return self._reconfigure("fork", at, patch)

    def edit(self, layer: int, unit: int, source: int | None, value: float) -> None:
        """Set one weight, or with `source` None the bias, of a unit: layer from 1, unit and source from 0."""
        self._ask("edit", layer, unit, source, value)

    def export(self, name: str) -> bytes:
        """The bytes of this run as it stands in a format of core.export.EXPORTS; ConfigError for what that cannot hold."""
        return self._ask("export", name)

    def examples(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Of a run on a file: ((column, its most typical value, values over its range), ...) of its inputs, as texts."""
        return self._ask("examples")

    def predict(self, rows: bytes | list[dict[str, str]] | tuple[float, ...]) -> Prediction:
        """The Prediction (core.prediction) for a table's bytes, rows [{column: text}], or the numbers of one picture; ConfigError when they
        do not fit the run."""
        return self._ask("predict", rows)

    def worst_samples(self, part: str, at: int | None = None) -> WorstSamples:
        """The WorstSamples of the "train" or "test" part, now or as they were at or near step `at`: see `snapshot`."""
        return self._ask("worst_samples", part, at)

    def surface_task(self, random: bool = False) -> SurfaceTask:
        """What an experiment "surface" is made of, now (core.experiments.surface.SurfaceTask); ConfigError for too large a network."""
        return self._ask("surface_task", random)

    def set_speed(self, updates_per_second: Speed) -> None:
        """Updates a second while playing, evenly spread; None is as fast as it can, and pacing.GROWING slow at first and faster later."""
        if updates_per_second not in (None, GROWING) and not 0 < updates_per_second < math.inf:
            raise ValueError(f"updates_per_second must be a number above 0 or None; was {updates_per_second!r}")
        with self._lock:
            self._ask("set_speed", updates_per_second)
            self.speed = updates_per_second

    def snapshot(self, unit: tuple[int, int] | None = None, at: int | None = None) -> Snapshot:
        """What the page draws now, with a close look at one unit: (layer from 1, index from 0).

        With `at`, a step of the past, all as it was then (see `moment`), the run itself being left alone; or as it was at the nearest
        moment the recorder has, where too much training would have to be replayed. ConfigError when there is no memory for that.
        """
        snapshot = self._ask("snapshot", unit, at, registry.training_share() if self.speed in (None, GROWING) else 1.0)
        self.looked_at = time.monotonic()
        self._worker.needs = peak_bytes(self.config, snapshot.inputs, self.config.data.samples)  # of a file it was a guess
        self._plays_until = self.looked_at + self._settings.pause_after if snapshot.status == "running" else 0.0
        if self.kept:
            self.run_id = snapshot.run_id
        if self._plays_until and self.exhausted:
            self._ask("pause", "Paused: the processor time of an hour is used up")
        return snapshot

    def try_fixes(self, at: int | None = None) -> None:
        """Try out, in a process of its own, what might mend this run: see `trials`. Trials still running are cancelled.

        What a living run can change is tried from step `at` on, say from `healthy_step`, all else from step 0; without `at` everything is.
        Raises TooManyRuns: trials take the place of a run while they last.
        """
        with self._lock:
            self._trials.start(lambda: self._ask("trial_task", at), expected_bytes(self.config))

    @property
    def trials(self) -> Trials:
        """The Trials that `try_fixes` began: how far they are, and what they found so far."""
        with self._lock:
            return self._trials.look()

    def cancel_trials(self) -> None:
        """Stop the trials and forget what they found."""
        with self._lock:
            self._trials.cancel()

    def recover(self) -> None:
        """After WorkerDied: a new worker, paused at the last checkpoint (at step 0 if there is none). A living one is left alone."""
        with self._lock:
            if self._death is not None and self._closing.alive:
                self._start()
                self._death = None

    @property
    def exhausted(self) -> str | None:
        """A sentence when its owner's processor time is used up, None otherwise."""
        return quota.exhausted(self.owner, self._settings)

    @property
    def plays(self) -> bool:
        """Whether it plays as far as is known."""
        return not self.over and time.monotonic() < self._plays_until

    @property
    def over(self) -> bool:
        """Whether its worker is known to be gone."""
        return self._death is not None

    def close(self, why: str = "The run was closed.") -> None:
        """End the run; its checkpoint goes too, but for what the store keeps. Who looks at it all the same is told `why`."""
        if not self.kept:
            self._worker.kill()  # whoever waits for an answer now gets WorkerDied
        with self._lock:
            self._closing()
            self._death = why, 0, 0.0, self.kept

    def _start(self):
        self._worker.start(self._settings, self.owner, expected_bytes(self.config))
        self._at_risk, self._started = 0.0, time.time()
        try:
            request = StartRequest(self.config, self.run_id, self.speed, self.kept, self.owner)
            self.config = self._exchange((self._settings, self._path, request))
        except ConfigError:
            self._worker.end()
            raise

    def _ask(self, command, *arguments) -> Any:
        with self._lock:
            if self._death is not None:
                raise WorkerDied(*self._death)
            if command != "snapshot":
                self.pressed_at = time.monotonic()
            if command in TRAINING and self.exhausted:
                raise ConfigError("", self.exhausted.removesuffix("."))
            return self._exchange((command, arguments))

    def _reconfigure(self, command, *arguments) -> RunConfig:
        with self._lock:
            if command == "configure":
                self._make_room(arguments[0])
            self.config = self._ask(command, *arguments)
            if command != "change":
                self.run_id = None  # it is another one now
            return self.config

    def _make_room(self, config):
        """Raise ConfigError unless there is memory for this configuration in the place of its own."""
        try:
            self._worker.reserve(expected_bytes(config), self._settings)
        except TooManyRuns as full:
            raise ConfigError("", str(full).removesuffix(".")) from None

    def _exchange(self, message) -> Any:
        self._worker.send(message)
        reply = self._worker.receive(self._settings.reply_timeout)
        answer: Any = reply or ("gone", self._worker.story(self._settings.reply_timeout), self._at_risk)
        kind, value, self._at_risk = answer
        if kind == "gone":
            self._worker.end()
            step, saved = checkpoint.saved(self._path) or (0, self._started)
            self._death = value, step, min(max(0.0, time.time() - saved), self._at_risk)
            raise WorkerDied(*self._death)
        if kind == "refused":
            raise value
        return value


def _leave_nothing(worker, trials, path, patience):
    worker.end(patience)
    trials.cancel()
    checkpoint.remove(path)
