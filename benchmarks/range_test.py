"""Do theory and test agree: the stability limit from the sharpness, and the learning rate at which the range test blows up.

    python -m benchmarks.range_test [--quick]

Two populations. "usual": what `draw` here gives, networks as one sets them up with care. "anything": those of `draw` in
benchmarks/forecast.py without adaptive optimizers: also unscaled data, first weights at half to twice their size, any loss.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections import defaultdict

import numpy as np

from benchmarks import forecast
from core.config import RunConfig
from core.data.sources import SOURCES
from core.experiments.range_test import range_test
from core.nn.activations import ACTIVATIONS

PART, RUNS, QUICK_RUNS = 30, 300, 60
FACTOR = 2.0
HIDDEN = ("tanh", "sigmoid", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus")


def draw(number):
    """A configuration: every toy set and table, inputs and a regression's targets standardised; 1 to 3 hidden layers of 4 to 32 units with
    first weights that suit their activation; the loss that belongs to the task; SGD or momentum; batches of 10 or 32, or all samples."""
    rng = np.random.default_rng([PART, number])

    def pick(options):
        return options[rng.integers(len(options))]

    source, activation = pick(forecast.TOYS), pick(HIDDEN)
    data = {"source": source, "scaling": "standard", "seed": number}
    data |= {"target_scaling": "standard"} if SOURCES[source].task == "regression" else {}
    output = RunConfig.from_dict({"data": data}).to_dict()["layers"][-1]
    layers = [{"units": int(rng.integers(4, 33)), "activation": activation} for _ in range(rng.integers(1, 4))]
    return RunConfig.from_dict(
        {
            "data": data,
            "layers": [*layers, output],
            "init": {"weights": ACTIVATIONS[activation].init},
            "optimizer": {"name": pick(["sgd", "sgd", "momentum"])},
            "batch_size": pick([None, None, 10, 32]),
            "seed": number,
        }
    )


def anything(runs):
    """So many configurations of the harsh population that are not adaptive."""
    drawn = (forecast.draw((PART, number)) for number in range(2 * runs))
    return [config for config, adaptive, _ in drawn if not adaptive][:runs]


def main():
    """Print the shares that agree within FACTOR."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs of each population instead of {RUNS}")
    runs = QUICK_RUNS if parser.parse_args().quick else RUNS
    ratios = defaultdict(list)
    for population, configs in (("usual", [draw(number) for number in range(runs)]), ("anything", anything(runs))):
        for config in configs:
            found = range_test(config)
            ratio = (found.diverged_at or math.inf) / found.stability_limit
            cut = "all samples" if config.batch_size is None else "batches"
            for name in (population, f"{population}, {config.optimizer.name}, {cut}"):
                ratios[name].append(math.inf if math.isnan(ratio) else ratio)
    print(f"{'':32}  runs  within {FACTOR:g}x  never  blow-up over limit: quarter, median, three quarters")
    for name, values in sorted(ratios.items()):
        agree = statistics.mean(1 / FACTOR <= ratio <= FACTOR for ratio in values)
        never = statistics.mean(map(math.isinf, values))
        quarters = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        print(f"{name:32}{len(values):6}{agree:10.0%}{never:7.0%}     {'  '.join(f'{quarter:.2f}' for quarter in quarters)}")


if __name__ == "__main__":
    main()
