"""What is wrong with a run: `diagnose` asks every detector, and finds the root among what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.detectors import DETECTORS
from core.diagnosis.evidence import Evidence
from core.diagnosis.evidence.memory import memoize_per_run
from core.diagnosis.evidence.progress import PATIENCE
from core.diagnosis.failures import attempt
from core.diagnosis.finding import Finding
from core.diagnosis.ranking import ranked
from core.diagnosis.tried_fix import COST, FEWEST, MOST, tried_fix

if TYPE_CHECKING:
    from core.diagnosis.forecast import Forecast
    from core.training.trainer import Trainer

__all__ = ["Finding", "diagnose", "first_forecast"]


def diagnose(
    trainer: Trainer, foresee: Callable[[Trainer], Forecast | None] | None = None, failures: list[str] | None = None, cost: int = COST
) -> list[Finding]:
    """All findings on a Trainer as it stands, worst first: the root, then what follows from it.

    The root's fix is tried first, unless that takes more than `cost` microseconds, as estimated. `foresee(trainer)` gives the Forecast for
    the run's beginning, or None where there is none yet; by default it is made, once. What a detector raises is raised here; or, with a
    list of `failures`, is logged, and the list gets a sentence about it.
    """
    evidence = Evidence(trainer, foresee or first_forecast)
    with np.errstate(all="ignore"):
        if failures is None:
            return _fix_completed(evidence, cost, ranked([finding for find in _finds() for finding in find(evidence)]))
        found = [finding for find in _finds() for finding in attempt("Some findings", failures, (), _asked, find, evidence)]
        findings = attempt("The order of the findings", failures, found, ranked, found)
        return attempt("The learning rate of a fix", failures, findings, _fix_completed, evidence, cost, findings)


def _finds():
    return [find for detector in DETECTORS.values() for find in detector.find]


def _asked(find, evidence):
    """What a detector finds, all of it."""
    return list(find(evidence))


def _fix_completed(evidence, cost, findings):
    """The findings, with the fix of the root, or of a run that is only slow, as it was tried."""
    untried = next((finding.fix for finding in findings if finding.root or DETECTORS[finding.code].slow), None)
    if not untried:
        return findings
    updates = _updates(evidence)
    fix = memoize_per_run(evidence.trainer, tried_fix, evidence, untried, updates, cost, key=(json.dumps(untried), updates, cost))
    return [replace(finding, fix=fix) if finding.fix == untried else finding for finding in findings]


def _updates(evidence):
    """How many updates a fix is tried for: about as many as the run has made, in powers of two, so that it is not tried anew at each look;
    none while nobody can tell that the run fails."""
    if evidence.step < PATIENCE and not evidence.nonfinite:
        return 0
    return min(max(1 << evidence.step.bit_length() >> 1, FEWEST), MOST)


def first_forecast(trainer: Trainer) -> Forecast:
    """The Forecast for the beginning of this Trainer's run, made once."""
    return memoize_per_run(trainer, _forecast_of_beginning, trainer)


def _forecast_of_beginning(trainer):
    from core.diagnosis.forecast import forecast  # which looks at evidence itself

    return forecast(trainer if trainer.step == 0 else type(trainer)(trainer.config, None if trainer.config.faults else trainer.dataset))
