"""Tables of other packages, read as anybody's own: how many load with a sensible task, and how well the proposed run does beside
scikit-learn's network of the same size on the same split; then time and memory of the largest. `make bench-tables`. Fetches nothing.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

PACKAGES = ("sklearn", "statsmodels", "plotly", "pandas", "vega_datasets", "altair", "seaborn", "scipy")
ENDINGS = (".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx", ".json", ".json.gz", ".dat", ".data")
FOLDERS = ("data", "datasets", "_data")  # tables lie in one of these
SEEDS, STEPS = 3, 4000
AIM = 0.85, 0.95  # share of the tables that load, and the median of score over scikit-learn's


def tables():
    """Paths of the tables of the packages that are installed."""
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and path.name.endswith(ENDINGS) and set(inside.parts[:-1]) & set(FOLDERS) and "tests" not in inside.parts:
                yield f"{package}/{inside}", path


def score(config):
    """(test metric of Descent, of scikit-learn), medians over seeds."""
    import warnings
    from dataclasses import replace

    import numpy as np
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from core.data import load
    from core.training.trainer import Trainer

    ours, theirs = [], []
    for seed in range(SEEDS):
        dataset = load(replace(config.data, seed=seed))
        trainer = Trainer(replace(config, data=replace(config.data, seed=seed), seed=seed), dataset)
        trainer.run(STEPS)
        ours.append(trainer.evaluator.metric("test"))
        kind = MLPRegressor if dataset.task == "regression" else MLPClassifier
        network = kind(hidden_layer_sizes=(config.layers[0].units,), activation="tanh", max_iter=400, random_state=seed)
        parts = (dataset.train.targets, dataset.test.targets)
        targets = [part.ravel() if part.size == len(part) else part for part in parts]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network.fit(dataset.train.inputs, targets[0])
            theirs.append(network.score(dataset.test.inputs, targets[1]))
    return float(np.median(ours)), float(np.median(theirs))


def compare():
    """Print a line for each table, then what they come to."""
    import numpy as np

    from core.limits import ConfigError
    from core.proposal import configured

    loaded, refused, ratios = 0, [], []
    print(f"{'table':58} {'task':14} {'target':18} {'Descent':>8} {'sklearn':>8}")
    for name, path in tables():
        try:
            config = configured({"data": {"path": str(path)}})
            ours, theirs = score(config)
        except ConfigError as error:
            refused.append((name, error.message))
            continue
        loaded += 1
        if theirs > 0.05:  # where scikit-learn learns nothing either, a ratio says nothing
            ratios.append(ours / theirs)
        target = str(config.data.target)[:18]
        print(f"{name[-58:]:58} {config.data.task:14} {target:18} {ours:8.3f} {theirs:8.3f}", flush=True)
    print()
    for name, message in refused:
        print(f"refused  {name[-58:]:58} {message[:160]}")
    share, median = loaded / (loaded + len(refused)), float(np.median(ratios))
    print(f"\n{loaded} of {loaded + len(refused)} load ({share:.0%}, aim {AIM[0]:.0%})")
    print(f"Score over scikit-learn's: median {median:.3f} (aim {AIM[1]})")
    low = sum(ratio < AIM[1] for ratio in ratios)
    print(f"{low} of {len(ratios)} are below {AIM[1]} of scikit-learn's")


def largest():
    """Print time and memory of loading the largest tables, each in a process of its own."""
    import numpy as np

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        long, wide = Path(folder) / "long.csv", Path(folder) / "wide.csv"
        values = rng.normal(size=(100_000, 11))
        rows = np.column_stack([values, (values[:, 0] > 0).astype(int)])
        np.savetxt(long, rows, "%.6g", ",", header=",".join([*(f"x{i}" for i in range(11)), "y"]), comments="")
        pixels = np.where(rng.random((10_000, 784)) < 0.8, 0, rng.integers(0, 256, (10_000, 784)))
        digits = np.column_stack([rng.integers(0, 10, 10_000), pixels])
        names = ["label", *(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))]
        np.savetxt(wide, digits, "%d", ",", header=",".join(names), comments="")
        newlines = Path(folder) / "newlines.csv.gz"
        newlines.write_bytes(gzip.compress(b"\n" * (64 << 20)))
        for path in (long, wide, newlines):
            subprocess.run([sys.executable, "-m", "benchmarks.tables", str(path)], check=True)


def measured(path):
    """Print what loading one file takes."""
    began = time.perf_counter()
    from core.data import load
    from core.limits import ConfigError
    from core.proposal import configured

    try:
        dataset = load(configured({"data": {"path": path}}).data)
        told = f"{dataset.rows:,} rows x {dataset.inputs} inputs"
    except ConfigError as error:
        told = f"refused: {error.message}"
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds, size = time.perf_counter() - began, os.path.getsize(path) / 2**20
    took = f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor, {used.ru_maxrss >> 10} MB"
    print(f"{Path(path).name} ({size:.1f} MiB): {told}; {took}")


def main():
    """The whole benchmark; with a path, what loading that one takes."""
    if len(sys.argv) > 1:
        measured(sys.argv[1])
        return
    largest()
    print()
    compare()


if __name__ == "__main__":
    main()
