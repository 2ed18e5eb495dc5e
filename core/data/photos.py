"""Colour patches of the two photographs that come with scikit-learn (read through Pillow, which Streamlit brings along).

Patches for testing come from a strip at the right of each photograph in which no training patch lies, so that the test
loss is of parts of the picture that were never seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import Samples, spread

if TYPE_CHECKING:
    from core.config import DataConfig

PATCH = 64  # pixels, each way
BLOCK = 4  # pixels averaged into one, each way
PHOTOS = ("china", "flower")


def upscale(data: DataConfig, rng: np.random.Generator) -> Samples:
    """Inputs: a patch's 4x4 block means (16, 16, 3); targets: the patch (64, 64, 3); both in 0..1 and flattened."""
    patches, _, held_back = _patches(data, rng)
    small = PATCH // BLOCK
    blocks = patches.reshape(len(patches), small, BLOCK, small, BLOCK, 3).mean(axis=(2, 4))
    return Samples(
        blocks.reshape(len(patches), -1),
        patches.reshape(len(patches), -1),
        _pixel_names(small),
        _pixel_names(PATCH),
        image=(small, small, 3),
        target_image=(PATCH, PATCH, 3),
        held_back=held_back,
    )


def ten(data: DataConfig, rng: np.random.Generator) -> Samples:
    """Inputs: patches (64, 64, 3) in 0..1, flattened; the class is the photograph, half of the patches from each."""
    patches, photo, held_back = _patches(data, rng)
    inputs = patches.reshape(len(patches), -1)
    return Samples(inputs, photo, _pixel_names(PATCH), PHOTOS, image=(PATCH, PATCH, 3), held_back=held_back)


def _patches(data, rng):
    """Random patches (m, 64, 64, 3) in 0..1, the photograph of each (m,), and which are held back for testing (m,)."""
    from sklearn.datasets import load_sample_images

    pictures = np.stack(load_sample_images().images)
    _, height, width, _ = pictures.shape
    photo = np.arange(data.samples) % len(pictures)
    held_back = np.zeros(data.samples, bool)
    held_back[spread(data.samples, data.test_fraction, rng, photo)] = True
    border = width - strip_width(width, data.test_fraction)
    top = rng.integers(0, height - PATCH + 1, data.samples)
    left = np.where(
        held_back,
        rng.integers(min(border, width - PATCH), width - PATCH + 1, data.samples),
        rng.integers(0, border - PATCH + 1, data.samples),
    )
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (PATCH, PATCH), axis=(1, 2))  # (photo, top, left, 3, 64, 64)
    return np.ascontiguousarray(windows[photo, top, left].transpose(0, 2, 3, 1)) / 255, photo, held_back


def strip_width(width: int, test_fraction: float) -> int:
    """Pixels at the right of a picture that are kept for test patches: its share, but room for a patch on either side."""
    return min(max(round(width * test_fraction), PATCH), width - PATCH) if test_fraction else 0


def _pixel_names(size):
    return tuple(f"{colour} {row},{column}" for row in range(size) for column in range(size) for colour in ("red", "green", "blue"))
