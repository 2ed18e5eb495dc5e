"""What a detector reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


class Severity(NamedTuple):
    """How bad a finding is, on the screen: a `mark` and a `word` beside the colour."""

    mark: str
    word: str


# Worst first
SEVERITIES = {"critical": Severity("✕", "Critical"), "warning": Severity("!", "Warning"), "info": Severity("i", "Note")}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (the contract's finding). `step` is the update since when, `layer` counts from 1 (None: the
    whole run), `evidence` the figures that show it, `fix` a patch of the configuration (None: no setting mends it).

    `mistake` tells a wrong setting, which can be seen without training, from what the training shows; `root` marks the one that the
    others follow from. Neither is in the JSON: there, the root comes first."""

    code: str
    severity: str
    step: int
    layer: int | None
    cause: str
    title: str
    advice: str
    evidence: dict[str, float] = field(default_factory=dict)
    fix: dict | None = None
    mistake: bool = False
    root: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape."""
        return {name: value for name, value in asdict(self).items() if name not in ("mistake", "root")}


def figures(**values: float) -> dict[str, float]:
    """The evidence of a Finding, in plain numbers."""
    return {name: float(value) for name, value in values.items()}


def status(findings: Iterable[Finding]) -> str:
    """One word for the run, the worst that holds: nonfinite, diverged, warning or healthy."""
    codes = {finding.code for finding in findings}
    for code in ("nonfinite", "diverged"):
        if code in codes:
            return code
    return "warning" if any(finding.severity != "info" for finding in findings) else "healthy"
