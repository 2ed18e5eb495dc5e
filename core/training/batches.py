"""Mini-batches, each contiguous in memory, and the order in which updates use them.

The samples are cut into batches once, in the order of the (already shuffled) training part; each epoch visits the batches in a
new random order, or always in the same one. That costs no copying, and update number s always uses the same batch, however the run got
there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from core.nn.buffers import aligned
from core.nn.network import with_ones

ORDER_BLOCK = 1024  # about so many updates' order is drawn at once: a random generator costs as much as three steps
TAPES = 4096  # prepared steps kept; with more batches than that they are made when needed


class Batches:
    """`inputs` (samples, features) and `targets` (samples, outputs) in batches of `size` (None: all), the last one smaller.

    They are used from step `begin` on, `epochs_before` epochs after the beginning of the run; with the `seed` None always in order.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        size: int | None,
        dtype: DTypeLike,
        seed: int | None,
        begin: int = 0,
        epochs_before: float = 0.0,
    ) -> None:
        samples = len(inputs)
        self.size = min(size or samples, samples)
        self.samples = samples
        self.begin, self.epochs_before = begin, epochs_before
        self._seed = seed
        self._starts = range(0, samples, self.size)
        self._batches = [self._cut(inputs, targets, slice(start, start + self.size), dtype) for start in self._starts]
        self._epochs = max(1, ORDER_BLOCK // len(self))
        self._order = {}

    @staticmethod
    def _cut(inputs, targets, rows, dtype):
        y = aligned((targets.shape[1], len(targets[rows])), dtype)
        y[:] = targets[rows].T
        return with_ones(inputs[rows], dtype), y

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        """(x (features + 1, batch) with a last row of ones, y (outputs, batch))."""
        return self._batches[index]

    def rows(self, index: int) -> slice:
        """Which training samples a batch holds."""
        return slice(self._starts[index], min(self._starts[index] + self.size, self.samples))

    def epoch(self, step: int) -> float:
        """How often the training samples have been seen after `step` updates."""
        return self.epochs_before + (step - self.begin) / len(self)

    def epoch_end(self, step: int) -> int:
        """The step at which the epoch that goes on after `step` updates has ended."""
        return step + len(self) - (step - self.begin) % len(self)

    def order(self, step: int, count: int) -> list[int]:
        """Numbers of the batches that the next `count` updates use, after `step` updates."""
        if len(self) == 1:
            return [0] * count
        start, block_size = step - self.begin, self._epochs * len(self)
        if self._seed is None:
            return [number % len(self) for number in range(start, start + count)]
        numbers = []
        while len(numbers) < count:
            block, offset = divmod(start + len(numbers), block_size)
            numbers += self._order_of(block)[offset : offset + count - len(numbers)]
        return numbers

    def _order_of(self, block):
        if block not in self._order:
            epochs = np.tile(np.arange(len(self)), (self._epochs, 1))
            order = np.random.default_rng([self._seed, block]).permuted(epochs, axis=1)  # pyright: ignore[reportArgumentType]
            self._order = {block: order.ravel().tolist()}
        return self._order[block]
