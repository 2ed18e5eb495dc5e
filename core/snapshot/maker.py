"""Makes snapshots of a run: everything that is computed only because somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from core.diagnosis import diagnose
from core.diagnosis.failures import attempt
from core.diagnosis.onset import first_crossing
from core.nn.network import with_ones
from core.snapshot.gradient_share import influence
from core.snapshot.histograms import DECADES, HistogramSeries, decades
from core.snapshot.maps import PlaneMaps, as_int8
from core.snapshot.outputs import confusion, output_of, plane, sample_points
from core.snapshot.samples import GalleryMaker, has_gallery
from core.snapshot.snapshot import Confusion, Curves, FrameCurves, LayerView, Snapshot, UnitView
from core.training.telemetry import FRAME_COLUMNS, LAYER_METRICS, downsample_keep_peaks

if TYPE_CHECKING:
    from core.diagnosis.forecast import Forecast
    from core.training.telemetry import Telemetry
    from core.training.trainer import Trainer

SHOWN_UNITS = 8  # of a layer, in the network diagram
CURVE_VALUES = 24_000  # numbers in all curves of a snapshot together
CURVE_POINTS = 500
UNIT_WEIGHTS = 64
SAMPLES = 256  # that activation histograms and means are taken from
PLAYING, STANDING = 60_000, 500_000  # microseconds that the trial of a fix may take, as estimated, while the run plays or stands
DRAWN = {field.name for field in fields(Curves)}  # metrics that have a chart


class SnapshotMaker:
    """Keeps what snapshots share: grids, sample points and the histograms so far. `foresee` is what `diagnose` asks for the forecast."""

    def __init__(self, trainer: Trainer, foresee: Callable[[Trainer], Forecast | None] | None = None) -> None:
        self._foresee = foresee
        self._live = self._trainer = trainer  # the run itself, and what is shown of it: the same, or a Trainer in its past
        data, network = trainer.dataset, trainer.network
        self._sample = with_ones(data.train.inputs[:SAMPLES], network.dtype)
        layers = range(len(network.matrices))
        self._histograms = {
            "weights": [HistogramSeries() for _ in layers],
            "gradients": [HistogramSeries(*DECADES) for _ in layers],
            "activations": [HistogramSeries() for _ in layers],
        }
        self._maps = PlaneMaps(trainer) if data.encode else None
        self._input_maps = self._maps and _input_maps(self._maps.inputs[:SHOWN_UNITS], self._maps.side)
        self._gallery = GalleryMaker(data) if has_gallery(data) else None
        self._points = [sample_points(data, part) for part in (data.train, data.test)]
        self._finite = None  # the last Plane with a finite output
        self._last = {}  # parts of the last picture of the run itself, by their names
        self._failures = []

    def make(self, status: str, steps_per_second: float, unit: tuple[int, int] | None = None, past: Trainer | None = None) -> Snapshot:
        """A Snapshot of the run as it is; `unit` (layer from 1, index from 0) is looked at closely.

        `past`, a Trainer of this run taken back to some moment, is shown in its place, among the whole run's histories. What cannot be
        worked out is left out, or stays as it was in the last picture: `failures` says so.
        """
        self._trainer, self._failures = past or self._live, []
        try:
            with np.errstate(all="ignore"):
                return self._make(status, steps_per_second, unit)
        finally:
            self._trainer = self._live  # the past may be let go of

    def forget_after(self, step: int) -> None:
        """Drop what the histograms over time hold behind `step`: the run goes on from there on another path."""
        for all_series in self._histograms.values():
            for series in all_series:
                series.drop_after(step)

    def _make(self, status, steps_per_second, unit):
        trainer, lived = self._trainer, self._live.telemetry
        trainer.frame()
        telemetry = trainer.telemetry
        is_past = trainer is not self._live
        cost = PLAYING if status == "running" else STANDING
        findings = tuple(self._optional("The findings", (), diagnose, trainer, self._foresee, self._failures, cost))
        broken = status != "running" and any(finding.severity == "critical" for finding in findings)
        last = {name: float(telemetry.frames(name)[-1]) for name in ("train_loss", "test_loss", "train_metric", "test_metric")}
        tested = len(trainer.dataset.test) > 0
        sampled = [a for _, a in trainer.network.forward(self._sample)]
        mapped = self._maps and self._maps.passed(trainer.network)
        output = self._part("The output", self._output, mapped)
        return Snapshot(
            config=_as_dict(trainer.config),
            status=status,
            step=trainer.step,
            epoch=trainer.epoch,
            steps_per_second=steps_per_second,
            train_loss=last["train_loss"],
            test_loss=last["test_loss"] if tested else None,
            metric=trainer.evaluator.metric_name,
            train_metric=last["train_metric"],
            test_metric=last["test_metric"] if tested else None,
            curves=self._part("The curves", curves, lived),
            frames=self._part("The losses over time", frame_curves, lived),
            events=tuple(lived.events[-50:]),
            nonfinite=lived.nonfinite,
            findings=findings,
            histograms=self._part("The histograms", self._histogram_views, sampled),
            inputs=trainer.dataset.inputs,
            input_names=trainer.dataset.input_names[:SHOWN_UNITS],
            input_maps=self._input_maps,
            layers=self._part("The network diagram", self._layer_views, sampled, mapped),
            output=output,
            confusion=output if isinstance(output, Confusion) else self._optional("The confusion matrix", None, confusion, trainer),
            gallery=self._gallery and self._optional("The pictures", None, self._gallery.make, trainer),
            unit=self._optional("The unit", None, self._unit, *unit, sampled, mapped) if unit and self._has_unit(*unit) else None,
            moment=trainer.step if is_past else None,
            influence=self._optional("Which samples drive this step", None, influence, trainer) if is_past or broken else None,
            first_crossing=None if is_past else self._optional("Where trouble began", None, first_crossing, lived, findings),
            failures=tuple(self._failures),
        )

    def _optional(self, name, otherwise, function, *arguments) -> Any:
        """A part that a picture can do without."""
        return attempt(name, self._failures, otherwise, function, *arguments)

    def _part(self, name, function, *arguments) -> Any:
        """A part that every picture has: what was there last, where it cannot be made. Raises where nothing was."""
        made = attempt(name, self._failures, self._last[name], function, *arguments) if name in self._last else function(*arguments)
        if self._trainer is self._live:
            self._last[name] = made
        return made

    def _histogram_views(self, sampled):
        """Histogram of each kind and layer, the present added to those over time."""
        trainer = self._trainer
        network = trainer.network
        values = {
            "weights": network.flat_layers(network.vector),
            "gradients": [decades(gradient) for gradient in network.flat_layers(trainer.last_gradient())],
            "activations": sampled,
        }
        return {
            kind: tuple(self._histogram_view(series, tensor) for series, tensor in zip(all_series, values[kind]))
            for kind, all_series in self._histograms.items()
        }

    def _histogram_view(self, series, tensor):
        if self._trainer is not self._live:
            return series.histogram(series.count(tensor))
        series.add(tensor, self._trainer.step)
        return series.histogram()

    def _layer_views(self, sampled, mapped):
        trainer = self._trainer
        views, incoming = [], min(SHOWN_UNITS, trainer.dataset.inputs)
        for index, (layer, matrix) in enumerate(zip(trainer.config.layers, trainer.network.matrices)):
            shown = min(SHOWN_UNITS, layer.units)
            values = mapped and mapped[index][0][:shown]
            scale = 0.0 if values is None else float(np.abs(values).max())
            views.append(
                LayerView(
                    units=layer.units,
                    activation=layer.activation,
                    maps=None if values is None else as_int8(values, self._maps.side, scale),
                    map_scale=scale,
                    weights=matrix[:shown, :incoming].T.astype(np.float32),
                    biases=matrix[:shown, -1].astype(np.float32),
                    mean=sampled[index][:shown].mean(axis=1).astype(np.float32),
                )
            )
            incoming = shown
        return tuple(views)

    def _has_unit(self, layer, index):
        layers = self._trainer.config.layers
        return 1 <= layer <= len(layers) and 0 <= index < layers[layer - 1].units

    def _unit(self, layer, index, sampled, mapped):
        network, data = self._trainer.network, self._trainer.dataset
        weights = network.matrices[layer - 1][index]
        sources = np.sort(np.argsort(-np.abs(weights[:-1]), kind="stable")[:UNIT_WEIGHTS])
        names = data.input_names if layer == 1 else [f"unit {number + 1}" for number in range(network.sizes[layer - 1])]
        series = HistogramSeries()
        series.add(sampled[layer - 1][index], 0)
        histogram = series.histogram()
        return UnitView(
            layer=layer,
            index=index,
            map=mapped and mapped[layer - 1][1][index].reshape(self._maps.fine_side, -1).astype(np.float32),
            weights=weights[sources].astype(np.float32),
            sources=sources,
            source_names=tuple(names[source] for source in sources),
            bias=float(weights[-1]),
            low=histogram.low,
            high=histogram.high,
            counts=histogram.counts,
        )

    def _output(self, mapped):
        if not mapped:
            return output_of(self._trainer)
        made = plane(self._trainer, mapped[-1][1], self._maps.fine_side, *self._points)  # pyright: ignore[reportArgumentType]
        if np.isfinite(made.values).any():
            if self._trainer is self._live:
                self._finite = replace(made, last_finite=self._trainer.step)
            return made
        return self._finite if self._finite and self._finite.last_finite < self._trainer.step else made


def _input_maps(values, side):
    """Maps of the inputs, each with a scale of its own."""
    return np.concatenate([as_int8(row[None], side, float(np.abs(row).max())) for row in values])


@lru_cache(1)
def _as_dict(config):
    return config.to_dict()


def curves(telemetry: Telemetry) -> Curves:
    """The sampled steps, thinned to what a chart can show; spikes stay."""
    samples, layers = telemetry.samples, telemetry.layers
    gradient_norms = 2 + len(LAYER_METRICS) * np.arange(layers) + LAYER_METRICS.index("gradient_norm")
    limit = min(CURVE_POINTS, CURVE_VALUES // (layers * len(LAYER_METRICS)))
    shown = _float32(samples[downsample_keep_peaks(samples, [1, *gradient_norms], limit)])  # pyright: ignore[reportArgumentType]
    metrics = np.moveaxis(shown[:, 2:].reshape(len(shown), layers, len(LAYER_METRICS)), 2, 0).copy()
    drawn = {name: metric for name, metric in zip(LAYER_METRICS, metrics) if name in DRAWN}
    return Curves(shown[:, 0].copy(), shown[:, 1].copy(), **drawn)


def frame_curves(telemetry: Telemetry) -> FrameCurves:
    """The full evaluations, thinned alike; the newest is always there."""
    table = np.column_stack([telemetry.frames(name) for name in FRAME_COLUMNS])
    rows = np.union1d(downsample_keep_peaks(table, [1], CURVE_POINTS), [len(table) - 1])
    return FrameCurves(*_float32(table[rows].T.copy()))


def _float32(values):
    """As float32; what is finite stays so, at the end of its range."""
    largest = np.finfo(np.float32).max
    return np.where(np.isfinite(values), np.clip(values, -largest, largest), values).astype(np.float32)
