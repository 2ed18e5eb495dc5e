"""Descent without a browser: `python -m core COMMAND`. Try `python -m core --help`.

A command is one function that adds its own parser and names what to run; `COMMANDS` lists them. Anything that needs NumPy
is imported inside the commands: the variables below only count until NumPy is first imported.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import time
from typing import TYPE_CHECKING

from core.command_line import INVALID, MAX_BYTES, answered, configuration, lines, opened, print_json, refusal, updates
from core.experiments.commands import add_map, add_preflight, add_range, add_surface, add_sweep

if TYPE_CHECKING:
    from core.command_line import Commands

# Networks this small lose by BLAS threads: two never clearly helped, and on a busy machine they cost 4 to 100 times the speed.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_name] = "1"

STEPS = 2000
CASE = "case:"  # begins the name of a case where a file is expected
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m core",
        description="Descent without a browser: train small networks and say what goes wrong.",
        epilog="python -m core COMMAND --help says more about a command.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_command in COMMANDS:
        add_command(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has left: `... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def add_train(commands: Commands) -> None:
    """`train FILE`: one report for one configuration, or one a line with --jsonl."""
    parser = commands.add_parser(
        "train",
        help="train a configuration and print a report",
        description="Trains the configuration in FILE and prints one JSON report: how the loss went, and what is wrong.",
        epilog="""Exit status: 0, or 2 when the configuration is invalid; then the report is {"error": {"field": ..., "message": ...}}. """
        "With --jsonl the status is 0 and the error takes the line's place.",
    )
    parser.add_argument("file", metavar="FILE", help="a JSON file, - for standard input, or a case: case:NAME, case:NAME/VARIANT")
    parser.add_argument("--steps", type=updates, metavar="N", help=f"parameter updates to train for (default {STEPS}, or the case's own)")
    parser.add_argument("--jsonl", action="store_true", help="FILE holds one configuration a line; prints one report a line")
    parser.add_argument("--try-fixes", action="store_true", help="where something is wrong, try out what might mend it and report that too")
    parser.set_defaults(run=train)


def add_bench(commands: Commands) -> None:
    """`bench`: the speed table."""
    parser = commands.add_parser(
        "bench",
        help="compare the speed with scikit-learn's and PyTorch's",
        description="Times this engine, scikit-learn's MLP and, if installed, PyTorch in turn on six workloads: updates per second.",
    )
    parser.set_defaults(run=bench)


def add_check(commands: Commands) -> None:
    """`check RUN.npz`: the gradient doctor."""
    parser = commands.add_parser(
        "check",
        help="check the gradients of backprop code of your own",
        description="Compares the gradients in RUN.npz, which your own code has at one step, with the right ones, and names the mistake. "
        "The file holds X, Y, W1, b1, ... and their gradients dW1, db1, ..., activations and loss; if it also holds learning_rate and "
        "W1_next, b1_next, ..., the update is checked too. loss_value and l2 help where they are known.",
        epilog="Exit status: 0 whatever the verdict, or 2 when the file cannot be used.",
    )
    parser.add_argument("file", metavar="RUN.npz", help="written with numpy.savez")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=check)


def add_watch(commands: Commands) -> None:
    """`watch RUN.probe`: what a probe wrote of somebody's own program."""
    parser = commands.add_parser(
        "watch",
        help="say what goes wrong in a training loop of your own, which a probe watched",
        description="Reads what descent_probe.py wrote of a program: how its loss went, what is wrong in which tensor, and, where it is a "
        "perceptron, the first step and tensor at which it parts from a right copy.",
        epilog="Exit status: 0 whatever is found, or 2 when the file cannot be used.",
    )
    parser.add_argument("file", metavar="RUN.probe", help="written by Probe(name, file=...), or where no server answered")
    parser.add_argument("--start", type=int, metavar="N", help="the kept whole step that the right copy starts at (default: the first)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=watch)


def add_cases(commands: Commands) -> None:
    """`cases`: the programs that people posted."""
    parser = commands.add_parser(
        "cases",
        help="list the cases: programs that people posted because they did not work",
        description="Prints a JSON list of the cases: name, title, source, config as posted, and what is expected of each variant. "
        "`train case:NAME` runs one as posted, `train case:NAME/mended` mended.",
    )
    parser.set_defaults(run=cases)


def add_export(commands: Commands) -> None:
    """`export FILE --as FORMAT`: a run to take home."""
    parser = commands.add_parser(
        "export",
        help="write a run as a script, as a model or as weights",
        description="Writes the run of the configuration in FILE to standard output: as a script that makes its updates (numpy, pytorch, "
        "keras), or what it has after them (onnx, weights), or its data (data).",
    )
    parser.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
    parser.add_argument("--as", dest="format", metavar="FORMAT", default="numpy", help="the format (default numpy)")
    parser.add_argument("--steps", type=updates, metavar="N", default=STEPS, help=f"parameter updates (default {STEPS})")
    parser.set_defaults(run=export)


def add_table(commands: Commands) -> None:
    """`table FILE`: how a table is read."""
    parser = commands.add_parser(
        "table",
        help="say how a table is read, and what is proposed to be trained on it",
        description="Reads a table (CSV and its kin, Excel, JSON, Parquet, NumPy arrays) and says what each column is taken for, what is "
        "missing, and which target and task are proposed. A configuration with nothing but this data.path trains just that.",
        epilog="Exit status: 0, or 2 when the file cannot be read.",
    )
    parser.add_argument("file", metavar="FILE", help="a table")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=table)


