"""Makes snapshots of a run: everything that is computed only because somebody looks."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from core.data.dataset import signed_coding
from core.diagnosis import diagnose
from core.diagnosis.onset import first_crossing
from core.nn.network import with_ones
from core.snapshot.gradient_share import influence
from core.snapshot.histograms import DECADES, HistogramSeries, decades
from core.snapshot.snapshot import Confusion, Curves, FrameCurves, LayerView, Pictures, Plane, Points, Predictions, Snapshot, UnitView
from core.training.telemetry import FRAME_COLUMNS, LAYER_METRICS, downsample_keep_peaks

SHOWN_UNITS = 8  # of a layer, in the network diagram
UNIT_MAP, PLANE_MAP = 24, 60  # sides of a unit's map and of the decision boundary, in cells
SMALLEST_MAP = 12
MAP_WORK = 1 << 28  # cells times parameters at the most: larger networks get coarser maps
CURVE_VALUES = 24_000  # numbers in all curves of a snapshot together
CURVE_POINTS = 500
POINTS = 500  # samples drawn of each part
PICTURES = 3
UNIT_WEIGHTS = 64
SAMPLES = 256  # that activation histograms and means are taken from


class SnapshotMaker:
    """Keeps what snapshots share: grids, sample points and the histograms so far. `foresee` is what `diagnose` asks for the forecast."""

    def __init__(self, trainer, foresee=None):
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
        self._small = self._large = None
        if data.encode:
            finest = max(SMALLEST_MAP, int((MAP_WORK / network.vector.size) ** 0.5))
            self._side, self._large_side = min(UNIT_MAP, finest), min(PLANE_MAP, finest)
            grids = (plane_points(data.extent, side) for side in (self._side, self._large_side))
            self._small, self._large = (with_ones(data.encode(grid), network.dtype) for grid in grids)
        self._points = {name: self._sample_points(getattr(data, name)) for name in ("train", "test")}

    def make(self, status, steps_per_second, unit=None, past=None):
        """A Snapshot of the run as it is; `unit` (layer from 1, index from 0) is looked at closely.

        `past`, a Trainer of this run taken back to some moment, is shown in its place, among the whole run's histories.
        """
        self._trainer = past or self._live
        try:
            with np.errstate(all="ignore"):
                return self._make(status, steps_per_second, unit)
        finally:
            self._trainer = self._live  # the past may be let go of

    def forget_after(self, step):
        """Drop what the histograms over time hold behind `step`: the run goes on from there on another path."""
        for all_series in self._histograms.values():
            for series in all_series:
                series.drop_after(step)

    def _make(self, status, steps_per_second, unit):
        trainer, lived = self._trainer, self._live.telemetry
        trainer.frame()
        telemetry = trainer.telemetry
        findings, is_past = tuple(diagnose(trainer, self._foresee)), trainer is not self._live
        broken = status != "running" and any(finding.severity == "critical" for finding in findings)
        histograms = self._histogram_views()
        last = {name: float(telemetry.frames(name)[-1]) for name in ("train_loss", "test_loss", "train_metric", "test_metric")}
        tested = len(trainer.dataset.test) > 0
        return Snapshot(
            config=trainer.config.to_dict(),
            status=status,
            step=trainer.step,
            epoch=trainer.epoch,
            steps_per_second=steps_per_second,
            train_loss=last["train_loss"],
            test_loss=last["test_loss"] if tested else None,
            metric=trainer.metric_name,
            train_metric=last["train_metric"],
            test_metric=last["test_metric"] if tested else None,
            curves=curves(lived),
            frames=frame_curves(lived),
            events=tuple(lived.events[-50:]),
            nonfinite=lived.nonfinite,
            findings=findings,
            histograms=histograms,
            inputs=trainer.dataset.inputs,
            input_names=trainer.dataset.input_names[:SHOWN_UNITS],
            input_maps=None if self._small is None else _as_int8(self._small[:-1][:SHOWN_UNITS], self._side),
            layers=self._layer_views(),
            output=self._output(),
            unit=self._unit(*unit) if unit and self._has_unit(*unit) else None,
            moment=trainer.step if is_past else None,
            influence=influence(trainer) if is_past or broken else None,
            first_crossing=None if is_past else first_crossing(lived, findings),
        )

    def _histogram_views(self):
        """Histogram of each kind and layer, the present added to those over time."""
        trainer = self._trainer
        network = trainer.network
        self._activations = [a for _, a in network.forward(self._sample)]
        values = {
            "weights": network.flat_layers(network.vector),
            "gradients": [decades(gradient) for gradient in network.flat_layers(trainer.last_gradient())],
            "activations": self._activations,
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

    # Network

    def _layer_views(self):
        trainer = self._trainer
        maps = [None] * len(trainer.network.matrices)
        if self._small is not None:
            maps = [a[:SHOWN_UNITS] for _, a in trainer.network.forward(self._small)]
        views, incoming = [], min(SHOWN_UNITS, trainer.dataset.inputs)
        for layer, matrix, values, sampled in zip(trainer.config.layers, trainer.network.matrices, maps, self._activations):
            shown = min(SHOWN_UNITS, layer.units)
            scale = 0.0 if values is None else float(np.abs(values).max())
            views.append(
                LayerView(
                    units=layer.units,
                    activation=layer.activation,
                    maps=None if values is None else _as_int8(values, self._side, scale),
                    map_scale=scale,
                    weights=matrix[:shown, :incoming].T.astype(np.float32),
                    biases=matrix[:shown, -1].astype(np.float32),
                    mean=sampled[:shown].mean(axis=1).astype(np.float32),
                )
            )
            incoming = shown
        return tuple(views)

    def _has_unit(self, layer, index):
        layers = self._trainer.config.layers
        return 1 <= layer <= len(layers) and 0 <= index < layers[layer - 1].units

    def _unit(self, layer, index):
        network, data = self._trainer.network, self._trainer.dataset
        weights = network.matrices[layer - 1][index]
        sources = np.sort(np.argsort(-np.abs(weights[:-1]), kind="stable")[:UNIT_WEIGHTS])
        names = data.input_names if layer == 1 else [f"unit {number + 1}" for number in range(network.sizes[layer - 1])]
        series = HistogramSeries()
        series.add(self._activations[layer - 1][index], 0)
        histogram = series.histogram()
        values = None
        if self._large is not None:
            values = network.forward(self._large)[layer - 1][1][index].reshape(self._large_side, self._large_side).astype(np.float32)
        return UnitView(
            layer=layer,
            index=index,
            map=values,
            weights=weights[sources].astype(np.float32),
            sources=sources,
            source_names=tuple(names[source] for source in sources),
            bias=float(weights[-1]),
            low=histogram.low,
            high=histogram.high,
            counts=histogram.counts,
        )

    # Output

    def _output(self):
        data = self._trainer.dataset
        if data.encode:
            return self._plane()
        if data.target_image:
            return self._pictures()
        return self._predictions() if data.task == "regression" or not data.labels else self._confusion()

    def _plane(self):
        trainer, data = self._trainer, self._trainer.dataset
        outputs = trainer.network.forward(self._large)[-1][1].reshape(-1, self._large_side, self._large_side)
        low, high, winner = -1.0, 1.0, None
        if data.task == "regression":
            kind, values = "surface", outputs[0] * _first(data.target_factor) + _first(data.target_offset)
            targets = self._points["train"].target
            low, high = float(targets.min()), float(targets.max())
        elif data.outputs == 2:
            kind, values = "two_classes", self._leaning(outputs)
        else:
            kind, winner = "classes", outputs.argmax(axis=0).astype(np.uint8)
            shares = outputs - outputs.min(axis=0)
            values = shares.max(axis=0) / np.maximum(shares.sum(axis=0), np.finfo(np.float32).tiny)
        return Plane(kind, data.extent, values.astype(np.float32), winner, low, high, self._points["train"], self._points["test"])

    def _leaning(self, outputs):
        """Outputs for two classes as -1 (the first, sure) to 1 (the second, sure)."""
        if len(outputs) == 2:
            return np.clip(outputs[1] - outputs[0], -1, 1)
        config = self._trainer.config
        signed = signed_coding(config.layers[-1].activation, config.loss)
        return np.clip(outputs[0] if signed else 2 * outputs[0] - 1, -1, 1)

    def _sample_points(self, part):
        data = self._trainer.dataset
        if part.points is None:
            return None
        targets = part.targets[:POINTS]
        if not data.labels:
            targets = targets[:, 0] * _first(data.target_factor) + _first(data.target_offset)
        return Points(part.points[:POINTS].astype(np.float32), targets.astype(np.float32))

    def _confusion(self):
        trainer, matrices = self._trainer, []
        for name in ("train", "test"):
            part = getattr(trainer.dataset, name)
            matrix = np.zeros((trainer.dataset.outputs, trainer.dataset.outputs), int)
            if len(part):
                predicted = trainer.predicted_classes(name)
                np.add.at(matrix, (part.targets[: len(predicted)], predicted), 1)
            matrices.append(matrix)
        return Confusion(trainer.dataset.target_names, *matrices)

    def _predictions(self):
        data, arrays = self._trainer.dataset, []
        for part in (data.train, data.test):
            targets = part.targets[:POINTS]
            inputs = with_ones(part.inputs[:POINTS], self._trainer.network.dtype)
            outputs = self._trainer.network.forward(inputs)[-1][1].T
            for values in (targets, outputs):
                arrays.append((values * data.target_factor + data.target_offset).astype(np.float32).ravel()[:POINTS])
        return Predictions(", ".join(data.target_names[:3]), *arrays)

    def _pictures(self):
        data = self._trainer.dataset
        name = "test" if len(data.test) else "train"
        part = getattr(data, name)
        inputs, targets = part.inputs[:PICTURES], part.targets[:PICTURES]
        outputs = self._trainer.network.forward(with_ones(inputs, self._trainer.network.dtype))[-1][1].T
        low, high = inputs.min(), inputs.max()
        shown = (inputs - low) / (high - low or 1) if low < 0 or high > 1 else inputs
        targets, outputs = (values * data.target_factor + data.target_offset for values in (targets, outputs))
        rows = zip(_images(shown, data.image), _images(targets, data.target_image), _images(outputs, data.target_image))
        return Pictures(tuple(rows), name)


def plane_points(extent, side):
    """Raw coordinates (side * side, 2) of a grid over the square, rows from low x2 to high x2."""
    axis = np.linspace(*extent, side)
    x1, x2 = np.meshgrid(axis, axis)
    return np.column_stack([x1.ravel(), x2.ravel()])


def curves(telemetry):
    """The sampled steps, thinned to what a chart can show; spikes stay."""
    limit = min(CURVE_POINTS, CURVE_VALUES // (telemetry.layers * len(LAYER_METRICS)))
    table = np.column_stack([telemetry.step, telemetry.loss, telemetry.metric("gradient_norm")])
    rows = downsample_keep_peaks(table, list(range(1, table.shape[1])), limit)
    layers = {field.name: _float32(telemetry.metric(field.name)[rows]) for field in fields(Curves) if field.name in LAYER_METRICS}
    return Curves(_float32(telemetry.step[rows]), _float32(telemetry.loss[rows]), **layers)


def frame_curves(telemetry):
    """The full evaluations, thinned alike; the newest is always there."""
    table = np.column_stack([telemetry.frames(name) for name in FRAME_COLUMNS])
    rows = np.union1d(downsample_keep_peaks(table, [1], CURVE_POINTS), [len(table) - 1])
    return FrameCurves(*(_float32(column) for column in table[rows].T))


def _float32(values):
    """As float32; what is finite stays so, at the end of its range."""
    values = np.asarray(values)
    largest = np.finfo(np.float32).max
    return np.where(np.isfinite(values), np.clip(values, -largest, largest), values).astype(np.float32)


def _first(value):
    return float(np.ravel(value)[0])


def _as_int8(values, side, scale=None):
    """Maps (units, side * side) as int8, 127 = `scale`, or each unit's own largest magnitude."""
    values = np.nan_to_num(np.asarray(values, float), posinf=0, neginf=0)
    scale = np.abs(values).max(axis=1, keepdims=True) if scale is None else scale
    return (127 * values / np.maximum(scale, np.finfo(float).tiny)).clip(-127, 127).astype(np.int8).reshape(-1, side, side)


def _images(values, shape):
    """Rows of 0..1 values as (height, width, 3) uint8 pictures."""
    return [(255 * row).round().clip(0, 255).astype(np.uint8).reshape(shape) for row in np.nan_to_num(values)]
