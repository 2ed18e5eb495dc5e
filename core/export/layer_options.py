"""Normalization and dropout in the NumPy script: lines and functions that only runs with them have.

`c` is what the forward pass keeps for the backward pass; `running` the running statistics, (mean, variance) of each layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.nn.dropout import LEVELS, STREAM, STRIDE

if TYPE_CHECKING:
    from core.export.pieces import Run


def functions(run: Run) -> Iterator[str]:
    """The functions that forward and backward pass call."""
    if run.dropping:
        yield _MASKS.format(kind=run.config.dtype, stream=STREAM, stride=STRIDE.bit_length() - 1, bits=LEVELS.bit_length() - 1)
    if run.layers_with("batch"):
        yield _STATISTICS
    if run.layers_with("batch", "layer"):
        yield _BACK


def keeps(run: Run) -> str:
    """What the forward pass returns more than z and a."""
    return ", c" if run.dropping or run.layers_with("batch", "layer") else ""


def running(run: Run) -> str:
    """The argument for the running statistics."""
    return "running, " if run.layers_with("batch") else ""


def forward_arguments(run: Run) -> str:
    """Those of the forward pass."""
    return f"p, {running(run)}X{', step=None' if run.trains_differently else ''}"


def about_forward(run: Run) -> str:
    """How its docstring goes on."""
    return "; in training for an update, else step is None" if run.trains_differently else ""


def beginning(run: Run) -> str:
    """The first lines of the forward pass."""
    masks = "    masks = None if step is None else dropout_masks(step, len(X))\n" if run.dropping else ""
    return ("    c = {}\n" if keeps(run) else "") + masks


def put_out(run: Run, layer: int) -> str:
    """What a layer puts out, for the next one."""
    return f'c["output", {layer}]' if layer in run.dropping else f"a[{layer}]"


def normalizing(run: Run, layer: int) -> Iterator[str]:
    """Lines that make z of a layer's sums."""
    if layer in run.layers_with("batch"):
        yield f"    mean, variance = batch_statistics(sums, running[{layer}], step)"
    else:
        yield "    mean, variance = sums.mean(axis=1, keepdims=True), sums.var(axis=1, keepdims=True)"
    yield f'    c["deviation", {layer}] = np.sqrt(variance + SMALLEST_VARIANCE)'
    yield f'    c["normalized", {layer}] = (sums - mean) / c["deviation", {layer}]'
    yield f'    z[{layer}] = p["scale{layer}"] * c["normalized", {layer}] + p["shift{layer}"]'


def dropping(run: Run, layer: int) -> Iterator[str]:
    """Lines that leave some of a layer's outputs out, in training."""
    if layer in run.dropping:
        yield f'    c["mask", {layer}] = 1.0 if masks is None else masks[{layer}]'
        yield f'    c["output", {layer}] = a[{layer}] * c["mask", {layer}]'


def masked(run: Run, layer: int) -> str:
    """What the error that comes back to a layer is multiplied by."""
    return f' * c["mask", {layer}]' if layer in run.dropping else ""


def normalizing_back(run: Run, layer: int) -> Iterator[str]:
    """Lines that take delta back through a layer's normalization."""
    if layer in run.layers_with("batch", "layer"):
        axis = 0 if layer in run.layers_with("batch") else 1
        yield f'    g["scale{layer}"], g["shift{layer}"] = (delta * c["normalized", {layer}]).sum(axis=0), delta.sum(axis=0)'
        kept = f'c["normalized", {layer}], c["deviation", {layer}]'
        yield f'    delta = through_normalization(delta * p["scale{layer}"], {kept}, axis={axis})'


def first_statistics(run: Run) -> str:
    """The line that begins the running statistics."""
    if not run.layers_with("batch"):
        return ""
    kind = f", np.{run.config.dtype}"
    entries = [f"{layer}: np.array([[0.0], [1.0]]{kind}).repeat({run.sizes[layer]}, axis=1)" for layer in run.layers_with("batch")]
    return f"    running = {{{', '.join(entries)}}}  # mean and variance\n"


def best_weights(run: Run) -> tuple[str, str]:
    """(expression that copies the weights, statement that takes the copy `best` back)."""
    weights = "{name: values.copy() for name, values in p.items()}"
    if not run.layers_with("batch"):
        return weights, "p.update(best)"
    return f"({weights}, {{layer: values.copy() for layer, values in running.items()}})", "p, running = best"


_MASKS = '''
def dropout_masks(step, samples):
    """Of each layer that drops outputs, its mask (samples, units): 0, or what makes up for those that are left out."""
    units = sum(SIZES[layer] for layer in DROPOUT)
    bits = np.random.PCG64([SEED, {stream}]).advance(step * 2**{stride})
    numbers = bits.random_raw(-(-units * samples // 4)).view(np.uint16)[: units * samples].reshape(units, samples)
    masks, start = {{}}, 0
    for layer, rate in DROPOUT.items():
        rows, threshold = numbers[start : start + SIZES[layer]], round(rate * 2**{bits})
        masks[layer] = ((rows >= threshold) / (1 - threshold / 2**{bits})).T.astype(np.{kind})
        start += SIZES[layer]
    return masks
'''

_STATISTICS = '''
def batch_statistics(sums, running, step):
    """Mean and variance of each unit: in training the batch's, which move the running ones; else these."""
    if step is None:
        return running
    now = np.array([sums.mean(axis=0), sums.var(axis=0)])
    running += STATISTICS_SHARE * (now - running)
    return now
'''

_BACK = '''
def through_normalization(d, normalized, deviation, axis):
    """Delta at what was normalized, from that at the result: mean and variance depend on it as well."""
    mean, slope = d.mean(axis=axis, keepdims=True), (d * normalized).mean(axis=axis, keepdims=True)
    return (d - mean - normalized * slope) / deviation
'''
