"""Which samples: little pictures of the sources, a person's own file, and how the samples are made."""

from __future__ import annotations

import streamlit as st

from core.data.sources import SOURCES
from core.limits import LIMITS
from core.link import SETTINGS
from core.settings import Settings
from pages import wording
from pages.shell.controls import folded, show
from pages.shell.tab import handler, tab
from pages.training import own_plane
from pages.training.draft import NO_FILE, TABLE
from pages.training.session import session
from pages.training.setting_controls import changed, complaint, grid
from pages.training.table_preview import preview

PLAIN = ("data.source", "data.path", "data.test_path", *TABLE)  # settings with controls of their own, or none
KINDS = ["csv", "tsv", "txt", "dat", "data", "xlsx", "json", "jsonl", "parquet", "npz", "npy", "gz", "zip"]
FATE = {  # of an uploaded file, whether the server is shared or not
    True: "Kept on this server with the runs that train on it. A link to a run shows others its charts, samples drawn in them included; "
    "the file itself, scripts and weights only where you share them, under Export.",
    False: "Kept with the runs that train on it. Whoever can open this server can open and export these runs, the file with them.",
}
FIRST = ("data.noise", "data.test_fraction")  # side by side


def data():
    """The source; its settings folded."""
    source()
    own = {"file": own_file, "drawn": own_plane.points, "formula": own_plane.formula}
    own.get(session().draft.values["data.source"], lambda: None)()
    names = [name for name, spec in SETTINGS.items() if name.startswith("data.") and "kind" in spec.metadata and name not in PLAIN]
    folded("Data settings", lambda: _settings(names), "data folded")


def _settings(names):
    grid(*FIRST)
    grid("data.features")
    grid(*(name for name in names if name not in (*FIRST, "data.features")))


def source():
    """A picture for every source; the style sheet of thumbnails.py draws them."""
    name = "data.source"
    if tab().lesson.hides(name):
        return
    value = session().draft.values[name]
    st.segmented_control(
        "Source", SOURCES, **show(name, value), format_func=wording.option, required=True, help=SETTINGS[name].metadata["help"],
        label_visibility="collapsed", on_change=changed, args=(name,),
    )  # fmt: skip
    st.caption(SOURCES[value].about)
    complaint(name)


def own_file():
    """Upload, and how the file is read."""
    st.file_uploader(
        "Your table", KINDS, key="file", max_upload_size=LIMITS["file_bytes"] >> 20,
        help=f"CSV and its kin, Excel, JSON, Parquet, NumPy. {FATE[Settings.from_environment().shared]}", on_change=_upload,
    )  # fmt: skip
    token = session().draft.values["data.path"]
    if session().draft.problem is NO_FILE:
        session().draft.explained = True
    complaint("data.path")
    if token is None:
        st.info(f"No file yet. Until you choose one, the run stays with: {SOURCES[session().config.data.source].title}.")
        return
    if session().draft.borrows and token == session().config.data.path:
        st.caption("This run trains on a file of its owner's, which is not to be seen here.")
        return
    used = "In use" if token == session().config.data.path else "Not in use yet"
    st.caption(f"{used}: {wording.literal(session().draft.uploads[token].path.name)}")
    folded("A test file of its own", _tests, "tests folded")
    if table := session().draft.described():
        preview(table)


def _tests():
    """Upload of a test file, and the way back."""
    st.file_uploader(
        "Test file", KINDS, key="tests", max_upload_size=LIMITS["file_bytes"] >> 20, on_change=_upload_tests,
        help="A table with the same columns: the network trains on all rows of the first file and is tested on this one.",
    )  # fmt: skip
    complaint("data.test_path")
    if session().draft.has_tests:
        st.button("Draw the tests from the first file again", key="drop tests", on_click=_drop_tests, width="stretch")


@handler
def _upload():
    file = st.session_state["file"]
    if file is not None:
        session().draft.upload(file.name, file.getvalue())
    elif session().config.data.path is not None:  # taken out of the list, as it also is when another one is chosen
        session().draft.take_back()
    else:
        session().draft.edit("data.path", None)


@handler
def _upload_tests():
    if (file := st.session_state["tests"]) is not None:
        session().draft.upload_tests(file.name, file.getvalue())
    elif session().draft.has_tests:
        session().draft.drop_tests()


@handler
def _drop_tests():
    session().draft.drop_tests()
