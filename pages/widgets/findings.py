"""Finding cards: what is wrong, since when, where, the figures that show it, and what to do."""

from __future__ import annotations

import html

import streamlit as st

from pages.widgets import words

SEVERITIES = {"critical": ("✕", "Critical"), "warning": ("!", "Warning"), "info": ("i", "Note")}  # mark and word go with the colour
EMPTY = "Warnings show up here, with what to do about them."
PAUSED = "The run paused itself. Change what the card says, or press <b>Reset</b> to see it again."


def findings(snapshot):
    """A card for each finding, worst first; without any, one quiet line in the same place."""
    cards = "".join(_card(finding) for finding in snapshot.findings)
    line = PAUSED if snapshot.nonfinite else "" if cards else "✓ Nothing wrong so far." if snapshot.step else EMPTY
    st.html(f'<div class="findings">{cards}{f"""<div class="quiet">{line}</div>""" if line else ""}</div>')


def _card(finding):
    mark, word = SEVERITIES[finding.severity]
    place = "whole run" if finding.layer is None else f"layer {finding.layer}"
    figures = "".join(
        f"<span>{html.escape(words.phrase(name))} <b>{words.number(value)}</b></span>" for name, value in finding.evidence.items()
    )
    return (
        f'<article class="finding {finding.severity}"><div class="mark" title="{word}">{mark}</div><div>'
        f"<h4>{html.escape(finding.title)}</h4>"
        f'<p class="figures"><span>{word}</span><span>since step <b>{words.count(finding.step)}</b></span><span>{place}</span>{figures}</p>'
        f"<p>{html.escape(finding.advice)}</p></div></article>"
    )
