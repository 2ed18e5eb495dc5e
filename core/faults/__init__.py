"""The catalogue of mistakes that people make in backprop code of their own, and how a run is broken with them.

A configuration lists them as "missing_mean" (every layer where it can be made) or "missing_mean:1" (one layer, from 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from core.faults import deltas, gradients, modes, numerics, set_up, state
from core.faults.fault import KINDS, Fault
from core.limits import ConfigError, listed, shown
from core.nn.formulas import Plan
from core.nn.initializers import initial_parameters
from core.nn.plain_program import PlainProgram

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.data.dataset import Dataset
    from core.nn.network import Network
    from core.nn.updater import Updater

T = TypeVar("T")

__all__ = [
    "FAULTS",
    "KINDS",
    "Fault",
    "batch_size",
    "break_network",
    "broken_program",
    "check_names",
    "edit",
    "first_parameters",
    "placed",
    "shuffles",
    "with_inputs",
]

# The commonest first: it is also the order of plausibility, and the order in which several are put in
FAULTS = {fault.name: fault for theme in (gradients, deltas, numerics, state, modes, set_up) for fault in theme.FAULTS}


def check_names(entries: Sequence[str]) -> None:
    """Raise ConfigError unless every entry is the name of a fault, alone or with a layer."""
    for entry in entries:
        name, _, layer = entry.partition(":")
        if name not in FAULTS:
            raise ConfigError("faults", f"must be names out of the catalogue ({listed(FAULTS)}); was {shown(entry)}")
        if ":" in entry and (FAULTS[name].whole or not (layer.isascii() and layer.isdecimal() and layer[0] != "0" and len(layer) < 4)):
            allowed = "for the whole run alone" if FAULTS[name].whole else "for a layer from 1, as in missing_mean:1"
            raise ConfigError("faults", f"must have {name} {allowed}; was {shown(entry)}")


def placed(entries: Sequence[str], plan: Plan) -> list[tuple[Fault, int | None]]:
    """[(Fault, layer)] of a configuration's entries, in the catalogue's order; layer None where a fault concerns the whole run.

    Raises ConfigError for a fault that cannot be made in this plan, or not in that layer.
    """
    check_names(entries)
    found = {}
    for entry in entries:
        name, _, layer = entry.partition(":")
        for place in _layers(FAULTS[name], int(layer) if layer else None, plan):
            found[name, place] = None
    return [(fault, layer) for fault in FAULTS.values() for name, layer in found if name == fault.name]


def _layers(fault, layer, plan):
    if layer is not None and layer > plan.last:
        raise ConfigError("faults", f"must name a layer from 1 to {plan.last}; was {fault.name}:{layer}")
    layers = range(1, plan.last + 1) if layer is None else [layer]
    fitting = [index for index in layers if fault.applies(plan, index)]
    if not fitting:
        where = f" in layer {layer}" if layer else ""
        raise ConfigError("faults", f"must be faults that can be made in this network; {fault.name}{where} needs {fault.needs}")
    return [None] if fault.whole else fitting


def edit(subject: T, edits: str, placements: list[tuple[Fault, int | None]]) -> T:
    """Put those faults into `subject` that edit this kind of thing."""
    for fault, layer in placements:
        if fault.edits == edits:
            fault.edit(subject, layer)
    return subject


# How a run is broken. All of these leave a configuration without faults as it is.


def broken_program(network: Network, updater: Updater, config: RunConfig, kept: np.ndarray | None = None) -> PlainProgram:
    """The step with the configuration's faults in it, in the place of a Program."""
    program = PlainProgram(network, updater, config, kept)
    placements = placed(config.faults, program.formulas.plan)
    edit(program.formulas, "formulas", placements)
    return edit(program, "program", placements)


def break_network(config: RunConfig, network: Network) -> None:
    """Put the configuration's faults into what the network is outside training."""
    edit(network, "network", placed(config.faults, Plan.of(config, network.sizes[0])))


def first_parameters(config: RunConfig, inputs: int) -> dict[str, np.ndarray]:
    """`initial_parameters`, with the faults that concern them."""
    parameters = initial_parameters(config, inputs)
    for fault, layer in placed(config.faults, Plan.of(config, inputs)):
        if fault.edits == "parameters":
            fault.edit(parameters, layer, np.random.default_rng([config.seed, layer, 0]))  # pyright: ignore[reportArgumentType]
    return parameters


def with_inputs(config: RunConfig, dataset: Dataset) -> Dataset:
    """The Dataset with the faults that concern its inputs, or the order of its training samples."""
    for fault, _ in placed(config.faults, Plan.of(config, dataset.inputs)):
        if fault.edits == "inputs":
            train, test = (replace(part, inputs=fault.edit(part.inputs)) for part in (dataset.train, dataset.test))
            encode = dataset.encode and partial(_in_turn, dataset.encode, fault.edit)
            dataset = replace(dataset, train=train, test=test, encode=encode)
        elif fault.edits == "order":
            part, order = dataset.train, fault.edit(dataset.train.targets)
            points = None if part.points is None else part.points[order]
            dataset = replace(dataset, train=replace(part, inputs=part.inputs[order], targets=part.targets[order], points=points))
    return dataset


def shuffles(config: RunConfig) -> bool:
    """Whether the run really visits its batches in a new order each epoch."""
    return config.shuffle and not any(FAULTS[entry.partition(":")[0]].edits == "order" for entry in config.faults)


def _in_turn(first, second, value):
    return second(first(value))


def batch_size(config: RunConfig) -> int | None:
    """The batch size that the run really has; None for all samples."""
    cut = config.batch_size
    for entry in config.faults:
        if FAULTS[entry.partition(":")[0]].edits == "batch_size":
            cut = FAULTS[entry].edit(cut)
    return cut
