"""One immutable picture of a run: everything that a frame of the page draws, and nothing else.

Layers are numbered from 1 in names and texts, and indexed from 0 in tuples. Arrays are small (the whole stays below
300 KB) and in the form the charts send on: float32, int8 or uint8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.diagnosis.finding import Finding
from core.diagnosis.forecast import Forecast
from core.training.telemetry import Event, NonFinite


@dataclass(frozen=True)
class Curves:
    """Sampled steps, thinned: step (n,) and batch loss (n,), and of each layer (n, layers) what LAYER_METRICS names."""

    step: np.ndarray
    loss: np.ndarray
    gradient_norm: np.ndarray
    weight_norm: np.ndarray
    update_ratio: np.ndarray
    activation_mean: np.ndarray
    activation_deviation: np.ndarray
    dead: np.ndarray
    saturated: np.ndarray


@dataclass(frozen=True)
class FrameCurves:
    """Full evaluations, thinned: each (n,); NaN where there is no test part."""

    step: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray
    train_metric: np.ndarray
    test_metric: np.ndarray


@dataclass(frozen=True)
class Histogram:
    """One tensor of one layer: `counts` (bins,) now, over equal bins from `low` to `high`; `over_time` (bins, times) uint8
    shares of the fullest bin at `steps` (times,). Gradients are shown as log10 of their size (`low`, `high` in decades)."""

    low: float
    high: float
    counts: np.ndarray
    over_time: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True)
class LayerView:
    """What the network diagram shows of a layer: the first `shown` of its `units`.

    `maps` (shown, size, size) int8: each unit's activation over the plane, 127 = the layer's largest magnitude
    `map_scale`, rows from low x2 to high x2; None unless the data is planar. `weights` (shown of the layer before,
    shown) float32, `biases` (shown,), `mean` (shown,) mean activation.
    """

    units: int
    activation: str
    maps: np.ndarray | None
    map_scale: float
    weights: np.ndarray
    biases: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class UnitView:
    """One unit looked at closely: `map` (size, size) float32 or None, its incoming `weights` (fan_in,) (at most 64, largest first,
    with their `sources`: indices of the units or inputs they come from), its bias, and the histogram of its activation."""

    layer: int  # from 1
    index: int  # from 0
    map: np.ndarray | None
    weights: np.ndarray
    sources: np.ndarray
    source_names: tuple[str, ...]
    bias: float
    low: float
    high: float
    counts: np.ndarray


@dataclass(frozen=True)
class Points:
    """Samples of planar data, at most 500 a part: `xy` (m, 2) float32; `target` (m,) class index or value."""

    xy: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Plane:
    """The output over the plane: `values` (size, size) float32, rows from low x2 to high x2.

    Two classes (`kind` "two_classes"): -1 (class 0, sure) to 1 (class 1, sure), 0 on the boundary. More classes
    ("classes"): `winner` (size, size) uint8 and `values` its confidence 0..1. Regression ("surface"): the predicted
    value in the targets' own units, `low`..`high` the targets' range. Where no output is finite any more, it is the last picture with one
    that is, of step `last_finite`.
    """

    kind: str
    extent: tuple[float, float]
    values: np.ndarray
    winner: np.ndarray | None
    low: float
    high: float
    train: Points
    test: Points
    last_finite: int | None = None


@dataclass(frozen=True)
class Confusion:
    """Rows true class, columns predicted; `train`, `test` (k, k) int, of the samples that the metric is of."""

    classes: tuple[str, ...]
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Predictions:
    """Predicted against true of regression tables, at most 500 a part, in the targets' own units; several targets are pooled."""

    name: str
    train_true: np.ndarray
    train_predicted: np.ndarray
    test_true: np.ndarray
    test_predicted: np.ndarray


@dataclass(frozen=True)
class Pictures:
    """Image to image: rows of (input, target, prediction), each (height, width, 3) uint8; from the test part where there is one."""

    rows: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    part: str


