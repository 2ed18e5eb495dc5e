"""The list of runs: filtered, a page at a time, and which of them are chosen."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.data.sources import SOURCES
from core.diagnosis.finding import SEVERITIES
from core.limits import legible
from core.store.comparison import varying
from core.store.store import WATCHED
from pages import wording

CHOSEN = "runs.chosen"  # ids, in the order of the list
SHOWN = "runs.shown"  # ids as the browser shows them: its choice comes as row numbers of this list
PAGE = "runs.page"
FILTER, STARRED = "runs.filter", "runs.starred"
ROWS = 100  # of one page of the list
ROW_HEIGHT, TALLEST = 66, 8  # pixels, from 65 on Streamlit wraps texts; rows that are in view at once
MOST_SETTINGS = 4  # told of what differs in a row
STATES = {"running": "▶ running", "paused": "❚❚ paused", "finished": "■ stopped early", "ended": "■ ended", "nonfinite": "✕ not finite"}
UNREADABLE = "cannot be read"


@dataclass
class Summary:
    """What the list says of a run: its own name or its data and layers, what was found, its losses, and its configuration's dict. What
    cannot be read is said so, or is empty."""

    name: str
    found: str = UNREADABLE
    spark: tuple[float, ...] = ()
    config: dict | None = None


def chosen():
    """Ids of the runs that are ticked."""
    return st.session_state.get(CHOSEN, [])


def choose(ids):
    """Tick these runs."""
    st.session_state[CHOSEN] = list(ids)
    st.session_state[SHOWN] = None  # the list is drawn anew, so that it shows the choice


def summary(row):
    """The Summary of a row of the store's table, whatever is in it."""
    told = Summary(row["name"] or f"Run {row['number']}")
    with suppress(Exception):  # whoever wrote it: a row that makes no sense must not hide the others
        told.spark = _spark(row["spark"])
        if row["kind"] == WATCHED:
            told.found = _found(row["findings"])
            return told
        config = RunConfig.from_dict(json.loads(row["config"]))
        told.config = config.to_dict()
        told.name = row["name"] or f"{SOURCES[config.data.source].title} {'-'.join(str(layer.units) for layer in config.layers)}"
        told.found = _found(row["findings"])
    return told


def name_of(row):
    """What the run of a row is called."""
    return summary(row).name


def filters():
    """What narrows the list."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Filter", key=FILTER, placeholder="spiral adam dead", on_change=_first_page, icon=":material/search:", width=240,
            help="Only runs with all of these words in their name, note, state, findings or settings.",
        )  # fmt: skip
        st.toggle("Starred only", key=STARRED, on_change=_first_page, help="Only runs that you have starred.")


def _first_page():
    st.session_state[PAGE] = 0


def filtered(table):
    """The rows that the filter lets through."""
    if st.session_state.get(STARRED):
        table = table[table["starred"]]
    wanted = st.session_state.get(FILTER, "").lower().split()
    if not wanted or table.empty:
        return table
    text = table["name"] + "\n" + table["note"] + "\n" + table["status"] + "\n" + table["findings"] + "\n" + table["config"]
    text = text.str.lower()
    for word in wanted:
        text = text[text.str.contains(word, regex=False)]
    return table.loc[text.index]


def runs_list(table):
    """One page of the list; what is ticked becomes the choice."""
    pages = max(1, -(-len(table) // ROWS))
    page = min(st.session_state.get(PAGE, 0), pages - 1)
    rows = table.iloc[page * ROWS : (page + 1) * ROWS]
    ids = rows["id"].tolist()
    if st.session_state.get(SHOWN) != ids:
        st.session_state[SHOWN] = ids
        st.session_state["runs.drawn"] = st.session_state.get("runs.drawn", 0) + 1
    _pager(page, pages, len(rows), len(table))
    key = f"runs.list {st.session_state['runs.drawn']}"  # rows that moved would be ticked in others' place
    ticked = [ids.index(id) for id in chosen() if id in ids]
    st.dataframe(
        _shown(rows), key=key, hide_index=True, width="stretch", row_height=ROW_HEIGHT, placeholder="–",
        height=ROW_HEIGHT * min(len(rows), TALLEST) + 38,
        column_config=_columns(), on_select=lambda: _ticked(key, ids), selection_mode="multi-row",
        selection_default={"selection": {"rows": ticked}}, alt="The runs that were kept",
    )  # fmt: skip


def _pager(page, pages, shown, runs):
    """Which of the runs are listed, and the way to the others."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if pages == 1:
            st.caption(f"{wording.count(runs)} run{'' if runs == 1 else 's'}", width="content")
            return
        first = page * ROWS + 1
        st.caption(f"{wording.count(first)} to {wording.count(first + shown - 1)} of {wording.count(runs)} runs", width="content")
        for name, to, icon in (("Newer", page - 1, "left"), ("Older", page + 1, "right")):
            st.button(
                name, icon=f":material/chevron_{icon}:", key=f"runs.{name.lower()}", disabled=not 0 <= to < pages,
                on_click=_turn, args=(to,), help=f"The {ROWS} runs that are {name.lower()}.",
            )  # fmt: skip


