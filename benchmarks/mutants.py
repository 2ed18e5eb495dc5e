"""Do the tests bite? Breaks one operator or constant at a time in a copy of the tree, and runs the tests of the broken file.

    python -m benchmarks.mutants [FILE ...] [--seed 0] [--count 40]

One line in each of forty files of `core/` that compute, drawn by the seed, or in each of the files named. A break is noticed when a test
fails, or does not end, that passes without it. What is not noticed either needs a test or makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# A file computes if it has so many places to break. Rooms that word, draw or pass on what others computed are left out
FEWEST = 5
ROOMS = ("nn", "training", "diagnosis", "doctor", "data", "faults", "experiments", "snapshot", "watch", "store", "live")
FILES = ("core/fit.py", "core/config.py", "core/link.py", "core/limits.py")
# So many test files a broken file: those of its name, then those that import it and the fewest others
MOST_TESTS = 5
# Test files of modules that other modules are made of, or whose names they do not bear. A folder speaks for its files
TESTS = {
    "core/nn": ("test_gradients", "test_layer_options", "test_trainer"),
    "core/training": ("test_trainer", "test_telemetry"),
    "core/diagnosis/detectors": ("test_signal_detectors", "test_diagnosis", "test_data_findings", "test_causes"),
    "core/diagnosis/evidence": ("test_diagnosis", "test_data_findings", "test_causes"),
    "core/diagnosis/remedies.py": ("test_causes", "test_diagnosis"),
    "core/doctor": ("test_doctor", "test_doctor_forms", "test_doctor_files"),
    "core/faults": ("test_faults", "test_doctor"),
    "core/data": ("test_data", "test_tables", "test_data_files"),
    "core/watch": ("test_watch", "test_probe", "test_watched_kept"),
    "core/snapshot": ("test_looks", "test_histograms", "test_influence"),
    "core/store": ("test_store", "test_archive"),
    "core/experiments": ("test_preflight", "test_range_test", "test_map", "test_sweep"),
    "core/diagnosis/divergence.py": ("test_diagnosis", "test_forecast"),
    "core/live/trials_client.py": ("test_live_run_trials",),
    "core/live/trial_worker.py": ("test_live_run_trials",),
    "core/live/sweep_client.py": ("test_sweep",),
    "core/live/sweep_worker.py": ("test_sweep",),
    "core/live/persistence.py": ("test_kept_runs", "test_checkpoint"),
    "core/live/run.py": ("test_live_run", "test_kept_runs"),
    "core/fit.py": ("test_memory", "test_data"),
}
# Seconds of a processor after which tests that do not end count as failed, since a broken line may loop for ever; and of the clock, since
# it may wait for ever
PATIENCE, LONGEST = 300, 3600

LEFT_ALONE = ("annotation", "returns", "decorator_list")
COMPARISONS = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}
OPERATORS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult},
    **{ast.And: ast.Or, ast.Or: ast.And},
}


class Break(NamedTuple):
    """One place of a file, and what stands there instead. `begin` and `end` are bytes of the file."""

    line: int
    begin: int
    end: int
    before: str
    after: str


def breaks(source: str) -> Iterator[Break]:
    """Every place of a source text where one operator or constant can be changed. Annotations, decorators and f-strings are left alone."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in _expressions(ast.parse(source)):
        changed = _changed(node)
        if changed is not None:
            begin, end = (starts[line - 1] + column for line, column in _span(node))
            before, after = source.encode()[begin:end].decode(), f"({ast.unparse(changed)})"
            yield Break(node.lineno, begin, end, " ".join(before.split()), after)


def _span(node: ast.expr) -> tuple[tuple[int, int], tuple[int, int]]:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in LEFT_ALONE and not isinstance(child, ast.JoinedStr):
                if isinstance(child, ast.expr):
                    yield child
                yield from _expressions(child)


