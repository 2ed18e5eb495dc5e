"""The real tables that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.data.dataset import Samples

if TYPE_CHECKING:
    import numpy as np

    from core.config import DataConfig


def table(loader: str, data: DataConfig, rng: np.random.Generator) -> Samples:
    """Samples of scikit-learn's `load_...` of this name, in the units in which it gives them."""
    from sklearn import datasets

    bunch = getattr(datasets, loader)()
    names = tuple(map(str, bunch.feature_names))
    if "target_names" in bunch:
        image = (*bunch.images.shape[1:], 1) if "images" in bunch else None
        return Samples(bunch.data, bunch.target, names, tuple(map(str, bunch.target_names)), image=image)
    return Samples(bunch.data, bunch.target[:, None], names, ("target",))
