"""The answer on a watched program: the contract's JSON of `python -m core watch`, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.diagnosis.failures import attempt
from core.diagnosis.finding import SEVERITIES, status
from core.faults import FAULTS
from core.report import strict
from core.watch.findings import WatchedFinding, find
from core.watch.history import WatchedRun
from core.watch.preflight import WatchedCheck, preflight
from core.watch.twin import Twin, find_twin


@dataclass(frozen=True)
class Examined:
    """What is known of a run at one moment: what is wrong, and its twin (None where it can have none). `failures` are sentences on what
    could not be worked out, `checks` the preflight's."""

    findings: tuple[WatchedFinding, ...]
    twin: Twin | None
    failures: tuple[str, ...]
    checks: tuple[WatchedCheck, ...] = ()

    @property
    def status(self) -> str:
        """One word: nonfinite, diverged, warning or healthy."""
        worst = status(self.findings)
        return "warning" if worst == "healthy" and self.twin is not None and self.twin.fault else worst


def examine(run: WatchedRun, twin: Any = True, start: int | None = None) -> Examined:
    """Findings and twin of a run as it stands; `twin` hands in one that is known already, `start` is the kept whole step that it begins
    at, None the first. Raises ConfigError("start") where that was not kept."""
    failures = []
    findings = attempt("The findings", failures, [], find, run)
    if twin is True:
        twin = attempt("The twin", failures, None, find_twin, run, start)
    checks = attempt("The preflight", failures, (), preflight, run, twin)
    return Examined((*_of_twin(run, twin, findings), *findings), twin, tuple(failures), checks)


# What is wrong with the update, not with the gradients
UPDATE_FAULTS = ("added_update", "frozen_bias", "reinitialized_weights", "update_before_backprop")


def _of_twin(run, twin, findings):
    """The finding that a program parts from its twin; none where it is among the others already."""
    if not twin or not twin.fault or twin.fault in {finding.code for finding in findings}:
        return
    code = "stale_gradients" if twin.fault == "stale_gradients" else "update_fault" if twin.fault in UPDATE_FAULTS else "gradient_fault"
    advice = twin.text
    if twin.fault in FAULTS:
        advice = (twin.answer.fix if twin.answer else None) or FAULTS[twin.fault].right
    if twin.perceptron.samples_first and "axis=" in advice:
        advice += " (written for samples in columns; yours are rows)"
    title = FAULTS[twin.fault].title if twin.fault in FAULTS else "The gradient is not that of this network"
    yield WatchedFinding(
        code=code,
        severity="warning" if twin.fault == "unknown" else "critical",
        step=twin.step,
        layer=run.layer_of(run.names.index(twin.tensor)),
        cause="update_code" if code == "update_fault" else "gradient_code",
        title=f"{title}: {twin.tensor} parts from a right copy at step {twin.step}.",
        advice=advice,
        tensor=twin.tensor,
    )


def report(run: WatchedRun, examined: Examined | None = None) -> dict:
    """The contract's JSON shape, a dict that strict JSON can hold."""
    examined = examined or examine(run)
    losses = run.scalars[:, 1]
    told, test = losses[~np.isnan(losses)], run.scalars[:, 3]
    test, finite = test[~np.isnan(test)], told[np.isfinite(told)]
    twin = examined.twin
    return strict(
        {
            "name": run.name,
            "steps": run.steps,
            "status": examined.status,
            "loss": {
                "initial": float(told[0]) if len(told) else None,
                "final": float(losses[-1]) if len(losses) else None,
                "best": float(finite.min()) if len(finite) else None,
                "test": float(test[-1]) if len(test) else None,
            },
            "findings": [finding.to_dict() for finding in examined.findings],
            "doctor": twin.answer.to_dict() if twin and twin.answer else None,
            "twin": twin.to_dict() if twin else None,
        }
    )


def told(run: WatchedRun, examined: Examined) -> str:
    """The same in words, for a terminal."""
    losses = run.scalars[:, 1]
    lines = [f"{run.name}: {run.steps:,} steps, {len(run.names):,} tensors, {examined.status}."]
    if len(losses):
        lines.append(f"Loss {losses[0]:.4g} at first, {losses[-1]:.4g} at last.")
    for finding in examined.findings:
        lines += ["", f"{SEVERITIES[finding.severity].mark} {finding.title}", f"  {finding.advice}"]
    if not examined.findings:
        lines.append("Nothing wrong found." if run.steps else "No step was told.")
    marks = {True: "ok", False: "FAILED", None: "-"}
    lines += ["", *(f"{marks[check.passed]:7}{check.title}. {check.text}" for check in examined.checks if run.steps)]
    if examined.twin:
        network = f"{'-'.join(map(str, examined.twin.perceptron.plan.sizes))}, {', '.join(examined.twin.perceptron.plan.activations)}"
        lines += ["", f"Twin ({network}, {examined.twin.perceptron.plan.loss}): {examined.twin.text}"]
    return "\n".join([*lines, *examined.failures])
