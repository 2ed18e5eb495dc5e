"""Finds the first non-finite value of a run: in the very update in which it appeared, at no cost to healthy runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from core.training.telemetry import LAYER_METRICS, NonFinite

if TYPE_CHECKING:
    from core.training.batches import Batches
    from core.training.compiled_steps import CompiledSteps
    from core.training.observer import Observer
    from core.training.run_state import RunState
    from core.training.telemetry import Telemetry


def find_nonfinite(end: int, state: RunState, steps: CompiledSteps, batches: Batches, observer: Observer, telemetry: Telemetry) -> int:
    """Come again from the guarded `state` to step `end`, checking every tensor and recording every update; stop before the one that broke.
    Returns the step where the run then stands."""
    step = state.return_to_guarded()
    while step < end:
        state.guard(step)
        loss, broken = steps.check(*batches.order(step, 1))
        if not math.isfinite(loss) and (broken is None or broken[1] not in ("pre_activation", "activation")):
            broken = (0, "loss")
        step += 1
        if broken:
            telemetry.nonfinite = NonFinite(step, *broken)
            telemetry.add_sample(step, loss, np.full((telemetry.layers, len(LAYER_METRICS)), np.nan))
            return state.return_to_guarded()
        telemetry.add_sample(step, loss, observer.measure())
    return step
