"""Formulas with mistakes in them, worked out once and for rounding, layer by layer from the output."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.doctor.rounding import REPEATS, SINGLE, Rounded, rounded_forward
from core.nn.formulas import Tensors, Values

if TYPE_CHECKING:
    from core.faults.fault import Fault
    from core.nn.formulas import Formulas

FORWARD = ("W", "b", "updated W", "labels", "pre_activation", "activation")
# What of its layer depends on a tensor, step by step
_GRADIENTS = ("delta", "outer", "dW", "db")
DEPENDENT = {
    "activation": ("output_gradient", "slope", *_GRADIENTS),
    "targets": ("output_gradient", *_GRADIENTS),
    "output_gradient": _GRADIENTS,
    "outputs_mean": _GRADIENTS,
    "slope": _GRADIENTS,
    "backward_weights": ("error", *_GRADIENTS),
    "error": _GRADIENTS,
    "delta": _GRADIENTS[1:],
    "input": ("outer", "dW"),
    "outer": ("dW",),
    "weights_mean": ("dW",),
    "bias_mean": ("db",),
}


class Start:
    """The forward pass: once as it is, and lazily REPEATS times off by rounding. `in_single`: if the file's precision is single,
    the pass as it is comes in single as well."""

    def __init__(self, formulas: Formulas, given: Tensors, eps: float, in_single: bool = False) -> None:
        if in_single and eps > SINGLE:
            given = {key: array.astype(np.float32) for key, array in given.items()}
        self.formulas, self.given, self.eps = formulas, given, eps
        values = Values(formulas, given)
        with np.errstate(all="ignore"):
            for layer in range(1, formulas.plan.last + 1):
                values["activation", layer]
        self.forward = dict(values)
        self._rounded = None

    def rounded(self) -> list[Tensors]:
        """What the repetitions begin with."""
        if self._rounded is None:
            seeds = ([repeat, 0] for repeat in range(REPEATS))
            self._rounded = [rounded_forward(self.formulas, self.given, self.formulas.plan.last, self.eps, seed) for seed in seeds]
        return self._rounded


class Hypothesis:
    """The gradients of formulas with the mistakes `placed` in them, as (Fault, layer) pairs."""

    def __init__(
        self,
        start: Start,
        formulas: Formulas,
        placed: tuple[tuple[Fault, int], ...] = (),
        values: Tensors | None = None,
        repeats: Sequence[Tensors] | None = None,
    ) -> None:
        self.start, self.formulas, self.placed = start, formulas, placed
        self.values = Values(self.formulas, start.forward if values is None else values)
        self._repeats = repeats
        self._deviations = {}

    def with_faults(self, put: Iterable[tuple[Fault, int]], layer: int) -> Hypothesis:
        """This hypothesis with more mistakes, which show first in the gradients of `layer`. What they leave alone is not worked
        out again."""
        if not put:
            return self
        formulas = copy.copy(self.formulas)
        for fault, place in put:
            fault.edit(formulas, place)
        changed = {key for key, formula in formulas.items() if self.formulas.get(key) is not formula}
        lost = changed.union(*(((name, layer) for name in DEPENDENT.get(key[0], ())) for key in changed))

        def kept(values):
            known = {key: value for key, value in values.items() if key[1] >= layer or key[0] in FORWARD}
            return {key: value for key, value in known.items() if key not in lost}

        repeats = self._repeats and [kept(values) for values in self._repeats]
        return Hypothesis(self.start, formulas, self.placed + tuple(put), kept(self.values), repeats)

    def deviation(self, key: tuple[str, int], summed: Callable[[np.ndarray], np.ndarray]) -> float:
        """What rounding does to a gradient, as the root mean square of its norm; `summed` is applied to it first."""
        if key not in self._deviations:
            off = [np.linalg.norm(summed(values[key] - self.values[key])) for values in self._rounded()]
            self._deviations[key] = float(np.sqrt(np.mean(np.square(off))))
        return self._deviations[key]

    def _rounded(self):
        first = self._repeats is None or not isinstance(self._repeats[0], Rounded)
        if first:
            begun = self._repeats or self.start.rounded()
            self._repeats = [
                Rounded(self.formulas, values, self.start.eps, np.random.default_rng([repeat, 1])) for repeat, values in enumerate(begun)
            ]
        return self._repeats
