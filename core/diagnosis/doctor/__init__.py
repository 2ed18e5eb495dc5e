"""The gradient doctor: what is wrong with a person's own backprop, from what it has at one step.

It builds the network itself, compares every gradient, and looks for mistakes of the catalogue that explain the difference, one or two
at a time. What right programs may do differently is recognised, not assumed: orientation, means and sums, kinks, precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.diagnosis.comparison import WRONG
from core.diagnosis.doctor import answers
from core.diagnosis.doctor.answers import Answer, Mistake
from core.diagnosis.doctor.conventions import conventions
from core.diagnosis.doctor.readings import readings
from core.diagnosis.doctor.rounding import precision
from core.diagnosis.doctor.run_file import RunFile, read
from core.diagnosis.doctor.search import PAIR_WORK, Search
from core.diagnosis.doctor.step import carried_along, check_step
from core.diagnosis.doctor.variants import variants

__all__ = ["Answer", "Mistake", "RunFile", "check", "check_run", "read"]


def check(raw: bytes) -> Answer:
    """The doctor's answer on the bytes of a RUN.npz. Raises ConfigError, whose field is the array at fault or "file"."""
    return check_run(read(raw))


def check_run(run: RunFile) -> Answer:
    """The doctor's answer on a RunFile. Raises ConfigError where its arrays do not fit together."""
    cases = [Case(run, reading) for reading in readings(run)]
    cases = [case for case in cases if case.reproduced] or cases
    for stage in STAGES:
        found = [case for case in cases if case.explain(stage)]
        if found:
            return answers.agreed([case.answer() for case in found])
    return answers.agreed([case.unexplained() for case in cases])


@dataclass(frozen=True)
class Stage:
    """One round of the search: with so many different mistakes, differences up to `floor` let pass, in right programs that differ
    at kinks alone or in their logarithms as well."""

    mistakes: int
    floor: float = 0.0
    logarithms: bool = False


# An early update is told from a right one by differences below the usual threshold, so exact explanations come first
STAGES = (
    Stage(0, logarithms=True),
    Stage(1),
    Stage(0, WRONG, logarithms=True),
    Stage(1, WRONG, logarithms=True),
    Stage(2),
    Stage(2, WRONG),
)


class Case:
    """One reading of a file, and what explains it."""

    def __init__(self, run, reading):
        self.run, self.reading = run, reading
        self.conventions, self.reproduced = conventions(reading, run.loss_value, run.l2)
        self.eps = precision(list(run.weight_gradients) + list(run.bias_gradients))
        self.search, self.explanations, self.nearly = None, [], False

    @cached_property
    def variants(self):
        """(right programs that differ at kinks, right programs that differ in their logarithms)."""
        return variants(self.reading)

    def explain(self, stage):
        """Whether this stage finds explanations; they are kept."""
        size = self.reading.samples * sum(weights.size for weights in self.run.weights)
        if stage.mistakes > 1 and size > PAIR_WORK:
            return False
        at_kinks, logarithms = self.variants
        for formulas in at_kinks + (logarithms if stage.logarithms else []):
            self.search = self._search(formulas, stage.floor)
            found = self.search.explanations(self.conventions, stage.mistakes)
            if found:
                self.explanations, self.nearly = sorted(found, key=lambda explanation: explanation.cost), stage.floor > 0
                return True
        return False

    def _search(self, formulas, floor):
        return Search(self.reading, formulas, self.eps, floor, self.run.learning_rate)

    @cached_property
    def step(self):
        """What became of the parameters; None where the file does not say."""
        if self.reading.next is None:
            return None
        eps = max(self.eps, precision([*self.run.next_weights, *self.run.next_biases]))
        return check_step(self.reading, self.run.learning_rate, eps, [convention.decay for convention in self.conventions])

    def answer(self):
        """The answer where the gradients are explained."""
        best = self.explanations[0]
        if not best.placed and self.step and self.step.fault == "unknown":
            updates = self._carried([best.convention], plain=False)
            if updates:
                return answers.stale(self, self.search, best.convention, updates)
        return answers.explained(self, self.search, self.explanations)

    def unexplained(self):
        """The answer where nothing in the catalogue gives the gradients in the file, unless they are sums of several updates'."""
        self.search = self._search(self.variants[0][0], WRONG)
        plain = self.step is None or not self.step.fault
        for convention in self.conventions:
            updates = self._carried([convention], plain)
            if updates:
                return answers.stale(self, self.search, convention, updates)
        return answers.unknown(self, self.search)

    def _carried(self, tried, plain):
        if self.run.learning_rate is None or any(self.reading.yours[key].size != self._size(key) for key in self.reading.yours):
            return None
        found = (carried_along(self.reading, convention, self.run.learning_rate, self.eps, plain) for convention in tried)
        return next((updates for updates in found if updates), None)

    def _size(self, key):
        name, layer = key
        return self.reading.given[name[1:], layer].size
