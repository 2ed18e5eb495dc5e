"""A sweep from the page: which settings vary, how far it is, and what came of it. `sweep_section(config)` draws all of it."""

from __future__ import annotations

import collections
import re

import numpy as np
import pandas as pd
import streamlit as st

from core.config import LayerConfig
from core.experiments.fields import rule
from core.experiments.importance import importance
from core.experiments.sweep_results import best, latest, merit
from core.limits import ConfigError
from core.link import LAYER_SETTINGS, RUN, SETTINGS, flat, flat_layer
from core.live.process import TooManyRuns
from core.live.sweep_client import SweepClient
from core.numbers import parse_number, write_number
from core.store import archive
from pages import wording
from pages.charts.runs import parallel
from pages.charts.sweep import importance_chart
from pages.shell.components import figures, theme
from pages.shell.identity import owner, store

VALUES, EVEN, LOGARITHMIC = "Values", "Random", "Random, log scale"
FIELDS, TROUBLE = "sweep.fields", "sweep.trouble"
KINDS = ("number", "whole", "choice", "flag")  # of settings that can be swept here
MOST_FIELDS, MOST_LINES, MOST_PEOPLE = 6, 500, 256
AGAIN = 2.0  # seconds from one look at a sweep under way to the next
OPENING = "optimizer.learning_rate"
OF_THE_FILE = r"^(grid|random)\.(.*?)(\.(low|high|log))?$"  # a setting as errors of a sweep's JSON object name it
COUNTS = {
    "draws": ("Random draws", "20", "How many points are drawn for each point of the grid."),
    "seeds": ("Seeds", "3", "Runs of each point, which differ in their initial weights and batches."),
    "steps": ("Steps", "2000", "Parameter updates of each run."),
}
TEN = 10.0  # a range begins so far below the setting as it is, and ends so far above it


@st.cache_resource(max_entries=MOST_PEOPLE, show_spinner=False)
def sweeps_of(person):
    """This person's SweepClient, the same one in all of their tabs, and after a refresh."""
    return SweepClient(person)


def sweep_section(config):
    """Everything about sweeps: the form for one that starts from this RunConfig, or the one there is, with its results."""
    client = sweeps_of(owner())
    if trouble := st.session_state.pop(TROUBLE, None):
        st.error(wording.literal(trouble), icon=":material/error:")
    state = client.look()
    if state.sweep is None:
        if state.problem:
            st.warning(wording.literal(state.problem), icon=":material/warning:")
        _form(config)
        return
    st.fragment(_sweep, run_every=AGAIN if state.running else None)(client, state.running)


def settings_to_vary(config):
    """{dotted path: its plain value} of every setting of a RunConfig that the form offers."""
    values = {path: value for path, value in flat(config).items() if path != "seed" and SETTINGS[path].metadata.get("kind") in KINDS}
    names = ("units", "activation", *(name for name in LAYER_SETTINGS if name in LayerConfig.__dataclass_fields__))
    for index, layer in enumerate(config.to_dict()["layers"]):
        last = index == len(config.layers) - 1
        layer = {name: value for name, value in flat_layer(layer).items() if name in names and not (last and name in ("units", "dropout"))}
        values |= {f"layers.{index}.{name}": value for name, value in layer.items() if rule(f"layers.{index}.{name}").get("kind") in KINDS}
    return values


def called(path):
    """What a setting is called: "Layer 1: Units"."""
    return wording.label(re.sub(r"^layers\.(\d+)", r"layers[\1]", path))


