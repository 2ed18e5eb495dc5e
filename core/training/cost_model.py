"""How often a run is looked at, from an estimate of what looking costs.

The figures are microseconds as measured once; only their ratios matter. An estimate rather than a clock fixes the intervals, so that
the same configuration leaves the same telemetry everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.nn.activations import ACTIVATIONS

if TYPE_CHECKING:
    from core.nn.network import Network

OBSERVED_SHARE = 0.05  # of the training time may go into observed steps
EVALUATED_SHARE = 0.03  # and into full evaluations of a long run
CHEAP = 5000  # an evaluation that takes no longer is made after every one of the first updates
FEWEST, MOST = 8, 16  # full evaluations while the number of updates grows e-fold: at least, and where they are cheap

CALL = 0.3  # one NumPy call of a step
MULTIPLY_ADD = 1.5e-4  # one parameter times one sample, forward, backward and update together
FORWARD = 5e-5  # the same, forward alone
ELEMENT = 8e-3  # one activation of one sample: its value, its slope, and the statistics over them
OBSERVATION, EVALUATION = 20, 40  # fixed costs, and again for each layer
PARAMETER = 4e-3  # one parameter in an observation's copies and norms


def step_cost(network: Network, calls: int, batch: int) -> float:
    """One update of `batch` samples that takes `calls` NumPy calls."""
    return CALL * calls + MULTIPLY_ADD * network.vector.size * batch


def activation_cost(network: Network, samples: int) -> float:
    """Activations of so many samples, forwards and backwards: an update of a large batch takes about as long for them as for the rest."""
    return (
        ELEMENT * samples * sum(units for units, entry in zip(network.sizes[1:], network.activations) if entry is not ACTIVATIONS["linear"])
    )


def observation_interval(network: Network, step: float, probed: int) -> int:
    """Updates from one observation to the next, a power of two; `step` is one update's cost, `probed` the probe's samples."""
    fixed = OBSERVATION * (1 + len(network.matrices))
    cost = fixed + ELEMENT * sum(network.sizes) * probed + PARAMETER * network.vector.size
    return _interval(cost, OBSERVED_SHARE * step)


@dataclass(frozen=True)
class EvaluationSchedule:
    """The steps at which a run is evaluated in full. They follow from the configuration alone, whoever looks at the run and when.

    One every `begin` updates at first, then ever fewer: `FEWEST` to `MOST` while the number of updates grows e-fold, and in the end one
    every `interval` updates. One evaluation takes as long as `cost` updates; before the end no more than half the time goes into them,
    unless `FEWEST` need it.
    """

    cost: int
    interval: int
    begin: int = 1

    def first_from(self, step: int) -> int:
        """The first of these steps that is not before `step`."""
        at = 0
        while at < step:
            gap = min(self.interval, max(self.begin, at // MOST, min(at // FEWEST, self.cost)))
            regular = -(-(step - at) // gap) if gap == self.interval else 1  # from here on they are evenly spaced
            at += gap * regular
        return at


def evaluation_schedule(network: Network, step: float, samples: int) -> EvaluationSchedule:
    """The EvaluationSchedule of a run whose updates cost `step` and that is evaluated on `samples` samples."""
    fixed = EVALUATION * (1 + len(network.matrices))
    cost = fixed + samples * (ELEMENT * sum(network.sizes) + FORWARD * network.vector.size)
    begin = min(FEWEST, math.ceil(cost / CHEAP))
    return EvaluationSchedule(math.ceil(cost / step), _interval(cost, EVALUATED_SHARE * step), begin)


def _interval(cost, allowed):
    return 1 << max(0, math.ceil(math.log2(cost / allowed)))
