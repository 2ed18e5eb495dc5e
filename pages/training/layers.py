"""The network's layers, one row each, and the output layer below them."""

from __future__ import annotations

import streamlit as st

from core.config import InitConfig, LayerConfig
from core.link import LAYER_SETTINGS, flat_layer, nested_layer
from core.nn.activations import ACTIVATIONS
from pages import wording
from pages.shell.controls import folded, number_field, read, show, stale
from pages.shell.tab import handler, tab
from pages.training.session import session
from pages.training.setting_controls import KINDS, NONE, NUMBERS, complaint

MOST_HIDDEN = 8  # that the page adds; a link may bring more
ROW = [4, 7, 2]


def layers():
    """Rows for the hidden layers, and one for the output, with a button to add a layer."""
    *hidden, output = session().draft.values["layers"]
    for index, layer in enumerate(hidden):
        _hidden_row(index, layer)
    _output_row(len(hidden), output)
    folded("Layer settings", _options, "layers folded")
    complaint("layers")


def _hidden_row(index, layer):
    number = index + 1
    units, activation, remove = st.columns(ROW, vertical_alignment="bottom", gap="small")
    first = "visible" if index == 0 else "collapsed"
    with units:
        key = f"layers.{index}.units"
        number_field(
            key, layer["units"], whole=True, label="Units" if index == 0 else f"Units of layer {number}", label_visibility=first,
            help="How many units each hidden layer has, first layer on top.", on_change=_changed, args=(index, "units", key),
        )  # fmt: skip
    with activation:
        key = f"layers.{index}.activation"
        st.selectbox(
            "Activation" if index == 0 else f"Activation of layer {number}", ACTIVATIONS, format_func=wording.option,
            help="What each unit of the layer does with its weighted sum.", label_visibility=first, on_change=_changed,
            args=(index, "activation", key), **show(key, layer["activation"]),
        )  # fmt: skip
    with remove:
        name = f"Remove layer {number}"  # for screen readers; the style sheet shows only the icon
        st.button(
            name, icon=":material/close:", key=name.lower(), help=name, on_click=_remove, args=(index,),
            disabled=tab().lesson.fixes("layers"),
        )  # fmt: skip
    complaint(f"layers[{index}].units", layer["units"], whole=True)


def _output_row(index, layer):
    """The output's units, its activation, and the button that puts a layer before it."""
    key = f"layers.{index}.output"  # a key of its own: the row below may become the row of a hidden layer
    units = f"{layer['units']:,} unit{'' if layer['units'] == 1 else 's'}"
    size, activation, add = st.columns(ROW, vertical_alignment="center", gap="small")
    size.caption(f"Output: {units}")
    with activation:
        st.selectbox(
            f"Output activation ({units})", ACTIVATIONS, format_func=wording.option, label_visibility="collapsed",
            help="Follows the task; any other trains as well, and is diagnosed.", on_change=_output_changed, args=(index, key),
            **show(key, layer["activation"]),
        )  # fmt: skip
    with add:
        st.button(
            "Add layer", icon=":material/add:", on_click=_add, key="add layer",
            disabled=index >= MOST_HIDDEN or tab().lesson.fixes("layers"),
            help=f"Add a hidden layer before the output, up to {MOST_HIDDEN}",
        )  # fmt: skip


def _options():
    """What else one layer has; which one is chosen first."""
    count = len(session().draft.values["layers"])
    index = min(st.session_state.get("layers.chosen", 0), count - 1)
    st.selectbox(
        "Layer", range(count), format_func=lambda at: "Output layer" if at == count - 1 else f"Layer {at + 1}",
        help="The layer that the settings below belong to.", **show("layers.chosen", index),
    )  # fmt: skip
    values = flat_layer(session().draft.values["layers"][index])
    for name, spec in LAYER_SETTINGS.items():
        if _applies(name, values, index == count - 1):
            _option(index, name, values[name], spec.metadata)


def _applies(name, values, is_output):
    """Whether a setting does anything in this layer."""
    if name == "dropout":
        return not is_output
    if name.startswith("init.") and name != "init.weights" and values["init.weights"] is None:
        return False
    return name != "init.bias_scale" or values["init.bias"] != "zeros"


def _option(index, name, value, rule):
    key, place = f"layers.{index}.{name}", f"layers[{index}].{name}"
    common = {"label": wording.label(name), "help": rule["help"], "on_change": _option_changed, "args": (index, name, key)}
    if name == "init.weights":
        st.selectbox(**common, options=[NONE, *rule["options"]], format_func=_init_word, **show(key, value or NONE))
    else:
        KINDS[rule["kind"]](key, value, rule, common)
    complaint(place, value if rule["kind"] in NUMBERS else None, rule["kind"] == "whole")


def _init_word(name):
    return "As in the other layers" if name == NONE else wording.option(name)


@handler
def _option_changed(index, name, key):
    value, rule, layers = st.session_state[key], LAYER_SETTINGS[name].metadata, _copy()
    if stale(key) or value is None:
        return
    if rule["kind"] in NUMBERS:
        value = read(value, rule["kind"] == "whole")
    values = flat_layer(layers[index]) | {name: None if value == NONE else value}
    if name == "init.weights":  # the run's first weights, or its own: these begin as usual
        usual = {f"init.{part}": entry for part, entry in vars(InitConfig()).items()}
        values = usual | {key: kept for key, kept in values.items() if kept is not None} | {name: values[name]}
    layers[index] = nested_layer(values)
    session().draft.edit("layers", layers)


@handler
def _changed(index, part, key):
    if stale(key):
        return
    layers = _copy()
    layers[index][part] = read(st.session_state[key], whole=True) if part == "units" else st.session_state[key]
    session().draft.edit("layers", layers)


@handler
def _output_changed(index, key):
    """Shares need a unit for each class; of two classes any other output is usually one unit."""
    if stale(key):
        return
    layers = _copy()
    activation = st.session_state[key]
    layers[index]["activation"] = activation
    if {layers[index]["units"]} <= {1, 2} and session().draft.two_classes:
        layers[index]["units"] = 2 if ACTIVATIONS[activation].shares else 1
    session().draft.edit("layers", layers)


@handler
def _add():
    layers = _copy()
    new = layers[-2] if len(layers) > 1 else vars(LayerConfig())
    session().draft.edit("layers", [*layers[:-1], dict(new), layers[-1]])


@handler
def _remove(index):
    layers = _copy()
    del layers[index]
    session().draft.edit("layers", layers)


def _copy():
    return [dict(layer) for layer in session().draft.values["layers"]]
