"""How far the diagnosis can be trusted: detection, false alarms, root causes and first fixes over a declared population of runs.

    python -m benchmarks.diagnosis [--quick] [--part NAME] [--verbose]

A healthy run is drawn by `draw` and counts when it reaches its source's RESULTS within STEPS updates. A faulty run is a healthy one with
one of the CAUSES put in, and counts when it no longer gets NEAR that result. PARTS are two draws: thresholds were chosen by looking at
the first; the second was looked at once.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import multiprocessing
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np

from core.config import RunConfig
from core.data import load
from core.data.sources import SOURCES
from core.diagnosis import diagnose
from core.diagnosis.finding import status
from core.limits import ConfigError
from core.nn.activations import ACTIVATIONS
from core.training.trainer import Trainer

PARTS = {"tuned on": 5, "looked at once": 10}
HEALTHY, FAULTY_EACH = 130, 6  # of each part
QUICK = 4  # times fewer
TRIES = 30  # draws for each faulty run wanted: some causes seldom do harm, or fit few networks
STEPS = 1500
EVERY = 50  # updates from one look at a healthy run to the next: an alarm at any of them counts as transient, if it does not stay
NEAR = 0.85  # of what the healthy run won over the best constant output
MENDED = 0.8
PROCESSES = 2

HELD_BACK = 0.6  # of a result on the samples held back: less is learned by heart

# What a run must reach on the training part to count as healthy: accuracy or R^2
RESULTS = {
    "circle": 0.95, "xor": 0.95, "gaussian": 0.97, "moons": 0.95, "spiral": 0.85, "flower": 0.8, "blobs": 0.97,
    "plane": 0.95, "hills": 0.75, "sine": 0.75,
    "iris": 0.95, "wine": 0.97, "breast_cancer": 0.96, "digits": 0.93, "diabetes": 0.45,
}  # fmt: skip
RATES = {"sgd": (0.03, 0.3), "momentum": (0.003, 0.03), "nesterov": (0.003, 0.03), "adam": (0.001, 0.01), "rmsprop": (0.001, 0.01)}
HIDDEN = ("tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "softplus")


def draw(rng):
    """A configuration that ought to learn: any source, 1 to 3 hidden layers of 6 to 32 units, one activation with first weights that suit
    it, an optimizer at a rate from RATES, batches of 8 to 64 or all samples, inputs standardised (planar ones may stay as they are)."""
    name = rng.choice(sorted(RESULTS))
    source = SOURCES[name]
    activation = str(rng.choice(HIDDEN))
    layers = 1 if activation in ("sigmoid", "softplus") else int(rng.integers(1, 4))
    optimizer = str(rng.choice(sorted(RATES)))
    low, high = np.log(RATES[optimizer])
    data = {
        "source": str(name),
        "samples": min(source.samples, int(rng.integers(150, 500))),
        "test_fraction": 0.3,
        "seed": int(rng.integers(1000)),
    }
    data |= {"noise": float(rng.uniform(0, 0.2))} if source.kind == "planar" else {}
    data["scaling"] = "none" if source.kind == "planar" and rng.random() < 0.5 else str(rng.choice(["standard", "minmax"]))
    data |= {"target_scaling": "standard"} if source.task == "regression" else {}
    last = RunConfig.from_dict({"data": data}).to_dict()
    if source.outputs == 2 and rng.random() < 0.3:
        last["layers"], last["loss"] = [{"units": 2, "activation": "softmax"}], "categorical_cross_entropy"
    return RunConfig.from_dict(
        {
            "data": data,
            "layers": [*({"units": int(rng.integers(6, 33)), "activation": activation} for _ in range(layers)), last["layers"][-1]],
            "init": {"weights": ACTIVATIONS[activation].init},
            "loss": last["loss"],
            "optimizer": {"name": optimizer, "learning_rate": float(np.exp(rng.uniform(low, high)))},
            "batch_size": [8, 16, 32, 64, None][rng.integers(5)],
            "seed": int(rng.integers(1000)),
        }
    )


# Causes: name -> (settings that may rightly be blamed, function (configuration, rng, folder) -> patch, or None where it cannot be put in)
CAUSES = {}


def cause(*blamed):
    def register(function):
        CAUSES[function.__name__] = blamed, function
        return function

    return register


def _hidden(config, activation=None, units=None, layers=None):
    *hidden, output = config.to_dict()["layers"]
    hidden = hidden * (layers // len(hidden) + 1) if layers else hidden
    hidden = [{"units": units or layer["units"], "activation": activation or layer["activation"]} for layer in hidden[:layers]]
    return {"layers": [*hidden, output]}


def _output(config, activation, loss=None, units=None):
    *hidden, output = config.to_dict()["layers"]
    return {"layers": [*hidden, {"units": units or output["units"], "activation": activation}], "loss": loss or config.loss}


def _task(config):
    source = SOURCES[config.data.source]
    return "regression" if source.task == "regression" else "classes" if config.layers[-1].units > 1 else "two classes"


def _file(config, rng, folder, inputs=lambda x: x, targets=lambda y: y):
    """The run's data as a file, changed: both parts together, split anew."""
    dataset = load(config.data)
    x = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    y = np.concatenate([dataset.train.targets, dataset.test.targets])
    if _task(config) == "regression":
        y = (y * dataset.target_factor + dataset.target_offset)[:, 0]
    path = Path(folder) / f"{rng.integers(1 << 60)}.npz"
    np.savez(path, X=inputs(x), y=targets(y))
    task = "regression" if _task(config) == "regression" else "classification"
    data = {"source": "file", "path": str(path), "task": task, "samples": len(x), "test_fraction": 0.3, "seed": config.data.seed}
    return {"data": {**config.to_dict()["data"], **data, "scaling": "none", "noise": 0.0}}


