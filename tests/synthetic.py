"""Snapshots of made-up runs: what the charts draw, without training anything."""

from __future__ import annotations

import itertools

import numpy as np

from core.snapshot.snapshot import (
    Confusion,
    Curves,
    FrameCurves,
    GaugeHistory,
    Histogram,
    LayerView,
    Pictures,
    Plane,
    Points,
    Predictions,
    Snapshot,
    UnitView,
)
from core.training.telemetry import Event

EXTENT = (-6.0, 6.0)
MAP, PLANE = 16, 60


def snapshot(step=2000, sizes=(2, 8, 8, 1), output="two_classes", unit=None, samples=250, bins=40, **changes):
    """A snapshot after `step` updates of a run whose weights turn slowly with the step. `sizes` are inputs and units."""
    rng = np.random.default_rng(1)
    planar = output in ("two_classes", "classes", "surface")
    turn = step / 4000
    weights = [rng.normal(size=pair) + np.sin(turn + rng.normal(size=pair)) for pair in itertools.pairwise(sizes)]
    biases = [0.3 * np.cos(turn + rng.normal(size=size)) for size in sizes[1:]]
    side = np.linspace(*EXTENT, PLANE) / 6
    x2, x1 = np.meshgrid(side, side, indexing="ij")
    features = [x1, x2, x1**2, x2**2, x1 * x2, np.sin(x1), np.sin(x2)][: sizes[0]]
    values = [np.stack([np.broadcast_to(feature, x1.shape) for feature in features]).reshape(len(features), -1)] if planar else []
    for layer_weights, bias in zip(weights, biases):
        if planar:
            values.append(np.tanh(layer_weights.T @ values[-1] + bias[:, None]))
    grid = [value.reshape(-1, PLANE, PLANE) for value in values]
    small = np.linspace(0, PLANE - 1, MAP).astype(int)
    maps = [np.rint(127 * value[:, small][:, :, small]).clip(-127, 127).astype(np.int8) for value in grid]
    layers = tuple(
        LayerView(
            units=size,
            activation="tanh",
            maps=maps[index + 1] if planar else None,
            map_scale=1.0,
            weights=weights[index].astype(np.float32),
            biases=biases[index].astype(np.float32),
            mean=np.tanh(biases[index] + turn).astype(np.float32),
        )
        for index, size in enumerate(sizes[1:])
    )
    fields = {
        "config": {},
        "status": "running",
        "step": step,
        "epoch": step / 25,
        "steps_per_second": 20_000.0,
        **_losses(step),
        "metric": "accuracy",
        "train_metric": 0.97,
        "test_metric": 0.95,
        "curves": curves(step, len(sizes) - 1),
        "frames": frames(step),
        "events": (Event(step // 2, "learning rate 0.03 → 0.1"),) if step else (),
        "nonfinite": None,
        "findings": (),
        "histograms": {kind: _histograms(step, len(sizes) - 1, bins) for kind in ("weights", "gradients", "activations")},
        "inputs": sizes[0],
        "input_names": tuple(f"x{index + 1}" for index in range(sizes[0])),
        "input_maps": maps[0] if planar else None,
        "layers": layers,
        "output": _plane(grid[-1], output, samples, rng) if planar else _OUTPUTS[output](rng),
        "unit": _unit(unit, weights, biases, grid) if unit else None,
        "forecast_history": _gauge(step),
    }
    return Snapshot(**fields | changes)


def _losses(step):
    return {"train_loss": 0.7 * np.exp(-step / 3000) + 0.02, "test_loss": 0.7 * np.exp(-step / 3500) + 0.03}


def curves(step, layers, points=500):
    """`points` samples of a run, fewer at its very start."""
    rng = np.random.default_rng(2)
    steps = np.unique(np.linspace(0, step, points).astype(int))[1:]
    count = len(steps)
    noise = np.exp(0.3 * rng.normal(size=(points, layers)))[:count]
    decay = np.exp(-steps / 4000)[:, None] * 10.0 ** np.linspace(-1, 0, layers)
    share = np.clip(steps / 20_000, 0, 1)[:, None] * np.linspace(0.2, 1, layers)
    return Curves(
        step=steps,
        loss=(0.7 * np.exp(-steps / 3000) + 0.02) * noise[:, 0],
        gradient_norm=decay * noise,
        weight_norm=2 + decay,
        update_ratio=0.01 * decay * noise,
        activation_mean=0 * decay,
        activation_deviation=0.5 + 0 * decay,
        dead=np.round(share * 8) / 8,
        saturated=share * 0.7,
    )


def frames(step, points=300):
    """Full evaluations of a run, the first at step 0."""
    steps = np.unique(np.linspace(0, step, points).astype(int))
    train, test = 0.7 * np.exp(-steps / 3000) + 0.02, 0.7 * np.exp(-steps / 3500) + 0.03
    return FrameCurves(steps, train, test, 1 - train / 2, 1 - test / 2)


def _gauge(step, points=100):
    steps = np.unique(np.linspace(0, step, points).astype(int)).astype(np.float32)
    return GaugeHistory(steps, (0.3 + 0.5 * steps / (steps + 2000)).astype(np.float32))


def _histograms(step, layers, bins):
    times = np.unique(np.linspace(0, step, 60).astype(int))
    centre = np.linspace(-1, 1, bins)[:, None]
    made = []
    for layer in range(layers):
        spread = 0.15 + 0.5 * np.clip(times / 10_000, 0, 1) + 0.05 * layer
        counts = np.exp(-((centre - 0.1 * layer) ** 2) / (2 * spread**2))
        now = np.rint(60 * counts[:, -1]).astype(int)
        made.append(Histogram(-3.0, 3.0, now, np.rint(255 * counts / counts.max(axis=0)).astype(np.uint8), times))
    return tuple(made)


def _plane(values, kind, samples, rng):
    xy = rng.uniform(*EXTENT, size=(2 * samples, 2)).astype(np.float32)
    if kind == "surface":
        target, low, high, winner = xy.sum(axis=1) / 6, -2.0, 2.0, None
        plane = 2 * values[0]
    elif kind == "classes":
        winner, plane = values.argmax(axis=0).astype(np.uint8), np.abs(values).max(axis=0)
        target, low, high = rng.integers(0, len(values), len(xy)).astype(float), 0.0, 1.0
    else:
        target, low, high, winner, plane = (xy[:, 0] * xy[:, 1] > 0).astype(float), -1.0, 1.0, None, values[0]
    parts = Points(xy[:samples], target[:samples]), Points(xy[samples:], target[samples:])
    return Plane(kind, EXTENT, plane.astype(np.float32), winner, low, high, *parts)


def _confusion(rng):
    counts = rng.integers(0, 4, (10, 10)) + 40 * np.eye(10, dtype=int)
    return Confusion(tuple("0123456789"), counts, counts // 3)


def _predictions(rng):
    true = rng.normal(150, 60, 300)
    return Predictions("disease progression", true, true + rng.normal(0, 20, 300), true[:90], true[:90] + rng.normal(0, 30, 90))


def _pictures(rng):
    def row():
        target = np.clip(
            rng.normal(120, 20, (1, 1, 3)) + 60 * np.sin(np.arange(64) / 7)[:, None, None] * np.cos(np.arange(64) / 9)[:, None], 0, 255
        )
        return (
            target[::4, ::4].astype(np.uint8),
            target.astype(np.uint8),
            np.clip(target + rng.normal(0, 9, target.shape), 0, 255).astype(np.uint8),
        )

    return Pictures(tuple(row() for _ in range(3)), "test")


_OUTPUTS = {"confusion": _confusion, "predictions": _predictions, "pictures": _pictures}


def _unit(unit, weights, biases, grid):
    layer, index = unit
    incoming = weights[layer - 1][:, index]
    order = np.argsort(-np.abs(incoming))[:64]
    names = tuple(f"x{source + 1}" if layer == 1 else f"unit {source + 1}" for source in order)
    counts = np.histogram(grid[layer][index], 30, (-1, 1))[0] if grid else np.full(30, 5)
    place = grid[layer][index].astype(np.float32) if grid else None
    return UnitView(layer, index, place, incoming[order], order, names, float(biases[layer - 1][index]), -1.0, 1.0, counts)
