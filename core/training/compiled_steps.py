"""The updates of a configuration, prepared: lists of NumPy calls for each of its batches."""

from __future__ import annotations

from core import faults
from core.nn.program import Program, Workspace
from core.training.batches import TAPES


class CompiledSteps:
    """Programs for the full and the last of `batches`, each plain and observed: then its gradient is left in `gradient`."""

    def __init__(self, network, updater, config, batches, gradient):
        self._batches, self._programs = batches, {}
        for index in {0, len(batches) - 1}:
            size = batches[index][1].shape[1]
            if size not in self._programs:
                self._programs[size] = programs_for(network, updater, config, size, (None, gradient))
        self._tapes = [self._tape(index) for index in range(len(batches))] if len(batches) <= TAPES else None
        self._full = self._programs[batches.size]

    @property
    def calls(self):
        """NumPy calls of a plain update."""
        return self._full[0].calls

    @property
    def gradient_scale(self):
        """What the observed gradient is multiplied by."""
        return self._full[1].gradient_scale

    def tapes(self, order):
        """Prepared updates with the batches of these numbers."""
        return [self._tapes[index] for index in order] if self._tapes else [self._tape(index) for index in order]

    def program(self, index, observed=False):
        """(Program, x, y) of a batch."""
        x, y = self._batches[index]
        return self._programs[y.shape[1]][observed], x, y

    def _tape(self, index):
        program, x, y = self.program(index)
        return program.bind(x, y)


def programs_for(network, updater, config, size, keeping):
    """The configuration's step for batches of this size, one Program for each `kept` in `keeping`; they share their buffers."""
    if config.faults:
        return [faults.broken_program(network, updater, config, kept) for kept in keeping]
    workspace = Workspace(network, size)
    return [Program(network, updater, workspace, kept) for kept in keeping]
