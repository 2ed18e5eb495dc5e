"""The commands of the experiments: `python -m core preflight` and its neighbours.

Anything that needs NumPy is imported inside the functions, as in `core.__main__`.
"""

import os

from core.command_line import answered, configuration, read, updates

CASE = "case:"  # begins the name of a case where a file is expected
FILE = "a JSON file, - for standard input, or a case: case:NAME, case:NAME/VARIANT"


def add_preflight(commands):
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


def preflight(arguments):
    """Print what the checks say; the exit status."""
    from core.experiments import preflight as flight

    def answer():
        results = list(flight.preflight(_wanted(arguments.file)))
        return flight.report(results), flight.told(results)

    return answered(answer, arguments.json)


def add_range(commands):
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


def range_(arguments):
    """Print the range test; the exit status."""
    from core.experiments.range_test import range_test

    def answer():
        found = range_test(_wanted(arguments.file))
        return found.to_dict(), found

    return answered(answer, arguments.json)


def add_map(commands):
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


def map_(arguments):
    """Make a map and print it; the exit status."""
    from core.experiments.map import Axis, Map, MapPlan, divergence_map

    def answer():
        plan = MapPlan(_wanted(arguments.file), Axis.parsed(arguments.x), Axis.parsed(arguments.y), arguments.steps)
        found = Map(plan)
        for part in divergence_map(plan, threads=os.cpu_count() or 1):
            found.take(part)
        return found.to_dict(), found

    return answered(answer, arguments.json)


def _wanted(name):
    """The RunConfig that an argument names. Raises ConfigError."""
    from core.cases import variant

    return variant(name.removeprefix(CASE)).config if name.startswith(CASE) else configuration(read(name))
