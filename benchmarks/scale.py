"""Where the results of a large sweep belong: synthetic runs in the results file, in SQLite, and in Parquet files that DuckDB asks.

`python -m benchmarks.scale [RUNS]` (100,000 by default) writes them to a temporary folder and prints processor seconds and
megabytes of each.
DuckDB is no requirement: `pip install duckdb` for its rows, which are left out without it.
"""

import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import RunConfig
from core.experiments.sweep import Sweep
from core.experiments.sweep_results import FORMAT, Results
from core.experiments.sweep_runs import sweep_runs
from core.store.store import Store

PART = 10_000  # runs of one Parquet file: what a sweep would hold back before it writes
CURVE = 60  # points of a loss curve
SEEDS = 5
BEST = "SELECT rate, units, avg(metric) AS mean, {spread}(metric) AS spread FROM {runs} GROUP BY rate, units ORDER BY mean DESC LIMIT 10"


def synthetic(runs):
    """A DataFrame of so many runs that nobody trained: two settings, a seed, status, metric, loss and a curve (CURVE,) float32 as bytes."""
    rng = np.random.default_rng(0)
    point = np.arange(runs) // SEEDS
    rates, units = 10 ** rng.uniform(-4, 0, point[-1] + 1), rng.integers(1, 65, point[-1] + 1)
    curves = np.cumsum(rng.normal(size=(runs, CURVE)), axis=1).astype("<f4")
    return pd.DataFrame(
        {
            "key": [f"{index:024x}" for index in range(runs)],
            "rate": rates[point],
            "units": units[point],
            "seed": np.arange(runs) % SEEDS,
            "status": rng.choice(["healthy", "warning", "diverged"], runs),
            "metric": rng.uniform(size=runs),
            "loss": rng.uniform(size=runs),
            "curve": [row.tobytes() for row in curves],
        }
    )


def timed(what, work, megabytes=None):
    """What `work()` gives; prints how long it took of a processor."""
    began = time.process_time()
    found = work()
    size = f"{megabytes():9.1f} MB" if megabytes else ""
    print(f"{what:58}{time.process_time() - began:9.3f} s{size}", flush=True)
    return found


def results_file(table, path):
    """The results file as a sweep writes it: a line for each run, read again when the sweep goes on."""

    def write():
        with path.open("wb") as file:
            file.write(json.dumps({FORMAT: 1, "token": "t", "sweep": {}}).encode() + b"\n")
            for row in table.drop(columns="curve").to_dict("records"):
                settings = {"optimizer.learning_rate": row["rate"], "layers.0.units": row["units"]}
                rest = {"metric_name": "accuracy", "test_loss": row["loss"], "steps": 2000, "id": row["key"]}
                file.write(json.dumps(row | {"settings": settings} | rest).encode() + b"\n")
                file.flush()

    timed("results file: written line by line", write, lambda: path.stat().st_size / 1e6)
    assert len(timed("results file: read again, every line checked", lambda: Results.read(path)).known) == len(table)


def sqlite(table, path):
    """A table in SQLite, written in batches, and the question for the best settings."""
    connection = sqlite3.connect(path)

    def write():
        for at in range(0, len(table), PART):
            table.iloc[at : at + PART].to_sql("runs", connection, if_exists="append", index=False)

    timed(f"SQLite: written, {PART:,} runs in a transaction", write, lambda: path.stat().st_size / 1e6)
    timed("SQLite: ten best settings of all", lambda: connection.execute(BEST.format(runs="runs", spread="avg")).fetchall())
    connection.close()


def parquet(table, folder):
    """Parquet files of PART runs each, asked by pandas and by DuckDB."""
    folder.mkdir()
    timed(
        f"Parquet: written, {PART:,} runs in a file",
        lambda: [table.iloc[at : at + PART].to_parquet(folder / f"{at:08}.parquet", index=False) for at in range(0, len(table), PART)],
        lambda: sum(file.stat().st_size for file in folder.iterdir()) / 1e6,
    )
    columns = ["rate", "units", "metric"]
    grouped = timed(
        "Parquet: ten best settings, by pandas",
        lambda: pd.read_parquet(folder, columns=columns).groupby(["rate", "units"])["metric"].agg(["mean", "std"]).nlargest(10, "mean"),
    )
    try:
        import duckdb
    except ImportError:
        print("DuckDB is not installed: pip install duckdb")
        return
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    files = f"'{folder}/*.parquet'"
    best = timed("Parquet: ten best settings, by DuckDB", lambda: connection.execute(BEST.format(runs=files, spread="stddev")).fetchall())
    assert np.allclose([row[2] for row in best], grouped["mean"])
    key = table["key"].iloc[-1]
    one = f"SELECT curve FROM {files} WHERE key = '{key}'"
    (curve,) = timed("Parquet: one run's curve, by DuckDB", lambda: connection.execute(one).fetchone())
    assert curve == table["curve"].iloc[-1]


def real(folder, runs=20):
    """What a run of the page's opening kind costs when it is trained, and when it is kept."""
    base = RunConfig.from_dict({"data": {"source": "circle"}}).to_dict()
    sweep, store = Sweep.from_dict({"base": base, "seeds": runs, "steps": 2000}), Store(folder / "store")
    records = []
    began = time.process_time()
    list(sweep_runs(sweep, Results(), records.append, processes=1))
    print(f"one run of 2,000 steps, trained and diagnosed: {(time.process_time() - began) / runs:.3f} s of a processor")
    began = time.process_time()
    for record in records:
        store.save(record)
    size = sum(file.stat().st_size for file in (folder / "store").iterdir()) / runs / 1e3
    print(f"one run kept in the store: {(time.process_time() - began) / runs * 1e3:.1f} ms, {size:.0f} kB")


def main(runs):
    """Print all of it."""
    table = synthetic(runs)
    with tempfile.TemporaryDirectory(prefix="descent-scale-") as name:
        folder = Path(name)
        real(folder)
        print(f"{runs:,} synthetic runs")
        results_file(table, folder / "results.jsonl")
        sqlite(table, folder / "runs.db")
        parquet(table, folder / "parquet")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
