"""By which rule a watched program updates its parameters, found out from its own gradients and updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# An update follows a rule within this share of its length, and what rounding does to the parameters
CLOSE, ROUNDING = 1e-4, 8.0
BETA1, BETA2, RHO = 0.9, 0.999, 0.9  # what Adam and RMSProp are used with


@dataclass(frozen=True)
class Rule:
    """`update(step, gradient, state)` gives the update of that number, from 1, as a flat vector, and may keep things in the dict `state`.
    `uphill`: it goes along the gradient, not against it."""

    name: str
    update: Callable
    uphill: bool = False


def find_rule(
    parameters: np.ndarray, gradients: np.ndarray, first: bool, earlier: np.ndarray | None = None, matrices: np.ndarray | None = None
) -> Rule | None:
    """The Rule by which (steps, size) parameters, one row more than there are gradients, follow from the gradients, right or wrong; None
    where none of those that are known does. `first`: they begin with the first update, so that momentum and its like begin at 0; or
    `earlier` is the gradient of that one. `matrices` (size,) is true for what weight decay may leave the biases out of."""
    changes = np.diff(parameters, axis=0)
    eps = np.finfo(np.float32 if _single(parameters) else np.float64).eps
    room = ROUNDING * eps * np.linalg.norm(parameters[1:], axis=1) + CLOSE * np.linalg.norm(changes, axis=1)
    if not np.isfinite(changes).all() or not np.isfinite(gradients).all():
        return None
    found = _plain(changes, gradients, room)
    for decayed in (1.0, matrices):
        if not found and decayed is not None:
            found = _linear("sgd with weight decay", changes, [gradients, decayed * parameters[:-1]], room, decayed)
    if not found and first:
        found = _momentum(changes, gradients, room)
    if not found and (first or earlier is not None):
        found = _scaled(changes, gradients, room, earlier)
    return found


def _single(parameters):
    return bool((parameters == parameters.astype(np.float32)).all())


def _plain(changes, gradients, room):
    """theta -= rate * gradient, the rate of each step its own, as with a schedule or a clipped norm."""
    squares = np.einsum("ij,ij->i", gradients, gradients)
    if not squares.all():
        return None
    rates = -np.einsum("ij,ij->i", changes, gradients) / squares
    left = np.linalg.norm(changes + rates[:, None] * gradients, axis=1)
    if (left > room).any() or not rates.any():
        return None
    return Rule("sgd", lambda step, gradient, state: -rates[min(step, len(rates)) - 1] * gradient, uphill=bool((rates < 0).all()))


def _momentum(changes, gradients, room):
    """v = momentum * v - rate * gradient, in the plain form and in Nesterov's: both are sums of the gradient, the update before and the
    gradient before."""
    before = np.vstack([np.zeros_like(changes[:1]), changes[:-1]])
    found = _linear("momentum", changes, [gradients, before], room)
    return found or _linear("nesterov", changes, [gradients, before, np.vstack([np.zeros_like(gradients[:1]), gradients[:-1]])], room)


def _linear(name, changes, columns, room, decayed=None):
    """A sum of these columns, with the same shares in all steps. `decayed`: the second is the parameters times this."""
    if len(changes) < len(columns):
        return None
    stacked = np.column_stack([column.ravel() for column in columns])
    shares, *_ = np.linalg.lstsq(stacked, changes.ravel(), rcond=None)
    left = np.linalg.norm(changes - (stacked @ shares).reshape(changes.shape), axis=1)
    if (left > room).any() or not shares[0]:
        return None

    def update(step, gradient, state):
        if decayed is not None:
            used = [gradient, decayed * state["parameters"]]
        else:
            zero = np.zeros_like(gradient)
            used = [gradient, state.get("change", zero), state.get("gradient", zero)][: len(shares)]
        change = sum(share * column for share, column in zip(shares, used))
        state.update(change=change, gradient=gradient)
        return change

    return Rule(name, update, uphill=bool(shares[0] > 0))


def _scaled(changes, gradients, room, earlier):
    """Adam, RMSProp and AdaGrad with the constants that everybody uses; the rate follows from the first update."""
    for name, direction in (("adam", _adam), ("rmsprop", _rmsprop), ("adagrad", _adagrad)):
        state, directions = {}, []
        for step, gradient in enumerate(gradients if earlier is None else [earlier, *gradients], 1):
            directions.append(direction(step, gradient, state))
        directions = np.array(directions[-len(gradients) :])
        squares = np.einsum("ij,ij->i", directions, directions)
        if not squares.all():
            continue
        rates = -np.einsum("ij,ij->i", changes, directions) / squares
        # Where a gradient is nearly zero its direction is epsilon's: that is not known, and left out
        left = np.linalg.norm((changes + rates[:, None] * directions) * (np.abs(gradients) > 1e-5 * np.abs(gradients).max()), axis=1)
        if (left <= room + 1e-3 * np.linalg.norm(changes, axis=1)).all() and rates.any():
            return Rule(
                name,
                lambda step, gradient, state, direction=direction, rates=rates: (
                    -rates[min(step, len(rates)) - 1] * direction(step, gradient, state)
                ),
                uphill=bool((rates < 0).all()),
            )
    return None


def _adam(step, gradient, state):
    state["m"] = BETA1 * state.get("m", 0) + (1 - BETA1) * gradient
    state["v"] = BETA2 * state.get("v", 0) + (1 - BETA2) * gradient**2
    return state["m"] / (1 - BETA1**step) / (np.sqrt(state["v"] / (1 - BETA2**step)) + 1e-8)


def _rmsprop(step, gradient, state):
    state["s"] = RHO * state.get("s", 0) + (1 - RHO) * gradient**2
    return gradient / (np.sqrt(state["s"]) + 1e-8)


def _adagrad(step, gradient, state):
    state["s"] = state.get("s", 0) + gradient**2
    return gradient / (np.sqrt(state["s"]) + 1e-8)


def lying_alike(gradients: list[np.ndarray], params: list[np.ndarray]) -> np.ndarray:
    """Gradients as one flat vector in the order of the parameters', also where they lie the other way round."""
    turned = [g.T if g.shape != p.shape and g.ndim == 2 and g.T.shape == p.shape else g for g, p in zip(gradients, params)]
    return flat(turned)


def flat(arrays: list[np.ndarray]) -> np.ndarray:
    """All entries of these arrays, one after the other, in float64."""
    return np.concatenate([np.asarray(array, float).ravel() for array in arrays])


def unflat(vector: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    """The inverse of `flat`: arrays of the same shapes as `like`."""
    arrays, start = [], 0
    for array in like:
        arrays.append(vector[start : start + array.size].reshape(array.shape))
        start += array.size
    return arrays