def add_predict(commands: Commands) -> None:
    """`predict RUN FILE`: what a trained network says of new rows."""
    parser = commands.add_parser(
        "predict",
        help="say what a trained network gives for new rows",
        description="Prints one JSON object: the target, names of the outputs, outputs of each row of FILE (values in the target's units, "
        "or probabilities), the classes that are said, and notes on what the network does not know. New rows go "
        "through the same preparation as those that were trained on.",
        epilog="Exit status: 0, or 2 when the run or the file cannot be used.",
    )
    parser.add_argument(
        "from_run", metavar="RUN", help="a run file, as the Runs page exports it, or a configuration (JSON), which is trained first"
    )
    parser.add_argument("file", metavar="FILE", help="a table with the columns of the inputs")
    parser.add_argument(
        "--steps", type=updates, metavar="N", default=STEPS, help=f"updates that a configuration is trained for (default {STEPS})"
    )
    parser.set_defaults(run=predict)


COMMANDS = [
    *(add_train, add_export, add_check, add_watch, add_cases, add_table),
    *(add_predict, add_preflight, add_range, add_surface, add_map, add_sweep, add_bench),
]


def export(arguments: argparse.Namespace) -> int:
    """Write the file; the exit status."""
    from core.config import ConfigError
    from core.export import EXPORTS, check, exported
    from core.training.trainer import Trainer

    try:
        with opened(arguments.file) as stream:
            config = configuration(stream.read(MAX_BYTES + 1))
        check(arguments.format, config)
        trainer = Trainer(config)
        if not EXPORTS[arguments.format].trains:
            trainer.run(arguments.steps)
        sys.stdout.buffer.write(exported(arguments.format, trainer, arguments.steps))
    except OSError as error:
        print(f"file: cannot be read: {error.strerror or error}; was {arguments.file!r}", file=sys.stderr)
        return INVALID
    except ConfigError as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return INVALID
    return 0


def cases(arguments: argparse.Namespace) -> int:
    """Print the list of cases; the exit status."""
    from core.cases import CASES
    from core.report import strict

    print_json([strict(case.to_dict()) for case in CASES.values()])
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Print the doctor's answer; the exit status."""
    from core import doctor
    from core.data.files import read_bytes

    def answer():
        found = doctor.check(read_bytes(arguments.file, "file"))
        return found.to_dict(), found

    return answered(answer, arguments.json)