def _turn(page):
    st.session_state[PAGE] = page


def _ticked(key, ids):
    """Take over what is ticked on this page of the list; what was ticked on others stays."""
    here = [ids[row] for row in st.session_state[key]["selection"]["rows"] if row < len(ids)]
    st.session_state[CHOSEN] = [id for id in chosen() if id not in ids] + here


def _shown(rows):
    told = [summary(row) for row in rows.to_dict("records")]
    return pd.DataFrame(
        {
            "starred": np.where(rows["starred"], "★", ""),
            "name": [one.name for one in told],
            "created": pd.to_datetime(rows["created"].to_numpy(), unit="s", utc=True, errors="coerce"),
            "seconds": [wording.duration(seconds) for seconds in rows["seconds"]],
            "spark": [one.spark for one in told],
            "status": [STATES.get(status, UNREADABLE) for status in rows["status"]],
            "found": [one.found for one in told],
            "differs": _differences([one.config for one in told]),
            "final": rows["final"].to_numpy(),
            "test": rows["test"].to_numpy(),
            "metric": [
                f"{wording.phrase(name)} {wording.number(value, 3)}" if name else ""
                for name, value in zip(rows["metric"], _metric(rows), strict=True)
            ],
            "step": rows["step"].to_numpy(),
        }
    )


def _metric(rows):
    best_known = rows["test_metric"].fillna(rows["train_metric"])
    return [None if np.isnan(value) else value for value in best_known]


def _spark(raw):
    """The losses on a logarithmic scale, which the little chart does not have itself."""
    losses = np.frombuffer(raw[: len(raw) // 4 * 4], "<f4")
    losses = losses[np.isfinite(losses) & (losses > 0)]
    return tuple(np.log10(losses).round(3).tolist())


def findings_of(row):
    """The findings in a row of the store's table, as dicts; none where they cannot be read."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        return [
            {"severity": SEVERITIES[one["severity"]] and one["severity"], "title": legible(one["title"])}
            for one in json.loads(row["findings"])
        ]
    return []


def _found(text):
    findings = json.loads(text)
    if not findings:
        return "✓ nothing"
    more = f" (+{len(findings) - 1})" if len(findings) > 1 else ""
    return f"{SEVERITIES[findings[0]['severity']].mark} {legible(findings[0]['title'])}{more}"


def _differences(configs):
    """For each configuration, what sets it apart from the others that are shown; nothing for None."""
    readable = [place for place, config in enumerate(configs) if config is not None]
    settings = varying([configs[place] for place in readable])
    named = list(settings)
    told = dict.fromkeys(range(len(configs)), "")
    for index, place in enumerate(readable):
        values = {name: settings[name][index] for name in named[:MOST_SETTINGS]}
        told[place] = ", ".join(f"{wording.label(name).lower()} {said(value)}" for name, value in values.items() if value is not None)
        told[place] += f" +{len(named) - MOST_SETTINGS}" if len(named) > MOST_SETTINGS else ""
    return list(told.values())


def said(value):
    """A setting's value in few characters."""
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return f"{len(value)}" if isinstance(value[0], list) else ", ".join(map(str, value))
    if isinstance(value, str):
        return "-".join(wording.phrase(part) for part in value.split("-"))
    return f"{value:g}"


def _columns():
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "starred": text("★", width=30, help="Starred runs are never thinned."),
        "name": text("Run", width=128, help="Your name for it, or its data and layers."),
        "created": st.column_config.DatetimeColumn("Begun", width=104, format="D MMM HH:mm:ss", help="When it began."),
        "seconds": text("Trained", width=70, help="Time in training."),
        "spark": st.column_config.LineChartColumn("Loss", width=70, help="Training loss so far, on a logarithmic scale."),
        "status": text("State", width=96, help="Whether it trains now, stands, or broke."),
        "found": text("Found", width=200, help="The first cause of what went wrong, and how many findings more."),
        "differs": text("What differs", width=200, help="The settings in which the runs listed here differ."),
        "final": number("Train", width=64, format="%.3g", help="Training loss at the last look."),
        "test": number("Test", width=64, format="%.3g", help="Loss on the samples that were held back."),
        "metric": text("Metric", width=84, help="On the samples that were held back; without any, on the others."),
        "step": number("Steps", width=72, format="localized", help="Parameter updates."),
    }
