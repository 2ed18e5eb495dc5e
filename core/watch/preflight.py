"""The preflight of a watched program: the checks that one makes before a long run (core/experiments/checks.py), as far as its probe has
told what they take. Each is passed, failed, or not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.diagnosis.remedies import UNSCALED
from core.watch.evidence import Evidence
from core.watch.findings import FAR_FROM_CHANCE
from core.watch.history import WatchedRun
from core.watch.perceptron import known_losses
from core.watch.twin import Twin

DECADES = 2.0  # powers of ten within which the gradients of all tensors lie (as core/experiments/checks.py has it for layers)
RATIOS = 1e-4, 1e-1  # of an update to its weights; A. Karpathy aims at 1e-3
FIRST_ROWS = 8  # rows of norms that tell of the beginning
CHECKED = "checked"  # the event of Probe.check


@dataclass(frozen=True)
class WatchedCheck:
    """A check by its `name` in CHECKS; `passed` None: what it takes was not told. `text` says what was found, or what to tell."""

    name: str
    title: str
    passed: bool | None
    value: float | None
    text: str


def preflight(run: WatchedRun, twin: Twin | None = None) -> tuple[WatchedCheck, ...]:
    """All CHECKS of a run as it stands, with its twin where it has one."""
    evidence = Evidence(run)
    with np.errstate(all="ignore"):
        return tuple(WatchedCheck(name, title, *find(evidence, twin)) for name, (title, find) in CHECKS.items())


def _first_whole(evidence, *names):
    """The first whole step that holds all of these; None."""
    steps = evidence.run.whole.values()
    return next((step for step in steps if all(getattr(step, name) is not None and np.size(getattr(step, name)) for name in names)), None)


def _size(values):
    return float(np.sqrt(np.mean(np.square(np.asarray(values, float)))))


def _initial_loss(evidence, twin):
    if evidence.first_nonfinite_loss == 1:
        return False, None, "The first loss is not finite."
    first, chance = evidence.first, evidence.chance
    if not np.isfinite(first):
        return None, None, "Tell the loss: probe.step(loss=loss)."
    if not chance or not chance > 0:
        return None, first, f"The loss begins at {first:.3g}; tell Y and loss_name too, so that it can be held against a guess."
    return (
        bool(first <= FAR_FROM_CHANCE * chance),
        first,
        f"The loss begins at {first:.3g}; always giving the best constant costs {chance:.3g}.",
    )


def _input_scale(evidence, twin):
    if (step := _first_whole(evidence, "X")) is None:
        return None, None, "Tell the batch: X=X."
    size = _size(step.X)
    if not np.isfinite(size):
        return False, None, "The inputs are not finite."
    good = 1 / UNSCALED <= size <= UNSCALED
    return good, size, f"Inputs are around {size:.2g}{'.' if good else ': bring them to mean 0 and standard deviation 1.'}"


def _target_scale(evidence, twin):
    if (step := _first_whole(evidence, "Y")) is None or np.asarray(step.Y).dtype.kind not in "fiub":
        return None, None, "Tell the targets: Y=Y."
    size, losses = _size(step.Y), known_losses(step.loss_name) if step.loss_name else ()
    if not np.isfinite(size):
        return False, None, "The targets are not finite."
    if any(name.endswith("cross_entropy") for name in losses) or (not losses and np.asarray(step.Y).dtype.kind in "iub"):
        return True, None, "Targets are classes."
    good = size <= UNSCALED
    return good, size, f"Targets are around {size:.2g}{'.' if good else ': divide them by their standard deviation.'}"


def _gradients(evidence, twin):
    told = [event for event in evidence.run.events if event["event"] == CHECKED]
    if told and not told[-1]["text"].startswith("unknown"):
        return told[-1]["text"].startswith("correct"), None, f"Against central differences: {told[-1]['text']}."
    if twin is not None and not twin.fault:
        return True, None, "A right copy makes the same steps."
    if twin is not None and twin.tensor:
        return False, None, f"{twin.tensor} parts from a right copy at step {twin.step:,}."
    return None, None, "Call probe.check(loss, params, grads) once."


def _gradient_scale(evidence, twin):
    rows, sizes = evidence.norms[:FIRST_ROWS, 1], [max(1, int(np.prod(shape, dtype=object))) for shape in evidence.run.shapes]
    told = np.isfinite(rows).any(axis=0) if len(rows) else np.zeros(0, bool)
    if told.sum() < 2:
        return None, None, "Tell parameters and gradients: params=params, grads=grads."
    means = np.nanmedian(rows[:, told], axis=0) / np.sqrt(np.array(sizes, float)[told])
    names = [name for name, known in zip(evidence.names, told) if known]
    if not means.min() > 0:
        return False, None, f"The gradient of {names[int(means.argmin())]} is zero."
    apart = float(np.log10(means.max() / means.min()))
    least, most = names[int(means.argmin())], names[int(means.argmax())]
    if apart <= DECADES:
        return True, apart, f"The gradients of all tensors lie within a factor of {10**apart:.2g}."
    return False, apart, f"Gradients of {least} are {10**apart:.2g} times smaller than those of {most}, entry by entry."


def _update_ratio(evidence, twin):
    tensors = evidence.matrices
    norms = evidence.norms[:, :, tensors] if tensors else np.zeros((0, 4, 0))
    ratios = norms[:, 2] / np.where(norms[:, 0] > 0, norms[:, 0], np.nan)
    ratios = ratios[np.isfinite(ratios).any(axis=1)][:FIRST_ROWS] if ratios.size else ratios
    if not len(ratios):
        return None, None, "Tell the parameters at consecutive steps: params=params."
    ratio = float(np.nanmedian(ratios))
    advice = ": raise the learning rate." if ratio < RATIOS[0] else ": lower the learning rate."
    good = RATIOS[0] <= ratio <= RATIOS[1]
    return good, ratio, f"An update changes the weights by {ratio:.1g} of their size; about 0.001 is usual{'.' if good else advice}"


def _outputs(evidence, twin):
    step = _first_whole(evidence, "outputs")
    if step is None:
        return None, None, "Tell the outputs: outputs=outputs."
    outputs = np.asarray(step.outputs, float)
    if not np.isfinite(outputs).all():
        return False, None, f"Outputs are not finite at step {step.step:,}."
    samples = 1 if step.X is not None and outputs.ndim > 1 and len(outputs) != len(step.X) else 0
    spread = float(np.ptp(outputs, axis=samples).max()) if outputs.ndim else 0.0
    if outputs.shape[samples : samples + 1] == (1,):
        return None, spread, "The batch holds one sample: whether outputs differ is not known."
    if not spread > 0:
        return False, spread, "All samples get the same outputs: the inputs make no difference."
    return True, spread, f"Outputs are finite and differ from sample to sample, by {spread:.2g}."


# Name -> (what it asks for, the function of (Evidence, Twin or None) that gives (passed, value, text))
CHECKS: dict[str, tuple[str, Callable]] = {
    "initial_loss": ("Loss at the start near a guess", _initial_loss),
    "input_scale": ("Inputs scaled", _input_scale),
    "target_scale": ("Targets scaled", _target_scale),
    "outputs": ("Outputs follow the inputs", _outputs),
    "gradients": ("Gradients are right", _gradients),
    "gradient_scale": ("All gradients within two decades", _gradient_scale),
    "update_ratio": ("Updates of the right length", _update_ratio),
}
