"""Whether the parameters after the update are what plain gradient descent makes of the file's own gradients, right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.doctor.rounding import UNITS
from core.nn.formulas import Formulas, Values

if TYPE_CHECKING:
    from core.doctor.conventions import Convention
    from core.doctor.readings import Reading

MARGIN = 4  # times UNITS: an update is three operations
# New weights have so little to do with the old ones, and are so far from where the update should have led
UNRELATED, ELSEWHERE = 0.5, 0.5
# Gradients that were never reset are followed so far back, unless what is left of them grows so much
PAST_STEPS, GROWN = 500, 10


@dataclass(frozen=True)
class Step:
    """`fault` names what is wrong ("" if nothing is, "unknown" for what is not in the catalogue) in these `layers`. The update
    is parameters + `sign` * `share` * learning_rate * gradient; `either`: it is so small that both signs would do."""

    fault: str = ""
    layers: tuple[int, ...] = ()
    sign: int = -1
    share: float = 1.0
    either: bool = False


def check_step(reading: Reading, learning_rate: float, eps: float, decays: Sequence[float] = (0.0,)) -> Step:
    """The Step from a reading's parameters to its next ones. `decays`: shares of W that an update may subtract as well, times the
    learning rate."""
    layers = range(1, reading.plan.last + 1)
    shares = dict.fromkeys((1.0, 1 / reading.samples, float(reading.samples)))
    ways = [(sign, share, decay) for decay in dict.fromkeys((0.0, *decays)) for share in shares for sign in (-1, 1)]

    keys = [(name, layer) for layer in layers for name in ("W", "b") if (f"d{name}", layer) in reading.yours]

    def follows(name, layer, sign, share, decay=0.0):
        if (name, layer) not in keys:
            return True
        return _follows(reading, (name, layer), sign * share * learning_rate, decay * learning_rate, eps)

    for sign, share, decay in ways:
        off = [(name, layer) for name, layer in keys if not follows(name, layer, sign, share, decay if name == "W" else 0.0)]
        frozen = [key for key in off if np.array_equal(reading.next[key], reading.given[key])]
        if off == frozen and len(off) < len(keys):
            either = all(follows(name, layer, -sign, share, decay) for name, layer in keys)
            still = [layer for name, layer in off if name == "W"]
            fault = "weights_not_updated" if still else "frozen_bias" if off else ""
            return Step(fault, tuple(still or [layer for _, layer in off]), sign, share, either)
    still = [key for key in keys if np.array_equal(reading.next[key], reading.given[key])]
    if {("W", layer) for layer in layers} <= set(still) and all(reading.yours["dW", layer].any() for layer in layers):
        return Step("weights_not_updated", tuple(layers))
    off = [layer for layer in layers if not (follows("W", layer, -1, 1.0) and follows("b", layer, -1, 1.0))]
    if all(follows(name, layer, 1, 1.0) for layer in off for name in ("W", "b")):
        return Step("sign_flip", tuple(off))
    drawn = [layer for layer in off if _drawn_again(reading, layer, learning_rate)]
    return Step("reinitialized_weights" if drawn == off else "unknown", tuple(off))


def _follows(reading, key, rate, decay, eps):
    """Whether a parameter's next value is value + rate * gradient - decay * value, but for rounding."""
    before, after = reading.given[key], reading.next[key]
    gradient = reading.yours[f"d{key[0]}", key[1]]
    room = MARGIN * UNITS * eps * (np.abs(before) + np.abs(rate * gradient))
    return bool((np.abs(before + rate * gradient - decay * before - after) <= room).all())


def _drawn_again(reading, layer, learning_rate):
    """Whether a layer's weights before the update, as they follow from those after it, are unrelated to the old ones."""
    old = reading.given["W", layer].ravel()
    drawn = (reading.next["W", layer] + learning_rate * reading.yours["dW", layer]).ravel()
    spread = np.linalg.norm(old - old.mean())
    if old.size < 3 or not spread:
        return False
    chance = 1 / old.size**0.5
    related = (old - old.mean()) @ (drawn - drawn.mean()) / (spread * np.linalg.norm(drawn - drawn.mean()) + np.finfo(float).tiny)
    return related < UNRELATED + chance and np.linalg.norm(drawn - old) > ELSEWHERE * spread


def carried_along(reading: Reading, convention: Convention, learning_rate: float, eps: float, plain: bool) -> int | None:
    """How many updates' gradients have been added up, one for each update since the first, all on this same batch; None if they
    have not. `plain`: the update took the file's gradients, which then are the sum; else the update tells it.

    Gradients that were never reset tell their own past: without the present gradient they are those that led here, so the
    parameters before the last update follow, and with them the gradient before, until nothing is left.
    """
    sums = _sums(reading, None if plain else learning_rate)
    parameters, formulas = dict(reading.given), Formulas(reading.plan)
    first, room = None, UNITS**2 * eps**0.75  # the way back amplifies rounding, and divides by the learning rate
    for step in range(1, PAST_STEPS + 1):
        with np.errstate(all="ignore"):
            values = Values(formulas, parameters)
            fresh = {(name, at): convention.scale * values[f"d{name}", at] for name, at in sums}
        first = first or {key: size + np.linalg.norm(sums[key]) for key, size in _lengths(fresh).items()}
        sums = {key: array - fresh[key] for key, array in sums.items()}
        left = _lengths(sums)
        if not all(left[key] <= GROWN * first[key] for key in left):
            return None
        if all(left[key] <= room * first[key] for key in left):
            return step if step > 1 else None
        for key, array in sums.items():
            parameters[key] = parameters[key] + learning_rate * array
    return None


def _sums(reading, learning_rate):
    """The sums by the parameters' keys: the file's gradients, or with a learning rate what the update subtracted."""
    keys = [(name[1:], layer) for name, layer in reading.yours]
    if learning_rate:
        return {key: (reading.given[key] - reading.next[key]) / learning_rate for key in keys}
    return {(name, layer): reading.yours[f"d{name}", layer] for name, layer in keys}


def _lengths(arrays):
    return {key: np.linalg.norm(array) for key, array in arrays.items()}
