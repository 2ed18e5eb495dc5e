"""The catalogue of data sources: one entry each, with what the configuration and the page must know before loading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class Source:
    """What is known of a source without loading it. `inputs` None: as many as features are chosen; `outputs` is the
    number of classes or of target columns, None when only the file knows."""

    title: str
    kind: str  # planar | table | image | file
    task: str | None
    inputs: int | None
    outputs: int | None
    samples: int  # the source's own number: what a configuration without `samples` gets
    about: str


SOURCES = {
    "circle": Source("Circle", "planar", "classification", None, 2, 500, "A disc inside a ring."),
    "xor": Source("Exclusive or", "planar", "classification", None, 2, 500, "Opposite quadrants share a class."),
    "gaussian": Source("Two clouds", "planar", "classification", None, 2, 500, "Two round clouds; a straight line will do."),
    "spiral": Source("Spiral", "planar", "classification", None, 2, 500, "Two arms wound into each other: the hard one."),
    "moons": Source("Moons", "planar", "classification", None, 2, 500, "Two half-moons, interlocked."),
    "flower": Source("Flower", "planar", "classification", None, 2, 400, "Petals of two classes around one centre."),
    "blobs": Source("Blobs", "planar", "classification", None, 3, 500, "Three clouds, three classes."),
    "plane": Source("Plane", "planar", "regression", None, 1, 500, "A tilted plane: the value grows along one direction."),
    "hills": Source("Hills", "planar", "regression", None, 1, 500, "Smooth bumps, up and down."),
    "sine": Source("Sine", "planar", "regression", None, 1, 500, "A wave along one direction."),
    "iris": Source("Iris", "table", "classification", 4, 3, 150, "150 flowers, 4 measures, 3 species."),
    "wine": Source("Wine", "table", "classification", 13, 3, 178, "178 wines, 13 analyses in unlike units, 3 growers."),
    "breast_cancer": Source("Breast cancer", "table", "classification", 30, 2, 569, "569 biopsies, 30 measures, 2 diagnoses."),
    "digits": Source("Digits", "table", "classification", 64, 10, 1797, "1,797 handwritten digits of 8x8 pixels."),
    "diabetes": Source("Diabetes", "table", "regression", 10, 1, 442, "442 patients, 10 measures, progression after a year."),
    "photo_upscale": Source("Photo upscaling", "image", "regression", 768, 12288, 400, "16x16 colour patches to 64x64."),
    "photo_ten": Source("Ten photo patches", "image", "classification", 12288, 2, 10, "Ten 64x64 colour patches of two photographs."),
    "file": Source("Your own file", "file", None, None, None, 100_000, "A CSV with a header, or an NPZ with X and y."),
}
