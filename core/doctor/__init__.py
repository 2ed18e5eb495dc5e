"""The gradient doctor: what is wrong with a person's own backprop, from what it has at one step.

It builds the network itself, compares every gradient, and looks for mistakes of the catalogue that explain the difference, one or two
at a time. What right programs may do differently is recognised, not assumed: orientation, means and sums, kinks, precision.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.diagnosis.comparison import WRONG
from core.doctor import answers
from core.doctor.answers import Answer, Mistake
from core.doctor.conventions import conventions
from core.doctor.hypothesis import Start
from core.doctor.readings import readings
from core.doctor.rounding import precision
from core.doctor.run_file import RunFile, read
from core.doctor.search import PAIR_WORK, Search, updated
from core.doctor.step import carried_along, check_step
from core.doctor.variants import variants

__all__ = ["Answer", "Mistake", "RunFile", "check", "check_run", "read"]


def check(raw: bytes) -> Answer:
    """The doctor's answer on the bytes of a RUN.npz. Raises ConfigError, whose field is the array at fault or "file"."""
    return check_run(read(raw))


def check_run(run: RunFile) -> Answer:
    """The doctor's answer on a RunFile. Raises ConfigError where its arrays do not fit together."""
    inquiries = [Inquiry(run, reading) for reading in readings(run)]
    inquiries = [inquiry for inquiry in inquiries if inquiry.reproduced] or inquiries
    for stage in STAGES:
        found = [inquiry for inquiry in inquiries if inquiry.explain(stage)]
        if found:
            return answers.agreed([inquiry.answer() for inquiry in found])
    left = [inquiry.unexplained() for inquiry in inquiries]
    return answers.agreed([answer for answer in left if answer.verdict == "faulty"] or left)


@dataclass(frozen=True)
class Stage:
    """One round of the search: with so many different mistakes, differences up to `floor` let pass, in right programs that differ
    at kinks alone or in their logarithms as well; `doubled`: also where a factor 2 too many is the likelier explanation."""

    mistakes: int
    floor: float = 0.0
    logarithms: bool = False
    doubled: bool = True


# An early update is told from a right one by differences below the usual threshold, so exact explanations come first
STAGES = (
    Stage(0, logarithms=True, doubled=False),
    Stage(1, doubled=False),
    Stage(0, WRONG, logarithms=True),
    Stage(1, WRONG, logarithms=True, doubled=False),
    Stage(2, doubled=False),
)


class Inquiry:
    """One reading of a file, and what explains it."""

    def __init__(self, run, reading):
        self.run, self.reading = run, reading
        self.conventions, self.reproduced = conventions(reading, run.loss_value, run.l2)
        self.eps = precision(list(run.weight_gradients) + list(run.bias_gradients))
        self.step = self._step()
        if self.step and (self.step.sign == 1 or self.step.either):
            self.conventions += [convention.turned() for convention in self.conventions]
        at_kinks, logarithms = variants(reading)
        self.variants, self._at_kinks = at_kinks + logarithms, len(at_kinks)
        self._searches, self._starts = {}, {}
        self.search, self.explanations, self.nearly = None, [], False

    def explain(self, stage):
        """Whether this stage finds explanations; they are kept."""
        size = self.reading.samples * sum(weights.size for weights in self.run.weights)
        if stage.mistakes > 1 and size > PAIR_WORK:
            return False
        conventions = [convention for convention in self.conventions if stage.doubled or not convention.doubled]
        for number in range(len(self.variants) if stage.logarithms else self._at_kinks):
            self.search = self._search(number)
            found = self.search.explanations(conventions, stage.mistakes, stage.floor)
            if found:
                layers = self.reading.plan.last
                found = [self.search.everywhere(explanation, stage.floor) for explanation in found]
                self.explanations = sorted(found, key=lambda explanation: explanation.cost(layers))
                self.nearly = stage.floor > 0
                return True
        return False

    def _search(self, number):
        """The Search with the variant of this number."""
        if number not in self._searches:
            guarded = number >= self._at_kinks
            self._searches[number] = Search(self.reading, self.variants[number], self._start(guarded), guarded)
        return self._searches[number]

    def _start(self, guarded):
        """The forward pass, the same in all variants; guarded logarithms depend on which probabilities round to 0 and 1, and start
        from what the file's own precision makes of them."""
        if guarded not in self._starts:
            given = {**self.reading.given, **updated(self.reading, self.run.learning_rate)}
            self._starts[guarded] = Start(self.variants[0], given, self.eps, in_single=guarded)
        return self._starts[guarded]

    def _step(self):
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
        self.search = self._search(0)
        plain = self.step is None or not self.step.fault
        for convention in self.conventions:
            updates = None if convention.negated else self._carried([convention], plain)
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
