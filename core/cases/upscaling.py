"""How good enlarged pictures are: peak signal-to-noise ratios on the held-back patches, beside what needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from core.data.dataset import Dataset

PEAK = 1.0  # the brightest a pixel can be


def psnr(pictures: np.ndarray, targets: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(peak^2 / mean squared error), of all pictures taken together."""
    return float(10 * np.log10(PEAK**2 / np.mean(np.square(pictures - targets))))


def enlargements(dataset: Dataset) -> dict[str, np.ndarray]:
    """{name: (m, pixels)} of the held-back patches enlarged without a network: the mean of the training patches, each pixel repeated
    (nearest neighbour), and bicubic interpolation (cubic splines, pixel centres aligned, edges repeated). Inputs must not be scaled."""
    from scipy.ndimage import zoom

    small = dataset.test.inputs.reshape(-1, *dataset.image)
    factor = dataset.target_image[0] // dataset.image[0]
    nearest = small.repeat(factor, axis=1).repeat(factor, axis=2)
    bicubic: Any = zoom(small, (1, factor, factor, 1), order=3, mode="nearest", grid_mode=True)
    mean = np.broadcast_to(dataset.train.targets.mean(axis=0), dataset.test.targets.shape)
    return {"mean image": mean, "nearest neighbour": nearest.reshape(len(small), -1), "bicubic": bicubic.reshape(len(small), -1)}


def limit(dataset: Dataset, dimensions: int) -> np.ndarray:
    """(m, pixels): the held-back patches as near as so many dimensions come, the first principal components of the training patches.
    What a network with so few hidden units makes lies in as few, and it has to guess them from the small picture."""
    targets = dataset.train.targets
    mean = targets.mean(axis=0)
    _, _, components = np.linalg.svd(targets - mean, full_matrices=False)
    kept = components[:dimensions]
    return (dataset.test.targets - mean) @ kept.T @ kept + mean
