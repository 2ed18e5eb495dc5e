"""A configuration as a link: the query of a URL, readable, holding only what differs from the default.

`?data.source=circle&layers=4-tanh_1-sigmoid&optimizer.learning_rate=0.1` names settings by their dotted path. Lists of
names are joined by `~`, nothing is `none`. What else a layer has follows it: `4-tanh~dropout.0.5~bias.false`. The source is always
named, so that an empty query stays free for the page.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from core.config import LayerConfig, RunConfig
from core.data.sources import SOURCES
from core.limits import ConfigError, shown
from core.numbers import parse_number, write_number

STOP_AT, LATEST_STOP = "at", 10_000_000  # a link's own setting: the step to train to at once, and how far that may be
RUN = "run"  # a link's other one: the stored run that it opens, if it is there
LAYER = re.compile(r"([0-9]{1,9})-([a-z]\w*)")
NEXT_LAYER = re.compile("_(?=[0-9]{1,9}-)")


def _settings(cls, prefix=""):
    for spec in dataclasses.fields(cls):
        if dataclasses.is_dataclass(spec.default_factory):
            yield from _settings(spec.default_factory, f"{prefix}{spec.name}.")
        elif inner := spec.metadata.get("optional_part"):
            for index, (name, entry) in enumerate(_settings(inner, f"{prefix}{spec.name}.")):  # the first says whether the part is there
                yield name, dataclasses.field(default=entry.default if index else None, metadata={**entry.metadata, "optional": True})
        else:
            yield f"{prefix}{spec.name}", spec


# Every setting of a run: dotted path -> its dataclass field, whose metadata is its rule
SETTINGS = dict(_settings(RunConfig))

# The same of a layer, but for what stands before them in a link
LAYER_SETTINGS = {name: spec for name, spec in _settings(LayerConfig) if name not in ("units", "activation")}


def _optional_parts(cls):
    """{part: its first setting, which says whether it is there} of what a dataclass may be without."""
    parts = {spec.name: spec.metadata.get("optional_part") for spec in dataclasses.fields(cls)}
    return {name: dataclasses.fields(part)[0].name for name, part in parts.items() if part}


OPTIONAL_PARTS, OPTIONAL_LAYER_PARTS = _optional_parts(RunConfig), _optional_parts(LayerConfig)


def flat(config: RunConfig) -> dict[str, Any]:
    """{dotted path: plain value} of every setting."""
    values = config.to_dict()
    return {name: reached(values, name) for name in SETTINGS}


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration's shape from {dotted path: value}: the inverse of `flat`."""
    return _tree(values, OPTIONAL_PARTS)


def flat_layer(layer: dict[str, Any]) -> dict[str, Any]:
    """{dotted path: plain value} of everything that a layer's dict has."""
    return {name: layer[name] for name in ("units", "activation")} | {name: reached(layer, name) for name in LAYER_SETTINGS}


def nested_layer(values: dict[str, Any]) -> dict[str, Any]:
    """A layer's dict from {dotted path: value}: the inverse of `flat_layer`."""
    return _tree(values, OPTIONAL_LAYER_PARTS)


def _tree(values, optional):
    tree = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[last] = value
    for part, first in optional.items():
        if part in tree:
            there = {name: value for name, value in tree[part].items() if value is not None}
            tree[part] = there if first in there or first not in tree[part] else None
    return tree


def reached(values: Any, name: str) -> Any:
    """The plain value of a setting in a configuration's dict; None in a part that it is without."""
    for key in name.split("."):
        values = None if values is None else values[key]
    return values


def to_query(config: RunConfig) -> dict[str, str]:
    """The query of a link to this configuration: {dotted path: text}."""
    usual = flat(RunConfig()) | {"data.source": None, "data.samples": SOURCES[config.data.source].samples}
    values = flat(config)
    usual |= {name: SETTINGS[name].default for name in values if name.partition(".")[0] in OPTIONAL_PARTS and values[name] is not None}
    query = {name: _text(name, value) for name, value in values.items() if value != usual[name]}
    for name in ("layers", "loss"):  # their default depends on the rest
        query[name] = _text(name, values[name])
    for name in ("loss", "layers"):
        shorter = {key: text for key, text in query.items() if key != name}
        if _same(shorter, config):
            query = shorter
    return query


