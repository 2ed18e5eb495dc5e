"""The preflight: what one checks of a run before it is made, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from core.config import RunConfig
from core.data.dataset import Dataset
from core.experiments.checks import CHECKS, Outcome
from core.experiments.subject import Subject
from core.limits import ConfigError

MARKS = {True: "ok", False: "FAILED", None: "-"}


def preflight(config: RunConfig, dataset: Dataset | None = None, between: Callable[[], None] | None = None) -> Iterator[Outcome]:
    """Make all CHECKS of a configuration, and yield each Outcome as soon as it is known; two seconds at most for small networks.

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
        yield replace(outcome, name=name)


def report(results: Iterable[Outcome]) -> dict:
    """The contract's JSON of the results of a preflight."""
    return {"checks": [result.to_dict() for result in results]}


def told(results: Iterable[Outcome]) -> str:
    """The results as lines to be read."""
    lines = []
    for result in results:
        advice = f" {result.advice}" if result.advice else ""
        lines.append(f"{MARKS[result.passed]:7}{CHECKS[result.name].title}. {result.text}{advice}")
    return "\n".join(lines)