def _form(config):
    offered = settings_to_vary(config)
    st.caption("Train many runs that differ in a few settings of the playground's set-up. All are kept on the Runs page.")
    st.session_state.setdefault(FIELDS, [OPENING])
    st.session_state[FIELDS] = [path for path in st.session_state[FIELDS] if path in offered]
    chosen = st.multiselect("Settings to vary", list(offered), key=FIELDS, format_func=called, max_selections=MOST_FIELDS)
    for path in chosen:
        _field(path, offered[path])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, (label, usual, told) in COUNTS.items():
            st.text_input(label, usual, key=f"sweep.{name}", help=told, autocomplete="off")
        st.toggle("Halving", key="sweep.halving", help="Train all for a short time, the best third for three times as long, and so on.")
    st.button("Start sweep", key="sweep.start", type="primary", icon=":material/play_arrow:", on_click=_start, args=(config, tuple(chosen)))


def _field(path, value):
    """The controls for what one setting is varied over."""
    limits, keys = rule(path), _keys(path)
    if limits["kind"] in ("choice", "flag"):
        options = (True, False) if limits["kind"] == "flag" else list(limits["options"])
        shown = (lambda on: "on" if on else "off") if limits["kind"] == "flag" else wording.option
        st.multiselect(called(path), options, default=options, key=keys["options"], format_func=shown)
        return
    usable = isinstance(value, (int, float)) and value > 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = st.selectbox(called(path), (LOGARITHMIC, EVEN, VALUES) if usable else (VALUES, EVEN, LOGARITHMIC), key=keys["how"])
        if how == VALUES:
            st.text_input("Values", write_number(value), key=keys["values"], placeholder="0.01 0.1 1", help="Numbers with blanks between.")
            return
        low, high = (max(value / TEN, limits["low"]), min(value * TEN, limits["high"])) if usable else (None, None)
        if usable and limits["kind"] == "whole":
            low, high = max(1, round(low)), round(high)
        st.text_input("From", write_number(low), key=keys["low"])
        st.text_input("To", write_number(high), key=keys["high"])


def _keys(path):
    return {part: f"sweep.{part} {path}" for part in ("how", "values", "options", "low", "high")}


def _asked(config, chosen):
    """The sweep's JSON object as the form has it. Raises ConfigError."""
    state, grid, drawn = st.session_state, {}, {}
    for path in chosen:
        keys, whole = _keys(path), rule(path)["kind"] == "whole"
        if rule(path)["kind"] in ("choice", "flag"):
            grid[path] = list(state[keys["options"]])
        elif state[keys["how"]] == VALUES:
            grid[path] = [_number(path, text.rstrip(",;"), whole) for text in state[keys["values"]].split()]
        else:
            low, high = (_number(path, state[keys[end]], whole) for end in ("low", "high"))
            drawn[path] = {"low": low, "high": high, "log": state[keys["how"]] == LOGARITHMIC}
    asked = {"base": config.to_dict(), "grid": grid, "random": drawn}
    asked |= {name: _number(name, state[f"sweep.{name}"], whole=True) for name in COUNTS}
    return asked | ({"halving": 3} if state["sweep.halving"] else {})


def _number(path, text, whole):
    try:
        return parse_number(text, whole)
    except ConfigError as error:
        raise ConfigError(path, error.message) from None


def _start(config, chosen):
    _do(lambda: sweeps_of(owner()).start(_asked(config, chosen)))


def _do(action):
    """Do it, or have the page say why not."""
    try:
        action()
    except ConfigError as error:
        field = re.sub(OF_THE_FILE, r"\2", error.field)
        st.session_state[TROUBLE] = f"{called(field)} {error.message}."
    except TooManyRuns as error:
        st.session_state[TROUBLE] = str(error)


def _sweep(client, was_running):
    """The sweep there is: how far it is, what can be done, and its results."""
    state = client.look()
    if state.sweep is None or state.running != was_running:
        st.rerun()
    sweep, done = state.sweep, state.done
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, done / max(1, sweep.total)), f"{wording.count(done)} of {wording.count(sweep.total)} runs", width=320)
        if state.running:
            st.button("Cancel", key="sweep.cancel", icon=":material/stop:", on_click=client.cancel)
        else:
            if done < sweep.total:
                st.button("Resume", key="sweep.resume", icon=":material/play_arrow:", on_click=_do, args=(client.resume,))
            st.button("New sweep", key="sweep.new", icon=":material/add:", on_click=client.forget, help="The runs stay on the Runs page.")
    if state.problem:
        st.warning(wording.literal(state.problem), icon=":material/warning:")
    results = [result for result in latest(sweep, state.known) if result]
    _best(best(sweep, state.known))
    if results:
        _table(results)
        _charts(results, state.running)


