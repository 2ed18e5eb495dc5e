"""How a person's table is read, before anything trains on it: what each column is and is used for, and all of it to be changed."""

from __future__ import annotations

import hashlib

import streamlit as st

from core.data.table.columns import TYPES, USES
from core.limits import shown
from core.link import SETTINGS
from pages import wording
from pages.shell.controls import folded, show
from pages.shell.tab import handler
from pages.training.session import session
from pages.training.setting_controls import complaint, control

EDITABLE = 200  # columns that are listed
NOTES, CLASSES = 8, 8
DELIMITERS = {None: "found out", ",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blanks"}
HEADERS = {None: "found out", True: "names", False: "data"}


def preview(table):
    """The Description `table`, and controls for what was decided."""
    _targets(table)
    control("data.task")
    if len(table.columns) <= EDITABLE:
        _columns(table)
    else:
        st.caption(f"{len(table.columns):,} columns")
    if table.balance:
        _balance(table)
    for note in table.notes[:NOTES]:
        st.caption(wording.literal(note))
    if len(table.notes) > NOTES:
        st.caption(f"And {len(table.notes) - NOTES} notes more.")
    for name in ("data.columns", "data.drop", "data.missing", "data.split", "data.test_path"):
        complaint(name)
    folded("How the file is read", lambda: _reading(table), "table folded")
    if session().draft.can_undo:
        st.button("Undo the last change of the table", key="undo table", icon=":material/undo:", on_click=_undo, width="stretch")


def _targets(table):
    """Which columns are to be predicted: one of classes, or one or more of values."""
    if table.format == "npz":  # whose targets are an array of their own
        return
    name, options = "data.target", [entry["name"] for entry in table.columns]
    common = {"help": SETTINGS[name].metadata["help"], "on_change": _choose_target, "args": (tuple(options),), "options": options}
    if session().draft.values["data.task"] == "classification":
        st.selectbox("Target column", **common, **show(name, table.target[0] if table.target else options[-1]))
    else:
        st.multiselect("Target columns", **common, **show(name, list(table.target)))
    complaint(name)


def _columns(table):
    """A row for each column; type and use can be changed there."""
    import pandas as pd

    rows = pd.DataFrame(
        [{name: entry[name] for name in ("name", "type", "use", "missing", "distinct", "histogram")} for entry in table.columns]
    )
    key = f"columns {hashlib.sha256(repr(table.columns).encode('utf-8', 'replace')).hexdigest()[:12]}"
    st.data_editor(
        rows, key=key, hide_index=True, num_rows="fixed", disabled=["name", "missing", "distinct", "histogram"], on_change=_edit,
        args=(key, tuple(rows["name"])), height=min(36 * (len(rows) + 1) + 2, 400),
        column_config={
            "name": st.column_config.TextColumn("Column", pinned=True),
            "type": st.column_config.SelectboxColumn("Type", options=TYPES, required=True),
            "use": st.column_config.SelectboxColumn("Use", options=USES, required=True),
            "missing": st.column_config.NumberColumn("Missing"),
            "distinct": st.column_config.NumberColumn("Distinct"),
            "histogram": st.column_config.BarChartColumn("Values", help="Rows in equal intervals, or of the most frequent values."),
        },
    )  # fmt: skip


def _balance(table):
    """How many rows each class has."""
    rows = sum(count for _, count in table.balance)
    most = sorted(table.balance, key=lambda entry: -entry[1])
    told = ", ".join(f"{wording.literal(name)} {count / rows:.0%} ({count:,})" for name, count in most[:CLASSES])
    more = f", and {len(most) - CLASSES} classes more" if len(most) > CLASSES else ""
    st.caption(f"Classes: {told}{more}")


def _reading(table):
    """What is found out of the file, to be overruled; and its first rows."""
    control("data.missing")
    if table.format in ("csv", "xlsx"):
        found = "" if table.header is None else f" ({HEADERS[table.header]})"
        _choice("data.header", "First row", {**HEADERS, None: f"found out{found}"})
    if table.format == "csv":
        found = DELIMITERS.get(table.delimiter, shown(table.delimiter))
        _choice("data.delimiter", "Columns are separated by", {**DELIMITERS, None: f"found out ({found})"})
    import pandas as pd

    names = [entry["name"] for entry in table.columns][: len(table.first[0]) if table.first else 0]
    st.caption(f"The first of {table.rows:,} rows")
    st.dataframe(pd.DataFrame(table.first, columns=names), hide_index=True)


def _choice(name, label, options):
    st.selectbox(
        label, list(options), **show(name, session().draft.values[name]), format_func=options.get, on_change=_read_as, args=(name,),
        help=SETTINGS[name].metadata["help"],
    )  # fmt: skip
    complaint(name)


@handler
def _read_as(name):
    value = st.session_state[name]
    if value != session().draft.values[name]:
        session().draft.read_as(name, value)


@handler
def _edit(key, names):
    """Cells of the list of columns were changed."""
    edited = st.session_state[key]["edited_rows"]
    if edited:
        session().draft.change_table(changed_columns(session().draft.values, names, edited))


def changed_columns(values, names, edited):
    """{setting: value} for the cells that were changed in the list of the columns `names`: {row: {"type" or "use": value}}."""
    columns, drop, target = dict(values["data.columns"]), list(values["data.drop"]), values["data.target"]
    targets = [target] if isinstance(target, str) else list(target or ())
    for row, changes in edited.items():
        name = names[int(row)]
        said = {"type": None, "use": None} | columns.get(name, {})
        if (kind := changes.get("type")) is not None:
            said["type"] = kind
        if (use := changes.get("use")) is not None:
            said["use"] = use if use == "input" else None
            drop = [other for other in drop if other != name] + [name] * (use == "left out")
            targets = [other for other in targets if other != name]
            if use == "target":
                targets = [name] if values["data.task"] == "classification" else [*targets, name]
        columns[name] = said
    columns = {name: said for name, said in columns.items() if said["type"] or said["use"]}
    target = targets[0] if len(targets) == 1 else targets or None
    return {"data.columns": columns, "data.drop": drop, "data.target": target}


@handler
def _choose_target(columns):
    """A column of another file was shown before: the browser has yet to hear of this one. Nor is it a choice to say again what is shown."""
    target, values = st.session_state["data.target"] or None, session().draft.values
    wanted = target if isinstance(target, list) else [target]
    used = values["data.target"]
    if {None, *columns}.issuperset(wanted) and wanted != (used if isinstance(used, list) else [used]):
        drop = [name for name in values["data.drop"] if name not in wanted]
        target = target[0] if isinstance(target, list) and len(target) == 1 else target
        session().draft.change_table({"data.target": target, "data.drop": drop})


@handler
def _undo():
    session().draft.undo_table()
