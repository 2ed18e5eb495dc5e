"""The numbers of a configuration that an experiment may vary, by name."""

from __future__ import annotations

import dataclasses
import re

from core.config import RunConfig
from core.limits import ConfigError, shown
from core.link import LAYER_SETTINGS, OPTIONAL_PARTS, SETTINGS

WIDTH, DEPTH = "width", "depth"  # units of all hidden layers; how many of them there are, the first one repeated
LAYER = re.compile(r"layers\.([0-9]{1,2})\.([\w.]+)")
NUMBERS = ("number", "whole")


def kind(field):
    """ "number" or "whole", what a field is; None where it is no number or not there."""
    if field in (WIDTH, DEPTH):
        return "whole"
    if found := LAYER.fullmatch(field):
        return "whole" if found[2] == "units" else _kind(LAYER_SETTINGS.get(found[2]))
    return _kind(SETTINGS.get(field))


def _kind(spec):
    found = spec.metadata.get("kind") if spec else None
    return found if found in NUMBERS else None


def varied(config: RunConfig, values: dict[str, float]) -> RunConfig:
    """The configuration with these fields set: dotted paths, `layers.0.units`, `width`, `depth`. Raises ConfigError."""
    changed = config.to_dict()
    for field in sorted(values, key=lambda name: (name == WIDTH) - (name == DEPTH)):  # depth makes the layers that width is for
        _set(changed, field, values[field])
    return RunConfig.from_dict(changed)


def _set(changed, field, value):
    if kind(field) is None:
        raise ConfigError("field", f"must be a setting that is a number, {WIDTH} or {DEPTH}; was {shown(field)}")
    *hidden, output = changed["layers"]
    if field in (WIDTH, DEPTH) and not hidden:
        raise ConfigError(field, "must be of a network with a hidden layer; there is none")
    if field == WIDTH:
        changed["layers"] = [layer | {"units": value} for layer in hidden] + [output]
        return
    if field == DEPTH:
        changed["layers"] = [dict(hidden[0]) for _ in range(min(max(value, 0), 1000))] + [output]
        return
    *path, last = field.split(".")
    place = changed
    for key in path:
        if isinstance(place, list):
            if int(key) >= len(place):
                raise ConfigError(field, f"must be of one of {len(place)} layers, counted from 0; was {shown(key)}")
            place = place[int(key)]
        else:
            place[key] = place[key] or {}  # a part that the configuration is without
            place = place[key]
    place[last] = value


def fields(config: RunConfig) -> dict[str, tuple[float, float]]:
    """{name: (least, greatest)} of the numbers that this configuration's runs depend on."""
    found = {WIDTH: (1, 4096), DEPTH: (1, 31)} if len(config.layers) > 1 else {}
    for name, spec in SETTINGS.items():
        absent = name.partition(".")[0] in OPTIONAL_PARTS and getattr(config, name.partition(".")[0]) is None
        if _kind(spec) and not absent:
            found[name] = spec.metadata["low"], spec.metadata["high"]
    return found


def value_of(config: RunConfig, field: str):
    """The number that a field of `fields` has now; None where it has none."""
    hidden = config.layers[:-1]
    if field in (WIDTH, DEPTH):
        return hidden[0].units if field == WIDTH else len(hidden)
    value = dataclasses.asdict(config)
    for key in field.split("."):
        value = value[key]
    return value
