"""The map of divergence: two settings against each other, and what becomes of the run in each cell.

The boundary between runs that train and runs that blow up is jagged at every scale (Sohl-Dickstein 2024, arXiv 2402.06184). What is judged
is the loss before the first update and at `looks`, on some of the training samples; by the definitions that the diagnosis of a single run
has, as far as losses go. Cells that differ in numbers of PER_NET alone are trained together, the others one by one.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from core.config import RunConfig
from core.data import load
from core.data.dataset import Part, spread
from core.diagnosis.baseline import baseline
from core.diagnosis.detectors.stability import SWINGING
from core.diagnosis.divergence import divergence_limit
from core.diagnosis.evidence.progress import CREEPING, LEARNED, POORLY
from core.diagnosis.forecast import NO_BETTER, THROWN, stability_limit
from core.experiments import fields
from core.experiments.nets_last import PER_NET, Nets, nets_at_once, reaches
from core.limits import ConfigError, shown
from core.nn.network import with_ones
from core.numbers import parse_number
from core.report import strict
from core.training.evaluation import penalty
from core.training.trainer import Trainer

# What became of a run; by number in arrays
OUTCOMES = ("learns", "slow", "plateau", "oscillates", "diverged", "nonfinite")
MOST_VALUES, MOST_STEPS = 1024, 1_000_000
STEPS = 500
# Training samples that losses are taken on, and how often: half of the looks in the first half of the run, ever farther apart
SAMPLES, LOOKS = 64, 24
LATE, BEFORE = 0.75, 0.5  # shares of the run from which on its end begins, and what the end is compared with
TURNS = 1 / 3  # share of changes that go opposite ways from which on a loss swings: 2/3 for noise, 0 for a curve
# From coarse to fine: every so many cells first
STRIDES = (8, 4, 2, 1)
# Values of x and of y at which the stability limit is worked out where it depends on one of them, and on both
KNOTS, KNOTS_OF_TWO = 17, 9
# A piece of work is so many networks' updates at most where networks are trained one by one
ALONE = 16
RATE = "optimizer.learning_rate"
AXIS = re.compile(r"([^=:]{1,80})=([^:]{1,40}):([^:]{1,40}):([^:]{1,10})(:log)?")


@dataclass(frozen=True)
class Axis:
    """A field and its values from `low` to `high`, `count` of them, evenly or, with `log`, evenly in their logarithms; whole numbers are
    rounded and come once each. Raises ConfigError."""

    field: str
    low: float
    high: float
    count: int
    log: bool = False

    def __post_init__(self):
        if fields.kind(self.field) is None:
            raise ConfigError("field", f"must be a setting that is a number, width or depth; was {shown(self.field)}")
        if not 2 <= self.count <= MOST_VALUES:
            raise ConfigError(self.field, f"must have 2 to {MOST_VALUES} values; had {self.count}")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(self.field, f"must go from a number to a larger one; was {self.low:g} to {self.high:g}")
        if self.log and self.low <= 0:
            raise ConfigError(self.field, f"must be above 0 on a logarithmic axis; was {self.low:g}")

    @classmethod
    def parsed(cls, text: str) -> Axis:
        """The Axis of FIELD=LOW:HIGH:COUNT or FIELD=LOW:HIGH:COUNT:log."""
        found = AXIS.fullmatch(text)
        if not found:
            raise ConfigError("axis", f"must read like {RATE}=0.001:10:32:log; was {shown(text)}")
        try:
            return cls(found[1], parse_number(found[2]), parse_number(found[3]), int(parse_number(found[4], whole=True)), bool(found[5]))
        except ConfigError as refused:
            raise ConfigError(refused.field or found[1], refused.message) from None

    @property
    def values(self) -> list[float]:
        """The values, ascending, as plain numbers."""
        even = np.geomspace(self.low, self.high, self.count) if self.log else np.linspace(self.low, self.high, self.count)
        if fields.kind(self.field) == "whole":
            return [int(value) for value in np.unique(np.rint(even))]
        return [self.low, *even[1:-1].tolist(), self.high]


class Cells(NamedTuple):
    """What became of the runs in some cells: `rows` and `columns` (n,), `outcomes` (n,) numbers in OUTCOMES, `diverged_at` (n,) the step
    from which on the loss was out of bounds or not finite (NaN: never), and `losses` (n, 1 + looks)."""

    rows: np.ndarray
    columns: np.ndarray
    outcomes: np.ndarray
    diverged_at: np.ndarray
    losses: np.ndarray


class Limit(NamedTuple):
    """For each x the y at which the learning rate is just at the stability limit of the first weights; NaN where there is none."""

    values: np.ndarray


@dataclass(frozen=True)
class MapPlan:
    """A map to be made: a configuration, two Axes, and the updates of each run. Raises ConfigError where a value is not allowed."""

    config: RunConfig
    x: Axis
    y: Axis
    steps: int = STEPS

    def __post_init__(self):
        if self.x.field == self.y.field:
            raise ConfigError("y", f"must be another field than x; both were {shown(self.x.field)}")
        if not 1 <= self.steps <= MOST_STEPS:
            raise ConfigError("steps", f"must be a whole number from 1 to {MOST_STEPS:,}; was {self.steps}")
        xs, ys = self.x.values, self.y.values
        for column in range(len(xs)):
            self.cell(0, column)
        for row in range(len(ys)):
            self.cell(row, len(xs) - 1)

    def cell(self, row: int, column: int) -> RunConfig:
        """The RunConfig of a cell."""
        return fields.varied(self.config, {self.x.field: self.x.values[column], self.y.field: self.y.values[row]})

    @property
    def shape(self) -> tuple[int, int]:
        """(values of y, values of x)."""
        return len(self.y.values), len(self.x.values)

    @property
    def looks(self) -> np.ndarray:
        """The steps at which losses are taken, the beginning left out."""
        early, late = np.geomspace(1, self.steps / 2, LOOKS // 2), np.linspace(self.steps / 2, self.steps, LOOKS // 2 + 1)
        return np.unique(np.rint(np.concatenate([early, late])).clip(1)).astype(int)


def divergence_map(plan: MapPlan, between: Callable[[], None] | None = None, threads: int = 1) -> Iterator[Cells | Limit]:
    """Make a map, and yield Cells as they are known, from coarse to fine, and after the coarsest the Limit.

    The same plan gives the same cells. `between` is called without arguments between pieces of the work; what it raises ends it. Raises
    ConfigError when a cell cannot run.
    """
    between = between or (lambda: None)
    made = _Maker(plan)
    done = np.zeros(plan.shape, bool)
    for stride in STRIDES:
        due = np.zeros(plan.shape, bool)
        due[::stride, ::stride] = True
        due &= ~done
        done |= due
        parts: Any = Parallel(threads, prefer="threads", return_as="generator_unordered", pre_dispatch="2 * n_jobs")(
            delayed(work)(*arguments) for work, arguments in made.pieces(np.argwhere(due), between)
        )
        for part in parts:
            between()
            yield part
        if stride == STRIDES[0]:
            yield Limit(_limit(plan, between))


def watched(trainer: Trainer) -> np.ndarray:
    """The training samples whose loss is looked at, as indices: SAMPLES of them, an equal share of each class."""
    part = trainer.dataset.train
    if len(part) <= SAMPLES:
        return np.arange(len(part))
    labels = part.targets if trainer.dataset.labels else None
    return np.sort(spread(len(part), SAMPLES / len(part), np.random.default_rng(trainer.config.seed), labels))


class _Maker:
    """Trains the cells of a plan."""

    def __init__(self, plan):
        self._plan = plan
        self._xs, self._ys = plan.x.values, plan.y.values
        self._together = [axis.field in PER_NET for axis in (plan.y, plan.x)]
        self.first = lru_cache(256)(self._first)
        self._data = lru_cache(8)(load)

    def _first(self, row, column):
        """What a group of cells, one of which this is, has in common: (its Trainer, samples, targets, the best constant output's loss)."""
        config = self._plan.cell(row, column)
        trainer = Trainer(config, None if config.faults else self._data(config.data))
        part, chosen = trainer.dataset.train, watched(trainer)
        few = replace(trainer.dataset, train=Part(part.inputs[chosen], part.targets[chosen]))
        return trainer, part.inputs[chosen], trainer.evaluator.targets[chosen], baseline(config, few).loss

    def pieces(self, cells, between):
        """(function, arguments) of each piece of the work on these cells (n, 2)."""
        groups = defaultdict(list)
        for row, column in cells.tolist():
            groups[0 if self._together[0] else row, 0 if self._together[1] else column].append((row, column))
        for key, members in groups.items():
            between()
            first = self.first(*key)
            together = any(self._together) and reaches(first[0])
            size = nets_at_once(first[0]) if together else ALONE
            for start in range(0, len(members), size):
                yield (self.train_together if together else self.train_alone), (np.array(members[start : start + size]), first, between)

    def train_together(self, cells, first, between):
        """The Cells of networks of one shape."""
        trainer, samples, targets, chance = first
        rows, columns = cells.T
        config = trainer.config
        values = {RATE: np.full(len(cells), config.optimizer.learning_rate)}
        for axis, numbers, index in ((self._plan.y, self._ys, rows), (self._plan.x, self._xs, columns)):
            if axis.field in PER_NET:
                values[axis.field] = np.array(numbers, float)[index]
        nets, alive = Nets(trainer, values, samples, targets), np.arange(len(cells))
        losses = np.full((len(cells), 1 + len(self._plan.looks)), math.nan)
        for look, step in enumerate([0, *self._plan.looks.tolist()]):
            between()
            losses[alive, look] = now = nets.advance(step - nets.updates).losses()
            sound = np.isfinite(now)
            if not sound.any():
                break
            if not sound.all():
                nets.keep(sound)
                alive = alive[sound]
        return self._judged(cells, losses, chance)

    def train_alone(self, cells, first, between):
        """The Cells of a few networks, each trained by itself."""
        losses = np.full((len(cells), 1 + len(self._plan.looks)), math.nan)
        chances = np.zeros(len(cells))
        for number, (row, column) in enumerate(cells.tolist()):
            trainer, samples, targets, chances[number] = self._first(row, column)
            x, y = with_ones(samples, trainer.network.dtype), np.ascontiguousarray(targets.T, trainer.network.dtype)
            for look, step in enumerate([0, *self._plan.looks.tolist()]):
                between()
                trainer.advance(step - trainer.step if not trainer.stopping.stopped else 0)
                if trainer.nonfinite:
                    break
                with np.errstate(all="ignore"):
                    z, a = trainer.network.forward(x)[-1]
                    values = trainer.network.loss_values(z, a, y)
                    losses[number, look] = trainer.network.loss.mean(values) + penalty(trainer.network, trainer.config.penalty)
        return self._judged(cells, losses, chances)

    def _judged(self, cells, losses, chance):
        outcomes, diverged_at = judged(np.array([0, *self._plan.looks]), losses, chance)
        rows, columns = cells.T.astype(np.int16)
        return Cells(rows, columns, outcomes, diverged_at, losses.astype(np.float32))


def judged(steps: np.ndarray, losses: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(numbers in OUTCOMES (n,), the step (n,) from which on a loss is out of bounds, NaN for never) of runs with these `losses`
    (n, looks) at `steps` (looks,), given the loss of the best constant output, (n,) or one for all."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(losses)
        first, late = losses[:, 0], np.median(losses[:, steps > LATE * steps[-1]], axis=1)
        chance = np.broadcast_to(chance, first.shape)
        best = np.fmin.reduce(losses, axis=1)
        bounds = np.array([divergence_limit(*numbers)[0] for numbers in zip(first, best, chance)])
        out = ~(losses <= bounds[:, None])
        thrown = losses.max(axis=1) > THROWN * np.maximum(first, chance)
        diverged = (late > bounds) | (thrown & (late > NO_BETTER * chance))
        nonfinite = ~finite.all(axis=1)
        since = np.where(nonfinite, (~finite).argmax(axis=1), (out[:, ::-1].cumprod(axis=1).sum(axis=1) * -1 + losses.shape[1]))
        since = np.where(diverged & ~nonfinite & (since == losses.shape[1]), losses.argmax(axis=1), since)
        diverged_at = np.where(diverged | nonfinite, steps[np.minimum(since, len(steps) - 1)], np.nan)

        end = losses[:, steps > BEFORE * steps[-1]]
        low, high = np.percentile(end, [25, 75], axis=1)
        changes = np.diff(end, axis=1)
        turns = (changes[:, 1:] * changes[:, :-1] < 0).mean(axis=1) if end.shape[1] > 2 else 0
        swings = (high - low > SWINGING * np.abs(chance)) & (turns > TURNS) & (late > (1 - POORLY) * chance)
        learns = late < (1 - LEARNED) * chance
        between = (steps > BEFORE * steps[-1] / 2) & (steps <= LATE * steps[-1])
        earlier = np.median(losses[:, between if between.any() else steps == 0], axis=1)
        falls = late < (1 - CREEPING) * earlier
        outcomes = np.select([nonfinite, diverged, swings, learns, falls], [5, 4, 3, 0, 1], 2)
    return outcomes.astype(np.uint8), diverged_at


def _limit(plan, between):
    """For each x the y at which the learning rate is just at the stability limit (columns,)."""
    xs, ys = plan.x.values, plan.y.values

    def limit(row, column):
        between()
        return stability_limit(Trainer(plan.cell(row, column)), between=between)

    def knots(count, most):
        return np.unique(np.linspace(0, count - 1, most).round().astype(int))

    with np.errstate(all="ignore"):
        if plan.y.field == RATE:
            at = knots(len(xs), KNOTS)
            found = np.log([limit(0, column) for column in at.tolist()])
            return np.exp(np.interp(np.arange(len(xs)), at, np.where(np.isfinite(found), found, np.nan)))
        if plan.x.field == RATE:
            at = knots(len(ys), KNOTS)
            excess = np.log([limit(row, 0) for row in at.tolist()])[:, None] - np.log(xs)
        else:
            at, across = knots(len(ys), KNOTS_OF_TWO), knots(len(xs), KNOTS_OF_TWO)
            grid = [
                [limit(row, column) / plan.cell(row, column).optimizer.learning_rate for column in across.tolist()] for row in at.tolist()
            ]
            excess = np.array([np.interp(np.arange(len(xs)), across, line) for line in np.log(grid)])
        scaled = np.log(ys) if plan.y.log else np.array(ys, float)
        crossed = np.array([_crossing(scaled[at], column) for column in excess.T])
        return np.exp(crossed) if plan.y.log else crossed


def _crossing(places, values):
    """The first place (by linear interpolation) where values (n,) change their sign; NaN where they do not."""
    for before in np.flatnonzero(values[:-1] * values[1:] <= 0)[:1]:
        span = values[before] - values[before + 1]
        return places[before] + (values[before] / span if span else 0.0) * (places[before + 1] - places[before])
    return math.nan


class Map:
    """A map as far as it is made: `outcomes` (rows, columns), -1 where nothing is known, `diverged_at`, `final` losses, and `limit`."""

    def __init__(self, plan: MapPlan) -> None:
        self.plan = plan
        self.outcomes = np.full(plan.shape, -1, np.int8)
        self.diverged_at, self.final = np.full(plan.shape, math.nan), np.full(plan.shape, math.nan)
        self.limit = None

    def take(self, part: Cells | Limit) -> Map:
        """Add Cells or a Limit."""
        if isinstance(part, Limit):
            self.limit = part.values
            return self
        self.outcomes[part.rows, part.columns] = part.outcomes
        self.diverged_at[part.rows, part.columns] = part.diverged_at
        self.final[part.rows, part.columns] = part.losses[:, -1]
        return self

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape; a row for each value of y."""
        axes = {name: {"field": axis.field, "values": axis.values} for name, axis in (("x", self.plan.x), ("y", self.plan.y))}
        outcome = [[OUTCOMES[number] for number in row] for row in self.outcomes.tolist()]
        at = [[None if math.isnan(step) else int(step) for step in row] for row in self.diverged_at.tolist()]
        return strict(axes | {"outcome": outcome, "diverged_at": at, "limit": self.limit.tolist()})

    def __str__(self):
        letters = "·-_~#!"
        told = ", ".join(f"{letter} {name}" for letter, name in zip(letters, OUTCOMES))
        rows = ["".join(letters[number] for number in row) for row in self.outcomes[::-1].tolist()]
        (x, y), steps = (self.plan.x, self.plan.y), self.plan.steps
        return "\n".join(
            [f"{y.field} {y.low:g} to {y.high:g} upwards, {x.field} {x.low:g} to {x.high:g} to the right, {steps} steps: {told}", *rows]
        )
