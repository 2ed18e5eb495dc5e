"""What one browser tab holds: what the controls show, the configuration in use, and the run."""

from __future__ import annotations

import streamlit as st

from core.config import LayerConfig, RunConfig, suggested_output
from core.data.sources import SOURCES
from core.diagnosis.trials import Trials
from core.limits import ConfigError
from core.link import RUN, flat, nested, stored_run, to_query
from core.live.client import TooManyRuns, WorkerDied
from core.presets import OPENING
from core.store.store import StoreError
from core.training.live_changes import LIVE_CHANGES
from pages import wording
from pages.shell.identity import is_open, owner, this_tab
from pages.shell.requests import navigated, uninterrupted
from pages.training.launch import is_own, linked, started, with_suited_output
from pages.training.uploads import Uploads

KEY = "session"
DATA_SHAPE = ("data.source", "data.path", "data.task", "data.target")  # what decides how many outputs there are, and of which kind
ELSEWHERE = "This run is only looked at here: it is driven in another tab, or it is somebody else's"
NO_FILE = ConfigError("data.path", "must be chosen; there is none yet")


def session():
    """This tab's session, begun with the address's link at the first call."""
    if KEY not in st.session_state:
        _begin()
    return st.session_state[KEY]


@uninterrupted
def _begin():
    if KEY not in st.session_state:
        st.session_state[KEY] = Session(st.query_params.to_dict())


