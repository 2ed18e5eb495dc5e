"""Taking a run out of Descent, in every format there is, and opening weights from elsewhere."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import streamlit as st

from core.export import EXPORTS, imported
from core.limits import LIMITS, ConfigError
from core.live.apart import apart
from core.settings import Settings
from core.store.store import StoreError
from pages import wording
from pages.charts import panels
from pages.charts.document import document
from pages.charts.replay import evenly, replay
from pages.shell.components import copy_link, theme
from pages.shell.controls import refusal, show
from pages.shell.identity import store, take_upload
from pages.shell.tab import handler, tab
from pages.training.lesson_card import hidden_panels
from pages.training.session import session

ICONS = {"text/x-python": "code"}  # by MIME type; all else is plain data
WIDTH = 280  # pixels: a long refusal makes the menu longer, not wider
OPENED = "weights opened"  # how many files were: each gets a fresh uploader
OUTCOME = "weights outcome"  # (the file's name, why it was refused or None)


@st.fragment
def export_menu():
    """A menu with a download for each format, made when it is asked for, and an uploader for weights."""
    menu = st.popover("Export", icon=":material/download:", key="export menu", on_change="rerun", disabled=tab().lesson.fixes("export"))
    if not menu.open or session().last_snapshot is None:
        return
    with menu, st.container(key="exports", gap="xsmall", width=WIDTH):
        if not session().run.may_take:
            _link()
            st.caption("This run is somebody else's. You can take home its charts; scripts, weights and data are its owner's.")
            _charts()
            _replay()
            return
        _link()
        st.caption("This run, to read, to run and to use elsewhere.")
        _sharing()
        for name, export in EXPORTS.items():
            _download(name, export)
        _charts()
        _replay()
        if session().last_snapshot.events:
            st.caption("Scripts train with the settings of now from the beginning: what was changed on the way is not in them.")
        if not session().run.foreign:
            _uploader(session().last_snapshot.inputs)


def _link():
    copy_link("copy link", "Copy link", "This page's address: the set-up, and the run once it is kept. Whoever opens it sees the same.")


def _sharing():
    """A switch for the owner of a run that a shared server keeps."""
    run = session().run
    if not Settings.from_environment().shared or run.foreign or run.run_id is None:
        return
    with suppress(StoreError):  # then nothing can be shared
        key = f"share {run.run_id}"
        st.toggle(
            "Share data and weights with everyone who has the link", **show(key, store().access(run.run_id).shared), on_change=_share,
            args=(run.run_id, key),
            help="On: whoever opens the link to this run can also take its data, scripts and weights, and train it on as a run of their "
            "own. Off: they see its charts. What somebody took before stays with them.",
        )  # fmt: skip


def _download(name, export):
    refused = export.refusal(session().config)
    st.download_button(
        export.title, partial(session().act, "export", name), export.file_name, export.mime, key=f"export {name}", on_click="ignore",
        icon=f":material/{ICONS.get(export.mime, 'deployed_code')}:", width="stretch", disabled=refused is not None,
        help=f"{wording.complaint(refused)}." if refused else export.about,
    )  # fmt: skip


def _charts():
    here, options = session(), tab().view.options(theme())

    def made():
        return document("A run of Descent", panels(here.last_snapshot, options, hidden_panels(here.lesson)), options.theme)

    st.download_button(
        "Charts", made, "descent_charts.html", "text/html", key="charts", on_click="ignore",
        icon=":material/bar_chart:", width="stretch",
        help="One HTML page with all charts as they stand, to look at and to zoom anywhere. A single one as PNG: the camera above it.",
    )  # fmt: skip


def _replay():
    here, options = session(), tab().view.options(theme())
    drawn = partial(panels, options=options, hidden=hidden_panels(here.lesson))

    def made():
        pictures = [(f"Step {wording.count(snapshot.step)}", drawn(snapshot)) for snapshot in _moments(here)]
        return replay("A run of Descent", pictures, options.theme)

    st.download_button(
        "Run with its time slider", made, "descent_run.html", "text/html", key="replay", on_click="ignore",
        icon=":material/movie:", width="stretch",
        help="One HTML page of at most 5 MB with the charts at moments of the whole run: move its slider anywhere, without a server.",
    )  # fmt: skip


def _moments(here):
    """Snapshots of the run from its beginning to now, as far as it can be had again."""
    now = here.act("snapshot")
    if now is None:
        now = here.last_snapshot
    for step in evenly([step for step in now.kept_steps if step < now.step]):
        with suppress(ConfigError):
            if (past := here.act("snapshot", None, step)) is not None:
                yield past
    yield now


def _uploader(inputs):
    key = f"weights {st.session_state.get(OPENED, 0)}"
    st.file_uploader(
        "Open weights", ["npz", "onnx"], key=key, max_upload_size=LIMITS["file_bytes"] >> 20, on_change=_open, args=(key, inputs),
        help="The weights of a multi-layer perceptron trained elsewhere: an NPZ with W1, b1, W2, b2 and so on, or an ONNX model. "
        "A new run begins with them, on the data as they are set.",
    )  # fmt: skip
    name, refused = st.session_state.get(OUTCOME, (None, None))
    if refused:
        refusal(refused)
    elif name:
        st.caption(wording.literal(f"The run began with the weights in {name}."))


@handler
def _share(run_id, key):
    shared = st.session_state[key]
    try:
        store().share(run_id, session().run.person, shared)
    except StoreError as error:
        session().notice = str(error)


@handler
def _open(key, inputs):
    """Begin a run with the weights of the file, in layers of their sizes."""
    file = st.session_state[key]
    if file is None:
        st.session_state.pop(OUTCOME, None)
        return
    try:
        take_upload(imported.FIELD, file.getvalue())
        weights = apart(imported.read, file.getvalue(), field=imported.FIELD)
        session().open_weights(weights.fitted(session().config, inputs), weights.parameters)
        st.session_state[OUTCOME] = file.name, None
        st.session_state[OPENED] = st.session_state.get(OPENED, 0) + 1
    except ConfigError as error:
        st.session_state[OUTCOME] = file.name, wording.complaint(error)
    st.rerun()  # the sidebar shows the layers
