"""What only several steps, or the shapes of several tensors, show. Each detector yields what `findings.find` makes a WatchedFinding of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from core.watch.evidence import Evidence

# Rows of norms for which tensors must not move, or all their entries move alike
UNMOVED, ALIKE = 6, 4
# Gradients that are never reset: each is the one before and once more the first, in direction and length
STALE_STEPS, PARALLEL, EQUAL = 4, 0.95, (0.6, 1.6)
SUMS_TO_ONE = 1e-3
IDENTICAL = 1e-9  # relative difference of units that are the same


def gradient_shape_broadcasts(evidence: Evidence) -> Iterator[tuple]:
    """A gradient whose shape is not its parameter's, and which NumPy stretches over it without a word."""
    run = evidence.run
    for tensor, (shape, gradient) in enumerate(zip(run.shapes, run.gradient_shapes)):
        if gradient is None or gradient == shape:
            continue
        try:
            together = np.broadcast_shapes(shape, gradient)
        except ValueError:
            continue
        if together != shape or int(np.prod(gradient, dtype=object)) != int(np.prod(shape, dtype=object)):
            name = run.names[tensor]
            yield (
                "gradient_shape_broadcasts", "critical", 1, tensor, "gradient_code",
                f"The gradient of {name} has the shape {_said(gradient)}, but {name} is {_said(shape)}.",
                f"NumPy stretches one over the other, so that entries share a gradient that is not theirs. Sum over the samples only, as "
                f"in d{name} = delta.sum(axis=..., keepdims=True), and compare the shapes.", {},
            )  # fmt: skip
            return
    for event in run.events:
        if event["event"] == "shape_changed":
            tensor = run.names.index(event["tensor"]) if event["tensor"] in run.names else None
            yield (
                "gradient_shape_broadcasts", "critical", event["step"], tensor, "gradient_code",
                f"The parameters changed: {event['text']}.",
                "An update of another shape was stretched over them. Compare the shapes of parameter and gradient.", {},
            )  # fmt: skip
            return


def _said(shape):
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def weights_not_updated(evidence: Evidence) -> Iterator[tuple]:
    """Tensors that never move, though their gradient is not zero."""
    updates, gradients = evidence.norms[:, 2], evidence.norms[:, 1]
    measured = np.isfinite(updates)
    if not updates.size:
        return
    enough = measured.sum(axis=0) >= UNMOVED
    moved: Any = (np.where(measured, updates, 0) > 0).any(axis=0)
    whole = list(evidence.run.whole.values())
    if len(whole) >= UNMOVED // 2 and whole[-1].step - whole[0].step >= UNMOVED:
        # Whole steps that lie apart tell as well, and to the bit
        enough |= True
        moved |= [any(not np.array_equal(whole[0].params[at], step.params[at]) for step in whole[1:]) for at in range(len(moved))]
    still = enough & ~moved
    still &= (np.nan_to_num(gradients) > 0).sum(axis=0) >= UNMOVED
    rates = evidence.run.scalars[:, 2]
    if not still.any() or (np.isfinite(rates).any() and not np.nan_to_num(rates).any()):
        return
    tensors = np.flatnonzero(still)
    moving = int(enough.sum() - still.sum())
    names = [evidence.names[at] for at in tensors]
    if moving and all(names[0].rpartition(".")[0] and name.count(".") for name in names) and len(names) > 4:
        return  # whole modules held still beside others that move: a network that is tuned in part
    which = "No tensor moves" if not moving else f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} never moved"
    yield (
        "weights_not_updated", "critical", evidence.steps[0], int(tensors[0]), "update_code",
        f"{which} in {evidence.run.steps:,} steps, though the gradient is not zero.",
        "The update is written to a copy, or to a name that the network does not use: W = W - ... inside a function changes nothing "
        "outside it. "
        "Update in place, W -= ..., or hand the new arrays back.", {"gradient_norm": np.nanmedian(gradients[:, tensors[0]])},
    )  # fmt: skip


def entries_move_alike(evidence: Evidence) -> Iterator[tuple]:
    """All entries of a tensor move by the same amount, step after step."""
    alike, updates = evidence.norms[:, 3], evidence.norms[:, 2]
    if not alike.size:
        return
    told = np.isfinite(alike) & (updates > 0)
    suspected = (told.sum(axis=0) >= ALIKE) & (np.where(told, alike, 1) == 1).all(axis=0)
    signs = told.any(axis=0) & ~suspected
    if suspected.any() and (signs.any() or suspected.sum() < len(suspected)):
        tensor = int(suspected.argmax())
        name, size = evidence.names[tensor], int(np.prod(evidence.run.shapes[tensor], dtype=object))
        if size < 3:
            return
        yield (
            "entries_move_alike", "critical", evidence.steps[0], tensor, "gradient_code",
            f"All {size:,} entries of {name} move by the same amount in every step.",
            f"Its gradient is one number for all of them, or its units are all the same. Sum the error over the samples only, not over the "
            f"units; and start {name}'s layer from random weights.", {"entries": size},
        )  # fmt: skip


