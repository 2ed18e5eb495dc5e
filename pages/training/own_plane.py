"""Data of one's own on the plane: points to draw, and a formula."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from core.config import DataConfig
from core.data.drawn import CLASSES, EXAMPLE, FARTHEST, MOST, checked, points_of
from core.data.formula import CONSTANTS, EXAMPLES, FUNCTIONS, LENGTH
from core.data.loading import EXTENTS
from core.data.planar import RADIUS
from core.data.sources import SOURCES
from core.limits import ConfigError
from pages.charts.style import THEMES, layer_color, signed_color
from pages.shell.components import pad, theme
from pages.shell.controls import folded, show
from pages.shell.tab import handler, tab
from pages.training.session import session
from pages.training.setting_controls import complaint, control

POINTS, FORMULA, PAD = "data.points", "data.formula", "drawing pad"
TABLE = "points table"  # key of the tab's state: (the points that the table began with, what it has made of them, how often it began)
COLUMNS = ("x1", "x2", "class")


def points():
    """The plane with a brush for each class and one more, and the same points as a table."""
    if tab().lesson.hides(POINTS):
        return
    there = _points()
    if not there:
        session().draft.explained = True
    used = SOURCES["drawn"].outputs_of(DataConfig(source="drawn", points=there)) if there else 2
    farthest = max((abs(number) for point in there for number in point[:2]), default=0)
    half = max(EXTENTS[-1], math.ceil(farthest))
    pad(PAD, _drawn, points=there, colors=_colors(used), classes=min(used + 1, CLASSES), half=half, most=MOST)
    complaint(POINTS)
    if there:
        st.caption(f"{len(there)} of at most {MOST} points. Drag to draw; each stroke begins the run anew.")
    else:
        st.caption("No points yet: drag on the plane to draw some. Until then the run keeps the points that it has.")
    folded("Points as a table", _table, "points folded")


def _points():
    """What the controls have, [[x1, x2, class]]; where that is refused, what the run has."""
    drawn = session().draft.values[POINTS]
    try:
        drawn = drawn and checked(POINTS, drawn)
    except ConfigError:
        drawn = session().config.data.points
    return [list(point) for point in (EXAMPLE if drawn is None else drawn)]


def _colors(classes):
    """As the charts have them."""
    if classes == 2:
        return [signed_color(THEMES[theme()], value) for value in (-0.75, 0.9)]
    return [layer_color(THEMES[theme()], label + 1, classes) for label in range(classes)]


def as_points(data):
    """The samples of a DataConfig as points to draw, [[x1, x2, class]], to two digits as they are drawn; None where they are no classes
    on the plane, or too many."""
    source = SOURCES[data.source]
    if source.kind != "planar" or (source.task or data.task) != "classification":
        return None
    if data.source == "drawn":
        return [list(point) for point in points_of(data)]
    if data.samples > MOST:
        return None
    samples = source.make(data, np.random.default_rng(data.seed))  # as core.data.loading begins
    return [[*point, label] for point, label in zip(samples.inputs.round(2).tolist(), samples.targets.tolist())]


@handler
def _drawn():
    session().draft.edit(POINTS, st.session_state[PAD]["drawn"])


def _table():
    """Points to type: the table keeps its rows while they come from it, so that the cell in use stays."""
    there = _points()
    began, made, times = st.session_state.get(TABLE, (None, None, 0))
    if made != there:
        began, times = there, times + 1
    st.session_state[TABLE] = began, there, times
    number = st.column_config.NumberColumn
    limits = {"min_value": -FARTHEST, "max_value": FARTHEST, "required": True}
    st.data_editor(
        pd.DataFrame(began, columns=COLUMNS).astype({"class": int}), num_rows="dynamic", hide_index=True, height=240,
        key=f"{TABLE} {times}", column_config={
            "x1": number("x₁", **limits), "x2": number("x₂", **limits),
            "class": number("Class", min_value=0, max_value=CLASSES - 1, step=1, default=0, required=True),
        },
        on_change=_typed, args=(f"{TABLE} {times}",),
    )  # fmt: skip


@handler
def _typed(key):
    changes, (began, _, times) = st.session_state[key], st.session_state[TABLE]
    made = edited(began, changes)
    st.session_state[TABLE] = began, made, times
    session().draft.edit(POINTS, made)


def edited(points, changes):
    """The points [[x1, x2, class]] after what st.data_editor says of its changes; rows that are not filled in yet are left out."""
    rows = [dict(zip(COLUMNS, point)) | changes["edited_rows"].get(place, {}) for place, point in enumerate(points)]
    rows = [row for place, row in enumerate(rows) if place not in changes["deleted_rows"]] + changes["added_rows"]
    return [[row[name] for name in COLUMNS] for row in rows if all(row.get(name) is not None for name in COLUMNS)]


def formula():
    """The formula, examples of it, and what it gives."""
    if tab().lesson.hides(FORMULA):
        return
    st.text_input(
        "Formula", **show(FORMULA, session().draft.values[FORMULA]), max_chars=LENGTH, autocomplete="off", on_change=_written,
        args=(FORMULA,), help=f"Of x1 and x2, which go from -{RADIUS:g} to {RADIUS:g}, with + - * / ^, parentheses and "
        f"{', '.join([*CONSTANTS, *FUNCTIONS])}.",
    )  # fmt: skip
    complaint(FORMULA)
    control("data.task")
    value = session().draft.values["data.task"]
    st.caption("Class 1 where the formula is above 0, class 0 elsewhere." if value == "classification" else "The formula is the target.")
    used = session().draft.values[FORMULA]
    st.pills(
        "Examples", EXAMPLES, **show("formula example", used if used in EXAMPLES else None, FORMULA), on_change=_written,
        args=("formula example",), help="Press one to use it.",
    )  # fmt: skip


@handler
def _written(key):
    text = st.session_state[key]
    if text is not None:  # an example that is pressed again stays
        session().draft.edit(FORMULA, text)
