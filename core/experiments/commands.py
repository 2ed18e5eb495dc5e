"""The commands of the experiments: `python -m core preflight` and its neighbours.

Anything that needs NumPy is imported inside the functions, as in `core.__main__`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from core.command_line import answered, configuration, parsed, read, updates

if TYPE_CHECKING:
    import argparse

    from core.command_line import Commands

CASE = "case:"  # begins the name of a case where a file is expected
FILE = "a JSON file, - for standard input, or a case: case:NAME, case:NAME/VARIANT"


def add_preflight(commands: Commands) -> None:
    """`preflight FILE`: what one checks before the first long run."""
    parser = commands.add_parser(
        "preflight",
        help="check a configuration before it is trained",
        description="Makes the checks of every debugging checklist on the configuration in FILE: loss at the start against a guess, "
        "scales, input against none, gradients against central differences, one batch learned by heart, samples shuffled, parts disjoint, "
        "learning rate against its stability limit, signals of all layers. Prints each with its value, and what to do where it failed.",
        epilog="Exit status: 0 whatever is found, or 2 when the configuration is invalid.",
    )
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=preflight)


def preflight(arguments: argparse.Namespace) -> int:
    """Print what the checks say; the exit status."""
    from core.experiments import preflight as flight

    def answer():
        results = list(flight.preflight(_wanted(arguments.file)))
        return flight.report(results), flight.told(results)

    return answered(answer, arguments.json)


def add_range(commands: Commands) -> None:
    """`range FILE`: the learning rate range test."""
    parser = commands.add_parser(
        "range",
        help="find a learning rate by sweeping it up",
        description="Trains a copy of the configuration in FILE while the learning rate grows geometrically. Prints the loss at each rate, "
        "the one at which it falls fastest, the one at which it blows up, and the stability limit that theory gives.",
        epilog="Exit status: 0, or 2 when the configuration is invalid.",
    )
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=range_)


def range_(arguments: argparse.Namespace) -> int:
    """Print the range test; the exit status."""
    from core.experiments.range_test import range_test

    def answer():
        found = range_test(_wanted(arguments.file))
        return found.to_dict(), found

    return answered(answer, arguments.json)


def add_surface(commands: Commands) -> None:
    """`surface FILE`: a slice of the loss around the parameters."""
    parser = commands.add_parser(
        "surface",
        help="draw a slice of the loss around a trained network's parameters",
        description="Trains the configuration in FILE, and takes the loss around its parameters along the sharpest direction (that of the "
        "Hessian's largest eigenvalue) and the next update's. Prints where it is lowest, how it curves, and how much of the run's way lies "
        "in the slice; with --json also the losses, and the run's way as it lies there.",
        epilog="Exit status: 0, or 2 when the configuration is invalid or its network too large.",
    )
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument("--steps", type=updates, metavar="N", default=500, help="parameter updates before (default 500)")
    parser.add_argument("--random", action="store_true", help="along two random directions instead (Li et al. 2018)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=surface)


def surface(arguments: argparse.Namespace) -> int:
    """Train, make the slice and print it; the exit status."""
    from core.experiments.surface import MOMENTS, SurfaceTask, loss_surface
    from core.training.recorder import FlightRecorder
    from core.training.trainer import Trainer

    def answer():
        trainer = Trainer(_wanted(arguments.file))
        recorder = FlightRecorder(trainer)
        for moment in range(1, MOMENTS + 1):
            trainer.advance(arguments.steps * moment // MOMENTS - trainer.step)
            recorder.record()
            if trainer.nonfinite or trainer.stopping.stopped:
                break
        found = loss_surface(SurfaceTask.of(trainer, recorder, arguments.random))
        return found.to_dict(), found

    return answered(answer, arguments.json)


def add_map(commands: Commands) -> None:
    """`map FILE --x FIELD=LOW:HIGH:COUNT[:log] --y ...`: the map of divergence."""
    parser = commands.add_parser(
        "map",
        help="train a whole grid of two settings and say what becomes of each run",
        description="Trains the configuration in FILE at every pair of values of two fields, many runs at once. Prints what became of "
        "each: learns, slow, plateau, oscillates, diverged, nonfinite; the step from which on it was out of bounds; and for each x the y "
        "at which the learning rate is at the stability limit. Fields are numbers: optimizer.learning_rate, init.scale, layers.0.units, "
        "width, depth.",
        epilog="Exit status: 0, or 2 when the configuration, a field or a range is invalid.",
    )
    parser.add_argument("file", metavar="FILE", help=FILE)
    for name in ("x", "y"):
        parser.add_argument(f"--{name}", metavar="FIELD=LOW:HIGH:COUNT[:log]", required=True, help=f"the values of axis {name}")
    parser.add_argument("--steps", type=updates, metavar="N", default=500, help="parameter updates of each run (default 500)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=map_)


def map_(arguments: argparse.Namespace) -> int:
    """Make a map and print it; the exit status."""
    from core.experiments.map import Axis, Map, MapPlan, divergence_map

    def answer():
        plan = MapPlan(_wanted(arguments.file), Axis.parsed(arguments.x), Axis.parsed(arguments.y), arguments.steps)
        found = Map(plan)
        for part in divergence_map(plan, threads=os.cpu_count() or 1):
            found.take(part)
        return found.to_dict(), found

    return answered(answer, arguments.json)


def add_sweep(commands: Commands) -> None:
    """`sweep FILE`: many runs that differ in a few settings."""
    parser = commands.add_parser(
        "sweep",
        help="train many configurations: a grid, random draws, seeds",
        description="Trains each point of the sweep in FILE, a JSON object: base, a configuration; grid, {field: [values]}; random, "
        "{field: {low, high, log}}, from which draws points are taken at each of the grid; seeds, a list or how many; steps; and for "
        "successive halving a factor, halving. Fields are dotted paths: optimizer.learning_rate, layers.0.units. Prints each run's "
        "status and metric, and the best settings with their spread over seeds.",
        epilog="Exit status: 0, also where single runs cannot be made, which is said in their place, or 2 when the sweep is invalid.",
    )
    parser.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", metavar="FILE.jsonl", help="write each result down as it comes; a sweep that was ended goes on from there")
    parser.add_argument("--keep", action="store_true", help="keep every run, with its curves, among those of the Runs page")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="train on the workers of a Dask scheduler, tcp://host:8786")
    parser.set_defaults(run=sweep)


def sweep(arguments: argparse.Namespace) -> int:
    """Make the runs of a sweep and print what came of them; the exit status."""
    from core.experiments.sweep import Sweep
    from core.experiments.sweep_results import Results, report, told
    from core.experiments.sweep_runs import sweep_runs
    from core.limits import ConfigError
    from core.store.store import StoreError

    def answer():
        plan = parsed(read(arguments.file), Sweep.from_dict)
        save, upload = _kept() if arguments.keep else (None, None)
        with Results(arguments.out, plan.values) as results:
            try:
                for done, _ in enumerate(sweep_runs(plan, results, save, upload, arguments.scheduler), 1):
                    if sys.stderr.isatty():
                        print(f"\r{done} of {plan.total} runs ", end="", file=sys.stderr, flush=True)
            except StoreError as error:
                raise ConfigError("store", str(error)) from None
            found = report(plan, results.known)
        return found, told(plan, found)

    return answered(answer, arguments.json)


def _kept():
    """What keeps the runs of a sweep in the store, and the files that they train on."""
    from pathlib import Path

    from core.data.files import read_bytes
    from core.settings import Settings
    from core.store.store import Store

    settings = Settings.from_environment()
    store = Store(settings.data_folder, settings.run_bytes, settings.store_bytes)
    return store.save, lambda path: store.keep_upload(Path(path).name, read_bytes(path, "data.path"))


def _wanted(name):
    """The RunConfig that an argument names. Raises ConfigError."""
    from core.cases import variant

    return variant(name.removeprefix(CASE)).config if name.startswith(CASE) else configuration(read(name))
