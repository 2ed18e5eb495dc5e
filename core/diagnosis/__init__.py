"""What is wrong with a run: `diagnose` asks every detector, and finds the root among what they say."""

import json
from dataclasses import replace

import numpy as np

from core.diagnosis.detectors import DETECTORS
from core.diagnosis.evidence import Evidence
from core.diagnosis.evidence.memory import memoize_per_run
from core.diagnosis.finding import Finding
from core.diagnosis.ranking import ranked
from core.diagnosis.remedies import with_stable_rate
from core.training.live_changes import LIVE_CHANGES

__all__ = ["Finding", "diagnose", "first_forecast"]


def diagnose(trainer, foresee=None) -> list[Finding]:
    """All findings on a Trainer as it stands, worst first: the root, then what follows from it.

    `foresee(trainer)` gives the Forecast for the run's beginning, or None where there is none yet; by default it is made, once.
    """
    evidence = Evidence(trainer, foresee or first_forecast)
    with np.errstate(all="ignore"):
        findings = ranked([finding for detector in DETECTORS.values() for find in detector.find for finding in find(evidence)])
        if findings and findings[0].root and findings[0].fix and set(findings[0].fix) - set(LIVE_CHANGES):
            fix = memoize_per_run(trainer, with_stable_rate, evidence, findings[0].fix, key=json.dumps(findings[0].fix))
            findings = [replace(finding, fix=fix) if finding.fix == findings[0].fix else finding for finding in findings]
    return findings


def first_forecast(trainer):
    """The Forecast for the beginning of this Trainer's run, made once."""
    return memoize_per_run(trainer, _forecast_of_beginning, trainer)


def _forecast_of_beginning(trainer):
    from core.diagnosis.forecast import forecast  # which looks at evidence itself

    return forecast(trainer if trainer.step == 0 else type(trainer)(trainer.config, None if trainer.config.faults else trainer.dataset))
