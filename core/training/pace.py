"""How often a run is looked at, from an estimate of what looking costs.

The figures are microseconds as measured once; only their ratios matter. An estimate rather than a clock fixes the intervals, so that
the same configuration leaves the same telemetry everywhere.
"""

import math

from core.nn.activations import ACTIVATIONS

OBSERVED_SHARE = 0.05  # of the training time may go into observed steps
EVALUATED_SHARE = 0.03  # and into full evaluations of a headless run

CALL = 0.3  # one NumPy call of a step
MULTIPLY_ADD = 1.5e-4  # one parameter times one sample, forward, backward and update together
FORWARD = 5e-5  # the same, forward alone
ELEMENT = 8e-3  # one activation of one sample: its value, its slope, and the statistics over them
OBSERVATION, EVALUATION = 20, 40  # fixed costs, and again for each layer
PARAMETER = 4e-3  # one parameter in an observation's copies and norms


def step_cost(network, calls, batch):
    """One update of `batch` samples that takes `calls` NumPy calls."""
    return CALL * calls + MULTIPLY_ADD * network.vector.size * batch


def activation_cost(network, samples):
    """Activations of so many samples, forwards and backwards: an update of a large batch takes about as long for them as for the rest."""
    return (
        ELEMENT * samples * sum(units for units, entry in zip(network.sizes[1:], network.activations) if entry is not ACTIVATIONS["linear"])
    )


def observation_interval(network, step, probed):
    """Updates from one observation to the next, a power of two; `step` is one update's cost, `probed` the probe's samples."""
    fixed = OBSERVATION * (1 + len(network.matrices))
    cost = fixed + ELEMENT * sum(network.sizes) * probed + PARAMETER * network.vector.size
    return _interval(cost, OBSERVED_SHARE * step)


def evaluation_interval(network, step, samples):
    """Updates from one full evaluation over `samples` samples to the next."""
    fixed = EVALUATION * (1 + len(network.matrices))
    return _interval(fixed + samples * (ELEMENT * sum(network.sizes) + FORWARD * network.vector.size), EVALUATED_SHARE * step)


def _interval(cost, allowed):
    return 1 << max(0, math.ceil(math.log2(cost / allowed)))
