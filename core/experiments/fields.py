"""The numbers of a configuration that an experiment may vary, by name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from core.config import LayerConfig, RunConfig
from core.limits import ConfigError, shown
from core.link import LAYER_SETTINGS, OPTIONAL_PARTS, SETTINGS

WIDTH, DEPTH = "width", "depth"  # units of all hidden layers; how many of them there are, the first one repeated
LAYER = re.compile(r"layers\.[0-9]+\.(.+)")
OF_A_LAYER = {spec.name: spec for spec in dataclasses.fields(LayerConfig)} | LAYER_SETTINGS
NUMBERS = ("number", "whole")


def rule(path: str) -> Mapping[str, Any]:
    """The metadata of the setting with this dotted path, which hold its rule; {} where there is none."""
    layer = LAYER.fullmatch(path)
    spec = OF_A_LAYER.get(layer[1]) if layer else SETTINGS.get(path)
    return spec.metadata if spec else {}


def kind(field: str) -> str | None:
    """ "number" or "whole", what a field is; None where it is no number or not there."""
    found = "whole" if field in (WIDTH, DEPTH) else rule(field).get("kind")
    return found if found in NUMBERS else None


def placed(values: Any, path: str, value: float | str, whole: str | None = None) -> Any:
    """A copy of plain values with `value` at a dotted path; parts that are not there are made. `whole` is the path from the root, by which
    errors name it. Raises ConfigError."""
    (key, _, rest), whole = path.partition("."), whole or path
    if isinstance(values, (list, tuple)):
        if not re.fullmatch("[0-9]{1,4}", key) or int(key) >= len(values):
            raise ConfigError(whole, f"must be of one of {len(values)} layers, counted from 0; was {shown(key)}")
        copy = list(values)
        copy[int(key)] = placed(copy[int(key)], rest, value, whole) if rest else value
        return copy
    if not isinstance(values, (dict, type(None))):
        raise ConfigError(whole, "is not a field here: what stands before the last point has no parts")
    values = values or {}
    return {**values, key: placed(values.get(key), rest, value, whole) if rest else value}


def varied(config: RunConfig, values: dict[str, float]) -> RunConfig:
    """The configuration with these fields set: dotted paths, `layers.0.units`, `width`, `depth`. Raises ConfigError."""
    changed = config.to_dict()
    for field in sorted(values, key=lambda name: (name == WIDTH) - (name == DEPTH)):  # depth makes the layers that width is for
        changed = _with(changed, field, values[field])
    return RunConfig.from_dict(changed)


def _with(values, field, value):
    if kind(field) is None:
        raise ConfigError("field", f"must be a setting that is a number, {WIDTH} or {DEPTH}; was {shown(field)}")
    *hidden, output = values["layers"]
    if field not in (WIDTH, DEPTH):
        return placed(values, field, value)
    if not hidden:
        raise ConfigError(field, "must be of a network with a hidden layer; there is none")
    if field == WIDTH:
        hidden = [layer | {"units": value} for layer in hidden]
    else:
        hidden = [dict(hidden[0]) for _ in range(min(max(value, 0), 1000))]
    return values | {"layers": [*hidden, output]}


def fields(config: RunConfig) -> dict[str, tuple[float, float]]:
    """{name: (least, greatest)} of the numbers that this configuration's runs depend on."""
    found: dict[str, tuple[float, float]] = {WIDTH: (1, 4096), DEPTH: (1, 31)} if len(config.layers) > 1 else {}
    for name, spec in SETTINGS.items():
        absent = name.partition(".")[0] in OPTIONAL_PARTS and getattr(config, name.partition(".")[0]) is None
        if kind(name) and not absent:
            found[name] = spec.metadata["low"], spec.metadata["high"]
    return found


def value_of(config: RunConfig, field: str) -> float | None:
    """The number that a field of `fields` has now; None where it has none."""
    hidden = config.layers[:-1]
    if field in (WIDTH, DEPTH):
        return hidden[0].units if field == WIDTH else len(hidden)
    value: Any = dataclasses.asdict(config)
    for key in field.split("."):
        value = value[key]
    return value
