"""The flight recorder: states of a run to go back to, within a fixed amount of memory."""

from __future__ import annotations

from bisect import bisect_right

BUDGET = 64 << 20  # bytes
FEWEST = 3  # states are kept even of a network so large that they exceed the budget


class FlightRecorder:
    """Keeps states of `trainer`: dense near the present, ever thinner into the past; pinned ones for good.

    Every update between two kept states can be had again exactly: restore the earlier one and advance.
    """

    def __init__(self, trainer, budget=BUDGET):
        self._trainer = trainer
        self._states = [trainer.state()]
        self._pinned = {trainer.step}
        self._room = max(FEWEST, budget // sum(array.nbytes for array in self._states[0].values()))

    @property
    def steps(self):
        """Steps of the kept states, in order."""
        return [int(state["position"][0]) for state in self._states]

    def record(self):
        """Keep the present state; forget the one least missed if there is no room."""
        if self.steps[-1] >= self._trainer.step:
            return
        self._states.append(self._trainer.state())
        while len(self._states) > self._room:
            self._forget()

    def pin(self):
        """Keep the newest state for good: the run's start, the last one before trouble."""
        self._pinned.add(self.steps[-1])

    def at(self, step):
        """The newest state that is not behind `step`."""
        return self._states[max(0, bisect_right(self.steps, step) - 1)]

    def forget_after(self, step):
        """Drop what is behind `step`: the run goes on from there on another path."""
        self._states = [state for state in self._states if state["position"][0] <= step]
        self._pinned = {pinned for pinned in self._pinned if pinned <= step}

    def _forget(self):
        """Drop the state whose absence leaves the smallest gap for its age: kept steps end up spaced in proportion to age."""
        steps = self.steps
        loose = [index for index in range(1, len(steps) - 1) if steps[index] not in self._pinned]
        candidates = loose or range(1, len(steps) - 1)
        self._states.pop(min(candidates, key=lambda index: (steps[index + 1] - steps[index - 1]) / (steps[-1] - steps[index])))
