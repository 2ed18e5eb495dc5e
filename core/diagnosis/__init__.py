"""What is wrong with a run: `diagnose` asks every detector."""

import numpy as np

from core.diagnosis.detectors import DETECTORS
from core.diagnosis.evidence import Evidence
from core.diagnosis.finding import SEVERITIES, Finding


def diagnose(trainer) -> list[Finding]:
    """All findings on a Trainer as it stands, worst first: by severity, then by the step since when."""
    evidence = Evidence(trainer)
    with np.errstate(all="ignore"):
        findings = [finding for detect in DETECTORS for finding in detect(evidence)]
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), finding.step))
