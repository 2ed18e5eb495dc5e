"""The gradient doctor: what is wrong with a person's own backprop, from what it has at one step.

It builds the network itself, compares every gradient, and looks for mistakes of the catalogue that explain the difference, one or two
at a time. What right programs may do differently is recognised, not assumed: orientation, means and sums, kinks, precision.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.diagnosis.comparison import WRONG
from core.doctor import answers
from core.doctor.answers import Answer, Mistake, Remark
from core.doctor.inquiry import Inquiry
from core.doctor.readings import readings
from core.doctor.run_file import RunFile, read
from core.doctor.two_steps import never_reset

__all__ = ["Answer", "Mistake", "Remark", "RunFile", "check", "check_run", "read"]


def check(raw: bytes) -> Answer:
    """The doctor's answer on the bytes of a RUN.npz. Raises ConfigError, whose field is the array at fault or "file"."""
    return check_run(read(raw))


def check_run(run: RunFile) -> Answer:
    """The doctor's answer on a RunFile. Raises ConfigError where its arrays do not fit together."""
    inquiries = [Inquiry(run, reading) for reading in readings(run)]
    inquiries = [inquiry for inquiry in inquiries if inquiry.reproduced] or inquiries
    if run.second:
        for inquiry in inquiries:
            convention = never_reset(inquiry, readings(run.second))
            if convention:
                return answers.stale(inquiry, inquiry.begin(), convention)
    found = _explained(inquiries)
    answer = answers.agreed(found or _unexplained(inquiries))
    if run.second and answer.verdict == "correct":
        later = check_run(run.second)
        return answer if later.verdict == "correct" else later.with_lead("The first step is right, the second is not.")
    return answer


def _explained(inquiries):
    """The answers of the first stage that explains the gradients in one of the readings."""
    later = [after for inquiry in inquiries for after in inquiry.before_update()]
    for stage in STAGES:
        tried = [after for after in later if after.reproduced or not stage.mistakes] if stage.updated else inquiries
        found = [inquiry for inquiry in tried if inquiry.explain(stage)]
        if found:
            return [inquiry.answer() for inquiry in found]
    return []


def _unexplained(inquiries):
    left = [inquiry.unexplained() for inquiry in inquiries]
    return [answer for answer in left if answer.verdict == "faulty"] or left


@dataclass(frozen=True)
class Stage:
    """One round of the search: with so many different mistakes, differences up to `floor` let pass, in right programs that differ
    at kinks alone or in their logarithms as well. `measured`: with a penalty that the file does not declare, or a factor common to all
    gradients; `updated`: from the parameters before an update in place."""

    mistakes: int
    floor: float = 0.0
    logarithms: bool = False
    measured: str = ""
    updated: bool = False


# An early update is told from a right one by differences below the usual threshold, so exact explanations come first
STAGES = (
    Stage(0, logarithms=True),
    Stage(0, measured="decay"),
    Stage(0, logarithms=True, updated=True),
    Stage(0, measured="decay", updated=True),
    Stage(0, measured="scale"),
    Stage(1),
    Stage(0, WRONG, logarithms=True),
    Stage(1, WRONG, logarithms=True),
    Stage(1, measured="decay"),
    Stage(1, measured="scale"),
    Stage(1, updated=True),
    Stage(2),
)
