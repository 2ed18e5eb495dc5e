"""The preflight: what one checks of a run before it is made, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from core.config import RunConfig
from core.data.dataset import Dataset
from core.experiments.checks import CHECKS, Outcome
from core.experiments.subject import Subject
from core.limits import ConfigError
from core.report import strict

MARKS = {True: "ok", False: "FAILED", None: "-"}


@dataclass(frozen=True)
class CheckResult:
    """What became of a check (the contract's). `passed` None: it could not be made. `advice` and `fix` (a patch of the configuration) say
    what to do where it failed."""

    name: str
    passed: bool | None
    value: float | None
    expected: float | None
    text: str
    advice: str | None = None
    fix: dict | None = None

    def to_dict(self):
        """Plain values for strict JSON."""
        return strict(vars(self))


def preflight(config: RunConfig, dataset: Dataset | None = None, between: Callable[[], None] | None = None) -> Iterator[CheckResult]:
    """Make all CHECKS of a configuration, and yield each result as soon as it is known; two seconds at most for small networks.

    The same configuration gives the same results. `between` is called without arguments between pieces of the work; what it raises ends
    it. Raises ConfigError when the configuration cannot run.
    """
    subject = Subject(config, dataset, between)
    for name, check in CHECKS.items():
        subject.between()
        try:
            with np.errstate(all="ignore"):
                outcome = check.find(subject)
        except ConfigError as refused:  # a planted fault that cannot be made in what is trained beside the run
            outcome = Outcome(None, None, None, f"Not checked: {refused.message}.")
        yield CheckResult(name, **vars(outcome))


def report(results) -> dict:
    """The contract's JSON of the results of a preflight."""
    return {"checks": [result.to_dict() for result in results]}


def told(results) -> str:
    """The results as lines to be read."""
    lines = []
    for result in results:
        advice = f" {result.advice}" if result.advice else ""
        lines.append(f"{MARKS[result.passed]:7}{CHECKS[result.name].title}. {result.text}{advice}")
    return "\n".join(lines)
