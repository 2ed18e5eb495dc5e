"""The catalogue of data sources: one entry each, with all that is known of a source before loading it, and its maker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import drawn, files, formula, photos, planar, tables
from core.limits import LIMITS

if TYPE_CHECKING:
    from core.config import DataConfig

# TensorFlow Playground's seven functions of the two coordinates: name -> f(x1, x2)
FEATURES = {
    "x1": lambda x1, x2: x1,
    "x2": lambda x1, x2: x2,
    "x1^2": lambda x1, x2: x1 * x1,
    "x2^2": lambda x1, x2: x2 * x2,
    "x1*x2": lambda x1, x2: x1 * x2,
    "sin(x1)": lambda x1, x2: np.sin(x1),
    "sin(x2)": lambda x1, x2: np.sin(x2),
}

SCALINGS = ("none", "standard", "minmax")
SPLITS = ("stratified", "random", "ordered")


@dataclass(frozen=True)
class Source:
    """What is known of a source without loading it, and how it is made. `inputs` None: as many as features are chosen; `task` None: the
    configuration's. `outputs` is the number of classes or of target columns: a function of the DataConfig where that decides, None when
    only the file knows. The rows of a `given` source are there already: there is no noise on them, and no number of them to choose.

    `make(data, rng)` gives the Samples of a DataConfig, drawing from a NumPy generator; it raises ConfigError.
    """

    title: str
    kind: str  # planar | table | image | file
    task: str | None
    inputs: int | None
    outputs: int | Callable | None
    samples: int  # the source's own number: what a configuration without `samples` gets
    about: str
    make: Callable
    test_fraction: float = 0.5  # what the page holds back when the source is chosen
    given: bool = False
    by_library: bool = True  # made or prepared by scikit-learn, which takes memory of its own

    def outputs_of(self, data: DataConfig) -> Any:
        """The number of classes or of target columns of a DataConfig; None when only the file knows."""
        return self.outputs(data) if callable(self.outputs) else self.outputs


def _planar(title, make, about, outputs=2, task="classification", samples=500, test_fraction=0.5, by_library=False):
    make = partial(planar.planar, make, outputs, task)
    return Source(title, "planar", task, None, outputs, samples, about, make, test_fraction, by_library=by_library)


def _surface(title, make, about):
    return _planar(title, make, about, outputs=1, task="regression")


def _table(title, loader, task, inputs, outputs, samples, about):
    return Source(title, "table", task, inputs, outputs, samples, about, partial(tables.table, loader))


SOURCES = {
    "circle": _planar("Circle", planar.circle, "A disc inside a ring."),
    "xor": _planar("XOR", planar.xor, "Opposite quadrants share a class."),
    "truth_table": _planar("Truth table", planar.truth_table, "Exclusive or of 0 and 1: its four lines.", samples=4, test_fraction=0.0),
    "gaussian": _planar("Two clouds", planar.gaussian, "Two round clouds; a straight line will do."),
    "spiral": _planar("Spiral", planar.spiral, "Two arms wound into each other: the hard one."),
    "moons": _planar("Moons", planar.moons, "Two half-moons, interlocked.", by_library=True),
    "flower": _planar("Flower", planar.flower, "Petals of two classes around one centre.", samples=400),
    "blobs": _planar("Blobs", planar.blobs, "Three clouds, three classes.", outputs=3, by_library=True),
    "plane": _surface("Plane", planar.plane, "A tilted plane: the value grows along one direction."),
    "hills": _surface("Hills", planar.hills, "Smooth bumps, up and down."),
    "sine": _surface("Sine", planar.sine, "A wave along one direction."),
    "drawn": Source(
        "Drawing", "planar", "classification", None, drawn.classes, drawn.MOST, "Points that you place on the plane.", drawn.drawn,
        test_fraction=0.0, given=True, by_library=False,
    ),
    "formula": Source(
        "Formula", "planar", None, None, formula.outputs, 500, "Classes or values by a formula of x1 and x2.", formula.formula,
        by_library=False,
    ),
    "iris": _table("Iris", "load_iris", "classification", 4, 3, 150, "150 flowers, 4 measures, 3 species."),
    "wine": _table("Wine", "load_wine", "classification", 13, 3, 178, "178 wines, 13 analyses in unlike units, 3 growers."),
    "breast_cancer": _table("Breast cancer", "load_breast_cancer", "classification", 30, 2, 569, "569 biopsies, 30 measures, 2 diagnoses."),
    "digits": _table("Digits", "load_digits", "classification", 64, 10, 1797, "1,797 handwritten digits of 8x8 pixels."),
    "diabetes": _table("Diabetes", "load_diabetes", "regression", 10, 1, 442, "442 patients, 10 measures, progression after a year."),
    "photo_upscale": Source(
        "Photo upscaling", "image", "regression", 768, 12288, 400, "16x16 colour patches to 64x64.", photos.upscale
    ),
    "photo_ten": Source(
        "Ten photo patches", "image", "classification", 12288, 2, 10, "Ten 64x64 colour patches of two photographs.", photos.ten
    ),
    "file": Source(
        "Own file", "file", None, None, None, LIMITS["samples"], "Your own table: CSV, Excel, JSON, Parquet or NumPy.", files.read
    ),
}  # fmt: skip
