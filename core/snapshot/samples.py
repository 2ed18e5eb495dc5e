"""Single samples, and what the network makes of them: pictures with what is said of them, and the samples with the largest loss."""

from __future__ import annotations

import numpy as np

from core.snapshot.outputs import outputs_of, pixels
from core.snapshot.snapshot import Gallery, WorstSamples

SHOWN = 24  # pictures of a gallery
SIDE = 32  # pixels a side at the most: of larger pictures every n-th pixel
WORST = 20
TARGETS = 3  # of several values these many are told


class GalleryMaker:
    """Makes the Gallery of a run's data, whose pictures are taken once."""

    def __init__(self, dataset):
        self._part = "test" if len(dataset.test) else "train"
        part = getattr(dataset, self._part)
        self._chosen = np.arange(min(SHOWN, len(part)))
        self._pictures = small_pictures(dataset, part.inputs[self._chosen])

    def make(self, trainer):
        """The Gallery as the network of `trainer` sees it."""
        true, predicted = told(trainer, self._part, self._chosen)
        wrong = None
        if trainer.dataset.task == "classification":
            wrong = np.array([one != other for one, other in zip(true, predicted)], bool)
        return Gallery(self._part, self._pictures, true, predicted, wrong)


def has_gallery(dataset):
    """Whether there are pictures to show, of which classes or values are said."""
    return dataset.image is not None and dataset.target_image is None


def small_pictures(dataset, inputs):
    """Inputs (m, features) that are pictures as (m, height, width, channels) uint8, SIDE pixels a side at the most."""
    every = -(-max(dataset.image[:2]) // SIDE)
    return np.stack(pixels(dataset, inputs))[:, ::every, ::every]


def worst_samples(trainer, part):
    """The WorstSamples of the `part` ("train" or "test") of a Trainer's data. What is not finite is worst. Of so much data that all of it
    would take seconds, the first are looked at: EVALUATED in core/training/evaluation.py."""
    losses, data = trainer.evaluator.sample_losses(part), trainer.dataset
    losses = np.where(np.isnan(losses), np.inf, losses)
    chosen = np.argsort(-losses, kind="stable")[:WORST]
    total, rows = losses.sum(), getattr(data, part)
    with np.errstate(all="ignore"):
        share = losses[chosen].sum() / total if np.isfinite(total) and total > 0 else float(len(chosen) > 0)
        true, predicted = (None, None) if data.target_image else told(trainer, part, chosen)
    return WorstSamples(
        part,
        trainer.step,
        len(losses),
        losses[chosen],
        float(share),
        None if rows.rows is None else rows.rows[chosen],
        None if rows.points is None else rows.points[chosen].astype(np.float32),
        true,
        predicted,
        small_pictures(data, rows.inputs[chosen]) if data.image and len(chosen) else None,
    )


def told(trainer, part, chosen):
    """(what these samples of a part are, what the network says they are), as texts: names of classes, or values in the targets' units."""
    data, rows = trainer.dataset, getattr(trainer.dataset, part)
    targets, outputs = rows.targets[chosen], outputs_of(trainer.network, rows.inputs[chosen])
    finite = np.isfinite(outputs).all(axis=1)
    if data.labels:
        true, predicted = _named(data, targets), _named(data, trainer.evaluator.classes(outputs))
    elif data.task == "classification":
        true, predicted = (_joined(data, trainer.evaluator.marked(values)) for values in (targets, outputs))
    else:
        true, predicted = (_numbers(values * data.target_factor + data.target_offset) for values in (targets, outputs))
    return true, tuple(text if is_finite else "not finite" for text, is_finite in zip(predicted, finite))


def _named(data, classes):
    return tuple(data.target_names[index] for index in classes)


def _joined(data, marked):
    return tuple(", ".join(name for name, is_marked in zip(data.target_names, row) if is_marked) or "none" for row in marked)


def _numbers(values):
    return tuple(", ".join(f"{value:.4g}" for value in row[:TARGETS]) for row in values)
