"""The chosen runs over one another."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core import watch
from core.diagnosis.finding import SEVERITIES
from core.limits import ConfigError
from core.store.comparison import AXES, learned, parting, positions, rows_of, start_alike, varying
from core.store.record import StoredRun
from core.store.store import WATCHED, StoreError
from core.watch.curves import frames, samples
from pages import wording
from pages.charts.document import document
from pages.charts.runs import MOST, Line, parallel, run_panels
from pages.run_list.table import findings_of, name_of, said, summary
from pages.shell.components import figures, theme
from pages.shell.identity import store

ALONG, LOGARITHMIC = "runs.along", "runs.log"
KEPT = 24  # runs whose histories the server keeps at hand
MOST_AXES = 7  # settings of the parallel coordinates: more cannot be read
MOST_LINES = 500  # runs in them
NAMES = {"step": "Step", "epoch": "Epoch", "time": "Time"}


@dataclass(frozen=True)
class Looked:
    """A run as it is drawn: itself without its states (None: a watched program, of which only `rows` are known), where its rows lie on each
    axis, and what it has learned."""

    run: StoredRun | None
    rows: list[np.ndarray]
    sampled_at: dict[str, np.ndarray]
    evaluated_at: dict[str, np.ndarray]
    learned: object


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def looked(path, id, kind, owner, seconds, updated):
    """The Looked of a run as it was saved at `updated`. Raises StoreError, and ConfigError where its data cannot be had any more."""
    if kind == WATCHED:
        return _watched(watch.read(store().load_watched(id, owner)), seconds)
    run = store().load(id)
    rows = rows_of(run)
    at = [{axis: positions(run, part[:, 0], axis) for axis in AXES} for part in rows]
    return Looked(replace(run, moments=(), file=None), rows, *at, learned(run))


def _watched(run, seconds):
    """Steps of a program of somebody's own take the same time each, as far as is known, and nobody knows its epochs."""
    rows = [samples(run), frames(run)]
    scale = {"step": 1.0, "epoch": np.nan, "time": seconds / max(run.steps, 1)}
    return Looked(None, rows, *({axis: part[:, 0] * scale[axis] for axis in AXES} for part in rows), None)


def comparison(rows, table, quiet=False):
    """Charts and tables of the chosen runs (rows of the store's table); of the newest, which nobody chose, `quiet` where it cannot be
    shown."""
    drawn, names = [], []
    for _, row in rows.head(MOST).iterrows():
        try:
            drawn.append(looked(str(store().path), *(row[name] for name in ("id", "kind", "owner", "seconds", "updated"))))
            names.append(name_of(row))
        except (StoreError, ConfigError) as error:
            if not quiet:
                st.error(f"{wording.literal(name_of(row))}: {wording.literal(str(error))}", icon=":material/error:")
    if not drawn:
        return
    newest = "The newest run: " if quiet else ""
    st.markdown(f"##### {newest}{wording.literal(names[0])}" if len(rows) == 1 else "##### Compared")
    if len(rows) == 1:
        _told(drawn[0].run, rows.iloc[0], table)
    _controls(len(rows))
    along, logarithmic = st.session_state[ALONG], st.session_state[LOGARITHMIC]
    lines = [Line(name, *one.rows, one.sampled_at[along], one.evaluated_at[along], one.learned) for name, one in zip(names, drawn)]
    panels = run_panels(lines, along, logarithmic, theme())
    if len(rows) > 1 and (settings := _parallel(rows)):
        panels["whole_settings"] = settings
    figures(panels, key="runs figures")
    _download(panels, names)
    if sum(one.run is not None for one in drawn) > 1:
        _partings([one.run for one in drawn])
        _settings(names, [one.run and one.run.config for one in drawn])


def _download(panels, names):
    st.download_button(
        "Charts as HTML", partial(document, " · ".join(names), panels, theme()), "descent_charts.html", "text/html", key="runs.charts",
        on_click="ignore", icon=":material/download:",
        help="One page with all of these charts, to look at and to zoom anywhere. A single one as PNG: the camera above it.",
    )  # fmt: skip