def watch(arguments: argparse.Namespace) -> int:
    """Print what a probe's file tells; the exit status."""
    from core import watch as watching
    from core.data.files import read_bytes

    def answer():
        run = watching.read(read_bytes(arguments.file, "probe"))
        examined = watching.examine(run, start=arguments.start)
        return watching.report(run, examined), watching.told(run, examined)

    return answered(answer, arguments.json)


def table(arguments: argparse.Namespace) -> int:
    """Print how the table is read; the exit status."""
    from core.config import DataConfig
    from core.proposal import describe

    def answer():
        described = describe(DataConfig(source="file", path=arguments.file), {"source", "path"})
        return described.to_dict(), described

    return answered(answer, arguments.json)


def predict(arguments: argparse.Namespace) -> int:
    """Print the outputs for new rows; the exit status."""
    from core.config import ConfigError
    from core.data.files import read_bytes
    from core.prediction import predict, rows_in
    from core.report import strict

    try:
        trainer = _trained(read_bytes(arguments.from_run, "run"), arguments.steps)
        outcome = strict(predict(trainer, rows_in(read_bytes(arguments.file, "file"), trainer)).to_dict())
    except ConfigError as error:
        outcome = refusal(error)
        print(f"{error.field}: {error.message}", file=sys.stderr)
    print_json(outcome)
    return INVALID if "error" in outcome else 0


def _trained(raw, steps):
    """The Trainer of a run file, as it stands, or of a configuration, trained for so many steps. Raises ConfigError."""
    from core.config import ConfigError
    from core.store import archive
    from core.training.trainer import Trainer

    if raw.startswith(b"PK"):
        return archive.read(raw).trainer()
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        raise ConfigError("run", 'must be a run file, or a configuration such as {"data": {"path": "table.csv"}}; it is neither')
    return Trainer(configuration(raw)).advance(steps)


def bench(arguments: argparse.Namespace) -> int:
    """Print the speed table; the exit status."""
    runpy.run_module("benchmarks.engine", run_name="__main__")
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Report on every configuration in the file; the exit status."""
    from core.config import ConfigError

    steps = STEPS if arguments.steps is None else arguments.steps
    try:
        if arguments.file.startswith(CASE):
            outcome = _outcome(lambda: _case(arguments.file.removeprefix(CASE), arguments.steps), arguments.try_fixes)
        else:
            with opened(arguments.file) as stream:
                if arguments.jsonl:
                    for line in lines(stream):
                        print_json(_outcome(lambda line=line: (configuration(line), steps), arguments.try_fixes))
                    return 0
                text = stream.read(MAX_BYTES + 1)
            outcome = _outcome(lambda: (configuration(text), steps), arguments.try_fixes)
    except OSError as error:
        outcome = refusal(ConfigError("file", f"cannot be read: {error.strerror or error}; was {arguments.file!r}"))
    print_json(outcome)
    if "error" not in outcome:
        return 0
    print(f"{outcome['error']['field']}: {outcome['error']['message']}", file=sys.stderr)
    return INVALID


def _case(name, steps):
    """(RunConfig, steps) of a case: its own number of steps unless another is asked for."""
    from core.cases import variant

    found = variant(name)
    return found.config, found.steps if steps is None else steps


def _outcome(wanted, try_fixes):
    """The report on the (configuration, steps) that `wanted()` gives, or the refusal of it."""
    from core.config import ConfigError

    try:
        config, steps = wanted()
        return _report(config, steps, try_fixes)
    except ConfigError as error:
        return refusal(error)
    except MemoryError:
        return refusal(ConfigError("configuration", "must fit into this machine's memory; there was not enough"))


def _report(config, steps, try_fixes):
    from core.report import report, report_trials
    from core.training.trainer import Trainer

    trainer = Trainer(config)
    began = time.perf_counter()
    trainer.run(steps)
    seconds = time.perf_counter() - began
    outcome = report(trainer, steps_per_second=trainer.step / seconds if trainer.step else None)
    if try_fixes:
        outcome["trials"] = report_trials(trainer, steps)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
