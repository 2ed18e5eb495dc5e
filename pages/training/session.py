"""What one browser tab holds of the playground: the run, what its controls show, and what is looked at."""

from __future__ import annotations

import weakref

import streamlit as st

from core.lesson import Lesson, lesson_of
from core.limits import ConfigError
from core.link import flat, nested
from core.live.client import TRAINING
from core.live.process import TooManyRuns
from core.presets import OPENING
from core.store.store import StoreError
from core.training.live_changes import LIVE_CHANGES
from pages import wording
from pages.shell.identity import owner
from pages.shell.tab import tab
from pages.training.address import Address, parts
from pages.training.control_names import control_names
from pages.training.draft import Draft
from pages.training.launch import linked
from pages.training.tab_run import TabRun
from pages.training.transport import SPEED

KEY = "session"
TAKING = ("export", "examples", "predict", "worst_samples")  # what only the owner gets out of a run, and who it is shared with
ELSEWHERE = "This run is only looked at here: it is driven in another tab, or it is somebody else's"


def session():
    """This tab's session, begun with the address's link at the first call."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Session(st.query_params.to_dict())
    return st.session_state[KEY]


class Session:
    """`draft` is what the controls show and the configuration in use, `run` this tab's run, `address` what the browser's address shows.

    `lesson` is what a link for a class asks for, `notice` what the person must know first. `last_snapshot` is what was last seen of the
    run, `playing` whether it played then, `picked` the unit looked at: (layer from 1, index from 0). `moment` is the past step that is
    shown (None: the present), `now` the run's own.
    `replay` is the slow replay (timebar.Replay) that moves it on.
    `tried_from` is where the trials of fixes began: a past step, or None for step 0.
    """

    def __init__(self, query):
        self.draft = Draft(weakref.WeakMethod(self._follow))  # no circle: a tab that goes takes its run along at once
        self.run = TabRun(tab().key)
        self.address = Address()
        self.lesson = Lesson()
        self.notice = self.picked = self.last_snapshot = self.moment = self.tried_from = None
        self.now = 0
        self.replay = None
        self.playing = False
        self._open(*parts(query))

    @property
    def config(self):
        """The configuration in use."""
        return self.draft.config

    # The address

    def _open(self, settings, run_id, lesson):
        """Begin with what a link asks for."""
        config, at, run_id = self._linked(settings, run_id)
        self.draft.adopt(config)
        self.picked, self.run.speed = None, SPEED
        self.address.opened(settings, run_id, config, lesson)
        self._teach(lesson)
        self.start(at, run_id)

    def follow_address(self, led):
        """Follow the address if the Back button or a link of another page led to it; then have it follow the run."""
        asked = self.address.asked(led, self.run.run_id)
        if asked and asked[1]:
            self._open(*asked)
        elif asked:
            config, at, _ = self._linked(asked[0]) if asked[0] else (self.address.plain, 0, None)
            self.lesson = Lesson()  # what another link has locked is no matter any more
            self.draft.load(config)
            self._teach(asked[2])
            if at and not self.run.refusal:
                self.moment = None
                self.act("reset")
                self.act("step", at)
        living = self.run.lives and not self.run.foreign
        self.address.write(self.config, self.run.live_run.run_id if living else self.run.run_id)

    def _teach(self, query):
        """Take up what a link holds for a class, and tell what of it cannot be."""
        self.lesson, problems = lesson_of(query, control_names())
        told = [f"{wording.complaint(problem)}." for problem in problems]
        self.notice = " ".join([*([self.notice] if self.notice else []), *told]) or None

    def _linked(self, settings, run_id=None):
        config, at, run_id, problem = linked(settings, run_id, self.draft.uploads, owner())
        self.notice = problem or self.notice
        return config, at, run_id

    # The run

    def start(self, at=0, run_id=None):
        """Begin the run of the configuration in use: see TabRun.start."""
        self.run.start(self.config, self.draft.uploads, at, run_id)
        self.last_snapshot = self.moment = None

    def start_again(self):
        """Step 0 of a run of this person's own; of somebody else's that needs a lent file, another look; of one that there was no room
        for, another try."""
        self.start(run_id=self.run.run_id if self.draft.borrows or self.run.refusal else None)

    def open_again(self):
        """Go on with a run that was closed to make room, as the store has it."""
        self.start(run_id=self.run.run_id)

    def ready(self):
        """Wait until the run has begun; False when there is no room for it. Where there can be none of this configuration, the opening one
        begins."""
        try:
            if self.run.ready() and not self.run.death:
                self._take_up()
        except (ConfigError, StoreError) as error:
            if isinstance(error, ConfigError) or not self.run.may_take:
                self.draft.adopt(OPENING)
            refused = "This configuration cannot run, so you see the default."
            self.notice = str(error) if isinstance(error, StoreError) else f"{refused} {wording.complaint(error)}."
            self.start()
            return self.ready()
        return self.run.refusal is None

    def _take_up(self):
        """Drive the run unless another tab does, with the settings that it has: another tab may have changed them."""
        self.run.take_up()
        first = self.run.run_id is not None and self.last_snapshot is None
        if first:
            self.run.speed = self.run.live_run.speed
        if (first or self.run.watching) and (config := self._config_of_run()) != self.config:
            self.draft.adopt(config)

    def take_over(self):
        """Drive the run from now on; the tab that did can only look."""
        self.run.take_over()
        self.draft.adopt(self._config_of_run())

    def act(self, action, *arguments):
        """Call this method of the run; a worker that died shows at the next look. Who only watches only looks, and takes what they
        may take."""
        if action != "snapshot" and (not self.run.may_take if action in TAKING else self.run.watching):
            self.notice = ELSEWHERE
            return None
        self.playing = self.playing or action == "play"  # until it is looked at: a change that comes before that goes on playing
        try:
            return self.run.act(action, *arguments)
        except ConfigError as error:
            if action not in TRAINING:
                raise
            self.notice = f"{wording.complaint(error)}."  # nothing was changed: it only does not train now
            return None

    def look(self):
        """The Snapshot of the moment that is shown. Of a worker that is gone the last one; None when there was none."""
        try:
            snapshot = self.act("snapshot", self.picked, self.moment)
        except ConfigError as error:  # no memory to go back
            self.notice, self.moment = str(error), None
            snapshot = self.act("snapshot", self.picked)
        self.playing = snapshot is not None and snapshot.status == "running"
        if snapshot is not None:
            self.run.run_id = snapshot.run_id or (self.run.run_id if self.run.foreign else None)
            self.last_snapshot, self.moment = snapshot, snapshot.moment
            self.now = snapshot.step if snapshot.moment is None else self.now
        return self.last_snapshot

    @property
    def needs_updates(self):
        """Whether the next look will show something else: the run plays, fixes are being tried, or a forecast is due."""
        seen = self.last_snapshot
        if self.run.death is not None or seen is None:
            return False
        to_be_kept = seen.step > 0 and seen.run_id is None and seen.store_error is None and not self.run.foreign
        return (
            self.playing
            or self.replay is not None
            or self.run.trials.running
            or self.run.experiment.look().running
            or self.run.watching
            or to_be_kept
            or seen.forecast_due
        )

    def recover(self):
        """Go on from the last checkpoint, with the settings it was made with."""
        try:
            self.run.recover()
        except (TooManyRuns, ConfigError) as error:
            self.notice = str(error)
            return
        if self.run.death is None:
            self.moment = None
            self.draft.adopt(self._config_of_run())

    def _config_of_run(self):
        """The configuration of the run; where its file went with the tab that brought it, the one in use."""
        try:
            return self.draft.uploads.named(self.run.live_run.config)
        except ConfigError as error:
            self.notice = wording.complaint(error)
            return self.config

    # The past, and fixes

    def settings_since(self):
        """The settings of the controls that differ from those of the past moment that is shown: a patch, empty if none does."""
        then, now = self.last_snapshot.config, self.config.to_dict()
        return {name: now[name] for name in LIVE_CHANGES if now[name] != then[name]}

    def go_on_from(self, at, patch=None):
        """Go on from step `at` with the settings of then, or with these changed: that is another run."""
        try:
            self.lesson.check(flat(self.config), flat(self.config.patched(patch or {})))
            forked = self.act("fork", at, patch)
        except ConfigError as error:
            self.notice = str(error)
            return
        self.moment = None
        if forked is not None:
            self.draft.adopt(self._config_of_run())

    def apply(self, patch, at=None):
        """Take over a fix: from step `at` where a living run can, otherwise as a new run, which plays if this one had begun."""
        began = self.now > 0
        if at is not None:
            self.go_on_from(at, patch)
        else:
            try:
                config = self.config.patched(patch)
                self.begin_anew(config)
            except ConfigError as error:
                self.notice = wording.complaint(error)
                return
            self.draft.adopt(config)
        if began:
            self.act("play")

    def try_fixes(self, at=None):
        """Begin to try fixes out, from step 0, or from step `at` on what a living run can change."""
        self.tried_from = at
        try:
            self.act("try_fixes", at)
        except (TooManyRuns, ConfigError) as error:
            self.notice = str(error)

    # The configuration

    def open_weights(self, config, parameters):
        """Use a configuration and weights that fit it. ConfigError leaves the run untouched."""
        self.begin_anew(config, parameters)
        self.draft.adopt(config)

    def _follow(self, config):
        """Have the run follow the draft: a live change, or step 0 of a new run, which goes on playing. ConfigError leaves it untouched."""
        if not self.run.refusal and self.run.watching:
            raise ConfigError("", ELSEWHERE)
        old, new = flat(self.config), flat(config)
        patch = nested({name: value for name, value in new.items() if value != old[name]})
        self.lesson.check(old, new)
        if self.run.refusal:
            self.draft.config = config
            self.start()
        elif patch and set(patch) <= set(LIVE_CHANGES) and "name" not in patch.get("optimizer", {}):
            self.act("change", patch)
        elif patch:
            self.begin_anew(config)

    def begin_anew(self, config, parameters=None):
        """Step 0 of a run of this configuration, which goes on playing; `parameters` are its first weights, if they are not drawn.
        ConfigError leaves the run untouched."""
        if self.run.watching:
            raise ConfigError("", ELSEWHERE)
        self.lesson.check(flat(self.config), flat(config))
        playing = self.playing
        self.act("configure", self.draft.uploads.resolved(config), parameters)
        self.picked = self.moment = None
        if playing:
            self.act("play")
