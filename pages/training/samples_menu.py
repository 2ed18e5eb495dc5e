"""The samples that the network gets most wrong: which, what they are, and what is predicted for them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data.sources import SOURCES
from core.limits import ConfigError
from pages import wording
from pages.charts.gallery import framed
from pages.charts.style import THEMES
from pages.shell.components import theme
from pages.shell.controls import refusal
from pages.shell.tab import handler, tab
from pages.training.own_plane import as_points
from pages.training.session import session
from pages.training.view_menu import mark

PARTS = {"train": "Training", "test": "Test"}
OF = "sample marked"  # key of the tab's state: (the data that it is of, what it is called, its row) of the sample that is marked on the map
PICTURE = 40  # pixels: the height of a row with a picture
SMALLEST = 64  # pixels a side of a picture: the browser blurs what it enlarges


@st.fragment
def samples_menu():
    """A menu with the samples of the largest loss, worked out when it is opened, at the moment that is shown."""
    if OF in st.session_state and st.session_state[OF][0] != session().config.data:
        _unmark()
    locked = tab().lesson.fixes("samples")
    menu = st.popover("Samples", icon=":material/fact_check:", key="samples menu", on_change="rerun", disabled=locked)
    if not menu.open or session().last_snapshot is None:
        return
    with menu, st.container(key="samples", gap="xsmall", width=460):
        if not session().run.may_take:
            st.caption("This run is somebody else's: only its owner can see its samples one by one.")
            return
        try:
            _listed()
        except ConfigError as error:
            refusal(wording.complaint(error))


def _listed():
    st.markdown("**Samples with the largest loss**")
    parts = list(PARTS) if session().last_snapshot.test_loss is not None else ["train"]
    part = "train"
    if len(parts) > 1:
        part = st.segmented_control(
            "Part of the data", parts, key="samples part", format_func=PARTS.get, default="train", required=True,
            label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
    with tab().lock:
        worst = session().act("worst_samples", part, session().moment)
    if worst is None or not len(worst.loss):  # the worker is gone, which the page tells
        return
    count = len(worst.loss)
    told = "All samples"
    if count < worst.samples:
        told = f"{count} of {wording.count(worst.samples)} samples carry {worst.share:.0%} of the loss"
    told += f" at step {wording.count(worst.step)}."
    on_map = worst.xy is not None
    st.caption(told + (" Choose one to mark it on the map." if on_map else ""))
    key = f"worst {part} {worst.step}"  # another list has no row chosen
    choosing = {"on_select": lambda: _choose(key, worst), "selection_mode": "single-row"} if on_map else {}
    st.dataframe(
        table(worst, THEMES[theme()]), hide_index=True, key=key, column_config=_columns(), **choosing,
        **({"row_height": PICTURE} if worst.pictures is not None else {}),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        if session().playing:
            st.button("Update", key="update samples", icon=":material/refresh:", help="The run plays on: lists the samples of now.")
        if on_map and OF in st.session_state:
            what = f"Marked is {st.session_state[OF][1]}."
            st.button("Remove the mark", key="unmark", icon=":material/close:", on_click=_unmark, help=what)
    if on_map and OF in st.session_state:
        _mending(st.session_state[OF][2])


def _mending(row):
    """Buttons that give the marked sample another class, or leave it out; what cannot be drawn as points stays as it is."""
    points = as_points(session().config.data)
    if points is None:
        return
    label = points[row][2]
    with st.container(horizontal=True, gap="xsmall"):
        for other in range(SOURCES[session().config.data.source].outputs_of(session().config.data)):
            if other != label:
                st.button(f"Make it class {other}", key=f"make class {other}", on_click=_amend, args=(points, row, [other]))
        st.button("Leave it out", key="leave out", icon=":material/delete:", on_click=_amend, args=(points, row, []))
    st.caption("Either begins a new run on these points as your own, with a new split into training and test.")


@handler
def _amend(points, row, label):
    """Train on these points with the one of this row in the class [label], or without it."""
    session().draft.draw([*points[:row], *([*points[row][:2], other] for other in label), *points[row + 1 :]])


def table(worst, colors):
    """The DataFrame of WorstSamples, as it is shown."""
    import pandas as pd

    columns = {}
    if worst.pictures is not None:
        columns["Picture"] = framed(_enlarged(worst.pictures), colors)
    if worst.rows is not None:
        columns["Sample"] = worst.rows + 1
    if worst.xy is not None:
        columns["x₁"], columns["x₂"] = worst.xy.T
    if worst.true is not None:
        columns["True"], columns["Predicted"] = worst.true, worst.predicted
    return pd.DataFrame(columns | {"Loss": [wording.number(loss) for loss in worst.loss]})


def _enlarged(pictures):
    times = max(1, SMALLEST // max(pictures.shape[1:3]))
    return np.repeat(np.repeat(pictures, times, axis=1), times, axis=2)


def _columns():
    counted = "below its header" if SOURCES[session().config.data.source].kind == "file" else "in the data set"
    return {
        "Picture": st.column_config.ImageColumn(width="small"),
        "Sample": st.column_config.NumberColumn(format="localized", help=f"Its row {counted}, counted from 1."),
        "x₁": st.column_config.NumberColumn(format="%.2f"),
        "x₂": st.column_config.NumberColumn(format="%.2f"),
        "Loss": st.column_config.TextColumn(help="Without the penalty on weights."),
    }


@handler
def _choose(key, worst):
    """Mark the sample that was chosen in the list, or none."""
    rows = st.session_state[key].selection.rows
    if not rows:
        _unmark()
        return
    x1, x2 = worst.xy[rows[0]].tolist()
    row = int(worst.rows[rows[0]])
    st.session_state[OF] = session().config.data, f"sample {wording.count(row + 1)} at {x1:.2f}, {x2:.2f}".replace("-", "−"), row
    mark((x1, x2))


def _unmark():
    st.session_state.pop(OF, None)
    mark(None)
