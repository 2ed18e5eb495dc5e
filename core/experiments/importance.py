"""Which settings of a sweep matter: by how much worse a random forest predicts the metric of runs when one setting is shuffled among them
(Breiman 2001, "Random forests": permutation importance), always on runs that the forest was not fitted on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold

FEWEST, MOST = 20, 2000  # runs: fewer say nothing, of more a sample is taken
FOLDS, TREES, SHUFFLES = 4, 50, 5


@dataclass(frozen=True)
class Importance:
    """`lost` {setting: R^2 that is lost when it is shuffled, 0 at least}, the largest first; `explained` is the forest's R^2 on runs it has
    not seen: where it is low, the importances say little."""

    lost: dict[str, float]
    explained: float


def importance(results: Sequence[dict[str, Any]]) -> Importance | None:
    """The Importance of each setting that varies in these results, and of the seed; None where they are too few, or all alike.

    A run without a metric counts as the worst that has one. Numbers stay numbers, all else is numbered. The same results give the same one.
    """
    results = [result for result in results if result["status"] != "invalid"]
    metrics = np.array([np.nan if result["metric"] is None else result["metric"] for result in results], float)
    if len(results) < FEWEST or np.isnan(metrics).all():
        return None
    metrics = np.where(np.isnan(metrics), np.nanmin(metrics), metrics)
    columns = {name: _numbers([run["settings"].get(name) for run in results]) for name in results[0]["settings"]}
    columns |= {"seed": np.array([run["seed"] for run in results], float)}
    columns = {name: values for name, values in columns.items() if len(np.unique(values)) > 1}
    if not columns or np.ptp(metrics) == 0:
        return None
    inputs, rows = np.column_stack(list(columns.values())), np.random.default_rng(0).permutation(len(results))[:MOST]
    inputs, metrics = inputs[rows], metrics[rows]
    errors, shuffled, spread = 0.0, np.zeros(len(columns)), float(np.square(metrics - metrics.mean()).sum())
    for fitted, held in KFold(FOLDS, shuffle=True, random_state=0).split(inputs):
        forest = RandomForestRegressor(TREES, random_state=0, n_jobs=1).fit(inputs[fitted], metrics[fitted])
        errors += float(np.square(forest.predict(inputs[held]) - metrics[held]).sum())
        found: Any = permutation_importance(
            forest, inputs[held], metrics[held], scoring="neg_mean_squared_error", n_repeats=SHUFFLES, random_state=0, n_jobs=1
        )
        shuffled += found.importances_mean * len(held)
    lost = dict(zip(columns, np.maximum(shuffled / spread, 0.0).tolist()))
    return Importance(dict(sorted(lost.items(), key=lambda item: -item[1])), 1 - errors / spread)


def _numbers(values):
    """(n,) of numbers as they are, of all else the number of the value among those there are."""
    if all(isinstance(value, (int, float)) for value in values):
        return np.array(values, float)
    return np.unique([json.dumps(value, sort_keys=True) for value in values], return_inverse=True)[1].astype(float)
