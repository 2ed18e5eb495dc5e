"""Learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """`factor(t, steps, factor)` is the factor on the learning rate at update `t` (0 is the first); None for the one that never changes
    anything. `code` is the learning rate of update `step` (1 is the first) in Python, of the `share` of the schedule that is done (None:
    not known, so that scripts refuse it). `word` is its name on the screen."""

    factor: Callable | None
    code: str | None = None
    share: str = ""
    word: str | None = None


SCHEDULES = {
    "constant": Schedule(None, ""),
    "step": Schedule(lambda t, steps, factor: factor ** (t // steps), "LEARNING_RATE * SCHEDULE_FACTOR ** ((step - 1) // SCHEDULE_STEPS)"),
    "exponential": Schedule(
        lambda t, steps, factor: factor ** (t / steps), "LEARNING_RATE * SCHEDULE_FACTOR ** ((step - 1) / SCHEDULE_STEPS)"
    ),
    "cosine": Schedule(
        lambda t, steps, factor: factor + (1 - factor) * 0.5 * (1 + math.cos(math.pi * min(t / steps, 1.0))),
        "LEARNING_RATE * (SCHEDULE_FACTOR + (1 - SCHEDULE_FACTOR) * 0.5 * (1 + float(np.cos(np.pi * share))))",
        "min((step - 1) / SCHEDULE_STEPS, 1)",
    ),
    "warmup": Schedule(
        lambda t, steps, factor: factor + (1 - factor) * min((t + 1) / steps, 1.0),
        "LEARNING_RATE * (SCHEDULE_FACTOR + (1 - SCHEDULE_FACTOR) * share)",
        "min(step / SCHEDULE_STEPS, 1)",
    ),
}
