"""Break the backprop: a switch for each mistake of the catalogue that can be made in this network."""

from __future__ import annotations

import streamlit as st

from core.data.sources import SOURCES
from core.faults import FAULTS, KINDS
from core.nn.formulas import Plan
from pages import wording
from pages.shell.controls import folded, show
from pages.shell.tab import handler
from pages.training.session import session
from pages.training.setting_controls import complaint

TITLES = {"formula": "Formulas", "state": "From step to step", "numerics": "Numerics", "set-up": "Set-up"}
EVERYWHERE = "All"


def faults():
    """The switches, and what is on."""
    folded("Inject a bug", _switches, "faults folded")
    if chosen := _by_family(session().draft.values["faults"]):
        st.caption(f":orange[:material/bug_report:] On: {', '.join(FAULTS[name].title for name in chosen)}")
    complaint("faults")


def _switches():
    """All switches, by kind; below one that is on, how and where the mistake is made, and what to watch for."""
    plan, chosen = _plan(), _by_family(session().draft.values["faults"])
    with st.container(gap="xsmall"):
        st.caption("Mistakes that people make in a backward pass of their own. Each starts the run anew.")
        for kind in KINDS:
            families = [fault for fault in FAULTS.values() if fault.kind == kind and not fault.of]
            possible = {family.name: _ways(family.name, plan) for family in families}
            shown = [family for family in families if possible[family.name] or family.name in chosen]
            if shown:
                st.markdown(f"**{TITLES[kind]}**")
            for family in shown:
                _switch(family, possible[family.name], chosen.get(family.name, []), plan)


def _plan():
    """The plan of the network in use."""
    config, seen = session().config, session().last_snapshot
    source = SOURCES[config.data.source]
    of_plane = len(config.data.features) if source.kind == "planar" else 1
    return Plan.of(config, source.inputs or (seen.inputs if seen and source.kind == "file" else of_plane))


def _by_family(entries):
    """{family: its entries}."""
    found = {}
    for entry in entries:
        found.setdefault(FAULTS[entry.partition(":")[0]].family, []).append(entry)
    return found


def _layers(fault, plan):
    """Layers in which a fault can be made."""
    return [layer for layer in range(1, plan.last + 1) if fault.applies(plan, layer)]


def _ways(family, plan):
    """The faults of a family that can be made in this network."""
    return [fault for fault in FAULTS.values() if fault.family == family and _layers(fault, plan)]


def _switch(family, ways, entries, plan):
    shown = show(f"fault.{family.name}", bool(entries), "faults")
    st.toggle(family.title, **shown, help=family.origin, on_change=_toggled, args=(family.name, ways))
    if not entries:
        return
    if len(entries) > 1:
        st.caption(wording.literal(f"As {', '.join(entries)}"))
    elif ways:
        _way_and_layer(family, ways, entries[0], plan)
    fault, _, layer = entries[0].partition(":")
    wrong, right = FAULTS[fault].lines(int(layer) if layer else None, plan.last)
    st.markdown(f":red[✕ Wrong] `{wrong}`  \n:green[✓ Right] `{right}`")
    st.caption(FAULTS[fault].watch)


def _way_and_layer(family, ways, entry, plan):
    """How the mistake is written, where there are several ways, and in which layer it is made."""
    name, _, layer = entry.partition(":")
    way_key, layer_key = f"fault.{family.name}.way", f"fault.{family.name}.layer"
    names = list(dict.fromkeys([name, *(fault.name for fault in ways)]))
    if len(names) > 1:
        st.selectbox(
            "Written as", names, **show(way_key, name, "faults"), format_func=lambda name: FAULTS[name].title,
            help="The same mistake in other places.",
            on_change=handler(lambda: _replace(entry, st.session_state[way_key])),
        )  # fmt: skip
    if not FAULTS[name].whole:
        choices = [EVERYWHERE, *map(str, _layers(FAULTS[name], plan))]
        shown = show(layer_key, layer or EVERYWHERE, "faults")
        st.segmented_control(
            "Layer", list(dict.fromkeys([*choices, layer or EVERYWHERE])), required=True, **shown,
            help="In which layer it is made, or in all where it can be.",
            on_change=handler(lambda: _replace(entry, _entry(name, st.session_state[layer_key]))),
        )  # fmt: skip


def _entry(name, layer):
    return name if layer == EVERYWHERE else f"{name}:{layer}"


@handler
def _toggled(family, ways):
    """Switch a family on in the first way in which it can be made, or off with all its entries."""
    others = [entry for entry in session().draft.values["faults"] if FAULTS[entry.partition(":")[0]].family != family]
    session().draft.edit("faults", [*others, ways[0].name] if st.session_state[f"fault.{family}"] and ways else others)


def _replace(old, new):
    session().draft.edit("faults", [new if entry == old else entry for entry in session().draft.values["faults"]])
