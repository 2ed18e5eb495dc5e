"""What a link for a class adds to the playground: its text and its goal above the charts, and what it hides or locks."""

from __future__ import annotations

import html

import streamlit as st

from core.lesson import PANEL
from pages import wording
from pages.shell.components import live
from pages.training.control_names import live_controls
from pages.training.timebar import SLIDER

CHANGES = {"new_seed": "seed", "use_stable_rate": "optimizer.learning_rate"}  # buttons that change a setting


def lesson_card(lesson):
    """The text, and the goal, which the live line ticks off."""
    if not (lesson.text or lesson.goal):
        return
    with st.container(key="lesson", gap="xsmall"):
        if lesson.text:
            st.html(f'<p class="lesson-text">{html.escape(lesson.text)}</p>')
        if lesson.goal:
            live("text", "lesson goal", name="goal")


def goal(lesson, snapshot):
    """HTML of the goal's parts, each with a tick where it holds, and whether all of it has been reached."""
    if not lesson.goal:
        return ""
    held, step = lesson.reached(snapshot)
    parts = "".join(
        f'<li class="{"held" if holds else "open"}"><span aria-hidden="true">{"✓" if holds else "○"}</span> {html.escape(part.text)}'
        f'<span class="unseen">{": holds" if holds else ": not yet"}</span></li>'
        for part, holds in zip(lesson.goal, held)
    )
    told = "Goal" if step is None else f"✓ Goal reached at step {wording.count(step)}"
    return f'<div class="goal {"open" if step is None else "reached"}"><b role="status">{told}</b><ul>{parts}</ul></div>'


def hidden_panels(lesson):
    """The test of whether a panel, by its name, is not drawn."""
    return lambda name: lesson.hides(PANEL + name)


def restricted(head, lesson):
    """The head of a picture without what the lesson hides, and with what it locks disabled."""
    states = dict(head["buttons"])
    for name in live_controls():
        setting = CHANGES.get(name, name)
        if lesson.hides(name):
            states[name] = states.get(name, {}) | {"hidden": True}
        elif lesson.fixes(name) or lesson.fixes(setting):
            states[name] = states.get(name, {}) | {"disabled": True}
    slider = head["slider"]
    return head | {"buttons": states, "slider": slider | {"disabled": True} if slider and lesson.fixes(SLIDER) else slider}
