"""What a link for a class adds to a run: controls and panels that are hidden or locked, a text above the charts, and a goal.

`?hide=faults~panel.network&lock=data&text=...&goal=test.accuracy>=0.95;units<=8;steps<=2000`. Names are dotted: what stands before a dot
stands for all that follows it, so that `lock=data` locks every setting of the data.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.limits import ConfigError, listed, plain_text, shown
from core.numbers import parse_number

if TYPE_CHECKING:
    from core.snapshot.snapshot import Snapshot

LONGEST = {"hide": 2000, "lock": 2000, "text": 2000, "goal": 500}  # characters of each parameter
PANEL = "panel."  # what stands before the name of a panel, which may be left out where no control has that name
PART = re.compile(r"([a-z_.0-9]+)\s*(>=|<=|>|<|=)\s*(\S+)")
RELATIONS = {
    ">=": ("at least", operator.ge),
    "<=": ("at most", operator.le),
    ">": ("above", operator.gt),
    "<": ("below", operator.lt),
    "=": ("exactly", operator.eq),
}


@dataclass(frozen=True)
class Quantity:
    """What a goal can be about: its name on the screen, and `of(snapshot)`, its value at each evaluation of the run, (n,) or one number
    for all of them; NaN where it is not known."""

    title: str
    of: Callable


def _metric(part, name):
    return lambda run: getattr(run.frames, f"{part}_metric") if run.metric == name else np.nan


def _hidden(run):
    return run.config["layers"][:-1]


QUANTITIES = {
    "train.loss": Quantity("Training loss", lambda run: run.frames.train_loss),
    "test.loss": Quantity("Test loss", lambda run: run.frames.test_loss),
    "train.accuracy": Quantity("Training accuracy", _metric("train", "accuracy")),
    "test.accuracy": Quantity("Test accuracy", _metric("test", "accuracy")),
    "train.r2": Quantity("Training R²", _metric("train", "r2")),
    "test.r2": Quantity("Test R²", _metric("test", "r2")),
    "steps": Quantity("Steps", lambda run: run.frames.step),
    "units": Quantity("Hidden units", lambda run: sum(layer["units"] for layer in _hidden(run))),
    "layers": Quantity("Hidden layers", lambda run: len(_hidden(run))),
    "faults": Quantity("Injected bugs", lambda run: len(run.config["faults"])),
}


@dataclass(frozen=True)
class Part:
    """One condition of a goal."""

    quantity: str
    relation: str
    value: float

    @property
    def text(self) -> str:
        """As it reads: "Test accuracy at least 0.95"."""
        return f"{QUANTITIES[self.quantity].title} {RELATIONS[self.relation][0]} {self.value:,.10g}"

    def holds(self, run: Snapshot) -> np.ndarray:
        """Whether it held at each evaluation of a run, a Snapshot: bool (n,)."""
        with np.errstate(invalid="ignore"):
            held = RELATIONS[self.relation][1](QUANTITIES[self.quantity].of(run), self.value)
        return np.broadcast_to(held, run.frames.step.shape)


@dataclass(frozen=True)
class Lesson:
    """What a link for a class asks for, empty for any other link. `query` is how the link said it."""

    hidden: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    text: str = ""
    goal: tuple[Part, ...] = ()
    query: dict[str, str] = field(default_factory=dict)

    def hides(self, name: str) -> bool:
        """Whether this control or panel is not drawn."""
        return _within(name, self.hidden)

    def fixes(self, name: str) -> bool:
        """Whether a person cannot change this control: it is hidden or locked."""
        return self.hides(name) or _within(name, self.locked)

    def check(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Raise ConfigError where two configurations, as {dotted path: value}, differ in a setting that is fixed."""
        for name, value in after.items():
            if value != before[name] and self.fixes(name):
                raise ConfigError(name, "must stay as it is: the link of this page has locked it")

    def reached(self, run: Snapshot) -> tuple[list[bool], int | None]:
        """(does each part of the goal hold, the step at which all of them first did or None) for a run, a Snapshot. A goal once reached
        stays reached; until then the parts are those of now."""
        held = np.stack([part.holds(run) for part in self.goal])
        moments = np.flatnonzero(held.all(axis=0))
        at = moments[0] if len(moments) else -1
        return held[:, at].tolist(), int(run.frames.step[at]) if len(moments) else None


def _within(name, names):
    return any(name == other or name.startswith(f"{other}.") for other in names)


def split(query: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(the rest of a link's query, what it holds for a class), both {parameter: text}."""
    return {name: text for name, text in query.items() if name not in LONGEST}, {name: query[name] for name in LONGEST if name in query}


def lesson_of(query: dict[str, str], names: Iterable[str]) -> tuple[Lesson, list[ConfigError]]:
    """(the Lesson that {parameter: text} asks for, the ConfigErrors of what it cannot have). `names` are all controls and panels. Of a
    parameter that is wrong in part the rest is kept, but for a goal, which would be another one."""
    known = set(names) | {name.rpartition(".")[0] for name in names} - {""}
    values: dict[str, Any] = {"query": query}
    problems = []
    for name, text in query.items():
        try:
            plain = plain_text(name, text, LONGEST[name], lines=name == "text").strip()
            match name:
                case "text":
                    values["text"] = plain
                case "goal":
                    values["goal"] = _goal(plain)
                case _:
                    found, unknown = _named(plain, known)
                    values["hidden" if name == "hide" else "locked"] = found
                    if unknown:
                        raise ConfigError(name, f"must be names of controls and panels, joined by ~; had {listed(unknown)}")
        except ConfigError as problem:
            problems.append(problem)
    return Lesson(**values), problems


def _named(text, known):
    """(names that there are, those that there are not) in a list."""
    asked = [name.strip() for name in re.split("[~,]", text) if name.strip()]
    full = {name: name if name in known else PANEL + name for name in asked}
    return tuple(dict.fromkeys(full[name] for name in asked if full[name] in known)), [name for name in asked if full[name] not in known]


def _goal(text):
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not 1 <= len(parts) <= len(QUANTITIES):
        raise ConfigError("goal", f"must have 1 to {len(QUANTITIES)} parts, separated by semicolons; had {len(parts)}")
    return tuple(map(_part, parts))


def _part(text):
    match = PART.fullmatch(text)
    if not match or match[1] not in QUANTITIES:
        raise ConfigError("goal", f"must compare {', '.join(QUANTITIES)} with a number, as in test.accuracy>=0.95; had {shown(text)}")
    try:
        return Part(match[1], match[2], float(parse_number(match[3])))
    except ConfigError as problem:
        raise ConfigError("goal", f"{problem.message} in {shown(text)}") from None