def _best(top):
    if top is None:
        return
    spread = "" if top["spread"] is None else f" ± {top['spread']:.2g} over {top['seeds']} seeds"
    with st.container(horizontal=True, vertical_alignment="center", key="sweep best"):
        metric = f"{wording.phrase(top['metric_name'])} {top['mean']:.4g}{spread}"
        told = f"{_spelled(top['settings'])}: {metric}"
        st.markdown(f"**Best so far:** {wording.literal(told)}", width="content")
        st.page_link("playground.py", label="Open in playground", icon=":material/open_in_new:", query_params={RUN: top["id"]})
        st.download_button(
            "Export", lambda: archive.export(store().load(top["id"])), "best_of_sweep.descent", "application/zip", key="sweep.export",
            on_click="ignore", icon=":material/download:", help="The best run in one file: settings, history, weights.",
        )  # fmt: skip


def _spelled(settings):
    return ", ".join(f"{called(path)} {_said(value)}" for path, value in settings.items()) or "as it is"


def _said(value):
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float)) else "none" if value is None else wording.option(str(value))


def _table(results):
    """A row for each point, the best first: its settings, the mean over its seeds and their spread, and what became of its runs."""
    groups = collections.defaultdict(list)
    for result in results:
        groups[tuple(map(repr, result["settings"].values()))].append(result)
    rows = []
    for group in sorted(groups.values(), key=merit, reverse=True):
        metrics = [result["metric"] for result in group if result["metric"] is not None]
        states = collections.Counter(result["status"] for result in group)
        why = next((f"{error['field']}: {error['message']}" for result in group if (error := result.get("error"))), "")
        rows.append(
            {called(path): _said(value) for path, value in group[0]["settings"].items()}
            | {"Mean": np.mean(metrics) if metrics else None, "Spread": np.std(metrics, ddof=1) if len(metrics) > 1 else None}
            | {"Steps": max((result["steps"] or 0 for result in group), default=0), "Seeds": len(group)}
            | {"Outcome": why or ", ".join(f"{count} {state}" if len(group) > 1 else state for state, count in states.items())}
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", placeholder="–", key="sweep.table", alt="The points of the sweep")


def _charts(results, running):
    """Parallel coordinates of the runs, and, once it stands still, the importance of each setting."""
    shown = [result for result in results if result["loss"] is not None][:MOST_LINES]
    panels, names = {}, {path: called(path) for path in [*results[0]["settings"], "seed"]}
    if shown and results[0]["settings"]:
        columns = {names[path]: [_plain(run["settings"][path]) for run in shown] for path in shown[0]["settings"] if _varies(shown, path)}
        losses = np.array([run["loss"] if run["test_loss"] is None else run["test_loss"] for run in shown], float)
        metrics = np.array([run["metric"] for run in shown], float)
        if columns:
            panels["whole_settings"] = parallel(columns, {"loss": losses, wording.phrase(shown[0]["metric_name"]): metrics}, theme())
    found = None if running else _importance(tuple((run["id"], run["steps"]) for run in results), results)
    if found:
        panels["importance"] = importance_chart(names, found, theme())
    if panels:
        figures(panels, key="sweep figures")


@st.cache_data(max_entries=MOST_PEOPLE, show_spinner=False)
def _importance(made, _results):
    """Their Importance, which takes a second: once for the same runs `made`."""
    return importance(_results)


def _varies(results, path):
    return len({repr(result["settings"][path]) for result in results}) > 1


def _plain(value):
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else _said(value)
