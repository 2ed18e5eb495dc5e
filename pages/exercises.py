"""Ready exercises: each opens the playground with a question, a goal and what may be changed."""

import html

import streamlit as st

from core.exercises import EXERCISES
from core.lesson import lesson_of, split
from pages import wording
from pages.shell.page_head import head
from pages.training.control_names import control_names

COLUMNS = 2


def page():
    head("Exercises", "Ten things to see for yourself. Each opens the playground with a goal, which is ticked off when you reach it.")
    entries = list(enumerate(EXERCISES.values(), 1))
    for start in range(0, len(entries), COLUMNS):
        for (number, exercise), column in zip(entries[start : start + COLUMNS], st.columns(COLUMNS), strict=False):
            with column, st.container(border=True, height="stretch", gap="xsmall"):
                card(number, exercise)
    st.caption("Teachers can make links of this kind for any run: docs/teaching.md says how.")


def card(number, exercise):
    """What is asked and what is to be reached; what to see is folded, for afterwards."""
    lesson, _ = lesson_of(split(exercise.query)[1], control_names())
    st.html(f'<h2 class="exercise">{number}. {html.escape(exercise.title)}</h2>')
    st.markdown(wording.literal(exercise.question))
    st.caption(f"Goal: {wording.literal('; '.join(part.text for part in lesson.goal))}")
    st.page_link("playground.py", label="Open", icon=":material/play_arrow:", query_params=exercise.query)
    with st.expander("What to see, and one solution"):
        st.markdown(wording.literal(exercise.see))
        st.caption(f"One solution: {wording.literal(wording.changes(exercise.config(), exercise.config(solved=True)))}")


page()
