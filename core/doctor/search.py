"""The search for mistakes that explain a gradient: layer by layer from the output, since those behind do not depend on those before.

At each layer, mistakes of the catalogue are put into the formulas until the layer's gradients come out as they are in the file. What
fits goes on to the layer before with its own delta. So pairs cost little more than single mistakes, and mistakes with several ways of
being written, or in several layers, count once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.comparison import compare
from core.doctor.conventions import Convention
from core.doctor.hypothesis import Hypothesis
from core.doctor.rounding import MARGIN, SINGLE, UNITS
from core.faults import FAULTS

if TYPE_CHECKING:
    from core.doctor.hypothesis import Start
    from core.doctor.readings import Reading
    from core.faults.fault import Fault
    from core.nn.formulas import Formulas, Tensors

# Further off than this share, or so many times what rounding does to the right gradient, is not looked at closely
FAR, FAR_ROUNDING = 1e-2, 100
# However much rounding may do to a gradient: a mistake must explain it to this relative error, and guarded logarithms to this
PRECISE, GUARDED = 1e-3, 3e-2
PLAIN = 1e-4  # a factor is told as a whole number within this
FACTORS = ("half_of_the_square", "stray_factor", "wrong_batch_size")
# Pairs are searched up to so many samples times weights
PAIR_WORK = 30_000_000


@dataclass(frozen=True)
class Explanation:
    """Mistakes, as (Fault, layer) pairs, that give the gradients in the file under a convention."""

    placed: tuple
    convention: Convention

    @property
    def families(self) -> list[str]:
        """The names of the mistakes, the commonest first."""
        return sorted({fault.family for fault, _ in self.placed}, key=list(FAULTS).index)

    @property
    def mistakes(self) -> list[tuple[str, tuple[int, ...]]]:
        """[(name in the catalogue, layers)] for each of the families, written as in the layer nearest to the output."""
        places = {family: {layer: fault.name for fault, layer in self.placed if fault.family == family} for family in self.families}
        return [(written[max(written)], tuple(sorted(written))) for written in places.values()]

    def cost(self, layers: int) -> tuple[int, ...]:
        """What makes an explanation less likely than another in a network of so many layers, the weightiest first. A mistake in
        every layer is one, as is a mistake in one layer."""
        odd = sum(len(places) for _, places in self.mistakes if 1 < len(places) < layers)
        written = [list(FAULTS).index(fault.name) for fault, _ in self.placed]
        convention = self.convention
        return len(self.families), odd, not convention.negated, convention.rank, len(set(written)), sum(set(written)), len(self.placed)


def candidates(with_update: bool) -> list[Fault]:
    """The faults of the catalogue that show in a gradient, but for factors, which are a convention or are measured; where the updated
    weights are known, also that of an early update."""
    visible = [fault for fault in FAULTS.values() if fault.tensors and fault.name not in FACTORS]
    early = replace(FAULTS["update_before_backprop"], edit=_back_through_updated_weights, edits="formulas")
    return [*visible, early] if with_update else visible


def _back_through_updated_weights(formulas, layer):
    formulas["backward_weights", layer] = lambda v: v["updated W", layer]


def updated(reading: Reading, learning_rate: float | None = None) -> Tensors:
    """{("updated W", l): the weights of a layer after its update}: those in the file, or else by the learning rate; {} without."""
    layers = range(1, reading.plan.last + 1)
    if reading.next:
        return {("updated W", layer): reading.next["W", layer] for layer in layers}
    if learning_rate is None:
        return {}
    return {("updated W", layer): reading.given["W", layer] - learning_rate * reading.yours["dW", layer] for layer in layers}


class Search:
    """The gradients of one Reading against one table of right formulas, from a Start. `guarded`: saturated logarithms are in them."""

    def __init__(self, reading: Reading, formulas: Formulas, start: Start, guarded: bool = False) -> None:
        self._reading, self._plan, self._eps, self._guarded = reading, reading.plan, start.eps, guarded
        self._faults = candidates(("updated W", 1) in start.given)
        self._yours = reading.yours
        self._squares = {key: _inner(array, array) for key, array in reading.yours.items()}
        self._right = Hypothesis(start, formulas)

    def explanations(self, conventions: list[Convention], most: int, floor: float = 0.0) -> list[Explanation]:
        """Explanations with at most so many different mistakes; [] if there are none. No mistake at all comes out as ().
        `floor`: so large a relative difference is let pass."""
        found = []
        with np.errstate(all="ignore"):
            self._descend(self._plan.last, self._right, conventions, most, floor, found)
        return found

    def accepts(self, explanation: Explanation, floor: float = 0.0) -> bool:
        """Whether an explanation, found here or made up, gives the gradients in the file."""
        hypothesis = self._right
        with np.errstate(all="ignore"):
            for layer in range(self._plan.last, 0, -1):
                put = [(fault, place) for fault, place in explanation.placed if place == self._place(fault, layer)]
                before, hypothesis = hypothesis, hypothesis.with_faults(put, layer)
                if not self._fitting(layer, hypothesis, before, [explanation.convention], floor):
                    return False
        return True

    def everywhere(self, explanation: Explanation, floor: float = 0.0) -> Explanation:
        """The explanation with each mistake in all layers where it can be made, if that gives the same."""
        for fault in dict.fromkeys(fault for fault, _ in explanation.placed):
            places = [place for layer in range(1, self._plan.last + 1) if (place := self._place(fault, layer))]
            others = tuple(pair for pair in explanation.placed if pair[0].family != fault.family)
            wider = replace(explanation, placed=others + tuple((fault, place) for place in places))
            if len(wider.placed) > len(explanation.placed) and self.accepts(wider, floor):
                explanation = wider
        return explanation

    def right(self, convention: Convention) -> Tensors:
        """{("dW", l): ..., ("db", l): ...} of a right program, in the shapes of the file's parameters."""
        with np.errstate(all="ignore"):
            return {key: self._whole(key, self._right, convention) for key in self._yours}

    def factors(self, convention: Convention) -> dict[tuple[str, int], float] | None:
        """{key: by which factor a gradient is the right one} where each of them is, to rounding; None where one is not. Of gradients of
        one or two numbers only plain factors count."""
        found = {}
        with np.errstate(all="ignore"):
            for key in self._compared():
                ours = self._in_convention(key, self._right, convention)
                square = _inner(ours, ours)
                factor = _inner(self._yours[key], ours) / square if square else np.nan
                scaled = replace(convention, scale=convention.scale * factor, decay=0.0)
                if not square and not self._squares[key]:
                    continue
                if not np.isfinite(factor) or not factor or not self._same(key, self._right, scaled, 0.0):
                    return None
                if self._yours[key].size < 3 and not is_plain(factor):
                    return None
                found[key] = factor
        return found

    def measured_scales(self) -> list[float]:
        """The factors by which the output layer's gradients are the right ones."""
        found = []
        with np.errstate(all="ignore"):
            for key in self._reading.compared(self._plan.last):
                ours = self._summed(key, self._right.values[key])
                square = _inner(ours, ours)
                factor = _inner(self._yours[key], ours) / square if square else np.nan
                if np.isfinite(factor) and factor > 0:
                    found.append(factor)
        return found

    def measured_decays(self, scale: float) -> list[tuple[float, float]]:
        """(decay of the weights, of the biases) that with this scale give the output layer's gradients; [] where none does."""
        last = self._plan.last
        weights, gradient = self._right.values["W", last], self._yours["dW", last]
        if last in self._reading.numbered or weights.size < 3 or not weights.any():
            return []
        decay = _inner(gradient - scale * self._right.values["dW", last], weights) / _inner(weights, weights)
        if not np.isfinite(decay) or decay <= UNITS * self._eps:
            return []
        return (
            [(decay, 0.0), (decay, decay)]
            if any(self._right.values["b", layer].any() for layer in self._reading.biased)
            else [(decay, 0.0)]
        )

    def _compared(self):
        return [key for layer in range(1, self._plan.last + 1) for key in self._reading.compared(layer)]

    def _descend(self, layer, hypothesis, conventions, most, floor, found):
        if layer == 0:
            found += [Explanation(hypothesis.placed, convention) for convention in conventions]
            return
        left = list(conventions)
        for choices in self._choices(layer, hypothesis.placed, most):
            explained = []
            for put in choices:
                broken = hypothesis.with_faults(put, layer)
                fitting = self._fitting(layer, broken, hypothesis, left, floor)
                if fitting:
                    explained += fitting
                    self._descend(layer - 1, broken, fitting, most, floor, found)
            left = [convention for convention in left if convention not in explained]
            if not left:
                return

    def _choices(self, layer, placed, most):
        """Lists of what may be put into a layer: nothing, then single faults, then pairs. The next list counts for those
        conventions only that fit nothing in the lists before."""
        yield [()]
        used = {fault.family for fault, _ in placed}
        possible = [(fault, place) for fault in self._faults if (place := self._place(fault, layer))]
        yield [(choice,) for choice in possible if len(used | {choice[0].family}) <= most]
        if most > 1:
            pairs = itertools.combinations(possible, 2)
            yield [
                (one, other)
                for one, other in pairs
                if one[0].family != other[0].family and len(used | {one[0].family, other[0].family}) <= most
            ]

    def _place(self, fault, layer):
        """The layer a fault is said to be in when it first shows in the gradients of `layer`; None if it cannot be there."""
        place = layer + 1 if fault.name == "update_before_backprop" else layer
        return place if place <= self._plan.last and fault.applies(self._plan, place) else None

    # Whether gradients agree

    def _fitting(self, layer, hypothesis, before, conventions, floor):
        """The conventions under which a layer's gradients are the file's. `before` is the hypothesis without a mistake in this
        layer: what rounding does to that says how closely it is worth looking. Biases come first, being small."""
        keys = self._reading.compared(layer)
        for key in keys:
            conventions = [convention for convention in conventions if self._near(key, hypothesis, before, convention)]
            if not conventions:
                return []
        if hypothesis is before:
            return [convention for convention in conventions if all(self._same(key, hypothesis, convention, floor) for key in keys)]
        return [convention for convention in conventions if self._explained(keys, hypothesis, before, convention, floor)]

    def _explained(self, keys, hypothesis, before, convention, floor):
        """Whether mistakes give the file's gradients. Where they are needed for that, they must give them to some digits: a gradient
        that is mostly rounding convicts nobody."""
        return all(
            self._same(key, hypothesis, convention, floor)
            and (self._off(key, hypothesis, convention) <= PRECISE or self._same(key, before, convention, floor))
            for key in keys
        )

    def _near(self, key, hypothesis, before, convention):
        if convention.decay and (key[0] == "dW" or convention.bias_decay):
            return True
        ours, scale = self._summed(key, hypothesis.values[key]), convention.scale
        square = scale**2 * _inner(ours, ours)
        off = max(self._squares[key] - 2 * scale * _inner(self._yours[key], ours) + square, 0.0) ** 0.5
        if not np.isfinite(off):
            return False
        far = FAR * max(self._squares[key], square) ** 0.5 + self._reading.room.get(key, 0.0)
        return off <= far or off <= far + FAR_ROUNDING * abs(scale) * before.deviation(key, partial(self._summed, key))

    def _same(self, key, hypothesis, convention, floor):
        yours, ours = self._yours[key], self._in_convention(key, hypothesis, convention)
        size, off = max(np.linalg.norm(yours), np.linalg.norm(ours)), np.linalg.norm(yours - ours)
        smallest = np.finfo(np.float32 if self._eps > SINGLE else float).tiny * ours.size**0.5
        allowed = (UNITS * self._eps + floor) * size + smallest + self._reading.room.get(key, 0.0)
        if off <= allowed:
            return True
        rounding = MARGIN * abs(convention.scale) * hypothesis.deviation(key, partial(self._summed, key))
        return bool(off <= allowed + (min(rounding, GUARDED * size) if self._guarded else rounding))

    def _off(self, key, hypothesis, convention):
        return compare("", self._yours[key], self._in_convention(key, hypothesis, convention)).relative_error

    def _in_convention(self, key, hypothesis, convention):
        """A gradient of the hypothesis, scaled and with the penalty; where its sign is turned round, so is the penalty's."""
        whole = self._whole(key, hypothesis, convention)
        return self._summed(key, whole)

    def _whole(self, key, hypothesis, convention):
        name, layer = key
        ours, decay = convention.scale * hypothesis.values[key], convention.bias_decay if name == "db" else convention.decay
        if not decay:
            return ours
        turned = any(fault.name in ("sign_flip", "sign_of_weights") and place == layer for fault, place in hypothesis.placed)
        return ours + (-decay if turned else decay) * hypothesis.values[name[1:], layer]

    def _summed(self, key, gradient):
        """A bias gradient summed over the units, where the file has one number for all of them."""
        return gradient.sum(keepdims=True) if key[0] == "db" and self._yours[key].size < gradient.size else gradient


def is_plain(factor: float) -> bool:
    """Whether a factor is a small whole number or one over it, as people write them."""
    size = abs(factor)
    return any(abs(value - round(value)) < PLAIN * value and 1 <= round(value) <= 1000 for value in (size, size and 1 / size))


def _inner(one, other):
    return float(np.vdot(one, other))