class Session:
    """What a tab holds besides its widgets.

    `draft` {dotted path: value} is what the controls show, valid or not; `config` is what the run uses, with an upload's token
    for its path; `problem` (ConfigError) says why they differ, `explained` that it is told beside its control. `notice` is what
    the person must know first. `death` (WorkerDied) and `refusal` (TooManyRuns) say why there is no run. `playing` is how the run
    was last seen, `speed` its steps a second (None: all that can be had), `picked` the unit looked at: (layer from 1, index from 0),
    `seen` the last Snapshot. `moment` is the past step that is shown (None: the present), `now` the run's own. `tried_from` is where
    the trials of fixes began: a past step, or None for step 0. `had_findings` says that something was wrong with this run. `run` is the id
    of the stored run, None before it is kept; `foreign` says that it is not this person's, or that another server trains it, so that it
    can only be looked at. `awake` tells that the browser has drawn the page: a timer that fires earlier is answered without the widgets
    that it has not made yet.
    """

    def __init__(self, query):
        self.uploads = Uploads()
        self.notice = self.problem = self.death = self.refusal = self.picked = self.speed = self.seen = None
        self.moment = self.tried_from = None
        self.now = 0
        self.playing = self.explained = self.had_findings = self.awake = False
        self._run = None
        self._tab = this_tab()
        self._open(*stored_run(query))

    # The address

    def _open(self, settings, run):
        """Begin with what a link asks for."""
        config, at, run = self._linked(settings, run)
        self._adopt(config)
        self.picked = self.speed = None
        self.had_findings = False
        self._plain = OPENING if settings else config  # what an address without settings stands for
        self._settings = settings  # what the address shows
        self._addressed = None if settings and run else config  # what that stands for: a run may have gone on with others
        self.start(at, run)

    @uninterrupted
    def follow_address(self):
        """Follow the address if the Back button or a link of another page led to it. Otherwise the browser has yet to hear which address
        belongs to what is shown."""
        settings, run = stored_run(st.query_params.to_dict())
        led = navigated()
        if led and run not in (None, self.run):
            self._open(settings, run)
        elif led and settings != self._settings and not (led == "link" and run and not settings):  # that is a link to the very run
            config, at, _ = self._linked(settings) if settings else (self._plain, 0, None)
            self.load(config)
            if at and not self.refusal:
                self.moment = None
                self.act("reset")
                self.act("step", at)
        self._write_address(settings)

    def _write_address(self, shown):
        """Put the configuration in use into the address, unless these settings are `shown` there; an empty one stands for what the page
        opened with. The id of a run that is kept stays there; that of another one is added by the browser (live.js), once it is: that is
        no step to come back to."""
        if self.config != self._addressed:
            self._settings = to_query(self.config) if shown or self.config != self._plain else {}
            self._addressed = self.config
        if self._settings != shown:
            living = self._run.done() and not self._run.exception() and not self.foreign
            run = self._run.result().run if living else self.run
            st.query_params.from_dict(self._settings | ({RUN: run} if run else {}))

    def _linked(self, settings, run=None):
        config, at, run, problem = linked(settings, run, self.uploads, owner())
        self.notice = problem or self.notice
        return config, at, run

    # The run

    def start(self, at=0, run=None):
        """Start a worker for the configuration, beside the page, which draws its controls meanwhile; have it train to step `at`, or go on
        where the stored `run` stands. ConfigError, when that needs a lent file, leaves all as it was."""
        owned = run is None or is_own(run, owner())
        config = self.uploads.resolved(self.config, to_look=not owned)
        self.death = self.refusal = self.seen = self.moment = None
        self.run, self.foreign, self.owned = run, False, owned
        self._run = started(config, self.speed, at, run, owner())

    def start_again(self):
        """Step 0 of a run of this person's own; of somebody else's that needs a lent file, another look."""
        self.start(run=self.run if self.borrows else None)

    @property
    def borrows(self):
        """Whether the run trains on a file of somebody else's."""
        return self.config.data.path is not None and self.uploads[self.config.data.path].lent

    def ready(self):
        """Wait until the worker has started; False when there is no room for it (`refusal`)."""
        try:
            self._take_up(self._run.result())
        except TooManyRuns as refusal:
            self.refusal = refusal
        except WorkerDied as death:
            self.death = death
        except (ConfigError, StoreError) as error:  # only now the data was made, or the store asked
            if isinstance(error, ConfigError) or not self.owned:
                self._adopt(OPENING)
            refused = "This configuration cannot run, so you see the default."
            self.notice = str(error) if isinstance(error, StoreError) else f"{refused} {wording.complaint(error)}."
            self.start()
            st.rerun()
        return self.refusal is None

    def _take_up(self, live):
        """Drive the run unless another tab does. One that is found playing without anybody stands still, as one from the store."""
        drawn = self.config
        if live.driver not in (None, self._tab) and not self.watching:
            self.take_over()
            live.pause()
        live.driver = live.driver or self._tab
        self.foreign = not live.kept
        if self.run is not None and self.seen is None:
            self.speed = live.speed
        if self.behind:
            self._adopt_from(live)
        if self.config != drawn:
            st.rerun()  # the controls were drawn before

    @property
    def watching(self):
        """Whether this tab may only look: another one drives the run, or it is not this person's."""
        live = self._run.result()
        return self.foreign or (live.driver not in (None, self._tab) and is_open(live.driver))

    @property
    def behind(self):
        """Whether the run has other settings than the controls show: another tab changed them, now or since they were stored."""
        looks = self.watching or (self.run is not None and self.seen is None)
        return looks and self._settings_of(self._run.result()) != self.config

    @property
    def doing(self):
        """(whether the run was last seen playing, whether this tab only watches): what decides which buttons there are."""
        return self.playing, self.watching

    def take_over(self):
        """Drive the run from now on; the tab that did can only look."""
        live = self._run.result()
        live.driver = self._tab
        self._adopt_from(live)

    def act(self, action, *arguments):
        """Call this method of the run; a worker that died shows at the next look. Who only watches only looks; exports are the owner's."""
        if action != "snapshot" and (not self.owned if action == "export" else self.watching):
            self.notice = ELSEWHERE
            return None
        self.playing = self.playing or action == "play"  # until it is looked at: a change that comes before that goes on playing
        try:
            return getattr(self._run.result(), action)(*arguments)
        except WorkerDied as death:
            self.death = death
            self.playing = False

    def look(self):
        """The Snapshot of the moment that is shown. Of a worker that is gone (`death`) the last one; None when there was none."""
        try:
            snapshot = self.act("snapshot", self.picked, self.moment)
        except ConfigError as error:  # no memory to go back
            self.notice, self.moment = str(error), None
            snapshot = self.act("snapshot", self.picked)
        self.playing = snapshot is not None and snapshot.status == "running"
        if snapshot is not None:
            self.run = snapshot.run or (self.run if self.foreign else None)
            self.seen, self.moment = snapshot, snapshot.moment
            self.now = snapshot.step if snapshot.moment is None else self.now
        return self.seen

    @property
    def restless(self):
        """Whether the next look will show something else: the run plays, fixes are being tried, or a forecast is due."""
        if self.death is not None or self.seen is None or not self.awake:
            return False
        to_be_kept = self.seen.step > 0 and self.seen.run is None and self.seen.keeping is None and not self.foreign
        return self.playing or self.trials.running or self.watching or to_be_kept or self.seen.forecast_due

    def set_speed(self, speed):
        """Steps a second while playing; None is full speed."""
        self.speed = speed
        self.act("set_speed", speed)

    def close(self):
        """End the run."""
        if self._run.exception() is None:
            self._run.result().close()

    def recover(self):
        """Go on from the last checkpoint, with the settings it was made with."""
        try:
            run = self._run.result()
            run.recover()
        except WorkerDied as death:
            self.death = death
        except (TooManyRuns, ConfigError) as error:
            self.notice = str(error)
        else:
            self.death = self.moment = None
            self._adopt_from(run)

    # The past, and fixes

    def settings_since(self):
        """The settings of the controls that differ from those of the past moment that is shown: a patch, empty if none does."""
        then, now = self.seen.config, self.config.to_dict()
        return {name: now[name] for name in LIVE_CHANGES if now[name] != then[name]}

    def go_on_from(self, at, patch=None):
        """Go on from step `at` with the settings of then, or with these changed: that is another run."""
        try:
            forked = self.act("fork", at, patch)
        except ConfigError as error:
            self.notice = str(error)
            return
        self.moment = None
        if forked is not None:
            self._adopt_from(self._run.result())

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
            self._adopt(config)
        if began:
            self.act("play")

    def try_fixes(self, at=None):
        """Begin to try fixes out, from step 0, or from step `at` on what a living run can change."""
        self.tried_from = at
        try:
            self.act("try_fixes", at)
        except (TooManyRuns, ConfigError) as error:
            self.notice = str(error)

    @property
    def trials(self):
        """The Trials of fixes: how far they are and what they found."""
        return self._run.result().trials if self._run.done() and not self._run.exception() else Trials()

    # The configuration

    def edit(self, name, value):
        """One control was changed: use all that the controls show, or nothing of it and say why (`problem`)."""
        self.draft[name] = value
        if name == "data.source":
            self.draft |= {"data.samples": SOURCES[value].samples, "data.path": None, "data.task": "classification", "data.target": None}
        try:
            self._use_draft(self.draft, reshaped=name in DATA_SHAPE)
        except ConfigError as error:
            self.problem = error

    def _use_draft(self, draft, reshaped):
        """Use a draft; where the data was `reshaped`, the output follows it. ConfigError leaves all as it was."""
        if draft["data.source"] == "file" and draft["data.path"] is None:
            raise NO_FILE
        draft, suggested = with_suited_output(draft, self._suggested, self.uploads) if reshaped else (draft, self._suggested)
        self._use(config := RunConfig.from_dict(nested(draft)))
        self.draft, self._suggested = flat(config), suggested

    @property
    def pending(self):
        """Settings that the run has otherwise than the controls show, {name: the run's value}: nothing begins to train while there are."""
        return {name: value for name, value in flat(self.config).items() if self.draft[name] != value}

    def take_back(self):
        """Have the controls show what the run uses."""
        self._adopt(self.config)

    def load(self, config):
        """Use a whole configuration: a preset, a link."""
        self.draft = flat(config)
        try:
            self._use(config)
            self._adopt(config)
        except ConfigError as error:
            self.problem = error

    def open_weights(self, config, parameters):
        """Use a configuration and weights that fit it. ConfigError leaves the run untouched."""
        self.begin_anew(config, parameters)
        self._adopt(config)

    def upload(self, name, raw):
        """Use a file: as a classification if its last column can be that, else as a regression; else it waits for another target."""
        try:
            token = self.uploads.add(name, raw)
        except ConfigError as error:
            self.problem = error
            return
        self.uploads.keep_only([token, self.config.data.path])
        file = {"data.source": "file", "data.samples": SOURCES["file"].samples, "data.path": token, "data.target": None}
        drafts = [self.draft | file | {"data.task": task} for task in ("classification", "regression")]
        problems = []
        for draft in drafts:
            try:
                self._use_draft(draft, reshaped=True)
                return
            except ConfigError as error:
                problems.append(error)
        self.draft, self.problem = drafts[0], problems[0]

    def _use(self, config):
        """Have the run follow: a live change, or step 0 of a new run, which goes on playing. ConfigError leaves the run untouched."""
        if not self.refusal and self.watching:
            raise ConfigError("", ELSEWHERE)
        old, new = flat(self.config), flat(config)
        patch = nested({name: value for name, value in new.items() if value != old[name]})
        if self.refusal:
            self.config = config
            self.start()
        elif patch and set(patch) <= set(LIVE_CHANGES) and "name" not in patch.get("optimizer", {}):
            self.act("change", patch)
        elif patch:
            self.begin_anew(config)
        self.config, self.problem = config, None

    def begin_anew(self, config, parameters=None):
        """Step 0 of a run of this configuration, which goes on playing; `parameters` are its first weights, if they are not drawn.
        ConfigError leaves the run untouched."""
        if self.watching:
            raise ConfigError("", ELSEWHERE)
        playing = self.playing
        self.act("configure", self.uploads.resolved(config), parameters)
        self.picked = self.moment = None
        self.had_findings = False
        if playing:
            self.act("play")

    @property
    def two_classes(self):
        """Whether one output unit can tell the classes apart."""
        return self._suggested is not None and self._suggested[0] == LayerConfig(1, "sigmoid")

    def _adopt(self, config):
        self.config, self.problem = config, None
        self.draft = flat(config)
        self._suggested = None if config.data.source == "file" else suggested_output(config.data)

    def _adopt_from(self, run):
        """Take over the configuration of a run."""
        self._adopt(self._settings_of(run))

    def _settings_of(self, run):
        """The configuration of a run; where its file went with the tab that brought it, the one in use."""
        try:
            return self.uploads.named(run.config)
        except ConfigError as error:
            self.notice = wording.complaint(error)
            return self.config
