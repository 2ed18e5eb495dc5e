"""Faults of backprop that were planted in a run: seen by comparing its first updates with those of sound code from the same start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.diagnosis.comparison import WRONG, compare
from core.diagnosis.evidence.memory import memoize_per_run
from core.diagnosis.finding import Finding
from core.faults import FAULTS

if TYPE_CHECKING:
    from core.diagnosis.evidence import Evidence

# Updates that are compared: a stale gradient, or weights drawn anew, show from the second on
COMPARED = 3


def gradient_fault(evidence: Evidence) -> Iterator[Finding]:
    """The first gradient is not that of the loss; or a formula overflowed that need not."""
    wrong = _wrong_layers(evidence)
    if wrong is None:
        return
    gradient, _ = wrong
    names = _named(evidence, "formula") if gradient else _named(evidence, "numerics") if evidence.nonfinite else []
    if not names:
        return
    layers = sorted(gradient)
    yield Finding(
        code="gradient_fault",
        severity="warning",
        step=1 if gradient else evidence.nonfinite.step,
        layer=layers[0] if layers else None,
        cause="gradient_code",
        title=_title(names, layers),
        advice=f"Write it as {names[0].lines(layers[0] if layers else None, len(evidence.config.layers))[1].split('#')[0].strip()}",
        evidence={f"relative_error_layer_{layer}": float(gradient[layer]) for layer in layers},
        fix={"faults": []},
        mistake=True,
    )


def update_fault(evidence: Evidence) -> Iterator[Finding]:
    """The gradient is right, and yet the parameters do not go where it sends them."""
    wrong = _wrong_layers(evidence)
    if wrong is None or not wrong[1]:
        return
    names, layers = _named(evidence, "state"), sorted(wrong[1])
    if names:
        yield Finding(
            code="update_fault",
            severity="warning",
            step=1,
            layer=layers[0],
            cause="update_code",
            title=_title(names, layers),
            advice=f"Write it as {names[0].lines(layers[0], len(evidence.config.layers))[1].split('#')[0].strip()}",
            evidence={f"relative_error_layer_{layer}": float(wrong[1][layer]) for layer in layers},
            fix={"faults": []},
            mistake=True,
        )


def _named(evidence, *kinds):
    """The planted faults of these kinds."""
    faults = [FAULTS[entry.partition(":")[0]] for entry in evidence.config.faults]
    return [fault for fault in faults if fault.kind in kinds]


def _title(faults, layers):
    where = f" in layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}" if layers else ""
    names = " and ".join(fault.title[0].lower() + fault.title[1:] for fault in faults)
    return f"The backprop code is wrong{where}: {names}."


def _wrong_layers(evidence):
    """({layer: relative error of the first gradient}, {layer: that of the parameters after COMPARED updates}); None without faults."""
    return memoize_per_run(evidence.trainer, _compared, evidence) if evidence.config.faults else None


def _compared(evidence):
    trainer = type(evidence.trainer)
    planted, sound = (trainer(evidence.trainer.config.patched(patch)) for patch in ({}, {"faults": []}))
    if len(planted.batches) != len(sound.batches) or planted.dataset.inputs != sound.dataset.inputs:
        return {}, {layer: 1.0 for layer in range(1, len(planted.config.layers) + 1)}  # other batches, or other inputs
    sound = trainer(sound.config, planted.dataset)
    sound.load_parameters(planted.parameters())
    gradients = []
    for run in (planted, sound):
        run.advance(1)
        gradients.append(run.network.flat_layers(run.last_gradient()))
    return _errors(*gradients), _errors(*(run.advance(COMPARED - 1).network.flat_layers(run.network.vector) for run in (planted, sound)))


def _errors(yours, right):
    rows = {layer: compare("", *pair).relative_error for layer, pair in enumerate(zip(yours, right), 1)}
    return {layer: error for layer, error in rows.items() if not error <= WRONG}
