"""The search for mistakes that explain a gradient: layer by layer from the output, since those behind do not depend on those before.

At each layer, mistakes of the catalogue are put into the formulas until the layer's gradients come out as they are in the file. What
fits goes on to the layer before with its own delta. So pairs cost little more than single mistakes, and mistakes with several ways of
being written, or in several layers, count once.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, replace

import numpy as np

from core.diagnosis.doctor.conventions import Convention
from core.diagnosis.doctor.rounding import MARGIN, REPEATS, UNITS, Rounded, rounded_forward
from core.diagnosis.faults import FAULTS
from core.nn.activations import ACTIVATIONS
from core.nn.formulas import Values

# Further off than this share, or this many units of rounding in a sum that cancels, is not looked at closely
FAR, FAR_UNITS = 1e-2, 1e4
# Pairs are searched up to so many samples times weights
PAIR_WORK = 30_000_000

ORDER = {name: index for index, name in enumerate(FAULTS)}


@dataclass(frozen=True)
class Explanation:
    """Mistakes, as (Fault, layer) pairs, that give the gradients in the file under a convention."""

    placed: tuple
    convention: Convention

    @property
    def families(self):
        """The names of the mistakes, the commonest first."""
        return sorted({fault.family for fault, _ in self.placed}, key=ORDER.get)

    def layers(self, family):
        """Where a mistake is."""
        return sorted({layer for fault, layer in self.placed if fault.family == family})

    @property
    def cost(self):
        """What makes an explanation less likely than another, the weightiest first."""
        written = [ORDER[fault.name] for fault, _ in self.placed]
        return len(self.families), self.convention.rank, len(self.placed), len(set(written)), sum(written)


def candidates(with_update):
    """The faults of the catalogue that show in a gradient; where the updated weights are known, also that of an early update."""
    visible = [fault for fault in FAULTS.values() if fault.tensors]
    early = replace(FAULTS["update_before_backprop"], edit=_error_through_updated_weights, edits="formulas")
    return [*visible, early] if with_update else visible


def _error_through_updated_weights(formulas, layer):
    formulas["error", layer - 1] = lambda v: v.dot(v["updated W", layer].T, v["delta", layer])


def updated(reading, learning_rate=None):
    """{("updated W", l): the weights of a layer after its update}: those in the file, or else by the learning rate; {} without."""
    layers = range(1, reading.plan.last + 1)
    if reading.next:
        return {("updated W", layer): reading.next["W", layer] for layer in layers}
    if learning_rate is None:
        return {}
    return {("updated W", layer): reading.given["W", layer] - learning_rate * reading.yours["dW", layer] for layer in layers}


class Search:
    """The gradients of one Reading against one table of right formulas. `eps` is the precision of the file's arithmetic;
    `floor`: so large a relative difference is let pass; `learning_rate` stands in for updated weights."""

    def __init__(self, reading, formulas, eps, floor=0.0, learning_rate=None):
        self._plan, self._yours, self._formulas, self._eps, self._floor = reading.plan, reading.yours, formulas, eps, floor
        after = updated(reading, learning_rate)
        self._given = {**reading.given, **after}
        self._faults = candidates(bool(after))
        values = Values(formulas, self._given)
        for layer in range(1, self._plan.last + 1):
            values["activation", layer]
        self._forward = dict(values)
        self._repeats = None
        self._far = np.inf if self._near_kinks(values) else FAR

    def explanations(self, conventions, most):
        """Explanations with at most so many different mistakes; [] if there are none. No mistake at all comes out as ()."""
        found = []
        with np.errstate(all="ignore"):
            self._descend(self._plan.last, self._formulas, {}, (), conventions, most, found)
        return found

    def right(self, convention):
        """{("dW", l): ..., ("db", l): ...} of a right program, in the shapes of the file's."""
        with np.errstate(all="ignore"):
            values = Values(self._formulas, self._forward)
            return {key: self._in_convention(key, values[key], convention) for key in self._yours}

    def _descend(self, layer, formulas, above, placed, conventions, most, found):
        if layer == 0:
            found += [Explanation(placed, convention) for convention in conventions]
            return
        left = list(conventions)
        for choices in self._choices(layer, placed, most):
            fitting = []
            for put in choices:
                edited = _with(formulas, put)
                values = Values(edited, {**self._forward, **above})
                fits = [convention for convention in left if self._fits(layer, edited, values, convention)]
                if fits:
                    fitting += fits
                    passed = {key: values[key] for key in (("delta", layer), ("slope", layer))}
                    self._descend(layer - 1, edited, passed, placed + put, fits, most, found)
            left = [convention for convention in left if convention not in fitting]
            if not left:
                return

    def _choices(self, layer, placed, most):
        """Lists of what may be put into a layer: nothing, then single faults, then pairs. The next list counts for those
        conventions only that fit nothing in the lists before."""
        yield [()]
        used = {fault.family for fault, _ in placed}
        fitting = [(fault, place) for fault in self._faults if (place := self._place(fault, layer))]
        singles = [(choice,) for choice in fitting if len(used | {choice[0].family}) <= most]
        if singles:
            yield singles
        if most > 1:
            pairs = itertools.combinations(fitting, 2)
            yield [
                pair for pair in pairs if pair[0][0].family != pair[1][0].family and len(used | {fault.family for fault, _ in pair}) <= most
            ]

    def _place(self, fault, layer):
        """The layer a fault is said to be in when it first shows in the gradients of `layer`; None if it cannot be there."""
        place = layer + 1 if fault.name == "update_before_backprop" else layer
        return place if place <= self._plan.last and fault.applies(self._plan, place) else None

    # Whether gradients agree

    def _fits(self, layer, formulas, values, convention):
        keys = [key for key in (("dW", layer), ("db", layer)) if key in self._yours]
        differences = {}
        for key in keys:
            ours = self._in_convention(key, values[key], convention)
            yours = self._yours[key]
            differences[key] = np.linalg.norm(yours - ours)
            scale = max(np.linalg.norm(yours), np.linalg.norm(ours))
            if differences[key] <= self._far * scale:
                continue
            if not differences[key] <= FAR_UNITS * self._eps * abs(convention.scale) * self._terms(key, values):
                return False
        return all(differences[key] <= self._tolerance(key, formulas, values, convention) for key in keys)

    def _in_convention(self, key, gradient, convention):
        name, layer = key
        ours = convention.scale * gradient
        if name == "dW":
            return ours + convention.decay * self._given["W", layer] if convention.decay else ours
        return ours.sum(keepdims=True) if self._yours[key].size < ours.size else ours

    @staticmethod
    def _terms(key, values):
        """A bound on the size of what a gradient is the sum of (Cauchy and Schwarz)."""
        name, layer = key
        delta = np.linalg.norm(values["delta", layer])
        if name == "db":
            return delta * values.samples**0.5 * values["bias_mean", layer]
        return delta * np.linalg.norm(values["input", layer]) * values["weights_mean", layer]

    def _tolerance(self, key, formulas, values, convention):
        """What rounding may make of a gradient: see rounding.py."""
        exact = self._in_convention(key, values[key], convention)
        squares = 0.0
        for repeat, forward in enumerate(self._rounded_forwards()):
            rounded = Rounded(formulas, forward, self._eps, np.random.default_rng([repeat, key[1]]))
            squares += np.linalg.norm(self._in_convention(key, rounded[key], convention) - exact) ** 2
        size = max(np.linalg.norm(exact), np.linalg.norm(self._yours[key]))
        smallest = np.finfo(np.float32 if self._eps > 1e-10 else float).tiny * exact.size**0.5
        return MARGIN * (squares / REPEATS) ** 0.5 + (UNITS * self._eps + self._floor) * size + smallest

    def _rounded_forwards(self):
        if self._repeats is None:
            self._repeats = [
                rounded_forward(self._formulas, self._given, self._plan.last, self._eps, [repeat, 0]) for repeat in range(REPEATS)
            ]
        return self._repeats

    def _near_kinks(self, values):
        """Whether rounding may decide on which side of a kink a value falls: then a single sample can be far off."""
        size = FAR_UNITS * self._eps
        for layer, name in enumerate(self._plan.activations, 1):
            if ACTIVATIONS[name].kinks:
                terms = np.abs(values["W", layer]) @ np.abs(values["activation", layer - 1]) + np.abs(values["b", layer])
                if (np.abs(values["pre_activation", layer]) <= size * terms).any():
                    return True
        a, y = values["activation", self._plan.last], values["targets", self._plan.last]
        distance = {"mae": np.abs(a - y), "hinge": np.abs(1 - a * y)}.get(self._plan.loss)
        return distance is not None and bool((distance <= size * (np.abs(a) + np.abs(y))).any())


def _with(formulas, put):
    """The formulas with faults put in, in the catalogue's order."""
    if not put:
        return formulas
    formulas = copy.copy(formulas)
    for fault, layer in put:
        fault.edit(formulas, layer)
    return formulas
