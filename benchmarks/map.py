"""The map of divergence: how fast networks train together, and whether their runs are the Trainer's.

    python -m benchmarks.map [--quick]

Speed is in millions of net-steps a processor second, of networks 2-4-2-1 on batches of 16; beside it the Trainer's, one by one. Outcomes
are compared in cells whose neighbours all have the same one: at the boundary a run is chaotic, and rounding decides.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from core.config import RunConfig
from core.experiments.map import OUTCOMES, Axis, Cells, Map, MapPlan, divergence_map, watched
from core.experiments.nets_last import Nets, nets_at_once
from core.training.trainer import Trainer

STEPS, SIDE, COMPARED, QUICK_COMPARED = 500, 256, 400, 60
BEST_OF = 5
RATES = Axis("optimizer.learning_rate", 0.001, 100, 64, log=True)
SCALES = Axis("init.scale", 0.1, 10, 64, log=True)
ACTIVATIONS = ("tanh", "relu")


def network(activation="tanh", dtype="float64", batch_size=16):
    """2-4-2-1 on the circle."""
    hidden = [{"units": units, "activation": activation} for units in (4, 2)]
    layers = [*hidden, {"units": 1, "activation": "sigmoid"}]
    return RunConfig.from_dict({"data": {"source": "circle"}, "layers": layers, "batch_size": batch_size, "dtype": dtype})


def speeds(activation, dtype):
    """(networks at once, net-steps a processor second together, and one by one)."""
    trainer = Trainer(network(activation, dtype))
    count = nets_at_once(trainer)
    few = watched(trainer)
    nets = Nets(trainer, {RATES.field: np.geomspace(0.001, 0.3, count)}, trainer.dataset.train.inputs[few], trainer.evaluator.targets[few])
    return count, count * _fastest(nets.advance, 60), _fastest(trainer.advance, 5000)


def _fastest(advance, updates):
    """Updates a processor second, the best of a few tries."""
    advance(updates // 10)
    tries = []
    for _ in range(BEST_OF):
        began = time.process_time()
        advance(updates)
        tries.append(updates / (time.process_time() - began))
    return max(tries)


def agreement(config, compared):
    """(cells compared, of these with the Trainer's outcome, share of all cells that is off the boundary)."""
    plan = MapPlan(config, RATES, SCALES, STEPS)
    found = Map(plan)
    for part in divergence_map(plan):
        found.take(part)
    padded = np.pad(found.outcomes, 1, mode="edge")
    rows, columns = plan.shape
    around = [padded[row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
    inside = np.argwhere(np.logical_and.reduce([cells == found.outcomes for cells in around]))
    chosen = np.random.default_rng(0).permutation(inside)[:compared]
    same = sum(alone(plan, row, column) == found.outcomes[row, column] for row, column in chosen.tolist())
    return len(chosen), same, len(inside) / found.outcomes.size


def alone(plan, row, column):
    """The outcome (its number) of a cell's run, made by a Trainer."""
    lone = MapPlan(plan.cell(row, column), Axis("seed", 0, 1, 2), Axis("data.seed", 0, 1, 2), plan.steps)
    return next(part.outcomes[0] for part in divergence_map(lone) if isinstance(part, Cells))


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_COMPARED} cells of each map instead of {COMPARED}, no map of {SIDE}")
    quick = parser.parse_args().quick
    print(f"{'2-4-2-1, batch 16':24}nets at once   M net-steps/s   one by one   factor")
    for activation in ACTIVATIONS:
        for dtype in ("float64", "float32"):
            count, together, lone = speeds(activation, dtype)
            print(f"{activation + ', ' + dtype:24}{count:12}{together / 1e6:16.2f}{lone / 1e6:13.3f}{together / lone:9.1f}")
    print(f"\n{f'{RATES.count} x {SCALES.count}, {STEPS} steps':24}off the boundary   compared   same outcome as the Trainer")
    for activation in ACTIVATIONS:
        cells, same, off = agreement(network(activation), QUICK_COMPARED if quick else COMPARED)
        print(f"{activation:24}{off:16.0%}{cells:11}{same / cells:30.1%}")
    if not quick:
        sizes = {"x": Axis(RATES.field, 0.001, 100, SIDE, log=True), "y": Axis(SCALES.field, 0.1, 10, SIDE, log=True)}
        for dtype in ("float32", "float64"):
            began, busy = time.perf_counter(), time.process_time()
            found = Map(MapPlan(network(dtype=dtype), **sizes, steps=STEPS))
            for part in divergence_map(found.plan, threads=os.cpu_count() or 1):
                found.take(part)
            told = ", ".join(f"{np.mean(found.outcomes == at):.0%} {name}" for at, name in enumerate(OUTCOMES))
            seconds = f"{time.perf_counter() - began:.1f} s, {time.process_time() - busy:.1f} processor seconds"
            print(f"\n{SIDE} x {SIDE} runs of {STEPS} steps, {dtype}: {seconds}: {told}")


if __name__ == "__main__":
    main()
