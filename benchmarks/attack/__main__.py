"""Attack Descent: `make attack`, or `python -m benchmarks.attack [--seed 0] [--configurations 20000] [--files 350] [--commands 15]`.

Whatever is no refusal in one clear sentence counts, and so does what takes too much time or memory; then this ends with 1. An input is made
anew from the seed and its number: `python -m benchmarks.attack --seed 0 --only files --number 33`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from functools import partial

from benchmarks.attack import configurations, files, visitors
from benchmarks.attack.isolated import MEMORY_BYTES, SECONDS, outcomes

TOGETHER = {"configurations": 500, "files": 10}  # inputs that share a process
PARTS = ("configurations", "files", "visitors")


def attacked(part, seed, numbers, together):
    """The Outcomes of these inputs of "configurations" or "files"."""
    of = {"configurations": configurations, "files": files}[part]
    of.prepare()
    for first in range(0, len(numbers), together):
        yield from outcomes(partial(of.made, seed), of.attack, numbers[first : first + together])


def told(part, seed, outcome):
    """A bad Outcome in words."""
    again = f"--seed {seed} --only {part}" + ("" if part == "visitors" else f" --number {outcome.number}")
    said = [f"{part} {outcome.number}: {outcome.seconds:.2f} s, {outcome.memory >> 20:,} MiB. Again: python -m benchmarks.attack {again}"]
    if part == "files":
        kind, raw = files.made(seed, outcome.number)
        said.append(f"  a {kind} of {len(raw):,} bytes, {raw[:40]!r}")
    return "\n".join([*said, *(f"  {line}" for line in (outcome.failure or "").splitlines()[-12:])])


def row(part, seen, took):
    """(a line of the table, how many of the Outcomes are bad)."""
    failed, slow, large = (
        sum(map(bad, seen)) for bad in (lambda one: one.failure is not None, lambda one: one.slow, lambda one: one.large)
    )
    slowest, largest = max(one.seconds for one in seen), max(one.memory for one in seen) >> 20
    text = f"{part:<15}{len(seen):>8,}{failed:>11}{slow:>10}{large:>12}{slowest:>9.2f} s{largest:>8,} MiB{took:>7.0f} s"
    return text, sum(one.bad for one in seen)


def main():
    """Attack, print what failed and the table of counts, and say by the exit code whether all counts are 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--configurations", type=int, default=20_000, help="configurations and links (default %(default)s)")
    parser.add_argument("--files", type=int, default=350, help="files of all kinds together (default %(default)s)")
    parser.add_argument("--commands", type=int, default=15, help="values for each command of the live line (default %(default)s)")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--number", type=int, help="only this input of the configurations or files")
    asked = parser.parse_args()
    table, bad = [], 0
    for part in PARTS if asked.only is None else [asked.only]:
        began = time.monotonic()
        if part == "visitors":
            seen = asyncio.run(visitors.attacks(asked.seed, asked.commands))
        else:
            numbers = range(getattr(asked, part)) if asked.number is None else [asked.number]
            seen = list(attacked(part, asked.seed, numbers, TOGETHER[part]))
        for outcome in seen:
            if outcome.bad:
                print(told(part, asked.seed, outcome), flush=True)
        text, count = row(part, seen, time.monotonic() - began)
        table.append(text)
        bad += count
    slow, large = f"over {SECONDS:g} s", f"over {MEMORY_BYTES >> 30} GiB"
    slow, large = f"over {SECONDS:g} s", f"over {MEMORY_BYTES >> 30} GiB"
    head = f"{'':<15}{'inputs':>8}{'tracebacks':>11}{slow:>10}{large:>12}{'slowest':>11}{'largest':>12}{'took':>9}"
    print("\n".join([head, *table]))
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
