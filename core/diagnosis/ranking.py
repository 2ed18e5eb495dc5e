"""Which finding is the root, and which follow from it.

A wrong setting that can be seen without training explains what training shows, not the other way round: so mistakes come before symptoms,
and among mistakes those that nothing can make good before those of degree. Where no mistake was seen, the root is the symptom furthest
upstream: numbers overflow because gradients explode because steps are too long.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.config import merged
from core.diagnosis.detectors import DETECTORS
from core.diagnosis.finding import SEVERITIES

if TYPE_CHECKING:
    from core.diagnosis.finding import Finding


def ranked(findings: list[Finding]) -> list[Finding]:
    """The findings worst first. The root takes the severity of the worst of them; symptoms take what to change from a root that is a
    mistake, and its fix mends what else is plainly wrong. Of a run that blew up, or a layer of which is dead, nobody needs to hear that
    it does not learn."""
    serious = [finding for finding in findings if finding.severity != "info"]
    notes = sorted((finding for finding in findings if finding.severity == "info"), key=_order)
    if not serious:
        return notes
    broken = any(DETECTORS[finding.code].broken for finding in serious)

    def first(finding):
        """What no other setting can make good: a penalty that drowns the loss; labels that cannot be foretold, where nothing blew up."""
        return finding.cause == "penalty" or (finding.cause == "labels" and not broken)

    if any(finding.severity == "critical" for finding in serious):
        serious = [finding for finding in serious if not DETECTORS[finding.code].not_learning or first(finding)]
    root, *others = sorted(serious, key=lambda finding: (not finding.mistake, not first(finding), *_order(finding)))
    if root.mistake:
        root = replace(root, fix=_together(root, others))
        remedy = {"cause": root.cause, "advice": root.advice, "fix": root.fix}
        others = [finding if finding.mistake and DETECTORS[finding.code].together else replace(finding, **remedy) for finding in others]
    blow_ups = [finding.step for finding in serious if DETECTORS[finding.code].broken]
    if blow_ups and not DETECTORS[root.code].broken:
        root = replace(root, title=f"Training exploded at step {min(blow_ups)}: {root.title[0].lower()}{root.title[1:]}")
    order = list(SEVERITIES)
    worst = min((finding.severity for finding in serious), key=order.index)
    others.sort(key=lambda finding: (order.index(finding.severity), finding.step))
    return [replace(root, severity=worst, root=True), *others, *notes]


def _together(root, others):
    """The root's fix, laid over those of other mistakes."""
    fix = {}
    for finding in reversed(others):
        if finding.mistake and DETECTORS[finding.code].together:
            fix = merged(fix, finding.fix or {})
    return merged(fix, root.fix) if root.fix else root.fix


def _order(finding):
    return list(DETECTORS).index(finding.code), finding.step
