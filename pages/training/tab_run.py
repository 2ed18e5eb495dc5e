"""The run that a tab has: how it begins, who drives it, and what becomes of it."""

from __future__ import annotations

from core.diagnosis.trials import Trials
from core.live.client import WorkerDied
from core.live.experiment_client import ExperimentClient
from core.live.process import TooManyRuns
from core.store.store import StoreError
from pages.shell.identity import owner
from pages.shell.tab import is_open
from pages.training.launch import may_take, started


class TabRun:
    """`run_id` is the id of the stored run, None before it is kept; `foreign` says that it is not this person's, or that another server
    trains it, so that it can only be looked at; `may_take` that its data, scripts and weights are to be had: it, or what it is a copy of,
    is this person's or shared. `person` is whose runs this tab's are. `speed` is as LiveRun.set_speed has it.
    `death` (WorkerDied) and `refusal` (TooManyRuns) say why there is no run. `experiment` is the preflight or range test beside it.
    """

    def __init__(self, tab_key):
        self.run_id = self.speed = self.death = self.refusal = None
        self.foreign, self.may_take, self.person = False, True, None
        self.experiment = ExperimentClient()
        self._tab_key = tab_key
        self._live_run = None  # a Future

    def start(self, config, uploads, at=0, run_id=None):
        """Start a worker for the configuration, beside the page, which is drawn meanwhile; have it train to step `at`, or go on where the
        stored run `run_id` stands. ConfigError, when that needs a lent file, leaves all as it was."""
        person = owner()
        may = run_id is None or may_take(run_id, person)
        resolved = uploads.resolved(config, to_look=not may)
        self.death = self.refusal = None
        self.run_id, self.foreign, self.may_take, self.person = run_id, False, may, person
        self._live_run = started(resolved, self.speed, at, run_id, person)

    def ready(self):
        """Wait until the worker has started; whether there is a run, living or not. ConfigError and StoreError say that there can be none
        of this configuration: only now the data was made, or the store asked."""
        try:
            self.live_run  # noqa: B018
        except TooManyRuns as refusal:
            self.refusal = refusal
        except WorkerDied as death:
            self.death = death
        except StoreError:
            self.may_take = False
            raise
        return self.refusal is None

    @property
    def live_run(self):
        """The LiveRun, once it has started; raises what kept it from that."""
        return self._live_run.result()

    @property
    def lives(self):
        """Whether the LiveRun is there by now."""
        return self._live_run.done() and not self._live_run.exception()

    @property
    def watching(self):
        """Whether this tab may only look: another one drives the run, or it is not this person's."""
        if not self.lives:
            return False
        driver = self.live_run.driver
        return self.foreign or (driver not in (None, self._tab_key) and is_open(driver))

    def take_up(self):
        """Drive the run unless another tab does; whether this is the first look at it. One that is found playing without anybody is paused,
        like a stored one."""
        live = self.live_run
        if live.driver not in (None, self._tab_key) and not self.watching:
            live.driver = self._tab_key
            live.pause()
        live.driver = live.driver or self._tab_key
        self.foreign = not live.kept

    def take_over(self):
        """Drive the run from now on; the tab that did can only look."""
        self.live_run.driver = self._tab_key

    def act(self, action, *arguments):
        """Call this method of the run; None of a worker that died (`death`)."""
        try:
            return getattr(self.live_run, action)(*arguments)
        except WorkerDied as death:
            self.death = death

    @property
    def exhausted(self):
        """A sentence when this person's processor time is used up, None otherwise."""
        return self.live_run.exhausted if self.lives else None

    def set_speed(self, speed):
        """See LiveRun.set_speed."""
        self.speed = speed
        self.act("set_speed", speed)

    def recover(self):
        """Go on from the last checkpoint, with the settings it was made with. Raises TooManyRuns and ConfigError."""
        try:
            self.live_run.recover()
            self.death = None
        except WorkerDied as death:
            self.death = death

    def close(self):
        """End the run."""
        self.experiment.cancel()
        if self._live_run.exception() is None:
            self.live_run.close()

    @property
    def trials(self):
        """The Trials of fixes: how far they are and what they found."""
        return self.live_run.trials if self.lives else Trials()
