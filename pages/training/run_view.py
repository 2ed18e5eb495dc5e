"""What the playground shows of its run over the live line, and what it takes there."""

from __future__ import annotations

import threading

from core.diagnosis.evidence.progress import PATIENCE
from core.limits import ConfigError, shown
from core.link import RUN
from pages import wording
from pages.charts import ViewOptions, panels
from pages.training import surface, timebar, transport
from pages.training.lesson_card import goal, hidden_panels, restricted

# Figures are computed one after the other in a server: threads that compute take turns of 5 ms, and a press would wait for all of them
_drawing = threading.Lock()
GONE = {"buttons": None, "slider": None, "text": {"readings": "", "time": "", "goal": ""}}


class RunView:
    """The view of a Session (see pages.shell.tab.Tab). `chosen` are the ViewOptions by name that the person chose."""

    name = "run"

    def __init__(self, session):
        self._session = session
        self.chosen = {}
        self.commands = {
            **transport.commands(session),
            **timebar.commands(session),
            "pick": self._pick,
        }

    def picture(self, theme):
        """(head, figures) of the run as it is now, or at the moment that is looked at."""
        session = self._session
        timebar.go_on_replaying(session)
        snapshot = session.look() if session.ready() else None
        if session.replay:
            session.replay.shown = session.moment  # the nearest one that can be had
        if snapshot is None:
            return dict(GONE), {}
        head = {
            "buttons": transport.button_states(session, snapshot) | timebar.button_states(session, snapshot),
            "slider": timebar.slider(session, snapshot),
            "text": {
                "readings": transport.readings(session, snapshot),
                "time": timebar.line(session, snapshot),
                "goal": goal(session.lesson, snapshot),
            },
            "address": [RUN, session.run.run_id],
        }
        with _drawing:
            return restricted(head, session.lesson), panels(snapshot, self.options(theme), hidden_panels(session.lesson))

    def options(self, theme):
        """The ViewOptions of this moment."""
        return ViewOptions(**self.chosen, theme=theme, picked=self._session.picked)

    def command(self, name, value):
        """Do what was pressed. What cannot be done is told, and changes nothing."""
        session = self._session
        if not session.ready() or session.run.death or session.last_snapshot is None or session.lesson.fixes(name):
            return
        try:
            self.commands[name](value)
        except ConfigError as error:
            session.notice = f"{wording.complaint(error)}."

    def _pick(self, value):
        """Look inside a unit: [layer from 1, index from 0]."""
        layers = self._session.config.layers
        match value:
            case [layer, index] if type(layer) is type(index) is int and 1 <= layer <= len(layers) and 0 <= index < layers[layer - 1].units:
                self._session.picked = layer, index
            case _:
                raise ConfigError("unit", f"must be [layer, unit] of this network; was {shown(value)}")

    @property
    def playing(self):
        """Whether each picture differs from the last one."""
        return self._session.playing

    @property
    def needs_updates(self):
        """Whether the run, or what is known of it, changes by itself."""
        return self._session.needs_updates

    @property
    def outline(self):
        """What Streamlit's part of the page is made of: where one of these changes, it has to be drawn again."""
        session, run = self._session, self._session.run
        trials = run.trials
        of_tab = session.config, session.draft.pending, session.notice, session.picked, session.moment, session.tried_from
        of_run = run.watching, run.foreign, run.may_take, str(run.death), str(run.refusal), run.exhausted
        experiment = run.experiment.look()
        of_tab += experiment.kind, experiment.running, len(experiment.results), experiment.problem, surface.due(session)
        return of_tab, of_run, (trials.running, round(20 * trials.progress), len(trials.trials), trials.problem), self._of_snapshot()

    def _of_snapshot(self):
        seen, playing = self._session.last_snapshot, self._session.playing
        if seen is None:
            return None
        # While a run plays, the figures in a finding's words change all the time: they are put right when it stands
        findings = [
            (finding.code, finding.severity, finding.root, not playing and (finding.title, finding.step)) for finding in seen.findings
        ]
        told = seen.store_error, seen.failures, seen.healthy_step, seen.nonfinite is None, len(seen.events), seen.unit is None
        return playing or seen.status, seen.step > 0, seen.step >= PATIENCE, seen.moment, findings, told
