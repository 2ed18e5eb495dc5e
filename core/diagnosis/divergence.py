"""When a loss has diverged: one definition for the detector, which looks back, and for the forecast, which looks ahead."""

from __future__ import annotations

# Measured with benchmarks/diagnosis.py and benchmarks/forecast.py (--quick): beside 1.2 and 0.2 the diagnosis finds the same, and of the
# runs that diverge the forecast finds as many or more
# A loss so many times the first, or the best constant output's if that is more, is worse than not training at all
WORSE = 1.3
# Once this share of either was won, a loss is far above its best when so much of what was won is lost again
WORTH_HAVING, LOST = 0.5, 0.5


def divergence_limit(first: float, best: float, chance: float) -> tuple[float, bool]:
    """(the loss above which a run has diverged, whether it is measured by the best loss), given the loss before the first update, the
    lowest, and that of the best constant output."""
    floor, reference = min(first, chance), max(first, chance)
    if floor - best > WORTH_HAVING * floor:
        return best + LOST * (floor - best), True
    return reference + (WORSE - 1) * abs(reference), False
