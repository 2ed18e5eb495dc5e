"""Sweeps: many runs that differ in a few settings, as a grid, as random draws, or both, each with several seeds.

What to sweep is one JSON object, checked whole before anything runs. Settings are drawn by scikit-learn's ParameterGrid and
ParameterSampler; `core.experiments.sweep_runs` trains them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass

from scipy.stats import loguniform, randint, uniform
from sklearn.model_selection import ParameterGrid, ParameterSampler

from core.command_line import MAX_STEPS
from core.config import RunConfig
from core.experiments.fields import LAYER, NUMBERS, placed, rule
from core.limits import ConfigError, shown
from core.proposal import configured

STEPS, DRAWS = 2000, 20  # where the file names none; as many steps as `core train` makes
MAX_RUNS = 100_000  # of one sweep: checking so many takes about a minute
MAX_DRAWS, MAX_SEEDS, MAX_SEED = 100_000, 1000, 2**31 - 1
PATH_LENGTH = 100  # characters of a field's name
DIGITS = 4  # of a number that is drawn: it can be read, and goes into a link
FIELDS = ("base", "grid", "random", "draws", "seeds", "steps", "halving")


@dataclass(frozen=True)
class Point:
    """One run of a sweep: `settings` {dotted path: value} that are swept and the seed; `config` is None where they make no valid
    configuration, as `error` says then."""

    settings: dict
    seed: int
    config: RunConfig | None
    error: ConfigError | None = None

    @property
    def group(self) -> str:
        """A text that runs share which differ in nothing but the seed."""
        return json.dumps(self.settings, sort_keys=True)

    def key(self, steps: int) -> str:
        """A text that differs where the run of so many steps does."""
        text = json.dumps([self.config.to_dict(), steps], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Sweep:
    """`points` are distinct; `values` is the JSON object it was made of. `halving`, a factor, has only the best go on; None: all do."""

    values: dict
    points: tuple[Point, ...]
    steps: int
    halving: int | None = None

    @classmethod
    def from_dict(cls, values: object, most: int = MAX_RUNS) -> Sweep:
        """The Sweep of {"base", "grid", "random", "draws", "seeds", "steps", "halving"}, of at most so many runs.

        `base` is a configuration, "grid" {field: values}, "random" {field: {"low", "high", "log"}}, from which `draws` are taken for each
        point of the grid: the same ones each time. Fields are dotted paths, "optimizer.learning_rate", "layers.0.units". `seeds` are
        seeds, or how many, counted from the base's. The same object gives the same Sweep. A point that is no valid configuration is kept
        with its error. Raises ConfigError when anything else is wrong, and when no point is valid.
        """
        if not isinstance(values, dict):
            raise ConfigError("sweep", f"must be an object; was {shown(values)}")
        for name in values:
            if name not in FIELDS:
                raise ConfigError(str(name)[:60], f"is not a field of a sweep; the fields are {', '.join(FIELDS)}")
        grid, drawn = _grid(values.get("grid", {})), _distributions(values.get("random", {}))
        if both := sorted(grid.keys() & drawn.keys()):
            raise ConfigError(f"random.{both[0]}", "must not be in the grid, too")
        draws = _whole("draws", values.get("draws", DRAWS), 1, MAX_DRAWS) if drawn else 1
        halving = values.get("halving")
        if halving is not None:
            halving = _whole("halving", halving, 2, 100)
        steps = _whole("steps", values.get("steps", STEPS), 1, MAX_STEPS)
        base = _base(values.get("base", {}), [*grid, *drawn])
        seeds = _seeds(values.get("seeds"), configured(base).seed if values.get("seeds") is None or _counts(values["seeds"]) else 0)
        wanted = math.prod(map(len, grid.values())) * draws * len(seeds)
        if wanted > most:
            raise ConfigError("sweep", f"must be at most {most:,} runs; grid, draws and seeds together ask for {wanted:,}")
        points = _points(base, grid, drawn, draws, seeds)
        if all(point.error for point in points):
            first = points[0]
            raise ConfigError(first.error.field, f"{first.error.message} (no point of the sweep is valid; this is the first)")
        return cls(values, tuple(points), steps, halving)

    @property
    def groups(self) -> dict[str, list[Point]]:
        """{group: its valid points, which differ in the seed}, in order."""
        groups = {}
        for point in self.points:
            if not point.error:
                groups.setdefault(point.group, []).append(point)
        return groups

    @property
    def rungs(self) -> list[tuple[int, int]]:
        """(how many groups, how many steps) of each rung of successive halving (Jamieson and Talwalkar 2016): each goes on with the best
        1/factor for factor times as many steps; without halving one rung, of all."""
        groups, rounds = len(self.groups), 0
        if self.halving:
            while self.halving ** (rounds + 1) <= min(groups, self.steps):
                rounds += 1
        factor = self.halving or 1
        return [(math.ceil(groups / factor**k), self.steps // factor ** (rounds - k)) for k in range(rounds + 1)]

    @property
    def total(self) -> int:
        """How many runs there are to make, where all seeds of a group are valid."""
        sizes = sorted((len(points) for points in self.groups.values()), reverse=True)
        return sum(sum(sizes[:kept]) for kept, _ in self.rungs)


def _whole(name, value, low, high):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(name, f"must be a whole number from {low:,} to {high:,}; was {shown(value)}")
    return value


def _counts(seeds):
    return isinstance(seeds, int) and not isinstance(seeds, bool)


def _seeds(seeds, first):
    """The list of distinct seeds that is meant."""
    if seeds is None:
        return [first]
    if _counts(seeds):
        return [(first + index) % (MAX_SEED + 1) for index in range(_whole("seeds", seeds, 1, MAX_SEEDS))]
    if not isinstance(seeds, list) or not 1 <= len(seeds) <= MAX_SEEDS:
        raise ConfigError("seeds", f"must be a number of seeds or a list of 1 to {MAX_SEEDS:,} of them; was {shown(seeds)}")
    return list(dict.fromkeys(_whole(f"seeds[{index}]", seed, 0, MAX_SEED) for index, seed in enumerate(seeds)))


def _fields(name, values):
    """The items of an object whose keys are fields of a configuration."""
    if not isinstance(values, dict):
        raise ConfigError(name, f"must be an object of fields; was {shown(values)}")
    for path, value in values.items():
        if not path or len(path) > PATH_LENGTH:
            raise ConfigError(name, f"must name fields of 1 to {PATH_LENGTH} characters; one was {shown(path)}")
        if path == "seed":
            raise ConfigError(f"{name}.seed", "is not swept here: name the seeds in `seeds`")
        yield path, value


def _grid(values):
    grid = {}
    for path, options in _fields("grid", values):
        if not isinstance(options, list) or not options:
            raise ConfigError(f"grid.{path}", f"must be a list of at least one value; was {shown(options)}")
        grid[path] = options
    return grid


def _distributions(values):
    """{field: what ParameterSampler draws from}."""
    found = {}
    for path, bounds in _fields("random", values):
        name, kind = f"random.{path}", rule(path).get("kind")
        if kind not in NUMBERS:
            raise ConfigError(name, "must be a setting that is a number")
        if not isinstance(bounds, dict) or not {"low", "high"} <= bounds.keys() <= {"low", "high", "log"}:
            raise ConfigError(name, f"must be an object with low, high and, if you like, log; was {shown(bounds)}")
        low, high, log = bounds["low"], bounds["high"], bounds.get("log", False)
        for end, value in (("low", low), ("high", high)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e300:
                raise ConfigError(f"{name}.{end}", f"must be a number; was {shown(value)}")
            if kind == "whole" and (value != int(value) or abs(value) >= 2**31):
                raise ConfigError(f"{name}.{end}", f"must be a whole number below 2^31; was {shown(value)}")
        if not isinstance(log, bool):
            raise ConfigError(f"{name}.log", f"must be true or false; was {shown(log)}")
        if not low < high:
            raise ConfigError(f"{name}.high", f"must be above low, {low:g}; was {high:g}")
        if log and low <= 0:
            raise ConfigError(f"{name}.low", f"must be above 0 where draws are even on a logarithmic axis; was {low:g}")
        found[path] = loguniform(low, high) if log else randint(low, high + 1) if kind == "whole" else uniform(low, high - low)
    return found


def _drawn(path, value, bounds):
    """A plain number of what was drawn: whole where the setting is, else with DIGITS digits, within its bounds."""
    short = round(float(value)) if rule(path)["kind"] == "whole" else float(f"{value:.{DIGITS}g}")
    return min(max(short, bounds["low"]), bounds["high"])


def _base(base, paths):
    """The base as a plain configuration, completed where points cannot change what it leaves open."""
    whole = configured(base)
    if any(path.partition(".")[0] in ("data", "layers") for path in paths if not LAYER.fullmatch(path)):
        missing = {"layers": whole.to_dict()["layers"]} if any(map(LAYER.fullmatch, paths)) else {}
        return missing | base
    return whole.to_dict()


def _points(base, grid, drawn, draws, seeds):
    """The distinct Points, seed after seed of each setting."""
    bounds = {path: distribution.support() for path, distribution in drawn.items()}
    bounds = {path: {"low": low, "high": high} for path, (low, high) in bounds.items()}
    samples = list(ParameterSampler(drawn, draws, random_state=0)) if drawn else [{}]
    points, seen = [], set()
    for chosen in ParameterGrid(grid):
        for sample in samples:
            settings = chosen | {path: _drawn(path, value, bounds[path]) for path, value in sample.items()}
            try:
                config, error = _valid(base, settings), None
            except ConfigError as refused:
                config, error = None, refused
            for seed in seeds:
                point = Point(settings, seed, config and dataclasses.replace(config, seed=seed), error)
                if (same := (point.group, seed)) not in seen:
                    seen.add(same)
                    points.append(point)
    return points


def _valid(base, settings):
    """The RunConfig of the base with these settings. Raises ConfigError."""
    values = base
    for path in sorted(settings):  # a whole part before what is in it
        values = placed(values, path, settings[path])
    return configured(values)