@dataclass(frozen=True)
class Gallery:
    """Inputs that are pictures, and what the network makes of them: the first samples of a part, at most 24. `pictures` (n, height,
    width, 1 or 3) uint8, 32 pixels a side at the most; `true` and `predicted` (n,) are names of classes or numbers, and `wrong` (n,) bool
    says where these differ, None for numbers."""

    part: str
    pictures: np.ndarray
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    wrong: np.ndarray | None


@dataclass(frozen=True)
class WorstSamples:
    """The samples of a part with the largest loss after `step` updates, the worst first, at most 20: their `loss` (n,), without penalty,
    which is this `share` of the sum over all `samples` of the part. `rows` (n,) are where they stand in their source, from 0, None where
    that is not known; `xy` (n, 2) where they lie on the plane, None unless the data is planar. `true`, `predicted` and `pictures` are as
    in a Gallery, None where there is nothing to tell."""

    part: str
    step: int
    samples: int
    loss: np.ndarray
    share: float
    rows: np.ndarray | None
    xy: np.ndarray | None
    true: tuple[str, ...] | None
    predicted: tuple[str, ...] | None
    pictures: np.ndarray | None


@dataclass(frozen=True)
class Influence:
    """The mini-batch of the next update: which samples carry its gradient. The first of them (n,), at most 200: `samples`, indices into
    the training part, `share` (n,) float32 of each in the sum of all gradients' lengths (of those that are not finite, in these alone),
    and `xy` (n, 2) float32, None unless the data is planar. `batch` is how many samples the mini-batch has."""

    samples: np.ndarray
    share: np.ndarray
    xy: np.ndarray | None
    batch: int


@dataclass(frozen=True)
class GaugeHistory:
    """Readings of the forecast's gauge: `step` (n,) and `ratio` (n,) of learning rate to stability limit, 1 = the edge of stability."""

    step: np.ndarray
    ratio: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """`status`: running, paused, finished, or nonfinite. `output` is a Plane, Confusion, Predictions or Pictures; `confusion` is there
    where targets are classes, and `gallery` where inputs are pictures and targets are not. Losses include the penalty; `test_loss` and
    `test_metric` are None without a test part. `histograms` maps weights, gradients and activations to one Histogram a layer. `input_names`
    and `input_maps` are of the first of the `inputs` columns.

    `moment` is the past step that is shown (None: the present one); curves, frames, events, `nonfinite` and the histograms over time
    are those of the whole run all the same. `kept_steps` (at most 200) can be shown at once; `healthy_step` is the newest kept one
    training showed the earliest critical finding or warning (None: there is none, or nothing before it). `influence` is there when
    the past is shown, or a run that stands broken. `first_crossing` is what core/diagnosis/onset.py gives.
    `forecast` is the newest one, that of the moment where the past is shown; `forecast_due` says that another will be made, now that
    the run stands still. `run_id` is its id in the store, None while it is not kept; `store_error` a sentence about why it is not.
    `failures` are sentences about what could not be worked out, and is missing here or as it was in an earlier picture."""

    config: dict
    status: str
    step: int
    epoch: float
    steps_per_second: float
    train_loss: float
    test_loss: float | None
    metric: str
    train_metric: float
    test_metric: float | None
    curves: Curves
    frames: FrameCurves
    events: tuple[Event, ...]
    nonfinite: NonFinite | None
    findings: tuple[Finding, ...]
    histograms: dict[str, tuple[Histogram, ...]]
    inputs: int
    input_names: tuple[str, ...]
    input_maps: np.ndarray | None
    layers: tuple[LayerView, ...]
    output: Plane | Confusion | Predictions | Pictures
    unit: UnitView | None
    confusion: Confusion | None = None
    gallery: Gallery | None = None
    kept_steps: tuple[int, ...] = ()
    healthy_step: int | None = None
    moment: int | None = None
    influence: Influence | None = None
    first_crossing: tuple[int, int, str] | None = None
    forecast: Forecast | None = None
    forecast_history: GaugeHistory | None = None
    forecast_due: bool = False
    run_id: str | None = None
    store_error: str | None = None
    failures: tuple[str, ...] = ()
