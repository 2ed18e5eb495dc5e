"""The tensors of a watched program by module, the worst first: so that hundreds of them stay readable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.watch.findings import WatchedFinding
    from core.watch.history import WatchedRun

HEALTHY = -3.0  # log10 of update over weight: about 1e-3 is the rule of thumb


def newest(run: WatchedRun) -> np.ndarray:
    """(3, tensors): the newest gradient norm, update norm over weight norm, and whether both tensors are finite, of each tensor; NaN
    where nothing was told."""
    if not len(run.norms):
        return np.full((3, len(run.names)), np.nan)
    with np.errstate(all="ignore"):
        ratios = run.norms[:, 2] / run.norms[:, 0]
    rows = [at for at in range(len(ratios)) if not np.isnan(ratios[at]).all()]
    return np.stack([run.norms[-1, 1], ratios[rows[-1] if rows else -1], run.finite[-1].all(axis=1)])


def modules(run: WatchedRun, findings: Iterable[WatchedFinding], most: int) -> dict[str, list[int]]:
    """{module: indices of its tensors}, at most so many modules: the parts of the names before so many dots. Worst first, modules and
    tensors: those of a finding, then what is not finite, then those whose update is furthest from a thousandth of the weights, or, where no
    updates are known, whose gradient is furthest from the median one."""
    depth = max((name.count(".") for name in run.names), default=0)
    while depth > 1 and len({tuple(name.split(".")[:-1][:depth]) for name in run.names}) > most:
        depth -= 1
    gradients, ratios, finite = newest(run)
    found = {finding.tensor for finding in findings}
    with np.errstate(all="ignore"):
        known = not np.isnan(ratios).all()
        sizes = np.log10(ratios if known else gradients)
        off = np.nan_to_num(np.abs(sizes - (HEALTHY if known else np.nanmedian(sizes))), nan=0.0)
    worst = sorted(range(len(run.names)), key=lambda at: (run.names[at] not in found, finite[at] != 0, -off[at]))
    groups = defaultdict(list)
    for at in worst:
        groups[".".join(run.names[at].split(".")[:-1][:depth]) or run.names[at]].append(at)
    return dict(list(groups.items())[:most])
