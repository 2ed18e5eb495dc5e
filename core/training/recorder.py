"""The flight recorder: states of a run to go back to, within a fixed amount of memory, and what was done to the run in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from core.training.trainer import Trainer

BUDGET = 64 << 20  # bytes
FEWEST, MOST = 3, 4096  # states: so many even of a network that exceeds the budget, and no more of a small one
SHOWN = 200  # kept steps that are told of
PINNED_SHARE = 4  # at most one state in so many is kept for good
SOUND, NOISE = 2.0, 0.05  # a loss is sound up to so many times its lowest; a loss that never fell may rise by this share


class Kept(NamedTuple):
    """A state after `step` updates, which took `spent` seconds, with the first `done` interventions behind it."""

    step: int
    state: dict
    spent: float
    done: int


class Intervention(NamedTuple):
    """What was done to the run after `step` updates: the Trainer's method (change, edit) and its arguments."""

    step: int
    method: str
    arguments: tuple


class FlightRecorder:
    """Keeps states of `trainer`: dense near the present, ever thinner into the past; the first and the pinned ones for good.

    Every update since the first state can be had again exactly: restore a state before it, advance, and intervene as was done then.
    `spent` is how many seconds the updates have taken so far; whoever makes them adds to it.
    """

    def __init__(self, trainer: Trainer, budget: int = BUDGET, moments: Sequence[tuple] = (), interventions: Iterable[tuple] = ()) -> None:
        """Begin with the present state; or with the `moments` that `states_after` gave, and the `interventions`, of the same run."""
        self._trainer = trainer
        moments = moments or [(trainer.step, trainer.state(), 0.0, 0, True)]
        self._kept = [Kept(step, state, spent, done) for step, state, spent, done, _ in moments]
        self._steps = np.array([kept.step for kept in self._kept])
        self._pinned = {self._kept[0].step, *(step for step, *_, pinned in moments if pinned)}
        self._room = min(MOST, max(FEWEST, budget // sum(array.nbytes for array in self._kept[0].state.values())))
        self.interventions = [Intervention(*intervention) for intervention in interventions]
        self.spent = self._kept[-1].spent

    @property
    def steps(self) -> list[int]:
        """Steps of the kept states, in order."""
        return self._steps.tolist()

    def record(self) -> None:
        """Keep the present state; forget the one least missed if there is no room."""
        if self._steps[-1] >= self._trainer.step:
            return
        self._kept.append(Kept(self._trainer.step, self._trainer.state(), self.spent, len(self.interventions)))
        self._steps = np.append(self._steps, self._trainer.step)
        while len(self._kept) > self._room:
            self._forget()

    def note(self, method: str, *arguments: Any) -> None:
        """Remember what has just been done to the run."""
        self.interventions.append(Intervention(self._trainer.step, method, arguments))

    def at(self, step: int) -> Kept:
        """The newest Kept that is not behind `step`; the first one if all are."""
        return self._kept[max(0, self._index(step))]

    def newest_sound(self, before: int, sound: Callable[[dict[str, np.ndarray]], bool]) -> int:
        """Step of a state kept before step `before` for which `sound(state)` holds, and for the next one kept before it does not; the first
        state counts as sound. Found by bisection: `sound` is asked for a few states only."""
        last = self._index(before - 1)
        good, bad, stride = max(last, 0), last + 1, 1
        while good > 0 and not sound(self._kept[good].state):
            good, bad, stride = max(0, good - stride), good, 2 * stride
        while bad - good > 1:
            middle = (good + bad) // 2
            if sound(self._kept[middle].state):
                good = middle
            else:
                bad = middle
        return self._kept[good].step

    def states_after(self, step: int) -> list[tuple]:
        """What is kept behind `step`, and the newest pinned state: [(step, state, spent, done, whether it is pinned)]."""
        last = max(self._pinned)
        return [(*kept, kept.step in self._pinned) for kept in self._kept if kept.step > step or kept.step == last]

    def nearest(self, step: int) -> Kept:
        """The Kept closest to `step`."""
        return self._kept[np.abs(self._steps - step).argmin()]

    def seconds(self, begin: int, end: int) -> float:
        """What the updates from step `begin` to step `end` took, about."""
        steps, spent = [*self.steps, self._trainer.step], [*(kept.spent for kept in self._kept), self.spent]
        return float(np.diff(np.interp([begin, end], steps, spent))[0])

    def overview(self, wanted: int | None = None) -> tuple[int, ...]:
        """At most SHOWN of the kept steps, in order, thinned evenly; `wanted`, a kept step or None, is among them."""
        steps = self._steps
        picked = np.unique(np.rint(np.linspace(0, len(steps) - 1, min(SHOWN - 1, len(steps)))).astype(int))
        return tuple(sorted({*steps[picked].tolist(), *([] if wanted is None else [wanted])}))

    def path(self, until: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """(steps (n,), parameters (n, numbers)) of the kept states up to step `until` that are finite: SHOWN at most, thinned evenly to
        `most` bytes, the first and the last in any case."""
        last = max(0, self._index(until))
        count = max(2, min(SHOWN, most // self._kept[0].state["vector"].nbytes))
        picked = np.unique(np.rint(np.linspace(0, last, min(count, last + 1))).astype(int)).tolist()
        sound = [self._kept[index] for index in picked if np.isfinite(self._kept[index].state["vector"]).all()]
        return np.array([kept.step for kept in sound], int), np.array([kept.state["vector"] for kept in sound])

    def pin(self, step: int) -> None:
        """Keep the newest state not behind `step` for good, unless too many are already."""
        if len(self._pinned) < max(2, self._room // PINNED_SHARE):
            self._pinned.add(self.at(step).step)

    def forget_after(self, step: int) -> None:
        """Drop what is behind `step`: the run is about to go on from there, on another path."""
        self.spent = self._kept[0].spent + self.seconds(self._kept[0].step, step)
        count = max(1, self._index(step) + 1)
        self._kept, self._steps = self._kept[:count], self._steps[:count]
        self._pinned = {pinned for pinned in self._pinned if pinned <= step}
        self.interventions = [intervention for intervention in self.interventions if intervention.step <= step]

    def _index(self, step):
        return int(np.searchsorted(self._steps, step, side="right")) - 1

    def _forget(self):
        index = least_missed(self._steps, self._pinned)
        del self._kept[index]
        self._steps = np.delete(self._steps, index)


def last_sound_step(trainer: Trainer, recorder: FlightRecorder, trouble: int) -> int:
    """The step of the newest kept state of a run, before its trouble that began at step `trouble`, whose training loss was still sound: at
    most SOUND times the lowest until then, and no higher than at the start but for noise."""
    steps, losses = trainer.telemetry.frames("step"), trainer.telemetry.frames("train_loss")
    initial, lowest = losses[0], np.nanmin(losses[steps < trouble])
    limit = max(min(SOUND * lowest, initial), (1 + NOISE) * lowest)
    return recorder.newest_sound(trouble, lambda state: trainer.evaluator.loss_of(state["vector"]) <= limit)


def least_missed(steps: np.ndarray, pinned: Iterable[int]) -> int:
    """Index of the kept step (of at least 3, in order) whose absence leaves the smallest gap for its age: steps end up spaced in proportion
    to age. The first and the last stay, and the `pinned` ones while there are others."""
    gaps = (steps[2:] - steps[:-2]) / (steps[-1] - steps[1:-1])
    gaps[np.isin(steps[1:-1], list(pinned))] = np.inf
    return int(gaps.argmin()) + 1
