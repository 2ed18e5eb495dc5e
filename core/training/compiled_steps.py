"""The updates of a configuration, prepared: lists of NumPy calls for each of its batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from core import faults
from core.nn.program import Program, Workspace
from core.training.batches import TAPES
from core.training.evaluation import penalty

if TYPE_CHECKING:
    import numpy as np

    from core.config import RunConfig
    from core.nn.network import Network
    from core.nn.plain_program import PlainProgram
    from core.nn.updater import Updater
    from core.training.batches import Batches
    from core.training.observer import Observer


class CompiledSteps:
    """Programs for the full and the last of `batches`, each plain and observed: then its gradient is left with the Observer."""

    def __init__(self, network: Network, updater: Updater, config: RunConfig, batches: Batches, observer: Observer) -> None:
        self._network = network
        self._penalty = lambda vector: penalty(network, config.penalty, vector)
        self._batches, self._observer, self._programs = batches, observer, {}
        for index in {0, len(batches) - 1}:
            size = batches[index][1].shape[1]
            if size not in self._programs:
                self._programs[size] = programs_for(network, updater, config, size, (None, observer.gradient))
        self._tapes = [self._tape(index) for index in range(len(batches))] if len(batches) <= TAPES else None

    @property
    def calls(self) -> int:
        """NumPy calls of a plain update."""
        return self._programs[self._batches.size][0].calls

    def replay(self, order: list[int]) -> None:
        """Make updates with the batches of these numbers."""
        for tape in [self._tapes[index] for index in order] if self._tapes else (self._tape(index) for index in order):
            for function, arguments in tape:
                function(*arguments)

    def observe(self, index: int) -> float:
        """Make an update with this batch, for the observer to measure; the loss before it."""
        program, x, y, before = self._observed(index)
        evaluated = self._evaluated(x, y)
        for function, arguments in program.bind(x, y):
            function(*arguments)
        return (program.batch_loss(y) if evaluated is None else evaluated) + self._penalty(before)

    def check(self, index: int) -> tuple[float, tuple[int, str] | None]:
        """The same tensor by tensor, up to the first that is not finite: (loss before the update, (its layer, tensor) or None)."""
        program, x, y, before = self._observed(index)
        evaluated = self._evaluated(x, y)
        broken = program.first_nonfinite(x, y)
        return (program.batch_loss(y) if evaluated is None else evaluated) + self._penalty(before), broken

    def _evaluated(self, x, y):
        """The mean loss outside training, where that is another one; else None."""
        network = self._network
        if not network.trains_differently:
            return None
        z, a = network.forward(x)[-1]
        return network.loss.mean(network.loss_values(z, a, y))

    def _observed(self, index):
        program, x, y = self._program(index, observed=True)
        self._observer.gradient_scale = program.gradient_scale
        return program, x, y, self._observer.begin()

    def _program(self, index, observed=False):
        """(Program, x, y) of a batch."""
        x, y = self._batches[index]
        return self._programs[y.shape[1]][observed], x, y

    def _tape(self, index):
        program, x, y = self._program(index)
        return program.bind(x, y)


def programs_for(
    network: Network, updater: Updater, config: RunConfig, size: int, keeping: Iterable[np.ndarray | None]
) -> list[PlainProgram | Program]:
    """The configuration's step for batches of this size, one Program for each `kept` in `keeping`; they share their buffers."""
    if config.faults:
        return [faults.broken_program(network, updater, config, kept) for kept in keeping]
    workspace = Workspace(network, size, config.seed)
    return [Program(network, updater, workspace, kept) for kept in keeping]
