"""Where trouble began: the first layer whose gradient or activation left the range it had while the run was healthy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.diagnosis.detectors import DETECTORS

if TYPE_CHECKING:
    from core.diagnosis.finding import Finding
    from core.training.telemetry import Telemetry

# A size so many times its median until then has left its range: mini-batches alone move it by less
OUT_OF_RANGE = 10.0
# A range needs so many sampled steps to be known
KNOWN = 4
SIZES = {"gradient_norm": "gradient_norm", "activation": "activation_deviation"}
FORWARD = ("pre_activation", "activation")


def first_crossing(telemetry: Telemetry, findings: Sequence[Finding]) -> tuple[int, int, str] | None:
    """(step, layer from 1, "gradient_norm" or "activation") of the first crossing that led to what the findings tell of; None if there is
    none to be seen.

    Of each layer the rise that was under way when the earliest blow of DETECTORS set in is followed back to its first sampled step; the
    earliest of these counts, and of several at once the largest. Failing that, the place where the first number was not finite.
    """
    onset = min((finding.step for finding in findings if DETECTORS[finding.code].blow and finding.severity != "info"), default=None)
    if onset is None:
        return None
    crossings = []
    for name, metric in SIZES.items():
        for layer, sizes in enumerate(telemetry.metric(metric).T, 1):
            row, times = _rise(sizes, int(np.searchsorted(telemetry.step, onset)))
            if row is not None:
                crossings.append((row, -times, layer, name))
    if crossings:
        row, _, layer, name = min(crossings)
        return int(telemetry.step[row]), layer, name
    broken = telemetry.nonfinite
    if broken is None or not broken.layer:
        return None
    return broken.step, broken.layer, "activation" if broken.tensor in FORWARD else "gradient_norm"


def _rise(sizes, onset):
    """(row, times the median before it) where the rise of `sizes` (n,) that is under way at row `onset` or just before it began;
    (None, None) if there is none.

    The range is known from the rows before the rise, and where the rise begins from the range: they are narrowed down in turn.
    """
    for end in (onset, onset - 1):
        begin = end
        while KNOWN <= begin < len(sizes) and (usual := np.median(sizes[:begin])) > 0:
            inside = np.flatnonzero(~(sizes[: end + 1] > OUT_OF_RANGE * usual))
            risen = int(inside[-1]) + 1 if len(inside) else 0
            if risen > end:
                break
            if risen >= begin:
                return risen, float(sizes[risen] / usual)
            begin = risen
    return None, None