def _changed(node: ast.expr) -> ast.expr | None:
    """The expression with its own operator or value changed, or None where it has none."""
    match node:
        case ast.Compare(left, [operator], comparators):
            return ast.Compare(left, [COMPARISONS[type(operator)]()], comparators)
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS and not _is_text(node):
            return ast.BinOp(left, OPERATORS[type(operator)](), right)
        case ast.BoolOp(operator, values):
            return ast.BoolOp(OPERATORS[type(operator)](), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return operand
        case ast.Constant(bool() as value):
            return ast.Constant(not value)
        case ast.Constant(int() as value):
            return ast.Constant(value + 1)
        case ast.Constant(float() as value):
            return ast.Constant(2 * value if value else 1.0)
    return None


def _is_text(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str)) for part in ast.walk(node)
    )


def files_that_compute() -> list[str]:
    """Files of core/ with places to break, in order."""
    paths = [ROOT / name for name in FILES] + [path for room in ROOMS for path in (ROOT / "core" / room).rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in paths if len(list(islice(breaks(path.read_text()), FEWEST))) == FEWEST)


def tests_of(file: str) -> list[str]:
    """The test files that belong to a file of core/: by its name, by the table TESTS, then by what they import."""
    module, stem = file.removesuffix(".py").removesuffix("/__init__").replace("/", "."), Path(file).stem
    tests = sorted((ROOT / "tests" / "core").glob("test_*.py"))
    listed = next((TESTS[str(place)] for place in (Path(file), *Path(file).parents) if str(place) in TESTS), ())
    imports = {test: _imports(test) for test in tests}
    importing = sorted((test for test in tests if module in imports[test]), key=lambda test: len(imports[test]))
    named = [test for test in tests if test.stem in (f"test_{stem}", f"test_{stem}s", f"test_{stem.removesuffix('s')}")]
    chosen = dict.fromkeys([*named, *(ROOT / "tests" / "core" / f"{name}.py" for name in listed), *importing])
    return [str(test.relative_to(ROOT)) for test in chosen if test.exists()][:MOST_TESTS]


@cache
def _imports(test: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("core")}


def noticed_by(tree: Path, file: str, broken: bytes, tests: list[str]) -> str | None:
    """The test that fails while `file` holds these bytes and passes otherwise; "(no end)" when they do not end, None when all pass."""
    whole = (tree / file).read_bytes()
    (tree / file).write_bytes(broken)
    try:
        failed = _failure(tree, tests)
    finally:
        (tree / file).write_bytes(whole)
    return failed if failed is None or failed.startswith("(") or _failure(tree, [failed]) is None else None


def _failure(tree: Path, tests: list[str]) -> str | None:
    """The first test that fails, or None."""
    # Without bytecode: two versions of a file within a second look the same to its cache
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "--reruns", "0", "-p", "no:cacheprovider", *tests]
    limited = ["sh", "-c", f'ulimit -t {PATIENCE}; exec "$@"', "sh", *command]
    try:
        done = subprocess.run(limited, cwd=tree, env=environment, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return "(no end)"
    if done.returncode < 0:
        return "(no end)"
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].split(" ", 1)[1].split(" - ")[0] if failed else "(does not start)"


def copy_of_the_tree(folder: Path) -> Path:
    """All files that the repository knows, as they stand."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40, help="how many files")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    candidates = files_that_compute()
    files = arguments.files or sorted(rng.sample(candidates, min(arguments.count, len(candidates))))
    noticed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_of_the_tree(Path(folder))
        for file in files:
            source = (ROOT / file).read_text()
            place = random.Random(f"{arguments.seed} {file}").choice(list(breaks(source)))  # the same whichever other files are tried
            broken = source.encode()[: place.begin] + place.after.encode() + source.encode()[place.end :]
            began = time.perf_counter()
            test = noticed_by(tree, file, broken, tests_of(file))
            noticed += test is not None
            took = time.perf_counter() - began
            verdict = f"noticed by {test}" if test else "NOT NOTICED"
            print(f"{file}:{place.line}  {place.before} -> {place.after}  {verdict}  ({took:.0f} s)", flush=True)
    print(f"{noticed} of {len(files)} noticed ({noticed / len(files):.0%})")


if __name__ == "__main__":
    main()
