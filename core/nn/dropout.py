"""Inverted dropout (Srivastava et al. 2014): masks that depend on the seed and the step alone.

A mask holds 0 where an output is left out, else what makes up for those that are. Rates are kept to within 1/65,536: a random number of 16
bits decides, so that one of 64 serves four outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from core.nn.buffers import aligned

if TYPE_CHECKING:
    from core.config import LayerConfig

STREAM = 1 << 20  # tells these random numbers from those of layers and batches, which have the same seed
STRIDE = 1 << 32  # random numbers from one step's to the next one's
LEVELS = 1 << 16


class Masks:
    """Masks for the outputs of those of the `layers` (LayerConfigs) that drop some, for batches of so many `samples`.

    `rows` maps such a layer (from 1) to its mask (units, samples). `draw(step)` fills them for update `step` (1 is the first).
    """

    def __init__(self, layers: Sequence[LayerConfig], samples: int, seed: int, dtype: DTypeLike) -> None:
        dropping = [(number, layer) for number, layer in enumerate(layers, 1) if layer.dropout]
        sizes = [layer.units for _, layer in dropping]
        thresholds = [round(layer.dropout * LEVELS) for _, layer in dropping]
        self._threshold = np.repeat(np.array(thresholds, np.uint16), sizes)[:, None]
        self._factor = np.repeat(np.array([1 / (1 - threshold / LEVELS) for threshold in thresholds], dtype), sizes)[:, None]
        self._mask = aligned((sum(sizes), samples), dtype)
        self._numbers = -(-self._mask.size // 4)
        self._bits, self._at = np.random.PCG64([seed, STREAM]), 0
        ends = np.cumsum([0, *sizes])
        self.rows = {number: self._mask[start:end] for (number, _), start, end in zip(dropping, ends, ends[1:])}

    def draw(self, step: int) -> None:
        """Fill the masks for this update."""
        self._bits.advance(step * STRIDE - self._at)
        self._at = step * STRIDE + self._numbers
        numbers = self._bits.random_raw(self._numbers).astype("<u8", copy=False).view("<u2")
        np.greater_equal(numbers[: self._mask.size].reshape(self._mask.shape), self._threshold, self._mask)
        np.multiply(self._mask, self._factor, self._mask)
