"""Learning-rate schedules: each is the factor on the learning rate at update `t` (0 is the first)."""

import math

# name -> factor(t, steps, factor); None for the one that never changes anything
SCHEDULES = {
    "constant": None,
    "step": lambda t, steps, factor: factor ** (t // steps),
    "exponential": lambda t, steps, factor: factor ** (t / steps),
    "cosine": lambda t, steps, factor: factor + (1 - factor) * 0.5 * (1 + math.cos(math.pi * min(t / steps, 1.0))),
    "warmup": lambda t, steps, factor: factor + (1 - factor) * min((t + 1) / steps, 1.0),
}