@cause("learning_rate", "optimizer")
def rate_far_too_large(config, rng, folder):
    return {"optimizer": {"learning_rate": config.optimizer.learning_rate * float(np.exp(rng.uniform(np.log(100), np.log(1000))))}}


@cause("learning_rate")
def descent_at_3_or_more(config, rng, folder):
    return {"optimizer": {"name": "sgd", "learning_rate": float(rng.uniform(3, 20))}}


@cause("learning_rate", "optimizer")
def adam_at_a_tenth_or_more(config, rng, folder):
    return {"optimizer": {"name": "adam", "learning_rate": float(rng.uniform(0.1, 1))}}


@cause("learning_rate", "epochs", "optimizer")
def rate_far_too_small(config, rng, folder):
    return {"optimizer": {"name": "sgd", "learning_rate": float(10 ** rng.uniform(-6, -4.5))}}


@cause("batch_size", "learning_rate", "optimizer")
def single_samples_with_momentum(config, rng, folder):
    return {"batch_size": 1, "optimizer": {"name": "momentum", "momentum": 0.95, "learning_rate": float(rng.uniform(0.05, 0.3))}}


@cause("activation", "init")
def deep_sigmoid(config, rng, folder):
    deep = _hidden(config, "sigmoid", layers=int(rng.integers(5, 10)))
    return {**deep, "init": {"weights": "glorot_uniform"}, "optimizer": {"name": "sgd", "learning_rate": 0.1}}


@cause("init")
def the_same_weights(config, rng, folder):
    return {"init": {"weights": str(rng.choice(["zeros", "constant"])), "scale": float(rng.uniform(0.1, 1))}}


@cause("init")
def weights_far_too_large(config, rng, folder):
    return {"init": {"weights": "normal", "scale": float(rng.uniform(3, 10))}, **_hidden(config, units=32, layers=3)}


@cause("init", "activation")
def weights_far_too_small(config, rng, folder):
    return {"init": {"weights": "normal", "scale": float(10 ** rng.uniform(-4, -2))}, **_hidden(config, layers=4)}


@cause("output_activation", "loss")
def softmax_of_one(config, rng, folder):
    return _output(config, "softmax", "binary_cross_entropy") if _task(config) == "two classes" else None


@cause("output_activation", "loss")
def cross_entropy_of_other_outputs(config, rng, folder):
    if _task(config) == "regression":
        return None
    loss = "categorical_cross_entropy" if _task(config) == "classes" else "binary_cross_entropy"
    others = ["linear", "relu", "tanh", "sigmoid"] if loss == "categorical_cross_entropy" else ["linear", "relu", "tanh"]
    return _output(config, str(rng.choice(others)), loss)


@cause("loss", "output_activation")
def squared_error_of_classes(config, rng, folder):
    return _output(config, str(rng.choice(["linear", "relu"])), "mse") if _task(config) == "classes" else None


@cause("loss", "output_activation")
def class_loss_on_values(config, rng, folder):
    loss = str(rng.choice(["binary_cross_entropy", "categorical_cross_entropy", "hinge"]))
    return _output(config, str(rng.choice(["sigmoid", "linear"])), loss) if _task(config) == "regression" else None


@cause("output_activation", "target_scaling")
def output_that_cannot_reach(config, rng, folder):
    return _output(config, str(rng.choice(["relu", "sigmoid", "softplus"]))) if _task(config) == "regression" else None


@cause("data_scaling")
def inputs_in_the_hundreds(config, rng, folder):
    factor, offset = 10 ** rng.uniform(2, 3), rng.uniform(0, 1) * 100
    return _file(config, rng, folder, inputs=lambda x: factor * x + offset)


