"""Watch a training loop of your own: three lines in your script, and this page shows what happens in it and what goes wrong."""

import html

import numpy as np
import streamlit as st

from core.diagnosis.finding import SEVERITIES
from core.limits import LIMITS, ConfigError
from core.link import RUN
from core.store.store import StoreError
from core.watch.modules import modules, newest
from core.watch.rebuilt import rebuilt
from pages import wording
from pages.charts.watch import ROWS
from pages.shell.components import listener, live, served
from pages.shell.identity import owner, store, take_upload
from pages.shell.page_head import head
from pages.shell.tab import handler, tab
from pages.training.handed_over import hand_over
from pages.watching.door import SCRIPT, runs, url
from pages.watching.keeping import keep_soon
from pages.watching.view import WatchView

HELP = "Looks back: the parameters as they were at that step. Your program is left alone."
BUTTONS = [{"name": "now", "label": "Now", "help": "Back to the program as it stands."}]
LINES = """\
# before the loop
from descent_probe import Probe
probe = Probe("my network"{url})
# in the loop, once an iteration, before or after the update
probe.step(loss=loss, params=params, grads=grads, X=X, Y=Y, outputs=outputs, learning_rate=rate)
"""
TORCH = """\
from descent_probe import Probe
probe = Probe("my network"{url})
# before the loop; in the loop, if the loss is no module: probe.step(loss=loss)
probe.watch(model, optimizer)
"""
KERAS = """\
from descent_probe import Probe
probe = Probe("my network"{url})
model.fit(X, Y, callbacks=[probe.keras()])
"""
NO_COPY = "No copy can start at this step: the one after it was not kept, or no perceptron with these weights gives its outputs."
HEADS = "<tr><th>Tensor</th><th>Gradient norm</th><th>Update : weight</th></tr>"
MARKS = {True: ("✓", "passed"), False: ("✕", "failed"), None: ("–", "not known")}
CHECK = "probe.check(lambda: my_loss(), params, grads)   # your gradients beside numerical ones, printed as a table"


def view():
    """This tab's view."""
    mine = tab()
    if not isinstance(mine.view, WatchView):
        mine.view = WatchView(owner())
    return mine.view


def lines():
    """The lines to paste, and where the probe is to be had."""
    address = url(owner())
    given = f', url="{address}"' if address else ""
    for part, code in zip(st.tabs(["NumPy and others", "PyTorch", "Keras"]), (LINES, TORCH, KERAS)):
        part.code(code.format(url=given), language="python")
    st.markdown(
        f"Put [descent_probe.py]({served(SCRIPT)}) beside your script, or `pip install ./probe`. All but the loss may be left out; dicts, "
        "lists, pairs and layer objects are taken as they are. To check your gradients without this page:"
    )
    st.code(CHECK, language="python")


def bring_in():
    """A file that a probe wrote."""
    st.file_uploader(
        "RUN.probe: what a probe wrote where no server answered", ["probe"], key="probe upload", max_upload_size=LIMITS["file_bytes"] >> 20,
        on_change=_uploaded,
    )  # fmt: skip
    if problem := st.session_state.pop("probe problem", None):
        st.error(f"{wording.literal(problem)}.", icon=":material/error:")


@handler
def _uploaded():
    file = st.session_state["probe upload"]
    if file is None:
        return
    try:
        take_upload("file", file.getvalue())
        entry = runs.take(file.getvalue(), owner(), file=True)
        entry.heard = 0.0
        view().run_id = entry.run.run_id
        keep_soon(entry)
    except ConfigError as error:
        st.session_state["probe problem"] = wording.complaint(error)


@handler
def _chosen():
    view().run_id, view().moment = st.session_state["watched run"], None
    st.query_params.pop(RUN, None)


def fetch():
    """The run that the address names, out of the store where no probe has told of it since the server began."""
    asked = st.query_params.get(RUN)
    if asked is None or st.session_state.get("watched asked") == asked:
        return
    st.session_state["watched asked"] = asked
    try:
        if asked not in [entry.run.run_id for entry in runs.of(owner())]:
            runs.take(store().load_watched(asked, owner()), owner(), file=True).heard = 0.0
        view().run_id, view().moment = asked, None
    except (StoreError, ConfigError) as error:
        st.error(wording.literal(str(error)), icon=":material/error:")


def choose():
    """Which of several runs is shown."""
    entries = {entry.run.run_id: entry for entry in runs.of(owner())}
    if len(entries) > 1:
        shown = view().entry.run.run_id
        names = {run: f"{entry.run.name}{' · running' if entry.live else ''}" for run, entry in entries.items()}
        st.session_state["watched run"] = shown
        st.selectbox("Run", list(entries), format_func=names.get, key="watched run", on_change=_chosen, label_visibility="collapsed")


