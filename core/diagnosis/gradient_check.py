"""A person's own gradients against central differences of their own loss: any Python code.

Each sampled coordinate gets the five-point central difference, with an error of order h^4, in float64. Where the loss has a kink
within reach (a ReLU that switches on), no difference is right: it shows in steps of two lengths, or the two sides, disagreeing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.diagnosis.comparison import WRONG, Comparison, compare, read_aloud
from core.limits import shown

SAMPLES = 40  # coordinates of each tensor
# Step lengths to try, as shares of eps^(1/5), where truncation and rounding of a five-point difference balance (7e-4 in float64).
# The shorter ones get between kinks.
STEPS = (0.3, 0.03, 0.003)
# Smooth: the differences over h and 2h agree within this share of the gradient's size
SMOOTH = 1e-5
# One-sided differences part in proportion to the step; at a kink they stay as far apart as they were
KINKED = 1.5


@dataclass(frozen=True)
class TensorCheck(Comparison):
    """A Comparison over the `checked` coordinates; `left_out` more had a kink within reach."""

    checked: int
    left_out: int


@dataclass(frozen=True)
class GradientCheck:
    """`verdict` is correct or faulty (unknown where no coordinate could be checked), `pattern` what the table says in words."""

    verdict: str
    rows: tuple[TensorCheck, ...]
    pattern: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [{**row.to_dict(), "checked": row.checked, "left_out": row.left_out} for row in self.rows]
        return {"verdict": self.verdict, "table": rows, "pattern": self.pattern}

    def __str__(self):
        width = max(len(row.tensor) for row in self.rows)
        lines = [f"{'':{width}}  relative error   ratio  cosine  checked  at kinks"]
        for row in self.rows:
            ratio, cosine = ("-" if value is None else f"{value:.4g}" for value in (row.ratio, row.cosine))
            lines.append(f"{row.tensor:{width}}  {row.relative_error:14.1e}  {ratio:>6}  {cosine:>6}  {row.checked:7}  {row.left_out:8}")
        return "\n".join([*lines, self.pattern])


def check_gradients(
    loss: Callable[[dict], float],
    parameters: dict[str, np.ndarray],
    gradients: dict[str, np.ndarray],
    *,
    samples: int = SAMPLES,
    batch_size: int | None = None,
    seed: int = 0,
) -> GradientCheck:
    """Compare `gradients` with numerical ones of `loss(parameters)`.

    Both dicts hold arrays of any shape under the same names, or gradients under "dW1" for "W1". `samples` coordinates of each
    tensor are looked at, half of them where your gradient is largest; `batch_size`, if given, is recognised in the ratios.
    Raises ValueError when something does not fit together.
    """
    if not callable(loss):
        raise ValueError(f"loss must be a function of the parameters; was {type(loss).__name__}")
    arrays = {name: _numbers("parameters", name, value) for name, value in _named("parameters", parameters).items()}
    yours = _matched(arrays, _named("gradients", gradients))
    objective = _Objective(loss, parameters, arrays)
    rng, rows, wrong = np.random.default_rng(seed), [], []
    for name, array in arrays.items():
        at = _sampled(yours[name].ravel(), samples, rng)
        slopes = [objective.slope(array.reshape(-1), index) for index in at]
        kept = [index for index, found in zip(at, slopes) if found]
        numerical, noise = np.array([found for found in slopes if found]).reshape(-1, 2).T
        own = yours[name].ravel()[kept]
        row = compare(f"d{name}", own, numerical)
        rows.append(TensorCheck(*vars(row).values(), checked=len(kept), left_out=len(at) - len(kept)))
        if row.relative_error > WRONG and np.linalg.norm(own - numerical) > np.linalg.norm(noise):
            wrong.append(row.tensor)
    objective.check_unchanged()
    if not any(row.checked for row in rows):
        return GradientCheck("unknown", tuple(rows), "Nothing could be checked: the loss has a kink wherever it was looked at.")
    return GradientCheck("faulty" if wrong else "correct", tuple(rows), read_aloud(rows, wrong, batch_size))


class _Objective:
    """The loss as a function of single coordinates. `arrays` are its own float64 copies, handed to the loss at each call."""

    def __init__(self, loss, parameters, arrays):
        self._loss, self._arrays = loss, arrays
        self._plain = {name for name, value in parameters.items() if not isinstance(value, np.ndarray) and np.ndim(value) == 0}
        self._before = {name: array.copy() for name, array in arrays.items()}
        self._value, again = self._at(), self._at()
        if self._value != again:
            raise ValueError(f"loss must give the same value for the same parameters; gave {self._value:.6g}, then {again:.6g}")
        self._eps = float(np.finfo(self._precision()).eps)

    def _precision(self):
        """float32 where the loss comes out of float32 arithmetic, even if it is handed on as a Python float."""
        return np.float32 if self._value and float(np.float32(self._value)) == self._value != round(self._value, 3) else np.float64

    def _at(self):
        try:
            value = self._loss({name: float(array) if name in self._plain else array for name, array in self._arrays.items()})
        except Exception as error:
            raise ValueError(f"loss must accept the parameters; it failed with {type(error).__name__}: {error}") from error
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise ValueError(f"loss must give one finite number; gave {shown(value)}")
        return float(array.reshape(-1)[0])

    def slope(self, flat, index):
        """(numerical slope, what rounding may have done to it) along one coordinate of `flat`; None at a kink."""
        kept = flat[index]
        for share in STEPS:
            h = share * self._eps**0.2 * max(1.0, abs(kept))
            values = {}
            for times in (-2, -1, 1, 2):
                flat[index] = kept + times * h
                values[times] = self._at()
            flat[index] = kept
            noise = 4 * self._eps * max(abs(self._value), *map(abs, values.values())) / h
            near, far = ((values[times] - values[-times]) / (2 * times * h) for times in (1, 2))
            slope = (4 * near - far) / 3
            if abs(near - far) <= SMOOTH * abs(slope) + noise and not self._parts(values, h, noise):
                return slope, noise
        return None

    def _parts(self, values, h, noise):
        """Whether the slopes to both sides are apart, and not less so over the shorter step."""
        near, far = (abs(values[times] + values[-times] - 2 * self._value) / (times * h) for times in (1, 2))
        return near > 4 * noise and far < KINKED * near

    def check_unchanged(self):
        for name, array in self._arrays.items():
            if not np.array_equal(array, self._before[name]):
                raise ValueError(f"loss must leave the parameters as they are; it changed {name}")


def _named(what, arrays):
    if not isinstance(arrays, dict) or not arrays or not all(isinstance(name, str) for name in arrays):
        was = shown(arrays) if isinstance(arrays, dict) else type(arrays).__name__
        raise ValueError(f"{what} must be a dict of arrays by name; was {was}")
    return arrays


def _numbers(what, name, value):
    """A float64 copy."""
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what} must hold real numbers in {name}; its type is {array.dtype}")
    if not array.size:
        raise ValueError(f"{what} must hold numbers in {name}; its shape is {array.shape}")
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must hold finite numbers in {name}; some are not")
    return array


def _matched(arrays, gradients):
    """Gradients by the names of the parameters, in their shapes."""
    prefix = "" if set(gradients) & set(arrays) else "d"
    wanted = [prefix + name for name in arrays]
    if set(wanted) != set(gradients):
        missing, surplus = (sorted(a - b) for a, b in ((set(wanted), set(gradients)), (set(gradients), set(wanted))))
        told = f"{missing[0]} is missing" if missing else f"{surplus[0]} belongs to none"
        raise ValueError(f"gradients must have one array for each of the parameters; {told}")
    yours = {name: _numbers("gradients", prefix + name, gradients[prefix + name]) for name in arrays}
    for name, array in arrays.items():
        if yours[name].shape != array.shape:
            raise ValueError(
                f"gradients must have the shape {array.shape} in {prefix + name}, as the parameter has; was {yours[name].shape}"
            )
    return yours


def _sampled(gradient, samples, rng):
    """Coordinates to look at: half where the gradient is largest, half anywhere."""
    if gradient.size <= samples:
        return np.arange(gradient.size)
    largest = np.argsort(-np.abs(gradient), kind="stable")[: samples // 2]
    others = np.setdiff1d(np.arange(gradient.size), largest)
    return np.concatenate([largest, rng.choice(others, samples - len(largest), replace=False)])