def stop_at(query: dict[str, str]) -> tuple[dict[str, str], int]:
    """(the rest of a link's query, the step to train to before the page stands still, 0 for none); ConfigError for no such step."""
    text = query.get(STOP_AT, "0")
    if not (re.fullmatch("[0-9]{1,9}", text) and int(text) <= LATEST_STOP):
        raise ConfigError(STOP_AT, f"must be a step up to {LATEST_STOP:,}; was {shown(text)}")
    return {name: value for name, value in query.items() if name != STOP_AT}, int(text)


def stored_run(query: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """(the rest of a link's query, the id of the stored run that it opens or None)."""
    return {name: value for name, value in query.items() if name != RUN}, query.get(RUN)


def from_query(query: dict[str, str]) -> RunConfig:
    """The configuration that {dotted path: text} describes; raises ConfigError on anything that is not a valid one."""
    values = {}
    for name, text in query.items():
        if name not in SETTINGS:
            raise ConfigError("", f"the link sets {shown(name)}, which is not a setting")
        values[name] = _value(name, text)
    return RunConfig.from_dict(nested(values))


def _same(query, config):
    try:
        return from_query(query) == config
    except ConfigError:
        return False


def _text(name, value):
    if name == "layers":
        return "_".join(map(_layer_text, value))
    if name == "data.target":
        return json.dumps(value) if isinstance(value, list) or value.startswith(("[", '"')) else value
    if _is_json(name):
        return json.dumps(value, separators=(",", ":"))
    return _written(value)


def _is_json(name):
    rule = SETTINGS[name].metadata
    return "check" in rule and not rule["text"]


def _written(value):
    """The text of a setting that needs no form of its own."""
    if isinstance(value, list):
        return "~".join(value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else write_number(value)


def _value(name, text):
    """What the text stands for; a name is handed on as it is, for the table's rule to refuse."""
    if name == "layers":
        return [_layer(part) for part in NEXT_LAYER.split(text)]
    if name == "data.target":
        return _target(text)
    if _is_json(name):
        return _json(name, text)
    if "check" in SETTINGS[name].metadata:
        return text
    return _ruled(name, SETTINGS[name].metadata, text)


def _ruled(name, rule, text):
    """The value of a setting that has a rule."""
    if rule.get("kind") in ("number", "whole"):
        return None if text == "none" and rule["optional"] else _number(name, text, rule["kind"] == "whole")
    if rule.get("kind") == "flag":
        return {"true": True, "false": False}.get(text, text)
    if rule.get("kind") == "choice" and rule["optional"] and text == "none":
        return None
    if rule.get("kind") in ("choice", "text"):
        return text
    return text.split("~") if text else []


def _layer(text):
    head, *options = text.split("~")
    match = LAYER.fullmatch(head)
    if not match:
        raise ConfigError("layers", f"must read like 8-tanh_1-sigmoid in a link; was {shown(text)}")
    values = {}
    for option in options:
        name = next((name for name in LAYER_SETTINGS if option.startswith(f"{name}.")), None)
        if name is None:
            raise ConfigError("layers", f"must have {', '.join(LAYER_SETTINGS)} behind a layer in a link; had {shown(option)}")
        values[name] = _ruled("layers", LAYER_SETTINGS[name].metadata, option.removeprefix(f"{name}."))
    return {"units": int(match[1]), "activation": match[2], **nested_layer(values)}


def _layer_text(layer):
    told = [
        f"~{name}.{_written(value)}"
        for name, spec in LAYER_SETTINGS.items()
        if (value := reached(layer, name)) is not None and value != spec.default
    ]
    return f"{layer['units']}-{layer['activation']}{''.join(told)}"


def _target(text):
    if not text.startswith(("[", '"')):
        return text
    return _json("data.target", text)


def _json(name, text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(name, f"must be JSON in a link; was {shown(text)}") from None


def _number(name, text, whole):
    if text != text.strip():  # what a plus sign becomes in an address
        raise ConfigError(name, f"must be a number without blanks in a link; was {shown(text)}")
    try:
        return parse_number(text, whole)
    except ConfigError as refused:
        raise ConfigError(name, refused.message) from None
