"""How far the forecast can be trusted: its verdict before the first step, and its warnings while a run lives, against what happens.

    python -m benchmarks.forecast [--quick]

Every run is drawn from the ranges in `draw`, from a seed of its own. PARTS are two draws: thresholds were chosen by looking at the first;
the second was looked at once. A run of STEPS updates has diverged when `has_diverged` (core/diagnosis/forecast.py) says so of its full
training losses, first to last; a second, simpler definition (not finite, or ending above where it began) is reported beside it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import statistics
import time

import numpy as np

from core.config import RunConfig
from core.data.sources import SOURCES
from core.diagnosis.evidence import Evidence
from core.diagnosis.forecast import LIVE, SETTLED, forecast, has_diverged
from core.nn.activations import ACTIVATIONS
from core.training.trainer import Trainer

PARTS = {"tuned on": 11, "looked at once": 20}
RUNS, QUICK_RUNS = 600, 60  # of each part
LIVE_RUNS, QUICK_LIVE_RUNS = 70, 10
STEPS = 1000
LIVE_STEPS, LIVE_EVERY = 600, 10  # updates of a run that is watched, and between two forecasts
SPIKE, SPIKE_WINDOW, LATE = 2.0, 10, 50  # a loss so many times the median of so many looks before it, after this step, is a late spike
PROCESSES = 2

SMOOTH = [name for name, entry in ACTIVATIONS.items() if entry.curvature and not entry.kinks]
KINKED = [name for name, entry in ACTIVATIONS.items() if entry.kinks]
TASKS = {  # kind of task -> (output activation, loss)
    "regression": [("linear", "mse"), ("linear", "mse"), ("linear", "huber"), ("linear", "mae")],
    "two classes": [("sigmoid", "binary_cross_entropy")] * 2 + [("sigmoid", "mse"), ("tanh", "mse"), ("linear", "hinge")],
    "classes": [("softmax", "categorical_cross_entropy")] * 2
    + [("softmax", "mse"), ("linear", "mse"), ("sigmoid", "binary_cross_entropy")],
}
OPTIMIZERS = {"sgd": 8, "momentum": 4, "nesterov": 2, "adam": 3, "rmsprop": 2, "adagrad": 1}  # how often each is drawn
# Toy sets and tables; what a person draws, or writes down as a formula, is none
TOYS = [name for name, source in SOURCES.items() if source.kind in ("planar", "table") and isinstance(source.outputs, int)]


def draw(seed):
    """A configuration (with learning rate 1) and the learning rate it shall have: (times the stability limit, or as it is).

    Data: every toy set and table, 60 to 300 samples, any scaling. Networks: 1 to 4 hidden layers of 4 to 32 units, one activation (9 in
    20 with kinks), four initializers at 0.5 to 2 times their size. Half the runs use the full batch, the others 8, 16 or 32 samples. One
    in 7 has a penalty (l2 1e-5 to 1e-2), one in 12 clips, one in 7 is float32. Learning rates: 0.1 to 30 times the limit at the start, and
    for adaptive optimizers, which change their limit as they go, 0.001 to 1.
    """
    rng = np.random.default_rng(seed)

    def between(low, high):
        return float(np.exp(rng.uniform(math.log(low), math.log(high))))

    def pick(options):
        return options[rng.integers(len(options))]

    name = pick(TOYS)
    source = SOURCES[name]
    task = "regression" if source.task == "regression" else "two classes" if source.outputs == 2 else "classes"
    output, loss = pick(TASKS[task])
    activation = pick(SMOOTH if rng.random() < 0.55 else KINKED)
    layers = [{"units": int(rng.integers(4, 33)), "activation": activation} for _ in range(rng.integers(1, 5))]
    optimizer = pick([name for name, times in OPTIMIZERS.items() for _ in range(times)])
    data = {"source": name, "samples": min(source.samples, int(rng.integers(60, 300))), "test_fraction": 0.0, "seed": int(seed[-1])}
    data |= {"scaling": pick(["none", "standard", "minmax"]), "noise": rng.uniform(0, 0.5)}
    data |= {"target_scaling": pick(["none", "standard", "standard", "minmax"])} if task == "regression" else {}
    config = {
        "data": data,
        "layers": [*layers, {"units": 1 if task == "two classes" else source.outputs, "activation": output}],
        "init": {"weights": pick(["glorot_uniform", "he_normal", "lecun_normal", "orthogonal"]), "scale": between(0.5, 2)},
        "loss": loss,
        "optimizer": {"name": optimizer, "learning_rate": 1.0, "momentum": pick([0.5, 0.9, 0.95])},
        "batch_size": None if rng.random() < 0.5 else pick([8, 16, 32]),
        "penalty": {"l2": between(1e-5, 1e-2) if rng.random() < 1 / 7 else 0.0},
        "clip_norm": between(0.1, 5) if rng.random() < 1 / 12 else None,
        "dtype": "float32" if rng.random() < 1 / 7 else "float64",
        "seed": int(seed[-1]),
    }
    adaptive = optimizer in ("adam", "rmsprop", "adagrad")
    return RunConfig.from_dict(config), adaptive, between(1e-3, 1) if adaptive else between(0.1, 30)


def at_rate(config, rate):
    """A Trainer of the configuration at this learning rate, within what a configuration may hold."""
    return Trainer(config.patched({"optimizer": {"learning_rate": min(max(rate, 1e-12), 1e6)}}))


def outcome(trainer):
    """(diverged, ended above where it began or not finite) after STEPS updates, looked at each update at first, then ever less often."""
    for step in np.unique(np.rint(np.concatenate([np.arange(1, 17), np.linspace(17, STEPS, 100)])).astype(int)):
        trainer.advance(int(step) - trainer.step)
        if trainer.nonfinite:
            return True, True
        trainer.frame()
    steps, losses = trainer.telemetry.frames("step"), trainer.telemetry.frames("train_loss")
    chance = Evidence(trainer).data.baseline.loss
    return has_diverged(steps, losses, losses[0], losses.min(), chance), bool(np.median(losses[steps > 0.8 * STEPS]) > losses[0])


def before_play(seed):
    """The forecast of one run, and what came of it."""
    config, adaptive, rate = draw(seed)
    if not adaptive:
        rate *= forecast(Trainer(config), LIVE).stability_limit
        rate = rate if math.isfinite(rate) else 1.0  # nothing curves upwards: there is no limit
    trainer = at_rate(config, rate)
    began = time.perf_counter()
    seen = forecast(trainer)
    took = time.perf_counter() - began
    settled = None
    if adaptive and seen.ratio < 1:
        settled = seen.stability_limit / forecast(at_rate(config, rate).advance(SETTLED), LIVE).stability_limit
    diverged, above = outcome(trainer)
    mended = not outcome(at_rate(config, seen.largest_stable_rate))[0] if diverged else None
    return {
        "activation": config.layers[0].activation,
        "optimizer": config.optimizer.name,
        "mini": config.batch_size is not None,
        "ratio": seen.ratio,
        "unstable": seen.verdict == "unstable",
        "verdict": seen.verdict,
        "diverged": diverged,
        "above": above,
        "mended": mended,
        "settled": settled,
        "seconds": took,
    }


def while_live(seed):
    """(steps of the first late spike, of the first "edge", of the first "unstable") of a run that begins below its limit; None for never.

    It trains on the full batch, without clipping, at 0.3 to 0.9 of its limit. None for a run that was said to be unstable at the start.
    """
    config, _, _ = draw(seed)
    rng = np.random.default_rng([*seed, 1])
    config = config.patched({"batch_size": None, "clip_norm": None})
    limit = forecast(Trainer(config), LIVE).stability_limit
    trainer = at_rate(config, float(rng.uniform(0.3, 0.9)) * limit if math.isfinite(limit) else 1.0)
    first, losses, spike = {}, [], None
    while trainer.step < LIVE_STEPS and spike is None:
        if trainer.step % LIVE_EVERY == 0:
            first.setdefault(forecast(trainer, LIVE).verdict, trainer.step)
            if first.get("unstable") == 0:
                return None
        trainer.advance(1)
        losses.append(math.inf if trainer.nonfinite else trainer.loss())
        if trainer.step > LATE and losses[-1] > SPIKE * statistics.median(losses[-1 - SPIKE_WINDOW : -1]):
            spike = trainer.step
    return spike, first.get("edge"), first.get("unstable")


def gather(function, seeds, title):
    """`function` of every seed, two at a time, saying now and then how far it is."""
    results, began = [], time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for result in pool.imap_unordered(function, seeds, chunksize=2):
            results.append(result)
            if len(results) % max(1, len(seeds) // 5) == 0:
                print(f"  {title}: {len(results)} of {len(seeds)}, {time.perf_counter() - began:.0f} s", flush=True)
    return results


def scores(runs, truth="diverged", predicted=lambda run: run["unstable"]):
    """'precision recall' of a prediction."""
    hits = sum(predicted(run) and run[truth] for run in runs)
    said, true = sum(map(predicted, runs)), sum(run[truth] for run in runs)
    return f"{hits / said if said else math.nan:.2f}  {hits / true if true else math.nan:.2f}"


def groups():
    """(name, whether a run belongs to it) of the rows of the table."""
    for kind, names in (("smooth activations", SMOOTH), ("activations with kinks", KINKED)):
        yield kind, lambda run, names=names: run["activation"] in names
        yield "  full batch", lambda run, names=names: run["activation"] in names and not run["mini"]
        yield "  mini-batches", lambda run, names=names: run["activation"] in names and run["mini"]
        for name in names:
            yield f"  {name}", lambda run, name=name: run["activation"] == name
    for name in OPTIMIZERS:
        yield name, lambda run, name=name: run["optimizer"] == name


def report_verdicts(name, runs):
    """Print precision and recall by group, and what the ratio alone says."""
    print(f"\n{name}: {len(runs)} runs; precision and recall of")
    print(f"{'':<26}{'runs':>6}{'diverged':>10}   unstable    unstable, simpler   ratio > 2 alone")
    for group, member in groups():
        chosen = [run for run in runs if member(run)]
        if chosen:
            share = sum(run["diverged"] for run in chosen) / len(chosen)
            columns = scores(chosen), scores(chosen, "above"), scores(chosen, predicted=lambda run: run["ratio"] > 2)
            print(f"{group:<26}{len(chosen):>6}{share:>10.0%}   {columns[0]:<12}{columns[1]:<20}{columns[2]}")
    for verdict in ("stable", "edge", "unstable"):
        chosen = [run for run in runs if run["verdict"] == verdict]
        print(f"said {verdict}: {len(chosen)} runs, {sum(run['diverged'] for run in chosen)} diverged")
    tried = [run["mended"] for run in runs if run["mended"] is not None]
    print(f"diverged runs that do not at the largest stable rate: {sum(tried) / len(tried):.0%} of {len(tried)}")
    for optimizer in ("adam", "rmsprop", "adagrad"):
        ratios = [run["settled"] for run in runs if run["optimizer"] == optimizer and run["settled"]]
        if len(ratios) > 1:
            low, median, high = np.quantile(ratios, (0.1, 0.5, 0.9))
            print(f"{optimizer}'s limit before the start, over that after {SETTLED} updates: {median:.2f} (80% in {low:.2f} to {high:.2f})")
    print(f"a forecast took {1e3 * statistics.median(run['seconds'] for run in runs):.0f} ms (median)")


def report_bands(runs):
    """Print the share of runs that diverged by learning rate over limit."""
    print("\nshare that diverged, by learning rate over limit (sgd, momentum, nesterov)")
    edges = (0.1, 0.5, 1, 2, 4, 8, 16, 30)
    print(f"{'':<12}" + "".join(f"{f'{low:g}-{high:g}':>12}" for low, high in itertools.pairwise(edges)))
    for activation in (*SMOOTH, *KINKED):
        cells = []
        for low, high in itertools.pairwise(edges):
            chosen = [
                run["diverged"]
                for run in runs
                if run["activation"] == activation and run["optimizer"] in ("sgd", "momentum", "nesterov") and low <= run["ratio"] < high
            ]
            cells.append(f"{sum(chosen) / len(chosen):.0%} of {len(chosen)}" if chosen else "")
        print(f"{activation:<12}" + "".join(f"{cell:>12}" for cell in cells))


def report_live(name, watched):
    """Print how long before a late spike the first warning came, and how many runs without one were warned of."""
    watched = [run for run in watched if run is not None]
    calm = sum(spike is None for spike, *_ in watched)
    print(f"\n{name}, watched every {LIVE_EVERY} updates: {len(watched) - calm} of {len(watched)} runs had a late spike")
    for words, warning in (("edge or unstable", lambda steps: steps), ("unstable", lambda steps: steps[1:])):
        leads, false = [], 0
        for spike, *steps in watched:
            first = min((step for step in warning(steps) if step is not None), default=None)
            if first is not None and spike is not None:
                leads.append(spike - first)
            false += first is not None and spike is None
        lead = f"median lead {statistics.median(leads):.0f} updates" if leads else "no lead"
        print(f"  said {words}: before {len(leads)} of {len(watched) - calm} spikes, {lead}; in {false} of {calm} runs without one")


def main():
    """Run both parts and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs of each part instead of {RUNS}")
    quick = parser.parse_args().quick
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # for the processes to come
    every = []
    for name, part in PARTS.items():
        runs = gather(before_play, [(part, index) for index in range(QUICK_RUNS if quick else RUNS)], name)
        watched = gather(while_live, [(part, 1, index) for index in range(QUICK_LIVE_RUNS if quick else LIVE_RUNS)], f"{name}, live")
        report_verdicts(name, runs)
        report_live(name, watched)
        every += runs
    report_bands(every)


if __name__ == "__main__":
    main()