def _told(run, row, table):
    """Of a single run: where it came from, your note, and all that was found."""
    lines = []
    if run is None:
        lines.append('<div class="quiet">A training loop of your own, which a probe watched.</div>')
    elif run.parent is not None:
        origin = table[table["id"] == run.parent]
        name = "a run that is no longer here" if origin.empty else name_of(origin.iloc[0])
        lines.append(f'<div class="quiet">Forked from {html.escape(name)} at step {wording.count(run.forked_at)}.</div>')
    if row["note"]:
        lines.append(f'<div class="note">{html.escape(row["note"])}</div>')
    for finding in findings_of(row):
        mark = f'<span class="mark">{SEVERITIES[finding["severity"]].mark}</span>'
        lines.append(f'<div class="{finding["severity"]}">{mark} {html.escape(finding["title"])}</div>')
    if lines:
        st.html(f'<div class="found">{"".join(lines)}</div>')


def _controls(number):
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control(
            "Along", AXES, key=ALONG, default="step", required=True, format_func=NAMES.get, persist_state="session",
            help="What the runs are aligned by: parameter updates, times that the data was seen, or seconds in training.",
        )  # fmt: skip
        st.toggle("Logarithmic", key=LOGARITHMIC, persist_state="session", help="The axis along which they are aligned; losses always are.")
        if number > MOST:
            st.caption(f"The first {MOST} of {wording.count(number)} are drawn.", width="content")


def _parallel(rows):
    """The chart of settings and results, or None where no setting differs."""
    rows = rows.head(MOST_LINES)
    configs = [summary(row).config for row in rows.to_dict("records")]
    rows = rows[[config is not None for config in configs]]
    settings = varying([config for config in configs if config is not None])
    if not settings:
        return None
    columns = {}
    for name, values in list(settings.items())[:MOST_AXES]:
        columns[wording.label(name)] = values if all(map(_is_number, values)) else [said(value) for value in values]
    metric = rows["test_metric"].fillna(rows["train_metric"])
    name = rows["metric"].iloc[0] if rows["metric"].nunique() == 1 else "metric"
    return parallel(columns, {"final loss": rows["final"].to_numpy(), wording.phrase(name): metric.to_numpy()}, theme())


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _partings(runs):
    """For every run that begins like one before it, its fork first of all: the first step at which the two part."""
    told = []
    for place, run in enumerate(runs):
        partners = [other for other in runs[:place] if _comparable(other, run)]
        if not partners:
            continue
        partner = next((other for other in partners if _is_fork(other, run)), partners[0])
        how = "are forks of one run" if _is_fork(partner, run) else "begin with the same weights on the same data"
        begin = f"{runs.index(partner) + 1} and {place + 1} {how}"
        found = parting(partner, run)
        if found.step is None:
            told.append(f"{begin} and do the same up to step {wording.count(found.last)}.")
        else:
            told.append(f"{begin} and part at step {wording.count(found.step)}, the first recorded one that differs.")
    if told:
        st.markdown("##### Where they part")
        st.markdown("  \n".join(told))


def _comparable(one, other):
    return all(run and len(rows_of(run)[0]) for run in (one, other)) and start_alike(one.config, other.config)


def _is_fork(one, other):
    return other.parent == one.id or one.parent == other.id or (one.parent is not None and one.parent == other.parent)


def _settings(names, configs):
    """The settings in which the drawn runs differ, a row each; a watched program (None) has none that are known."""
    st.markdown("##### What differs")
    known = {f"{place} · {name}": config for place, (name, config) in enumerate(zip(names, configs), 1) if config}
    settings = varying(list(known.values()))
    if not settings:
        st.caption("Nothing: their settings are the same.")
        return
    columns = {name: [said(values[place]) for values in settings.values()] for place, name in enumerate(known)}
    table = pd.DataFrame({"Setting": [wording.label(name) for name in settings], **columns})
    st.dataframe(table, hide_index=True, width="stretch", alt="The settings in which these runs differ.")
