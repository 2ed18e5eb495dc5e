"""Configurations and links that nobody means well with: refused in one clear sentence, or a run that trains and comes back whole."""

from __future__ import annotations

import copy
import json
from functools import cache
from random import Random
from urllib.parse import parse_qsl, urlencode

from benchmarks.attack.hostile import KEYS, TEXTS, dumped, spoiled_json, spoiled_text, text, value
from core.config import DataConfig, RunConfig
from core.data import load
from core.data.sources import SOURCES
from core.diagnosis import diagnose
from core.experiments import preflight
from core.experiments.surface import SurfaceTask, loss_surface
from core.export import EXPORTS
from core.fit import memory_estimate, parameter_count
from core.limits import ConfigError, NotJSON, parsed_json, plain_text
from core.link import SETTINGS, from_query, stop_at, stored_run, to_query
from core.presets import PRESETS
from core.training.recorder import FlightRecorder
from core.training.trainer import Trainer
from pages.training.uploads import Uploads

LONGEST_MESSAGE, LONGEST_TEXT = 600, 10_000  # characters of a refusal, and of anything else that is said
TRAINED = 0.03  # share of the sound ones that are trained
SMALL = 64 << 20, 20_000, 2000  # bytes of memory, parameters and samples of those
TINY = 2_000  # parameters up to which preflight and loss surface are made as well
UPDATES = 3


@cache
def prepare():
    """Train what every preset has, so that what is loaded once for all is there."""
    for preset in PRESETS.values():
        _trains(from_query(dict(parse_qsl(preset.link, keep_blank_values=True))))
    for name, source in SOURCES.items():
        if source.kind != "file":
            load(DataConfig(source=name))


def made(seed, number):
    """What the configuration of this number is drawn from: how it comes, and the random numbers."""
    return INPUTS[number % len(INPUTS)], Random(f"{seed} configuration {number}")


def attack(given):
    """Take in a configuration that `made` gave. Raises whatever is no refusal."""
    (come, random), config = given, None
    try:
        config = come(random)
        Uploads().resolved(config)  # no link names a file of the server's
        assert config.data.source != "file", "a file that nobody uploaded was taken"
    except (ConfigError, NotJSON) as refusal:
        plain_text("refusal", str(refusal), LONGEST_MESSAGE)
    if config is not None:
        _comes_back(config)
        if random.random() < TRAINED and _is_small(config):
            _trains(config)


def _comes_back(config):
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False))) == config, "JSON changed it"
    assert from_query(dict(parse_qsl(urlencode(to_query(config)), keep_blank_values=True))) == config, "its link is another's"


def _is_small(config):
    source = SOURCES[config.data.source]
    inputs = source.inputs or len(config.data.features)
    try:
        sizes = memory_estimate(config, inputs, config.data.samples), parameter_count(config, inputs), config.data.samples
    except ConfigError:
        return False
    return source.kind != "file" and all(size <= most for size, most in zip(sizes, SMALL))


def _trains(config):
    said = []
    try:
        trainer = Trainer(config)
        trainer.run(UPDATES)
        said += [finding.title + finding.advice for finding in diagnose(trainer)]
        for export in EXPORTS.values():
            if export.refusal(config) is None:
                export.make(config, trainer.dataset, trainer.parameters(), UPDATES)
        if trainer.network.vector.size <= TINY:
            said.append(preflight.told(preflight.preflight(config)))
            said.append(str(loss_surface(SurfaceTask.of(trainer, FlightRecorder(trainer)))))
    except ConfigError as refusal:
        plain_text("refusal", str(refusal), LONGEST_MESSAGE)
    for words in said:
        plain_text("what is said of the run", words, LONGEST_TEXT, lines=True)


def _start(random):
    """The dict of a sound configuration."""
    preset = random.choice(list(PRESETS.values())).link
    return copy.deepcopy(from_query(dict(parse_qsl(preset, keep_blank_values=True))).to_dict())


def _of_rules(random, tree):
    """Have some settings take a value that their rule just allows, or just does not."""
    for name in random.sample(list(SETTINGS), random.randrange(1, 5)):
        *parents, last = name.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {}) if isinstance(branch, dict) else None
        if isinstance(branch, dict):
            branch[last] = _near(random, SETTINGS[name].metadata)
    return tree


def _near(random, rule):
    match rule.get("kind"):
        case "choice":
            return random.choice(list(rule["options"]))
        case "flag":
            return random.random() < 0.5
        case "number" | "whole":
            edge = random.choice((rule["low"], rule["high"]))
            whole = random.choice((edge, edge + 1, edge - 1, random.randint(0, 100)))
            return whole if rule["kind"] == "whole" or random.random() < 0.3 else random.choice((edge, random.random(), edge * (1 + 1e-12)))
        case "names":
            return random.sample(list(rule["options"]), random.randrange(len(rule["options"]) + 1))
        case "text":
            return random.choice(TEXTS)
        case _:
            return value(random)


def _of_dict(random):
    tree = _of_rules(random, _start(random)) if random.random() < 0.7 else _start(random)
    for _ in range(random.randrange(3)):
        tree = spoiled_json(random, tree)
    return RunConfig.from_dict(tree)


def _of_json(random):
    told = dumped(spoiled_json(random, _of_rules(random, _start(random))))
    for _ in range(random.randrange(3)):
        told = spoiled_text(random, told)
    raw = told.encode("utf-8", "surrogatepass")
    return RunConfig.from_dict(parsed_json(random.choice((raw, told))))


def _of_query(random):
    query = dict(to_query(RunConfig.from_dict(_start(random))))
    for _ in range(random.randrange(1, 4)):
        name = random.choice([*SETTINGS, *KEYS, "at", "run"])
        query[name] = text(random) if random.random() < 0.5 else dumped(value(random))
    return _linked(query)


def _of_address(random):
    address = random.choice(list(PRESETS.values())).link
    for _ in range(random.randrange(1, 4)):
        address = spoiled_text(random, address)
    return _linked(dict(parse_qsl(address, keep_blank_values=True, max_num_fields=1000)))


def _linked(query):
    """As the playground takes an address."""
    settings, _ = stored_run(query)
    settings, _ = stop_at(settings)
    return from_query(settings)


INPUTS = (_of_dict, _of_json, _of_query, _of_address)
