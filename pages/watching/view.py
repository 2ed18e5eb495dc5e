"""What the page shows of a watched run over the live line, and what it takes there."""

from __future__ import annotations

import html
from dataclasses import replace

from core.diagnosis.failures import attempt
from core.watch.twin import STEPS, find_twin
from pages import wording
from pages.charts.watch import watch_panels
from pages.watching.door import runs

WAITING = {"slider": None, "buttons": None, "text": {"readings": "", "time": ""}}
NOW = "now"
STATES = {"nonfinite": "✕ Not a number", "diverged": "✕ Diverged", "warning": "! Something is wrong", "healthy": "✓ Nothing wrong so far"}


class WatchView:
    """The view of an owner's watched run (see pages.shell.tab.Tab): `run_id` is the chosen one, None the newest."""

    name = "watch"

    def __init__(self, owner):
        self._owner = owner
        self.run_id = None
        self.moment = None  # the whole step that is looked at
        self.start = None  # the whole step that the twin starts at, None the first
        self._twin_of, self._twin = None, None
        self.commands = {"look": self._look, "now": self._now}

    @property
    def entry(self):
        """The Entry that is shown, or None."""
        entries = runs.of(self._owner)
        return next((entry for entry in entries if entry.run.run_id == self.run_id), entries[0] if entries else None)

    def picture(self, theme):
        """(head, figures) of the run as it stands."""
        entry = self.entry
        if entry is None:
            return dict(WAITING), {}
        run, examined = entry.look()
        if self.moment not in run.whole:
            self.moment = None
        options = [*(wording.count(step) for step in run.whole), NOW]
        index = list(run.whole).index(self.moment) if self.moment is not None else len(options) - 1
        head = {
            "buttons": {"now": {"disabled": self.moment is None}},
            "slider": {"options": options if len(options) > 1 else [NOW, NOW], "index": index, "disabled": len(options) < 2},
            "text": {"readings": _readings(run, examined, entry.live), "time": f"{len(run.whole)} whole steps were kept."},
        }
        return head, watch_panels(run, replace(examined, twin=self.twin(run, examined)), theme, self.moment)

    def twin(self, run, examined):
        """The Twin from the chosen step of this run; None where there can be none from there."""
        steps = [step for step in run.whole if self.start is not None and step >= self.start][:STEPS]
        if self.start not in steps:
            self.start = None
            return examined.twin
        if self._twin_of != (run.run_id, steps):
            self._twin_of, self._twin = (run.run_id, steps), attempt("The twin", [], None, find_twin, run, self.start)
        return self._twin

    def command(self, name, value):
        """Do what was pressed."""
        self.commands[name](value)

    def _look(self, value):
        entry = self.entry
        steps = {wording.count(step): step for step in entry.run.frozen().whole} if entry else {}
        self.moment = steps.get(value) if isinstance(value, str) else None

    def _now(self, value):
        self.moment = None

    @property
    def playing(self):
        """Whether each picture differs from the last one."""
        return self.entry is not None and self.entry.live

    @property
    def needs_updates(self):
        """Whether anything may change by itself: a program may begin at any time."""
        return True

    @property
    def outline(self):
        """What Streamlit's part of the page is made of: where one of these changes, it has to be drawn again."""
        entry = self.entry
        if entry is None:
            return None
        examined = entry.examined
        findings = [(finding.code, finding.severity, finding.tensor, finding.step) for finding in examined.findings]
        others = [(one.run.run_id, one.run.name) for one in runs.of(self._owner)]
        checks = [check.passed for check in examined.checks]
        twin = examined.twin and (examined.twin.fault, examined.twin.step)
        return entry.run.run_id, others, findings, checks, twin, list(entry.run.whole)


def _readings(run, examined, live):
    """HTML of where the run stands."""
    rows = run.scalars
    test = rows[:, 3][rows[:, 3] == rows[:, 3]]
    values = [
        ("Program", run.name, 12), ("Step", wording.count(run.steps), 10),
        ("Loss", wording.number(float(rows[-1, 1])) if len(rows) else "–", 8),
        ("Test loss", wording.number(float(test[-1])) if len(test) else "–", 8), ("Tensors", wording.count(len(run.names)), 6),
    ]  # fmt: skip
    cells = "".join(
        f'<div class="reading" style="min-width:{width}ch"><span>{html.escape(name)}</span><b>{html.escape(value)}</b></div>'
        for name, value, width in values
    )
    kind = "trouble" if examined.status in ("nonfinite", "diverged") else "running" if live else "ready"
    state = f"{STATES[examined.status]}{'' if live else ' · stands still'}"
    return f'<div class="readings">{cells}<div class="reading state {kind}" role="status"><span>Status</span><b>{state}</b></div></div>'
