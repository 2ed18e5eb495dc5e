"""Stored runs beside each other: which settings vary, on what axis, what each has learned, when two part; and a history as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.config import RunConfig
from core.link import LAYER_SETTINGS, SETTINGS, reached
from core.snapshot.maker import SnapshotMaker
from core.training.telemetry import FRAME_COLUMNS, LAYER_METRICS

if TYPE_CHECKING:
    from core.snapshot.snapshot import Confusion, Pictures, Plane, Predictions
    from core.store.record import StoredRun

AXES = ("step", "epoch", "time")  # what curves of several runs are aligned by; time is in seconds of training
LARGEST, MOST_SAMPLES = 50_000, 5_000  # parameters and samples up to which a network is looked at in the page's own process: 0.1 s
START = ("data", "layers", "init", "dtype", "seed")  # runs that agree in these begin with the same weights on the same samples


@dataclass(frozen=True)
class Parting:
    """`step`: the first sampled update in which two runs differ; None if they do not up to `last`, the last that both sampled."""

    step: int | None
    last: int


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """{dotted path: plain value} of every setting in a configuration's dict; of the layers as texts, `units`, `activations` and what else
    there is of them."""
    values = {name: reached(config, name) for name in SETTINGS}
    layers = values.pop("layers")
    shapes = {"units": "-".join(str(layer["units"]) for layer in layers), "activations": "-".join(layer["activation"] for layer in layers)}
    options = {name: [reached(layer, name) for layer in layers] for name in LAYER_SETTINGS}
    usual = {name: None if "." in name else spec.default for name, spec in LAYER_SETTINGS.items()}
    told = {f"layers.{name}": None if set(entries) == {usual[name]} else "-".join(map(str, entries)) for name, entries in options.items()}
    return values | shapes | told


def varying(configs: Iterable[dict[str, Any]]) -> dict[str, list]:
    """{dotted path: its value in each} of the settings in which these configurations' dicts differ: the one with most values first, seeds
    last."""
    rows = [settings(config) for config in configs]
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    distinct = {name: len(set(map(repr, values))) for name, values in columns.items()}
    ranked = sorted(distinct, key=lambda name: (name.endswith("seed"), -distinct[name]))
    return {name: columns[name] for name in ranked if distinct[name] > 1}


def positions(run: StoredRun, steps: np.ndarray, axis: str) -> np.ndarray:
    """Where `steps` (n,) of a StoredRun lie on one of AXES: exact at every moment that is kept, between them in proportion."""
    if axis == "step":
        return np.asarray(steps, float)
    if axis == "time":
        known = {moment.step: moment.spent for moment in run.moments}
        last = run.seconds
    else:  # batches may have been cut anew on the way, which changes how many make an epoch
        cuts = [moment.state["position"] for moment in run.moments]
        known = {float(cut_at): float(epochs) for _, cut_at, _, epochs in cuts}
        last = run.epoch
    known = dict(sorted(({0: 0.0} | known | {run.step: last}).items()))
    return np.interp(steps, list(known), list(known.values()))


def start_alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configurations' dicts begin with the same weights on the same samples, so that it makes sense to ask when they part."""
    return all(one[name] == other[name] for name in START)


def parting(one: StoredRun, other: StoredRun) -> Parting:
    """The Parting of two StoredRuns whose histories begin alike."""
    tables = [_by_step(run) for run in (one, other)]
    shared = tables[0].index.intersection(tables[1].index)
    if not len(shared):
        return Parting(0, 0)
    left, right = (table.loc[shared].to_numpy() for table in tables)
    alike = (left == right) | (np.isnan(left) & np.isnan(right))
    unknown = np.isnan(left).all(axis=0) | np.isnan(right).all(axis=0)  # a metric that was not recorded when one of them was trained
    unknown[0] = False  # the loss always was
    differs = ~(alike | unknown).all(axis=1)
    return Parting(int(shared[differs.argmax()]) if differs.any() else None, int(shared[-1]))


def learned(run: StoredRun) -> Plane | Confusion | Predictions | Pictures | None:
    """What the network of a StoredRun makes of its data now, as core.snapshot.snapshot has it: Plane, Confusion, Predictions or Pictures.
    None where no state was kept, or the network or its data are too large to look at here."""
    config = RunConfig.from_dict(run.config)
    if not run.moments or run.moments[-1].state["vector"].size > LARGEST or config.data.samples > MOST_SAMPLES:
        return None
    return SnapshotMaker(run.trainer(), lambda trainer: None).make("paused", 0.0).output


def _by_step(run):
    """All that was recorded of the sampled updates, by step."""
    rows, _ = rows_of(run)
    table = pd.DataFrame(rows[:, 1:], index=rows[:, 0])
    return table[~table.index.duplicated()]


def rows_of(run: StoredRun) -> list[np.ndarray]:
    """(sampled rows, full evaluations) of a StoredRun, as Telemetry has them; without rows where only its figures were kept."""
    layers = len(run.config["layers"])
    empty = {"samples": np.empty((0, 2 + layers * len(LAYER_METRICS))), "frames": np.empty((0, len(FRAME_COLUMNS)))}
    return [run.history.get(name, none) for name, none in empty.items()]


def history_table(run: StoredRun) -> pd.DataFrame:
    """A StoredRun's history as a DataFrame: one row a step that was sampled or evaluated, the columns named for what they are."""
    samples, frames = rows_of(run)
    layers = (samples.shape[1] - 2) // len(LAYER_METRICS)
    names = [f"layer_{layer}_{metric}" for layer in range(1, layers + 1) for metric in LAYER_METRICS]
    sampled = pd.DataFrame(samples, columns=["step", "batch_loss", *names])
    metric = run.figures["metric"]
    evaluated = pd.DataFrame(frames, columns=[name.replace("metric", metric) for name in FRAME_COLUMNS])
    table = evaluated.merge(sampled, on="step", how="outer").sort_values("step", kind="stable")
    return table.astype({"step": "int64"})


def history_csv(run: StoredRun) -> str:
    """The history of a StoredRun as the text of a CSV file."""
    return history_table(run).to_csv(index=False)
