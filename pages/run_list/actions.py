"""What can be done to runs: open, name, star, take out, bring in, delete and have back."""

from __future__ import annotations

import re
from functools import partial

import streamlit as st

from core.limits import LIMITS, ConfigError, legible
from core.link import RUN
from core.live.apart import apart
from core.store import archive
from core.store.comparison import history_csv
from core.store.store import NAME_LENGTH, NOTE_LENGTH, TRAINED, WATCHED, StoreError
from pages import wording
from pages.run_list.table import choose, chosen, name_of
from pages.shell.identity import owner, store, take_upload

TROUBLE = "runs.trouble"  # why the last thing could not be done
DELETED = "runs.deleted"  # ids that can be had back
OPENED = {  # kind -> where a run of it is opened
    TRAINED: (
        "playground.py",
        "Open in playground",
        "As it stands, with its charts and its past; it goes on from there when you press Play.",
    ),
    WATCHED: ("watch.py", "Open in Watch", "With its charts, its findings, and the whole steps that were kept."),
}
BROUGHT = "runs.brought"  # how many files were brought in: each gets a fresh uploader


def messages():
    """What must be told: the store's own trouble, what could not be done, what can be undone."""
    if store().warning:
        st.warning(wording.literal(store().warning), icon=":material/warning:")
    if trouble := st.session_state.pop(TROUBLE, None):
        st.error(wording.literal(trouble), icon=":material/error:")
    if deleted := st.session_state.get(DELETED):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs undo bar"):
            st.caption(f"{_counted(len(deleted))} deleted.", width="content")
            st.button("Undo", icon=":material/undo:", key="runs.undo", on_click=_undo, help="Have them back; that is possible for an hour.")


def _counted(number):
    return f"{wording.count(number)} run{'' if number == 1 else 's'}"


def actions(rows):
    """Buttons for the chosen runs (rows of the store's table)."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs actions"):
        if rows.empty:
            st.caption("Tick a run to open, name or export it, and two or more to compare them.", width="content")
        else:
            _for_chosen(rows)
        bring_in()


def _for_chosen(rows):
    one, ids = rows.iloc[0], rows["id"].tolist()
    single = len(rows) == 1
    if single:
        page, label, told = OPENED[one["kind"]]
        st.page_link(page, label=label, icon=":material/open_in_new:", query_params={RUN: one["id"]}, help=told)
        _naming(one)
    starred = bool(rows["starred"].all())
    st.button(
        "Unstar" if starred else "Star", icon=":material/star:", key="runs.star", on_click=_do, args=(partial(_star, ids, not starred),),
        help="Starred runs are kept whole, however full the store is.",
    )  # fmt: skip
    if single:
        _exports(one)
    st.button(
        f"Delete {wording.count(len(ids))}" if not single else "Delete", icon=":material/delete:", key="runs.delete",
        on_click=_delete, args=(ids,), help="Takes them out of the list; you can have them back for an hour.",
    )  # fmt: skip
    if not single:
        st.caption(f"{_counted(len(ids))} chosen", width="content")


def _naming(row):
    with st.popover("Name and note", icon=":material/edit:", key="runs naming"):
        name, note = f"runs.name {row['id']}", f"runs.note {row['id']}"
        st.text_input(
            "Name", row["name"], max_chars=NAME_LENGTH, key=name, placeholder=name_of(row), on_change=_do,
            args=(lambda: store().rename(row["id"], st.session_state[name]),), help="Empty: its data and layers.",
        )  # fmt: skip
        st.text_area(
            "Note", row["note"], max_chars=NOTE_LENGTH, key=note, on_change=_do,
            args=(lambda: store().annotate(row["id"], st.session_state[note]),), help="Whatever you want to remember of this run.",
        )  # fmt: skip


def _exports(row):
    file = re.sub(r"[^A-Za-z0-9]+", "-", name_of(row)).strip("-").lower() or "run"
    with st.popover("Export", icon=":material/download:", key="runs exports"):
        if row["kind"] == WATCHED:
            st.download_button(
                "What the probe told", lambda: store().load_watched(row["id"], owner()), f"{file}.probe", "application/octet-stream",
                key="runs.probe", on_click="ignore", width="stretch", help="A RUN.probe, which the page Watch and `core watch` open.",
            )  # fmt: skip
            return
        st.download_button(
            "Whole run", lambda: archive.export(store().load(row["id"])), f"{file}.descent", "application/zip", key="runs.export",
            on_click="ignore", width="stretch", help="One file that another Descent opens: settings, history, checkpoints, your data.",
        )  # fmt: skip
        st.download_button(
            "History as CSV", lambda: history_csv(store().load(row["id"])), f"{file}.csv", "text/csv", key="runs.csv",
            on_click="ignore", width="stretch", help="Losses, metrics and what was recorded of each layer, a row a step.",
        )  # fmt: skip


def bring_in():
    """An uploader for a run that was exported."""
    with st.popover("Import", icon=":material/upload:", key="runs import"):
        key = f"runs.file {st.session_state.get(BROUGHT, 0)}"
        st.file_uploader(
            "A run that was exported", ["descent"], key=key, max_upload_size=LIMITS["file_bytes"] >> 20, on_change=_bring, args=(key,),
            help="A .descent file; it becomes a run of yours.",
        )  # fmt: skip


def _bring(key):
    file = st.session_state[key]
    if file is None:
        return
    st.session_state[BROUGHT] = st.session_state.get(BROUGHT, 0) + 1

    def take_in():
        take_upload(archive.FIELD, file.getvalue())
        choose([archive.import_run(store(), apart(archive.read, file.getvalue(), field=archive.FIELD), owner())])

    _do(take_in, f"{legible(file.name)} cannot be used. ")


def _do(action, prefix=""):
    """Do it, or say why not."""
    try:
        action()
    except ConfigError as error:
        st.session_state[TROUBLE] = f"{prefix}{wording.complaint(error)}."
    except StoreError as error:
        st.session_state[TROUBLE] = f"{prefix}{error}"


def _star(ids, starred):
    for id in ids:
        store().star(id, starred)


def _delete(ids):
    def delete():
        store().delete(ids)
        st.session_state[DELETED] = ids
        choose(id for id in chosen() if id not in ids)

    _do(delete)


def _undo():
    def undo():
        store().undelete(st.session_state[DELETED])
        choose(st.session_state.pop(DELETED))

    _do(undo)
