"""Which finding is the root, and which follow from it.

A wrong setting that can be seen without training explains what training shows, not the other way round: so mistakes come before symptoms,
and among mistakes those that nothing can make good before those of degree. Where no mistake was seen, the root is the symptom furthest
upstream: numbers overflow because gradients explode because steps are too long.
"""

from __future__ import annotations

from dataclasses import replace

from core.config import merged
from core.diagnosis.finding import SEVERITIES

# What one run may well get wrong together: all of these are mended at once
MENDED_TOGETHER = (
    *("update_fault", "gradient_fault", "loss_output_mismatch", "unreachable_target", "symmetric_init"),
    *("unscaled_inputs", "unscaled_targets", "bad_init_scale"),
)

# Upstream first
ORDER = (
    *("update_fault", "gradient_fault", "constant_labels", "loss_output_mismatch", "unreachable_target", "symmetric_init"),
    *("unscaled_inputs", "unscaled_targets", "bad_init_scale", "unstable_learning_rate", "imbalanced_labels"),
    *("nonfinite", "diverged", "exploding_gradients", "dead_units", "vanishing_gradients", "saturated_units", "update_too_small"),
    *("oscillation", "update_too_large", "ignores_input", "plateau", "overfitting", "underfitting", "slow_progress"),
)

# What says no more than that a run does not learn, or not well: in one that is over it comes and goes with the noise
NOT_LEARNING = ("saturated_units", "oscillation", "update_too_large", "ignores_input", "plateau", "underfitting")


def ranked(findings):
    """The findings worst first. The root takes the severity of the worst of them; symptoms take what to change from a root that is a
    mistake, and its fix mends what else is plainly wrong. Of a run that blew up, or a layer of which is dead, nobody needs to hear that
    it does not learn."""
    serious = [finding for finding in findings if finding.severity != "info"]
    notes = sorted((finding for finding in findings if finding.severity == "info"), key=_order)
    if not serious:
        return notes
    broken = any(finding.code in ("nonfinite", "diverged") for finding in serious)

    def first(finding):
        """What no other setting can make good: a penalty that drowns the loss; labels that cannot be foretold, where nothing blew up."""
        return finding.cause == "penalty" or (finding.cause == "labels" and not broken)

    if any(finding.code in ("nonfinite", "diverged", "dead_units") and finding.severity == "critical" for finding in serious):
        serious = [finding for finding in serious if finding.code not in NOT_LEARNING or first(finding)]
    root, *others = sorted(serious, key=lambda finding: (not finding.mistake, not first(finding), *_order(finding)))
    if root.mistake:
        root = replace(root, fix=_together(root, others))
        remedy = {"cause": root.cause, "advice": root.advice, "fix": root.fix}
        others = [finding if finding.mistake and finding.code in MENDED_TOGETHER else replace(finding, **remedy) for finding in others]
    worst = min((finding.severity for finding in serious), key=SEVERITIES.index)
    others.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.step))
    return [replace(root, severity=worst, root=True), *others, *notes]


def _together(root, others):
    """The root's fix, laid over those of other mistakes."""
    fix = {}
    for finding in reversed(others):
        if finding.mistake and finding.code in MENDED_TOGETHER:
            fix = merged(fix, finding.fix or {})
    return merged(fix, root.fix) if root.fix else root.fix


def _order(finding):
    return ORDER.index(finding.code), finding.step
