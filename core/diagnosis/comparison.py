"""A gradient beside the right one: how far off, in which way, and what that says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# A gradient is wrong from this relative error on; right code in float64 stays below 1e-7 against central differences
WRONG = 1e-4
# Two gradients point the same way, apart from rounding, above this cosine, and a factor is told as a whole number within this
PARALLEL, FACTOR = 1 - 1e-6, 1e-3


@dataclass(frozen=True)
class Comparison:
    """One row of the table. `relative_error` is |yours - right| / max(|yours|, |right|), 0 where both are zero; `ratio` is how
    many times the right gradient yours is, by least squares; `cosine` is that of the angle between them. None: undefined."""

    tensor: str
    relative_error: float
    ratio: float | None
    cosine: float | None

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape, with None for what is not finite."""
        figures = {name: getattr(self, name) for name in ("relative_error", "ratio", "cosine")}
        return {"tensor": self.tensor, **{name: value if value is None or np.isfinite(value) else None for name, value in figures.items()}}


def compare(tensor: str, yours: np.ndarray, right: np.ndarray) -> Comparison:
    """The Comparison of two arrays of the same shape."""
    yours, right = (np.ravel(array).astype(float) for array in (yours, right))
    scale = max(np.abs(yours).max(initial=0), np.abs(right).max(initial=0))
    if scale == 0:
        return Comparison(tensor, 0.0, None, None)
    yours, right = yours / scale, right / scale  # squares of tiny gradients would vanish
    length, right_length = np.linalg.norm(yours), np.linalg.norm(right)
    product = float(yours @ right)
    return Comparison(
        tensor,
        float(np.linalg.norm(yours - right) / max(length, right_length)),
        product / float(right @ right) if right_length else None,
        product / float(length * right_length) if length and right_length else None,
    )


def read_aloud(rows: Sequence[Comparison], wrong: list[str], batch_size: int | None = None) -> str:
    """What the Comparisons of all gradients say together, in a few sentences; `wrong` names the tensors that count as wrong."""
    if not wrong:
        worst = max(rows, key=lambda row: row.relative_error)
        return f"All gradients are right; the largest relative error is {worst.relative_error:.1g}, in {worst.tensor}."
    broken = [row for row in rows if row.tensor in wrong]
    factors = {_factor(row) for row in broken}
    if len(broken) == len(rows) > 2 and len(factors) == 1 and None not in factors and factors != {0.0}:
        return _all_by(factors.pop())
    scaled = [_said(row, batch_size) for row in broken if _factor(row) is not None]
    turned = _where([row.tensor for row in broken if _factor(row) is None], [row.tensor for row in rows])
    return " ".join([*scaled, *turned])


def _factor(row) -> Any:
    """The factor by which a gradient is off, told as people would; None if it points elsewhere."""
    if row.ratio is None or (row.ratio != 0 and abs(row.cosine or 0) < PARALLEL):
        return None
    for ratio, told in ((row.ratio, lambda whole: whole), (row.ratio and 1 / row.ratio, lambda whole: 1 / whole)):
        if round(ratio) not in (0, 1) and abs(ratio - round(ratio)) < FACTOR * abs(ratio):
            return told(round(ratio))
    return row.ratio if 0.99 < abs(row.ratio) < 1.01 else float(f"{row.ratio:.3g}")


def _all_by(factor):
    if factor == -1:
        return "Every gradient has the opposite sign: they belong to minus the loss."
    return f"Every gradient is {_times(factor)}: loss and gradients are scaled differently, one a mean and one a sum, or by 1/2."


def _times(factor):
    size = abs(factor)
    if 0.99 < size < 1.01:
        told = f"too {'large' if size > 1 else 'small'} by {abs(size - 1):.1g} of its size"
    else:
        told = f"{size:g} times too large" if size > 1 else f"{1 / size:.3g} times too small"
    return f"{told} and of the opposite sign" if factor < 0 else told


def _said(row, batch_size):
    factor, place = _factor(row), _place(row.tensor)
    if factor == 0:
        return f"{row.tensor} is zero: it is not worked out at all{place}."
    if factor == -1:
        return f"{row.tensor} has the opposite sign: a sign is turned round{place}."
    size = max(abs(factor), 1 / abs(factor))
    mistake = f"1/m is {'missing' if abs(factor) > 1 else 'there twice'}{place}"
    if size == batch_size:
        return f"{row.tensor} is {_times(factor)}, and {size:g} is your batch size: {mistake}."
    if batch_size is None and size == round(size) and size > 1:
        return f"{row.tensor} is {_times(factor)}: if {size:g} is your batch size, {mistake}."
    return f"{row.tensor} is {_times(factor)}."


def _place(tensor):
    layer = layer_of(tensor)
    return f" in layer {layer}" if layer else ""


def layer_of(tensor: str) -> int | None:
    """The layer in a name such as dW2; None if there is none."""
    found = re.search(r"(\d+)$", tensor)
    return int(found[1]) if found else None


def _where(turned, tensors):
    """What follows from which gradients point elsewhere: mistakes in a delta go on to all layers before."""
    if not turned:
        return []
    layers: set[Any] = {layer_of(tensor) for tensor in tensors}
    if None in layers or len(layers) < 2:
        return [f"{' and '.join(turned)} point{'s' if len(turned) == 1 else ''} elsewhere."]
    layer = max(layer_of(tensor) or 0 for tensor in turned)
    own = [tensor for tensor in turned if layer_of(tensor) == layer]
    mates = [tensor for tensor in tensors if layer_of(tensor) == layer]
    behind = f", and the layers behind it are right: look at delta{layer}" if layer < max(layers) else f": look at delta{layer} first"
    if len(own) == len(mates):
        return [f"Layer {layer} points elsewhere{behind}."]
    right = " and ".join(tensor for tensor in mates if tensor not in own)
    return [f"{' and '.join(own)} points elsewhere while {right} is right: delta{layer} is right, what it is multiplied with is not."]
