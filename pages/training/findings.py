"""Finding cards: what is wrong, since when, where, the figures and the curve that show it, and what to do."""

from __future__ import annotations

import html
from urllib.parse import urlencode

import streamlit as st

from core.diagnosis.detectors import DETECTORS
from core.diagnosis.evidence.progress import PATIENCE
from core.diagnosis.finding import SEVERITIES
from core.limits import ConfigError
from core.link import STOP_AT, to_query
from pages import wording
from pages.charts.cause import crossing_text
from pages.shell.tab import handler
from pages.training.finding_sparkline import evidence
from pages.training.session import session

EMPTY = "Build a small network, press Play, and see what it learns. If something goes wrong, this place says why, and what to do about it."
PAUSED = "The run paused itself. Apply a fix, look back with the bar at the foot of the page, or press <b>Reset</b> to see it again."


def findings(snapshot):
    """A card for the root, and what follows from it in smaller print; without any, one quiet line in the same place. It is always as high,
    so that nothing below jumps; where there is little room it is a line, and a card opens over what is below once it has the focus."""
    roots = [finding for finding in snapshot.findings if finding.root] or [finding for finding in snapshot.findings if _mends(finding)][:1]
    others = [finding for finding in snapshot.findings if finding not in roots]
    with st.container(key="findings", gap="xsmall"):
        for number, finding in enumerate(roots):
            _card(snapshot, finding, first=number == 0)
        if others:
            lines = "".join(_line(finding) for finding in others)
            heading = "<h5>What follows from it</h5>" if any(finding.root for finding in roots) else ""
            st.html(f'<div class="consequences">{heading}<ul>{lines}</ul></div>')
        if line := _quiet_line(snapshot):
            st.html(f'<div class="quiet">{line}</div>')


def _mends(finding):
    """Whether a note deserves a card: something can be done about it other than patience."""
    return finding.fix and not DETECTORS[finding.code].slow


def _quiet_line(snapshot):
    if snapshot.moment is not None:
        return "" if snapshot.findings else "✓ Nothing wrong yet at this step."
    if snapshot.nonfinite:
        return PAUSED
    if snapshot.findings or not snapshot.step:
        return "" if snapshot.findings else EMPTY
    return "✓ Nothing wrong so far." if snapshot.step >= PATIENCE else f"Too early to tell: the first {PATIENCE} updates say little."


def _card(snapshot, finding, first):
    mark, word = SEVERITIES[finding.severity]  # they go with the colour
    began = crossing_text(snapshot) if first else ""
    fix = _fix_text(finding)
    with st.container(key=f"finding {finding.severity} {finding.code}", gap="xsmall"):
        st.html(
            f'<article class="finding {finding.severity}" tabindex="0"><div class="mark" title="{word}">{mark}</div><div class="words">'
            f"<h4>{html.escape(wording.powers(finding.title))}</h4>{_figures(finding, word)}"
            f"<p>{html.escape(began)} {html.escape(wording.powers(finding.advice))}</p>"
            f"{f'<p class=fix>Fix: <b>{html.escape(fix)}</b></p>' if fix else ''}</div>{evidence(snapshot, finding)}</article>"
        )
        _actions(snapshot, finding, first, fix)


def _figures(finding, word):
    place = "whole run" if finding.layer is None else f"layer {finding.layer}"
    figures = "".join(
        f"<span>{html.escape(wording.phrase(name))} <b>{wording.measured(value)}</b></span>" for name, value in finding.evidence.items()
    )
    since = f"<span>since step <b>{wording.count(finding.step)}</b></span>"
    return f'<p class="figures"><span>{word}</span>{since}<span>{place}</span>{figures}</p>'


def _line(finding):
    mark, word = SEVERITIES[finding.severity]  # they go with the colour
    return (
        f'<li class="{finding.severity}"><span class="mark" title="{word}">{mark}</span> {html.escape(wording.powers(finding.title))} '
        f"<small>since step {wording.count(finding.step)}</small></li>"
    )


def _fix_text(finding):
    """The fix as it reads, "learning rate 3 → 0.3"; "" where no setting mends it."""
    try:
        return wording.changes(session().config, session().config.patched(finding.fix)) if finding.fix else ""
    except ConfigError:
        return ""


def _actions(snapshot, finding, first, fix):
    with st.container(key=f"actions {finding.code}", horizontal=True, vertical_alignment="center", gap="xsmall"):
        if fix:
            st.button(
                "Apply", key=f"apply {finding.code}", icon=":material/build:", on_click=_apply, args=(finding.fix,), type="primary",
                help=f"Begins again at step 0 with {fix}.",
            )  # fmt: skip
        if first and finding.severity != "info":
            _trying(snapshot)
        if first and (link := _link(finding)):
            st.html(f'<a class="before" href="{html.escape(link)}" target="_blank">Open this run just before it</a>')


def _trying(snapshot):
    busy = session().run.trials.running
    st.button(
        "Try the fixes", key="try", icon=":material/science:", disabled=busy, on_click=_try, args=(None,),
        help="Trains what might help beside this run, each from step 0, and shows what it reached.",
    )  # fmt: skip
    if snapshot.healthy_step:
        st.button(
            f"Try them from step {wording.count(snapshot.healthy_step)}", key="try from healthy", disabled=busy, on_click=_try,
            args=(snapshot.healthy_step,), help="The same, but what a living run can change begins at the last healthy step.",
        )  # fmt: skip


def _link(finding):
    """The address that opens this run just before training showed it; None where none can: what was done by hand is in no link."""
    seen = session().last_snapshot
    begun = min((other.step for other in seen.findings if other.severity != "info" and not other.mistake), default=finding.step)
    if session().config.data.source == "file" or seen.events or begun < 2:
        return None
    return "?" + urlencode(to_query(session().config) | {STOP_AT: begun - 1})


@handler
def _apply(patch):
    session().apply(patch)
    st.rerun()  # the sidebar shows the settings


@handler
def _try(at):
    session().try_fixes(at)
    st.rerun()  # the page looks again and again while fixes are tried
