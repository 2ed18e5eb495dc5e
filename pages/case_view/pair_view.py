"""What the cases' page shows of its two runs over the live line, and what it takes there."""

from __future__ import annotations

import html

from core.diagnosis.finding import SEVERITIES
from pages import wording
from pages.case_view import walkthrough
from pages.charts.cases import pair_panels

MOST = 3  # findings shown of a run, the root first: the charts below must not jump


class PairView:
    """A view of a Pair (see pages.shell.tab.Tab); `show` is what its case shows besides."""

    name = "pair"

    def __init__(self, pair, show):
        self._pair, self._show = pair, show
        self.commands = {"play": pair.play, "pause": pair.pause, "reset": pair.reset}

    def picture(self, theme):
        """(head, figures) of both runs as they stand."""
        self._pair.tick()
        sides, playing = self._pair.sides, self._pair.playing
        head = {
            "buttons": {"play": {"hidden": playing}, "pause": {"hidden": not playing}},
            "text": {name: _state(side) for name, side in zip(("left", "right"), sides)},
        }
        if any(side.snapshot is None for side in sides):
            return head, {}
        return head, pair_panels([(side.variant.title, side.variant.steps, side.snapshot) for side in sides], theme)

    def command(self, name, value):
        """Do what was pressed."""
        self.commands[name]()

    @property
    def playing(self):
        """Whether each picture differs from the last one."""
        return self._pair.needs_updates

    @property
    def needs_updates(self):
        """Whether anything will change by itself."""
        return self._pair.needs_updates or not self._measured

    @property
    def _measured(self):
        return self._show != "pictures" or walkthrough.measured(self._pair.sides)

    @property
    def outline(self):
        """What Streamlit's part of the page is made of: where one of these changes, it has to be drawn again."""
        left = self._pair.sides[0].snapshot
        steps = left.step if left and self._show else None  # the numbers beside the runs follow them
        return steps, self._measured, [side.variant and side.variant.name for side in self._pair.sides], left is None


def _state(side):
    """HTML of where a run stands, and what was found."""
    if side.problem:
        return f'<div class="found"><div class="quiet">✕ {html.escape(side.problem)}</div></div>'
    if side.snapshot is None:
        return '<div class="found"><div class="quiet">Getting ready ...</div></div>'
    one = side.snapshot
    metric = f"{wording.phrase(one.metric)} {wording.number(one.train_metric, 3)}"
    figures = f"Step {wording.count(one.step)} · loss {wording.number(one.train_loss)} · {metric}"
    entries = "".join(
        f'<div class="{finding.severity}"><span class="mark">{SEVERITIES[finding.severity].mark}</span> {html.escape(finding.title)}</div>'
        for finding in one.findings[:MOST]
    )
    nothing = '<div class="quiet">✓ Nothing found so far.</div>' if one.step else ""
    return f'<div class="found"><div><b>{html.escape(figures)}</b></div>{entries or nothing}</div>'
