"""What a case is: a program that somebody posted, run as it was, mended step by step, and held to what is expected."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from core.config import RunConfig


@dataclass(frozen=True)
class Expects:
    """What a variant must come to after its steps: one of these `statuses`; all of these codes among its `findings`; `cause`, that of the
    first finding, which is the root; the training loss and the metric within (low, high), both ends included. None: not asked."""

    statuses: tuple[str, ...]
    findings: tuple[str, ...] = ()
    cause: str | None = None
    loss: tuple[float, float] | None = None
    metric: tuple[float, float] | None = None

    def failures(self, report: dict[str, Any]) -> list[str]:
        """Sentences about what of this a report (core/report.py) does not hold to; [] if it holds to all."""
        return [sentence for sentence in self._failures(report) if sentence]

    def _failures(self, report):
        if report["status"] not in self.statuses:
            yield f"status is {report['status']}, not {' or '.join(self.statuses)}"
        found = {finding["code"]: finding["cause"] for finding in report["findings"]}
        if missing := set(self.findings) - set(found):
            yield f"{', '.join(sorted(missing))} was not found, but {', '.join(found) or 'nothing'}"
        root = next(iter(found.values()), None)
        if self.cause not in (None, root):
            yield f"the cause is {root}, not {self.cause}"
        yield _outside("loss", report["loss"]["final"], self.loss)
        yield _outside(report["metric"]["name"], report["metric"]["train"], self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return asdict(self)


def _outside(name, value, bounds):
    if bounds is None or (value is not None and math.isfinite(value) and bounds[0] <= value <= bounds[1]):
        return None
    return f"{name} is {value}, not within {bounds[0]:g} and {bounds[1]:g}"


@dataclass(frozen=True)
class Variant:
    """One way to run a case. `about` says what is different from the variant before and what to see; `config` runs for `steps`
    updates."""

    name: str
    title: str
    about: str
    config: RunConfig
    steps: int
    expects: Expects


@dataclass(frozen=True)
class Slip:
    """One thing that is wrong: the formula as it was and as it should be, in TeX, and what it does; with `mistake` False, what only looks
    wrong."""

    wrong: str
    right: str
    effect: str
    mistake: bool = True


@dataclass(frozen=True)
class Case:
    """A program with its story. `title` is the symptom, `complaint` the question of its author in other words, `answer` two sentences,
    `why` the reasons in their order, each following from the one before. `source` is the file that it was posted in, `link` (words,
    address) a page that belongs to it, `crash` the lines at which it stops and what Python says there. `posted` and `mended` are one step
    of it in features-first NumPy, as the variants `as_posted` and `mended` run it. `slips` are what differs; `remarks` say what could not
    be reproduced, or had to be added. `show` names what the page shows besides the runs: the equations, the tour or the pictures."""

    name: str
    title: str
    complaint: str
    source: str
    variants: tuple[Variant, ...]
    slips: tuple[Slip, ...]
    posted: str
    mended: str
    answer: str
    why: tuple[str, ...] = ()
    crash: str | None = None
    link: tuple[str, str] | None = None
    remarks: tuple[str, ...] = ()
    show: str | None = None

    def variant(self, name: str) -> Variant | None:
        """The Variant of this name, or None."""
        return next((variant for variant in self.variants if variant.name == name), None)

    @property
    def distinct(self) -> list[Variant]:
        """The variants without those whose run is that of one before."""
        return [entry for place, entry in enumerate(self.variants) if entry.config not in [other.config for other in self.variants[:place]]]

    @property
    def opening(self) -> tuple[Variant, Variant]:
        """The two variants that stand beside each other first: as posted, and mended if that is another run."""
        left, *others = self.distinct
        return left, next((entry for entry in others if entry.name == "mended"), others[0])

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape; `config` is that of the program as posted, `variants` holds all."""
        return {
            "name": self.name,
            "title": self.title,
            "complaint": self.complaint,
            "answer": self.answer,
            "why": list(self.why),
            "source": self.source,
            "config": self.variants[0].config.to_dict(),
            "steps": self.variants[0].steps,
            "expects": {variant.name: variant.expects.to_dict() for variant in self.variants},
            "variants": [
                {"name": entry.name, "title": entry.title, "about": entry.about, "steps": entry.steps, "config": entry.config.to_dict()}
                for entry in self.variants
            ],
            "remarks": list(self.remarks),
        }
