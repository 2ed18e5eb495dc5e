"""The search for mistakes that explain a gradient: layer by layer from the output, since those behind do not depend on those before.

At each layer, mistakes of the catalogue are put into the formulas until the layer's gradients come out as they are in the file. What
fits goes on to the layer before with its own delta. So pairs cost little more than single mistakes, and mistakes with several ways of
being written, or in several layers, count once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from core.diagnosis.comparison import compare
from core.doctor.conventions import Convention
from core.doctor.hypothesis import Hypothesis
from core.doctor.rounding import MARGIN, SINGLE, UNITS
from core.faults import FAULTS

# Further off than this share, or so many times what rounding does to the right gradient, is not looked at closely
FAR, FAR_ROUNDING = 1e-2, 100
# However much rounding may do to a gradient: a mistake must explain it to this relative error, and guarded logarithms to this
PRECISE, GUARDED = 1e-3, 3e-2
# Pairs are searched up to so many samples times weights
PAIR_WORK = 30_000_000


@dataclass(frozen=True)
class Explanation:
    """Mistakes, as (Fault, layer) pairs, that give the gradients in the file under a convention."""

    placed: tuple
    convention: Convention

    @property
    def families(self):
        """The names of the mistakes, the commonest first."""
        return sorted({fault.family for fault, _ in self.placed}, key=list(FAULTS).index)

    @property
    def mistakes(self):
        """[(name in the catalogue, layers)] for each of the families, written as in the layer nearest to the output."""
        places = {family: {layer: fault.name for fault, layer in self.placed if fault.family == family} for family in self.families}
        return [(written[max(written)], tuple(sorted(written))) for written in places.values()]

    def cost(self, layers):
        """What makes an explanation less likely than another in a network of so many layers, the weightiest first. A mistake in
        every layer is one, as is a mistake in one layer."""
        odd = sum(len(places) for _, places in self.mistakes if 1 < len(places) < layers)
        written = [list(FAULTS).index(fault.name) for fault, _ in self.placed]
        convention = self.convention
        return len(self.families), odd, not convention.negated, convention.rank, len(set(written)), sum(set(written)), len(self.placed)


def candidates(with_update):
    """The faults of the catalogue that show in a gradient, but for halved squares, which are a convention; where the updated weights
    are known, also that of an early update."""
    visible = [fault for fault in FAULTS.values() if fault.tensors and fault.name != "half_of_the_square"]
    early = replace(FAULTS["update_before_backprop"], edit=_back_through_updated_weights, edits="formulas")
    return [*visible, early] if with_update else visible


def _back_through_updated_weights(formulas, layer):
    formulas["backward_weights", layer] = lambda v: v["updated W", layer]


def updated(reading, learning_rate=None):
    """{("updated W", l): the weights of a layer after its update}: those in the file, or else by the learning rate; {} without."""
    layers = range(1, reading.plan.last + 1)
    if reading.next:
        return {("updated W", layer): reading.next["W", layer] for layer in layers}
    if learning_rate is None:
        return {}
    return {("updated W", layer): reading.given["W", layer] - learning_rate * reading.yours["dW", layer] for layer in layers}


class Search:
    """The gradients of one Reading against one table of right formulas, from a Start. `guarded`: saturated logarithms are in them."""

    def __init__(self, reading, formulas, start, guarded=False):
        self._plan, self._eps, self._guarded = reading.plan, start.eps, guarded
        self._faults = candidates(("updated W", 1) in start.given)
        self._yours, self._summed_layers = reading.yours, reading.summed
        self._squares = {key: _inner(array, array) for key, array in reading.yours.items()}
        self._right = Hypothesis(start, formulas)

    def explanations(self, conventions, most, floor=0.0):
        """Explanations with at most so many different mistakes; [] if there are none. No mistake at all comes out as ().
        `floor`: so large a relative difference is let pass."""
        found = []
        with np.errstate(all="ignore"):
            self._descend(self._plan.last, self._right, conventions, most, floor, found)
        return found

    def accepts(self, explanation, floor=0.0):
        """Whether an explanation, found here or made up, gives the gradients in the file."""
        hypothesis = self._right
        with np.errstate(all="ignore"):
            for layer in range(self._plan.last, 0, -1):
                put = [(fault, place) for fault, place in explanation.placed if place == self._place(fault, layer)]
                before, hypothesis = hypothesis, hypothesis.with_faults(put, layer)
                if not self._fitting(layer, hypothesis, before, [explanation.convention], floor):
                    return False
        return True

    def everywhere(self, explanation, floor=0.0):
        """The explanation with each mistake in all layers where it can be made, if that gives the same."""
        for fault in dict.fromkeys(fault for fault, _ in explanation.placed):
            places = [place for layer in range(1, self._plan.last + 1) if (place := self._place(fault, layer))]
            others = tuple(pair for pair in explanation.placed if pair[0].family != fault.family)
            wider = replace(explanation, placed=others + tuple((fault, place) for place in places))
            if len(wider.placed) > len(explanation.placed) and self.accepts(wider, floor):
                explanation = wider
        return explanation

    def right(self, convention):
        """{("dW", l): ..., ("db", l): ...} of a right program, in the shapes of the file's parameters."""
        with np.errstate(all="ignore"):
            right = {key: self._in_convention(key, self._right, convention) for key in self._yours}
            return right | {("db", at): convention.scale * self._right.values["db", at] for at in self._summed_layers}

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
        keys = (("db", layer), ("dW", layer))
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
        if key[0] == "dW" and convention.decay:
            return True
        ours, scale = self._summed(key, hypothesis.values[key]), convention.scale
        square = scale**2 * _inner(ours, ours)
        off = max(self._squares[key] - 2 * scale * _inner(self._yours[key], ours) + square, 0.0) ** 0.5
        if not np.isfinite(off):
            return False
        far = FAR * max(self._squares[key], square) ** 0.5
        return off <= far or off <= far + FAR_ROUNDING * abs(scale) * before.deviation(key, partial(self._summed, key))

    def _same(self, key, hypothesis, convention, floor):
        yours, ours = self._yours[key], self._in_convention(key, hypothesis, convention)
        size, off = max(np.linalg.norm(yours), np.linalg.norm(ours)), np.linalg.norm(yours - ours)
        smallest = np.finfo(np.float32 if self._eps > SINGLE else float).tiny * ours.size**0.5
        allowed = (UNITS * self._eps + floor) * size + smallest
        if off <= allowed:
            return True
        rounding = MARGIN * abs(convention.scale) * hypothesis.deviation(key, partial(self._summed, key))
        return bool(off <= allowed + (min(rounding, GUARDED * size) if self._guarded else rounding))

    def _off(self, key, hypothesis, convention):
        return compare("", self._yours[key], self._in_convention(key, hypothesis, convention)).relative_error

    def _in_convention(self, key, hypothesis, convention):
        """A gradient of the hypothesis, scaled and with the penalty; where its sign is turned round, so is the penalty's."""
        name, layer = key
        ours = convention.scale * self._summed(key, hypothesis.values[key])
        if name == "db" or not convention.decay:
            return ours
        turned = any(fault.name in ("sign_flip", "sign_of_weights") and place == layer for fault, place in hypothesis.placed)
        return ours + (-convention.decay if turned else convention.decay) * hypothesis.values["W", layer]

    def _summed(self, key, gradient):
        """A bias gradient summed over the units, where the file has one number for all of them."""
        return gradient.sum(keepdims=True) if self._yours[key].size < gradient.size else gradient


def _inner(one, other):
    return float(np.vdot(one, other))