@cause("data_scaling")
def inputs_in_the_thousandths(config, rng, folder):
    factor = 10 ** -rng.uniform(2, 4)
    return _file(config, rng, folder, inputs=lambda x: factor * x)


@cause("output_activation", "loss", "labels")
def classes_as_amounts(config, rng, folder):
    """Two classes as -1 and 1, or several as 0, 1, 2, ... of a single sigmoid."""
    if _task(config) == "regression":
        return None
    patch = _file(config, rng, folder, targets=lambda y: (y if y.max() > 1 else 2 * y - 1)[:, None].astype(float))
    return {**patch, **_output(config, "sigmoid", "binary_cross_entropy", units=1)}


@cause("data_scaling")
def tables_as_they_are(config, rng, folder):
    return {"data": {"scaling": "none"}} if config.data.source in ("wine", "breast_cancer") else None


@cause("target_scaling")
def targets_in_the_thousands(config, rng, folder):
    if _task(config) != "regression":
        return None
    factor = 10 ** rng.uniform(2.5, 4)
    patch = _file(config, rng, folder, targets=lambda y: factor * y / np.std(y))
    return {"data": {**patch["data"], "scaling": config.data.scaling, "target_scaling": "none"}}


@cause("penalty")
def penalty_that_drowns(config, rng, folder):
    return {"penalty": {"l2": float(rng.uniform(0.1, 1))} if rng.random() < 0.5 else {"l1": float(rng.uniform(0.05, 0.5))}}


@cause("labels")
def labels_shuffled(config, rng, folder):
    patch = _file(config, rng, folder, targets=rng.permutation)
    return {"data": {**patch["data"], "scaling": config.data.scaling}}


@cause("capacity", "activation")
def too_straight(config, rng, folder):
    if config.data.source not in ("circle", "xor", "spiral", "flower", "hills", "sine"):
        return None
    return _hidden(config, "linear") if rng.random() < 0.5 else _hidden(config, units=1, layers=1)


def _faults(*names):
    def put_in(config, rng, folder):
        for name in rng.permutation(names):
            try:
                Trainer(config.patched({"faults": [str(name)]}))
            except ConfigError:
                continue
            return {"faults": [str(name)]}

    return put_in


CAUSES["formula_fault"] = (
    ("gradient_code",),
    _faults(
        "sign_flip", "missing_mean", "no_hidden_derivative", "derivative_before_weights", "extra_output_derivative", "untransposed_weights"
    ),
)
CAUSES["state_fault"] = ("update_code",), _faults("reinitialized_weights", "stale_gradients")


def share(trainer, chance):
    """How much of what can be won over a constant output a run has won, on the training part."""
    metric = trainer.evaluator.metric()
    return (metric - chance) / (1 - chance) if np.isfinite(metric) else -1.0


def chance_of(config):
    """The metric of the best constant output."""
    if _task(config) == "regression":
        return 0.0
    return float(np.bincount(load(config.data).train.targets).max() / len(load(config.data).train))


def reached(trainer):
    """Whether the run has its source's result, and most of it on the samples held back."""
    result = RESULTS[trainer.config.data.source]
    return trainer.evaluator.metric() >= result and trainer.evaluator.metric("test") >= HELD_BACK * result


def healthy(seed):
    """A healthy run: (configuration, findings, codes that were alarms at any moment); None when what was drawn misses its result."""
    config = draw(np.random.default_rng(seed))
    if not reached(Trainer(config).run(STEPS)):
        return None
    trainer, alarms = Trainer(config), set()
    for _ in range(0, STEPS, EVERY):
        findings = diagnose(trainer.run(EVERY), cost=0)
        alarms |= {finding.code for finding in findings if finding.severity != "info"}
    return config, findings, alarms


def faulty(job):
    """A run with a cause put in: (cause, configuration, findings, mended, shares before, with it and mended, whether two other seeds have
    the same cause); None if it does no harm."""
    name, seed, folder = job
    rng = np.random.default_rng([*seed, zlib.crc32(name.encode())])
    config = draw(rng)
    patch = CAUSES[name][1](config, rng, folder)
    if patch is None:
        return None
    trainer = Trainer(config).run(STEPS)
    if not reached(trainer):
        return None
    won, chance = share(trainer, chance_of(config)), chance_of(config)
    try:
        broken = config.patched(patch)
        trainer = Trainer(broken).run(STEPS)
    except ConfigError:
        return None
    left = share(trainer, chance)
    if left > NEAR * won and name != "labels_shuffled":  # whatever was learned of these is worth nothing
        return None
    findings = diagnose(trainer)
    fixes = [finding.fix for finding in findings[:1] if finding.fix]
    after = share(Trainer(broken.patched(fixes[0])).run(STEPS), chance) if fixes else None
    mended = None if name.startswith("labels") or not findings else bool(fixes and after > MENDED * won)
    others = [diagnose(Trainer(broken.patched({"seed": broken.seed + more})).run(STEPS), cost=0) for more in (1, 2)]
    agree = all(bool(findings) and bool(other) and other[0].cause == findings[0].cause for other in others)
    return name, broken, findings, mended, (won, left, after), agree


