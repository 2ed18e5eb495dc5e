"""One reading of a file, and what explains its gradients."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from core.doctor import answers
from core.doctor.conventions import OTHER, conventions, gives_outputs
from core.doctor.hypothesis import Start
from core.doctor.rounding import precision
from core.doctor.search import PAIR_WORK, Search, is_plain, updated
from core.doctor.step import carried_along, check_step
from core.doctor.variants import variants

if TYPE_CHECKING:
    from core.doctor import Stage
    from core.doctor.answers import Answer
    from core.doctor.readings import Reading
    from core.doctor.run_file import RunFile

CLOSE = 1e-6  # scales that differ by less are the same


class Inquiry:
    """One reading of a file, and what explains it. `reproduced`: whether the forward pass gives the outputs in the file, or else the loss
    value; None where it has neither. `unmoved`: the parameters after the update are those before it."""

    def __init__(self, run: RunFile, reading: Reading) -> None:
        self.run = run
        self.eps = precision([array for array in chain(run.weight_gradients, run.bias_gradients) if array is not None])
        self.unmoved = self._unmoved(reading)
        self.reading = replace(reading, next=None) if self.unmoved or run.from_update else reading
        finite = run.loss_value if run.loss_value is not None and np.isfinite(run.loss_value) else None
        self.conventions, self.loss_reproduced = conventions(reading, finite, run.l2)
        outputs = gives_outputs(reading)
        self.reproduced = self.loss_reproduced if outputs is None else outputs
        self.step = self._step()
        self.either_sign = run.from_update or bool(self.step and (self.step.sign == 1 or self.step.either))
        if self.either_sign and not run.from_update:
            self.conventions += [convention.turned() for convention in self.conventions]
        at_kinks, logarithms = variants(reading)
        self.variants, self._at_kinks = at_kinks + logarithms, len(at_kinks)
        self._searches, self._starts = {}, {}
        self.search: Any = None  # a Search, from `begin` on
        self.explanations, self.nearly = [], False

    def before_update(self) -> list[Inquiry]:
        """Inquiries from the parameters before an update in place, by subtracting and by adding; [] where the file is no such."""
        if self.run.learning_rate is None or self.run.from_update or self.reading.next is not None:
            return []
        found = [Inquiry(self.run, self.reading.before_update(self.run.learning_rate, sign)) for sign in (-1, 1)]
        for after in found:
            after.unmoved = self.unmoved
        return found

    def begin(self) -> Search:
        """The Search from Descent's own formulas."""
        self.search = self._search(0)
        return self.search

    def explain(self, stage: Stage) -> bool:
        """Whether this stage finds explanations; they are kept."""
        size = self.reading.samples * sum(weights.size for weights in self.run.weights)
        if stage.mistakes > 1 and size > PAIR_WORK:
            return False
        for number in range(len(self.variants) if stage.logarithms else self._at_kinks):
            self.search = self._search(number)
            tried = self._measured(stage) if stage.measured else self.conventions
            found = self.search.explanations(tried, stage.mistakes, stage.floor) if tried else []
            if found:
                layers = self.reading.plan.last
                found = [self.search.everywhere(explanation, stage.floor) for explanation in found]
                self.explanations = sorted(found, key=lambda explanation: explanation.cost(layers))
                self.nearly = stage.floor > 0
                return True
        return False

    def _measured(self, stage):
        """Conventions of which a penalty or the scale is not declared, but measured at the output layer."""
        known = [convention for convention in self.conventions if not convention.decay]
        if stage.measured == "decay":
            penalty = "a penalty on the weights"
            return [
                replace(convention, decay=decay, bias_decay=bias_decay, undeclared=True, words=f"{convention.words}, {penalty}")
                for convention in known
                for decay, bias_decay in self.search.measured_decays(convention.scale)
            ]
        certain = self.reading.samples * self.reading.outputs > 1  # of a single output, each delta is some multiple of the right one
        if stage.mistakes and not certain:
            return []
        made = []
        for scale in self.search.measured_scales():
            new = not any(abs(scale - other.scale) < CLOSE * scale for other in [*known, *made])
            if new and (certain or is_plain(scale)):
                words = f"{known[0].words}, times a factor of {scale:.6g}"
                made.append(replace(known[0], scale=scale, words=words, rank=2 * OTHER, other=True, negated=False))
        return made

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

    def _unmoved(self, reading):
        """Whether nothing moved, though the gradients were large enough to move something."""
        if reading.next is None or any((array != reading.given[key]).any() for key, array in reading.next.items()):
            return False
        changes = [(self.run.learning_rate * np.abs(array), reading.given[name[1:], at]) for (name, at), array in reading.yours.items()]
        return any((change > self.eps * np.abs(value)).any() for change, value in changes)

    def _step(self):
        """What became of the parameters; None where the file does not say."""
        if self.reading.next is None or self.reading.numbered:
            return None
        eps = max(self.eps, precision([array for array in chain(self.run.next_weights, self.run.next_biases) if array is not None]))  # pyright: ignore[reportArgumentType]
        return check_step(self.reading, self.run.learning_rate, eps, [convention.decay for convention in self.conventions])  # pyright: ignore[reportArgumentType]

    def answer(self) -> Answer:
        """The answer where the gradients are explained."""
        best = self.explanations[0]
        if not best.placed and self.step and self.step.fault == "unknown":
            updates = self._carried([best.convention], plain=False)
            if updates:
                return answers.stale(self, self.search, best.convention, updates)
        return answers.explained(self, self.search, self.explanations)

    def unexplained(self) -> Answer:
        """The answer where nothing in the catalogue gives the gradients in the file, unless they are sums of several updates', or each
        the right one but for a factor of its own."""
        self.begin()
        plain = self.step is None or not self.step.fault
        for convention in self.conventions:
            updates = None if convention.negated else self._carried([convention], plain)
            if updates:
                return answers.stale(self, self.search, convention, updates)
        factors = None if self.reading.summed else self._factors()
        if factors:
            return answers.scaled(self, self.search, *factors)  # pyright: ignore[reportArgumentType]
        return answers.unknown(self, self.search)

    def _factors(self):
        """(convention, {key: factor}) under which most gradients are right and the others off by a factor; None where they are not."""
        best = None
        for convention in self.conventions:
            factors = None if convention.negated else self.search.factors(convention)
            right = factors and sum(abs(factor - 1) < CLOSE + 8 * self.eps for factor in factors.values())
            if right and (best is None or right > best[0]):
                best = right, convention, factors
        return best and best[1:]

    def _carried(self, tried, plain):
        if self.run.learning_rate is None or any(self.reading.yours[key].size != self._size(key) for key in self.reading.yours):
            return None
        found = (carried_along(self.reading, convention, self.run.learning_rate, self.eps, plain) for convention in tried)
        return next((updates for updates in found if updates), None)

    def _size(self, key):
        name, layer = key
        return self.reading.given[name[1:], layer].size
