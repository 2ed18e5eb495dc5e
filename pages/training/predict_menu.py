"""What the network says of new rows: typed, or a file of them, and how that changes with one value; or of a digit that is drawn."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st

from core.limits import LIMITS, ConfigError
from pages import wording
from pages.charts.prediction import what_if
from pages.shell.components import digit_pad, theme
from pages.shell.controls import refusal
from pages.shell.identity import take_upload
from pages.shell.tab import handler, tab
from pages.training.session import session

FIELDS, MOST = 24, 200  # columns that can be typed, all others staying at their usual value; of wider tables only files are taken
SHOWN = 100  # rows of a file's predictions that are listed
ROW = "new row"  # key of the fields
REFUSED = "new rows refused"  # why the visitor may not have the file read
DIGITS, SIDE = "digits", 8  # the data whose pictures can be drawn, and their pixels a side
PAD, DRAWN = "digit pad", "digit drawn"  # key of the pad, and that of its pixels in the tab's state


@st.fragment
def predict_menu():
    """A menu for runs that train on a file or on digits, made when it is opened."""
    source = session().config.data.source
    if source not in ("file", DIGITS):
        return
    locked = tab().lesson.fixes("predict")
    menu = st.popover("Predict", icon=":material/online_prediction:", key="predict menu", on_change="rerun", disabled=locked)
    if not menu.open or session().last_snapshot is None:
        st.session_state.pop(DRAWN, None)  # the pad is empty when it is opened again
        return
    with menu, st.container(key="prediction", gap="xsmall", width=420):
        if not session().run.may_take:
            st.caption("This run is somebody else's: only its owner can have it predict.")
            return
        try:
            if source == DIGITS:
                _drawn()
            else:
                _typed()
                _file()
        except ConfigError as error:
            refusal(wording.complaint(error))


def _ask(action, *arguments):
    with tab().lock:
        return session().act(action, *arguments)


def _drawn():
    left, right = st.columns([1, 1])
    with left:
        digit_pad(PAD, _draw, SIDE)
    with right:
        pixels = st.session_state.get(DRAWN)
        if not pixels or not any(pixels):
            st.caption("Draw a digit, as large as the square. What the network says of it now stands here after each stroke.")
            return
        said = _ask("predict", tuple(pixels))
        if said is None:  # the worker is gone, which the page tells
            return
        if not np.isfinite(said.outputs).all():
            st.caption("The network's outputs are not finite.")
        elif said.probable:
            st.html(_chances(said))
        else:
            st.markdown(_sentence(said))
        if session().playing:
            st.button("Update", key="update drawn", icon=":material/refresh:", help="The run plays on: asks the network of now.")


@handler
def _draw():
    pixels = st.session_state[PAD]["drawn"]
    st.session_state[DRAWN] = pixels if isinstance(pixels, list) else None  # what is in it, the run checks


def _chances(said):
    """The probabilities of one row as bars, in HTML."""
    rows = "".join(
        f'<div class="{"said" if name == said.classes[0] else ""}"><dt>{html.escape(name)}</dt>'
        f'<dd><i style="--chance:{100 * chance:.1f}"></i>{chance:.0%}</dd></div>'
        for name, chance in zip(said.names, said.outputs[0])
    )
    return f'<dl class="chances" aria-label="Probabilities">{rows}</dl>'


def _typed():
    examples = _ask("examples")
    if examples is None:
        return
    if len(examples) > MOST:
        st.caption(f"What the network says now of new rows: a table with the {len(examples):,} columns of the inputs.")
        return
    st.caption("What the network says now of a new row. Empty fields count as missing.")
    row = {name: usual for name, usual, _ in examples}
    left, right = st.columns(2)
    for index, (name, usual, values) in enumerate(examples[:FIELDS]):
        with (left, right)[index % 2]:
            hint = f"{values[0]} to {values[-1]}" if len(values) > 1 else ""
            row[name] = st.text_input(wording.literal(name), usual, key=f"{ROW} {name}", placeholder=hint)
    if len(examples) > FIELDS:
        st.caption(f"{len(examples) - FIELDS:,} more columns stay at their usual values.")
    said = _ask("predict", [row])
    if said is None:  # the worker is gone, which the page tells
        return
    st.markdown(_sentence(said))
    _notes(said)
    able = {name: values for name, _, values in examples if len(values) > 1}
    name = st.selectbox("What if this changes", [None, *able], format_func=lambda name: name or "Nothing", key="what if")
    if name in able:
        answers = _ask("predict", [row | {name: value} for value in able[name]])
        if answers is None:
            return
        chart = what_if(name, able[name], answers, theme())
        st.plotly_chart({"data": chart["data"], "layout": chart["layout"]}, key="what if chart", config={"displayModeBar": False})


def _notes(said):
    for note in said.notes:
        st.caption(wording.literal(note))


def _sentence(said):
    """The outputs of one row in words."""
    outputs = ", ".join(
        f"{wording.literal(name)}: {value:.0%}" if said.probable else f"{wording.literal(name)}: {value:.4g}"
        for name, value in sorted(zip(said.names, said.outputs[0]), key=lambda entry: -entry[1] if said.probable else 0)[:10]
    )
    if not said.classes:
        return f"**{outputs}**"
    target = "" if said.target is None else f"{wording.literal(said.target)}: "
    return f"{target}**{wording.literal(said.classes[0])}** ({outputs})"


@handler
def _count():
    st.session_state[REFUSED] = None
    if (file := st.session_state["new rows"]) is not None:
        try:
            take_upload("file", file.getvalue())
        except ConfigError as refused:
            st.session_state[REFUSED] = refused


def _file():
    import pandas as pd

    file = st.file_uploader("Or a table of new rows", key="new rows", max_upload_size=LIMITS["file_bytes"] >> 20, on_change=_count)
    if file is None:
        return
    if refused := st.session_state.get(REFUSED):
        raise refused
    said = _ask("predict", file.getvalue())
    if said is None:
        return
    table = pd.DataFrame(said.outputs, columns=list(said.names))
    if said.classes is not None:
        table.insert(0, "predicted", said.classes)
    _notes(said)
    st.dataframe(table.head(SHOWN), hide_index=True)
    st.download_button(
        f"Predictions of {len(table):,} rows (CSV)", table.to_csv(index=False), "descent_predictions.csv", "text/csv", key="predictions",
        on_click="ignore", icon=":material/download:", width="stretch",
    )  # fmt: skip