def measure(part, quick, verbose):
    """Print the table of one part."""
    seed, less = PARTS[part], QUICK if quick else 1
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(PROCESSES) as pool:
        good, seeds = [], iter(range(1_000_000))
        while len(good) < HEALTHY // less:
            good += [run for run in pool.map(healthy, [(seed, 0, next(seeds)) for _ in range(16)], 4) if run]
        good = good[: HEALTHY // less]
        runs, wanted = [], max(2, FAULTY_EACH // less)
        for name in CAUSES:
            found, tries = [], 0
            while len(found) < wanted and tries < TRIES * wanted:
                jobs = [(name, (seed, 1, tries + number), folder) for number in range(8)]
                found += [run for run in pool.map(faulty, jobs, 1) if run]
                tries += len(jobs)
            runs += found[:wanted]
    false = [(config, findings) for config, findings, _ in good if status(findings) != "healthy"]
    transient = [(config, alarms) for config, findings, alarms in good if alarms and status(findings) == "healthy"]
    print(f"\n{part}: {len(good)} healthy runs, {len(runs)} faulty ones of {STEPS} updates")
    print(f"{'cause':<34}{'runs':>5}{'found':>7}{'root':>7}{'mended':>8}   blamed instead")
    tallies = []
    for name, (blamed, _) in CAUSES.items():
        mine = [run for run in runs if run[0] == name]
        seen = [status(findings) != "healthy" for _, _, findings, *_ in mine]
        right = [bool(findings) and findings[0].severity != "info" and findings[0].cause in blamed for _, _, findings, *_ in mine]
        mended = [run[3] for run in mine if run[3] is not None]
        others = collections.Counter(
            f"{findings[0].cause} ({findings[0].code})" if findings else "nothing"
            for (_, _, findings, *_), ok in zip(mine, right)
            if not ok
        )
        tallies.append((seen, right, mended))
        instead = ", ".join(f"{other} {count}" for other, count in others.most_common(3))
        print(f"{name:<34}{len(mine):>5}{_percent(seen):>7}{_percent(right):>7}{_percent(mended):>8}   {instead}")
    seen, right, mended = (list(itertools.chain(*column)) for column in zip(*tallies))
    print(f"{'all':<34}{len(runs):>5}{_percent(seen):>7}{_percent(right):>7}{_percent(mended):>8}")
    print(f"the same root with two other seeds: {_percent([run[5] for run in runs])}")
    print(f"false alarms: {len(false)} of {len(good)} ({len(false) / len(good):.1%})")
    print(f"alarms at some moment that went: {len(transient)} of {len(good)} ({len(transient) / len(good):.1%})")
    if verbose:
        for config, alarms in transient:
            print("TRANSIENT", *alarms, _short(config))
        for config, findings in false:
            print("FALSE", findings[0].code, findings[0].title, findings[0].evidence, _short(config))
        for (name, config, findings, mended, shares, _), ok in zip(runs, right):
            if not ok or mended is False:
                wrong = "ROOT" if not ok else "", "MEND" if mended is False else ""
                print(name, *wrong, [round(s, 2) if s is not None else s for s in shares])
                print("   ", _short(config))
                for finding in findings[:3]:
                    print("   ", finding.code, finding.severity, finding.cause, finding.title, finding.fix)


def _percent(flags):
    return f"{np.mean(flags):.0%}" if flags else "-"


def _short(config):
    layers = " ".join(f"{layer.units}{layer.activation}" for layer in config.layers)
    data, optimizer, init = config.data, config.optimizer, config.init
    return (
        f"{data.source} {data.scaling}/{data.target_scaling} {layers} {config.loss} {init.weights} {init.scale:.2g} "
        f"{optimizer.name} {optimizer.learning_rate:.2g} batch {config.batch_size} {config.penalty} {config.faults}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} times fewer runs")
    parser.add_argument("--part", choices=PARTS, help="one part only")
    parser.add_argument("--verbose", action="store_true", help="list false alarms, wrong roots and fixes that did not mend")
    arguments = parser.parse_args()
    for part in [arguments.part] if arguments.part else PARTS:
        measure(part, arguments.quick, arguments.verbose)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