def findings(examined):
    """A card for what is wrong, worst first."""
    for number, finding in enumerate(examined.findings[:6]):
        mark, word = SEVERITIES[finding.severity]
        place = "whole program" if finding.tensor is None else finding.tensor
        st.container(key=f"finding {finding.severity} {number}").html(
            f'<article class="finding {finding.severity}"><div class="mark" title="{word}">{mark}</div><div class="words">'
            f'<h4>{html.escape(finding.title)}</h4><p class="figures"><span>{word}</span><span>since step '
            f"<b>{wording.count(finding.step)}</b></span><span>{html.escape(place)}</span></p><p>{html.escape(finding.advice)}</p></div></article>"
        )
    if not examined.findings:
        st.html('<div class="quiet">✓ Nothing wrong so far.</div>')


@handler
def _started():
    view().start = st.session_state["twin start"]


def twin(run, examined):
    """The right copy: where it starts, what it says."""
    if examined.twin is None:
        return
    with st.expander("The twin: a right copy on the same batches", expanded=bool(examined.twin.fault)):
        shown = view().twin(run, examined)
        st.session_state["twin start"] = view().start or next(iter(run.whole))
        st.selectbox(
            "Start the copy at", list(run.whole), format_func=lambda step: f"Step {wording.count(step)}", key="twin start", width=200,
            on_change=_started, help="A step that was kept whole: its weights are the copy's first.",
        )  # fmt: skip
        st.html(f"<p>{html.escape(shown.text if shown else NO_COPY)}</p>")
        if shown and st.button(
            "Open in the playground", key="rebuilt", icon=":material/open_in_new:",
            help="This network as a run of Descent, on the rows that were kept, from the weights of that step.",
        ):  # fmt: skip
            hand_over(rebuilt(run, shown))


def tensors(run, examined):
    """Hundreds of tensors by module, folded, the worst first."""
    if len(run.names) <= ROWS:
        return
    *figures, finite = newest(run)
    found = {finding.tensor: SEVERITIES[finding.severity].mark for finding in examined.findings}
    with st.expander("Tensors by module, the worst first"), st.container(key="modules"):
        step = wording.count(run.norm_steps[-1]) if run.norm_steps else "–"
        parts = [f"<p>Norms at step {step}. A module is as bad as its worst tensor.</p>"]
        for module, group in modules(run, examined.findings, ROWS).items():
            marks = "".join(dict.fromkeys(found[run.names[at]] for at in group if run.names[at] in found))
            rows = "".join(
                f"<tr><td>{found.get(run.names[at], '')} {html.escape(run.names[at])}</td>"
                + "".join(
                    f"<td>{'–' if np.isnan(value) and finite[at] else wording.number(float(value), 3)}</td>"
                    for value in (row[at] for row in figures)
                )
                + "</tr>"
                for at in group
            )
            tensors = f"{len(group)} tensor{'s' if len(group) > 1 else ''}"
            parts.append(f"<details><summary>{marks} {html.escape(module)} · {tensors}</summary><table>{HEADS}{rows}</table></details>")
        st.html("".join(parts))


def preflight(checks):
    """The preflight's list, folded: what was checked, and what the probe has to be told for the rest."""
    if not checks:
        return
    passed, failed = (sum(check.passed is state for check in checks) for state in (True, False))
    rest = f", {len(checks) - passed - failed} not known" if passed + failed < len(checks) else ""
    with st.expander(f"Preflight: {passed} of {len(checks)} checks passed, {failed} failed{rest}"), st.container(key="preflight"):
        for check in checks:
            mark, word = MARKS[check.passed]
            value = "" if check.value is None else wording.number(check.value, 3)
            cells = "".join(f"<span>{html.escape(text)}</span>" for text in (check.title, value, check.text))
            st.html(f'<div class="check"><b title="{word}">{mark}</b>{cells}</div>')


@st.fragment
def cards():
    """What changes with the run beside its charts: drawn again when the live line says so."""
    tab().begin()
    with tab().lock:
        entry, outline = view().entry, view().outline
    if (entry is None) != st.session_state["watch empty"]:
        st.rerun()
    if entry is not None:
        run = entry.run.frozen()
        choose()
        findings(entry.examined)
        twin(run, entry.examined)
        tensors(run, entry.examined)
        preflight(entry.examined.checks)
    listener("watch cards", outline)


def page():
    """The first visit shows the lines and waits; then what moves comes over the live line."""
    tab().begin()
    fetch()
    with tab().lock:
        empty = view().entry is None
    st.session_state["watch empty"] = empty
    if empty:
        st.html('<p class="quiet" role="status">Waiting for the first step of your program ...</p>')
        lines()
        bring_in()
        cards()
        return
    live("text", "watch readings", name="readings")
    cards()
    live("board", "watch figures")
    with st.container(key="time", horizontal=True, vertical_alignment="center", gap="small"):
        live("slider", "watch slider", name="look", label="Time", help=HELP)
        live("buttons", "watch buttons", buttons=BUTTONS)
    live("text", "watch time", name="time")
    with st.expander("Watch another program"):
        lines()
        bring_in()
    tab().await_connection()


head("Watch", "Three lines in your own training loop, and this page shows what happens in it, what goes wrong, and in which tensor.")
page()
