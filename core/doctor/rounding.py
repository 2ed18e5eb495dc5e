"""What rounding may do to a gradient, measured: the step is worked out again with every result off by some units in the last place.

(Monte Carlo arithmetic: Parker 1997.) No tolerance is chosen by hand this way. Deep networks, sums that cancel and slopes
that are almost zero get the room they need; and where a pre-activation is zero but for rounding, a ReLU is on in some
repetitions and off in others, so that either answer is accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import ACTIVATIONS
from core.nn.formulas import Tensors, Values

if TYPE_CHECKING:
    from core.nn.formulas import Formulas

UNITS = 8  # deviation of one result, in units of the type's precision: a step's own rounding errors are about one
REPEATS = 4
SINGLE = 1e-10  # precisions above this are single or less
MARGIN = 3  # how many times the deviations found are still called rounding

EXACT = ("weights_mean", "bias_mean", "outputs_mean")  # factors, no results


class Rounded(Values):
    """Values that are off by `UNITS` of `eps`; products by that share of the sum of their terms' sizes.

    `given` is taken as it is: `rounded` gives what a repetition may begin with.
    """

    def __init__(self, formulas: Formulas, given: Tensors, eps: float, rng: np.random.Generator) -> None:
        super().__init__(formulas, given)
        self._size, self._rng = UNITS * eps, rng

    def off(self, scale: np.ndarray) -> np.ndarray:
        """Deviations of this scale."""
        return self._size * scale * self._rng.standard_normal(np.shape(scale))

    def dot(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The matrix product, off."""
        return left @ right + self.off(np.abs(left) @ np.abs(right))

    def __setitem__(self, key, value):
        name, layer = key
        if name not in EXACT:
            scale = np.abs(value)
            cancels = ACTIVATIONS[self.formulas.plan.activations[layer - 1]].cancels if layer else None
            if name in ("activation", "slope") and cancels:
                scale = scale + cancels(self["pre_activation", layer])
            value = value + self.off(scale)
        super().__setitem__(key, value)


def rounded_forward(formulas: Formulas, given: Tensors, last: int, eps: float, seed: list[int]) -> Tensors:
    """One repetition as far as the outputs: what is given, off by its own rounding, and all activations."""
    values = Rounded(formulas, {}, eps, np.random.default_rng(seed))
    for key, value in given.items():
        values[key] = value
    for layer in range(1, last + 1):
        values["activation", layer]
    return dict(values)


def precision(gradients: list[np.ndarray]) -> float:
    """The machine epsilon of the arithmetic that these came from: of their type, or of float32 where all numbers fit into it."""
    eps = max(float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0 for array in gradients)
    single = float(np.finfo(np.float32).eps)
    with np.errstate(over="ignore"):
        fits = all(np.array_equal(array.astype(np.float32).astype(float), array) for array in gradients)
    return max(eps, single if fits else 0.0, float(np.finfo(float).eps))
