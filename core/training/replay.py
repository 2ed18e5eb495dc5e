"""Looking back: a second Trainer that is taken to a moment of a live run's past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.training.trainer import Trainer

if TYPE_CHECKING:
    from core.training.recorder import FlightRecorder


class Replay:
    """`trainer` is the run as it was at some moment, after all that was done to it there. It shares the data with the live run, which is
    never touched.

    Raises MemoryError when there is no room for it.
    """

    def __init__(self, live: Trainer, recorder: FlightRecorder) -> None:
        self._live, self._recorder = live, recorder
        self.trainer = Trainer(live.config, live.dataset)
        self._done = None  # interventions behind it; None: it is not on the run's path yet

    def go(self, step: int, most: float) -> Replay:
        """Take `trainer` to `step`, or to the nearest kept state if the updates on the way there took more than `most` seconds.

        Parameters, optimizer and position are those of the run to the bit; of its histories, what the live run still has.
        """
        origin = self._recorder.at(step)
        if origin.step > step or self._recorder.seconds(origin.step, step) > most:
            origin = self._recorder.nearest(step)
            step = origin.step
        self._replay(self._with_gradient(origin, step, most), step)
        telemetry, lived = self.trainer.telemetry, self._live.telemetry
        telemetry.load_arrays(lived.to_arrays())
        telemetry.drop_after(step)
        telemetry.events = [event for event in lived.events if event.step <= step]
        return self

    def _with_gradient(self, origin, step, most):
        """The Kept to begin at, so that an update is observed on the way: its gradient is what the live run showed at `step`."""
        observed = self._live.telemetry.step
        observed = observed[observed <= step]
        earlier = self._recorder.at(observed[-1] - 1) if len(observed) else origin
        return earlier if self._recorder.seconds(earlier.step, step) <= most else origin

    def _replay(self, origin, step):
        trainer = self.trainer
        if self._done is None or not origin.step <= trainer.step <= step:
            trainer.restore(origin.state)
            self._done = origin.done
        for intervention in self._recorder.interventions[self._done :]:
            if intervention.step > step:
                break
            trainer.advance(intervention.step - trainer.step)
            getattr(trainer, intervention.method)(*intervention.arguments)
            self._done += 1
        trainer.advance(step - trainer.step)
