"""Which samples: little pictures of the sources, a person's own file, and how the samples are made."""

from __future__ import annotations

import streamlit as st

from core.data.sources import SOURCES
from core.limits import LIMITS
from core.link import SETTINGS
from core.settings import Settings
from pages import wording
from pages.shell.controls import folded, show
from pages.shell.tab import handler
from pages.training.draft import NO_FILE
from pages.training.session import session
from pages.training.setting_controls import changed, complaint, control, grid

PLAIN = ("data.source", "data.path", "data.task", "data.target")  # settings with controls of their own
FATE = {  # of an uploaded file, whether the server is shared or not
    True: "Kept on this server with the runs that train on it. A link to a run shows others its charts, never the file.",
    False: "Kept with the runs that train on it. Whoever can open this server can open and export these runs, the file with them.",
}
FIRST = ("data.noise", "data.test_fraction", "data.features")


def data():
    """The source and its settings."""
    source()
    if session().draft.values["data.source"] == "file":
        own_file()
    names = [name for name, spec in SETTINGS.items() if name.startswith("data.") and "kind" in spec.metadata and name not in PLAIN]
    grid("data.noise", "data.test_fraction")
    grid("data.features")
    folded("More about the data", lambda: grid(*(name for name in names if name not in FIRST)), "data folded")


def source():
    """A picture for every source; the style sheet of thumbnails.py draws them."""
    name = "data.source"
    value = session().draft.values[name]
    st.segmented_control(
        "Source", SOURCES, **show(name, value), format_func=wording.option, required=True, help=SETTINGS[name].metadata["help"],
        label_visibility="collapsed", on_change=changed, args=(name,),
    )  # fmt: skip
    st.caption(SOURCES[value].about)
    complaint(name)


def own_file():
    """Upload, and what of the file is the target."""
    st.file_uploader(
        "CSV with a header, or NPZ with X and y", ["csv", "npz"], key="file", max_upload_size=LIMITS["file_bytes"] >> 20,
        help=FATE[Settings.from_environment().shared], on_change=_upload,
    )  # fmt: skip
    token = session().draft.values["data.path"]
    if session().draft.problem is NO_FILE:
        session().draft.explained = True
    complaint("data.path")
    if token is None:
        st.info(f"No file yet. Until you choose one, the run stays with: {SOURCES[session().config.data.source].title}.")
        return
    used = "In use" if token == session().config.data.path else "Not in use yet"
    st.caption(f"{used}: {wording.literal(session().draft.uploads[token].path.name)}")
    control("data.task")
    contents = session().draft.uploads[token].contents
    if contents.format == "csv":
        _target(list(contents.columns))


def _target(columns):
    """Which columns are to be predicted: one of classes, or one or more of values."""
    name = "data.target"
    value = session().draft.values[name] or columns[-1]
    common = {"help": SETTINGS[name].metadata["help"], "on_change": _choose_target, "args": (columns,), "options": columns}
    if session().draft.values["data.task"] == "classification":
        st.selectbox("Target column", **common, **show(name, value if isinstance(value, str) else value[0]))
    else:
        st.multiselect("Target columns", **common, **show(name, [value] if isinstance(value, str) else list(value)))
    complaint(name)


@handler
def _choose_target(columns):
    """A column of another file was shown before: the browser has yet to hear of this one. Nor is it a choice to say again what is shown."""
    target, shown = st.session_state["data.target"] or None, session().draft.values["data.target"] or columns[-1]
    of_this_file = {None, *columns}.issuperset(target if isinstance(target, list) else [target])
    if of_this_file and target not in (shown, [shown]):
        session().draft.edit("data.target", target)


@handler
def _upload():
    file = st.session_state["file"]
    if file is not None:
        session().draft.upload(file.name, file.getvalue())
    elif session().config.data.path is not None:  # taken out of the list, as it also is when another one is chosen
        session().draft.take_back()
    else:
        session().draft.edit("data.path", None)