def stale_gradients(evidence: Evidence) -> Iterator[tuple]:
    """Gradients that are added up over the steps: each is that of the step before and a fresh one."""
    whole = list(evidence.run.whole.values())
    run = list(itertools.takewhile(lambda pair: pair[1].step == pair[0] + 1, enumerate(whole)))
    steps = [step for _, step in run]
    if len(steps) < STALE_STEPS or any(gradient is None for step in steps for gradient in step.grads):
        return
    sums = [_flat(step.grads) for step in steps]
    if len({len(one) for one in sums}) > 1 or not np.isfinite(sums).all():
        return
    first = np.linalg.norm(sums[0])
    for before, after in itertools.pairwise(sums):
        fresh = after - before
        length = np.linalg.norm(fresh)
        if not first or not EQUAL[0] * first < length < EQUAL[1] * first or fresh @ sums[0] < PARALLEL * length * first:
            return
    yield (
        "stale_gradients", "critical", 2, None, "gradient_code",
        f"Gradients are never reset: after {len(sums)} steps they are {np.linalg.norm(sums[-1]) / first:.2g} times as long, growing by "
        "about the first one each step.", "Set them to zero before each backward pass (optimizer.zero_grad(), or dW[:] = 0).",
        {"first_gradient_norm": first, "gradient_norm": np.linalg.norm(sums[-1])},
    )  # fmt: skip


def softmax_over_samples(evidence: Evidence) -> Iterator[tuple]:
    """Outputs that sum to 1 over the samples, and not over the classes."""
    for step in evidence.run.whole.values():
        outputs, X = step.outputs, step.X
        if outputs is None or X is None or outputs.ndim != 2 or 1 in outputs.shape or outputs.shape[0] == outputs.shape[1]:
            continue
        samples = [axis for axis in (0, 1) if outputs.shape[axis] == X.shape[min(axis, X.ndim - 1)]]
        if len(samples) != 1 or not np.isfinite(outputs).all() or outputs.min() < 0:
            continue
        over_samples, over_classes = outputs.sum(axis=samples[0]), outputs.sum(axis=1 - samples[0])
        if np.abs(over_samples - 1).max() < SUMS_TO_ONE < np.abs(over_classes - 1).max():
            tensor = max(evidence.matrices, default=None)
            yield (
                "softmax_over_samples", "critical", step.step, tensor, "output_activation",
                "The outputs sum to 1 over the samples, not over the classes.",
                f"Softmax is taken along the wrong axis: with samples along axis {samples[0]} it is "
                f"exp(z) / exp(z).sum(axis={1 - samples[0]}, keepdims=True).", {"sum_over_classes": over_classes.mean()},
            )  # fmt: skip
            return


def symmetric_units(evidence: Evidence) -> Iterator[tuple]:
    """Units of a matrix that are still all the same after it has moved."""
    whole = list(evidence.run.whole.values())
    if len(whole) < 3:
        return
    for tensor in evidence.matrices:
        if len(evidence.run.shapes[tensor]) != 2:
            continue
        first, last = whole[0].params[tensor], whole[-1].params[tensor]
        if np.array_equal(first, last) or not np.isfinite(last).all():
            continue
        for axis in (0, 1):
            if first.shape[axis] > 1 and all(_same(step.params[tensor], axis) for step in whole[1:]) and first.shape[1 - axis] > 1:
                name = evidence.names[tensor]
                yield (
                    "symmetric_init", "critical", whole[1].step, tensor, "init", f"All units of {name} are the same, and stay so.",
                    "They started from equal weights and get equal gradients: draw the initial weights at random.",
                    {"units": first.shape[axis]},
                )  # fmt: skip
                return


def _same(matrix, axis):
    """Whether all slices along an axis are equal."""
    one = np.take(matrix, [0], axis=axis)
    size = np.abs(matrix).max(initial=0)
    return bool(size > 0 and np.abs(matrix - one).max(initial=0) <= IDENTICAL * size)


def _flat(arrays):
    return np.concatenate([np.asarray(array, float).ravel() for array in arrays])
