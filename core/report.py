"""The report on a run: the contract's JSON, made from a Trainer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from core.diagnosis import diagnose, first_forecast
from core.diagnosis.finding import status
from core.diagnosis.trials import foreseen_candidates, try_fixes

if TYPE_CHECKING:
    from core.training.trainer import Trainer


def report(trainer: Trainer, steps_per_second: float | None = None) -> dict[str, Any]:
    """The contract's report on `trainer` as it stands, a dict that strict JSON can hold: None where a number is not finite.

    `steps_per_second` is the caller's to measure. `forecast` is that for the run's beginning.
    """
    findings = diagnose(trainer)
    initial, best = _first_and_lowest(trainer.telemetry.frames("train_loss"))
    has_test = len(trainer.dataset.test) > 0
    return strict(
        {
            "status": status(findings),
            "steps": trainer.step,
            "steps_per_second": steps_per_second,
            "loss": {"initial": initial, "final": trainer.loss(), "best": best, "test": trainer.loss("test") if has_test else None},
            "metric": {
                "name": "accuracy" if trainer.dataset.task == "classification" else "r2",
                "train": trainer.evaluator.metric(),
                "test": trainer.evaluator.metric("test") if has_test else None,
            },
            "forecast": first_forecast(trainer).to_dict(),
            "findings": [finding.to_dict() for finding in findings],
        }
    )


def report_trials(trainer: Trainer, steps: int) -> list[dict[str, Any]]:
    """For the report on a run of so many steps: the candidates tried out, best first, in strict JSON's shape; [] if nothing is wrong."""
    findings = diagnose(trainer)
    if all(finding.severity == "info" for finding in findings):
        return []
    trials = try_fixes(trainer.config, foreseen_candidates(trainer.config, findings), steps)
    return strict([trial.to_dict() for trial in trials])


def strict(value: Any) -> Any:
    """`value` with plain Python numbers, lists and dicts, and None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: strict(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _first_and_lowest(losses):
    """Of the full training losses (n,): the first, and the lowest finite one; None where there is none."""
    finite = losses[np.isfinite(losses)]
    return (losses[0] if len(losses) else None), (finite.min() if len(finite) else None)
