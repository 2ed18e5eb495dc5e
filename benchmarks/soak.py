"""Many sessions for a long time, while training processes and the server itself are killed: `make soak`, or
`python -m benchmarks.soak [--minutes 20] [--sessions 16] [--thinking 4] [--seed 0] [--shared]`.

Each session is a Tab with somebody in front who plays, pauses, changes the learning rate, steps, resets, uploads a table, refreshes, or
looks on. With `--shared` the server is a shared one, and each session another visitor's.
Of training is lost what a page has shown and does not have when it is back: the steps in between, in seconds that they took.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import statistics
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from benchmarks.app import Server, free_port
from benchmarks.visitor import Visitor

WORKER_KILL = 15.0  # seconds from one killed training process to the next, on average
LIVES = (0.1, 0.2)  # how long a server lives, as a share of all the time; the last one lives from
LAST_LIFE = 0.6  # this share on, so that its memory has time to grow
SETTLING = 60.0  # seconds of a server's life after which its memory is first looked at
LEAVING = 15.0  # seconds in which all processes must be gone when the server is


class Soak:
    """The server, which is killed and started again, and what is measured while `sessions` visitors are there, who act every `thinking`
    seconds on average."""

    def __init__(self, folder, sessions, thinking, seed, shared):
        self.seed, self.thinking, self.shared = seed, thinking, shared
        self.answers, self.returns, self.uploads, self.losses = [], [], [], []  # seconds
        self.lost, self.exceptions, self.notices, self.stuck = [], [], Counter(), 0
        self.lives = []  # of each server [(seconds of its life, bytes in memory)]
        self._folder, self._port, self._random = folder, free_port(), random.Random(seed)
        self._sessions, self._server = sessions, None
        self.killed = 0
        self.host = f"127.0.0.1:{self._port}"

    async def run(self, minutes):
        """Have it run for so long, and end it."""
        began, seconds = time.monotonic(), 60 * minutes
        await self._start()
        try:
            async with asyncio.TaskGroup() as group:
                around = self._kill_workers(), self._kill_servers(began, seconds), self._watch_memory()
                around = [group.create_task(work) for work in around]
                visitors = [Visitor(self, number) for number in range(self._sessions)]
                await asyncio.wait([group.create_task(visitor.stay(began + seconds)) for visitor in visitors])
                for task in around:
                    task.cancel()
        finally:
            await asyncio.to_thread(self._server.stop)

    def lose(self, what):
        """A run is lost."""
        self.lost.append(what)

    async def _start(self):
        log = self._folder / f"server-{len(self.lives) + 1}.log"
        settings = {"port": self._port, "checkpoint_folder": self._folder / "checkpoints", "shared": int(self.shared)}
        self._server = await asyncio.to_thread(Server, log, **settings)
        self._started = time.monotonic()
        self.lives.append([])

    async def _kill_servers(self, began, seconds):
        while True:
            await asyncio.sleep(self._random.uniform(*LIVES) * seconds)
            if time.monotonic() > began + LAST_LIFE * seconds:
                return
            self._server.kill()
            await self._start()

    async def _kill_workers(self):
        while True:
            await asyncio.sleep(self._random.expovariate(1 / WORKER_KILL))
            for worker in self._server.workers()[:1] and [self._random.choice(self._server.workers())]:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                    self.killed += 1

    async def _watch_memory(self):
        while True:
            await asyncio.sleep(1)
            with suppress(OSError):  # it is being killed
                self.lives[-1].append((time.monotonic() - self._started, self._server.memory()))

    def growth(self):
        """(seconds, bytes of memory at the start, bytes at the end) of the server that lived longest; each a median of ten seconds."""
        life = max(self.lives, key=len)
        settled = [size for age, size in life if age >= SETTLING] or [size for _, size in life]
        return life[-1][0], statistics.median(settled[:10]), statistics.median(settled[-10:])

    def tracebacks(self):
        """Those that the servers and their processes printed, and those on the pages."""
        printed = "".join(log.read_text() for log in sorted(self._folder.glob("server-*.log")))
        return [*re.findall(r"^Traceback \(most recent call last\).*?^\S[^\n]*", printed, re.DOTALL | re.MULTILINE), *self.exceptions]

    def orphans(self):
        """Process ids of what is still there LEAVING seconds after the server, at most; they are ended."""
        until = time.monotonic() + LEAVING
        while (left := processes_of(self._folder)) and time.monotonic() < until:
            time.sleep(0.5)
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return left


def processes_of(folder):
    """Process ids of all whose runs go into this folder."""
    mark, found = f"DESCENT_DATA_FOLDER={folder}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def main():
    """Run, and print with the aim beside each figure."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__.partition(":")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--thinking", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shared", action="store_true", help="a shared server, and each session another visitor's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.sessions, arguments.thinking, arguments.seed, arguments.shared)
        asyncio.run(soak.run(arguments.minutes))
        orphans, tracebacks = soak.orphans(), soak.tracebacks()
    lived, first, last = soak.growth()
    print(f"{arguments.sessions} sessions for {arguments.minutes:g} minutes, each acts every {arguments.thinking:g} s on average;", end=" ")
    print(f"{len(soak.lives)} servers; {soak.killed} processes killed")
    _print("runs lost", len(soak.lost), "0")
    _print("seconds of training lost, at most", f"{max(soak.losses, default=0):.1f}", "<= 5")
    _print(f"server's memory, MB, over a life of {lived:.0f} s", f"{first / 1e6:.0f} -> {last / 1e6:.0f}", "")
    _print("growth of the server's memory, %", f"{100 * (last / first - 1):.1f}", "<= 15")
    _print("processes left behind", len(orphans), "0")
    _print_times("answer to a click, s", soak.answers, "<= 0.5")
    _print_times("until a page or a run is back, s", soak.returns, "")
    _print_times("until an uploaded table is in use, s", soak.uploads, "")
    _print("pages that stood still while they played", soak.stuck, "0")
    _print("tracebacks", len(tracebacks), "0")
    for text, times in Counter([*soak.lost, *tracebacks]).items():
        print(f"\n{times} times: {text}")
    for text, times in soak.notices.items():
        print(f"\nTold {times} times: {text}")


def _print(name, value, aim):
    print(f"{name:<44} {value!s:>31}   {aim and f'aim {aim}'}", flush=True)


def _print_times(name, values, aim):
    values = sorted(values) or [float("nan")]
    p95 = values[round(0.95 * (len(values) - 1))]
    _print(f"{name} ({len(values)})", f"median {statistics.median(values):8.2f}   p95 {p95:8.2f}", aim)


if __name__ == "__main__":
    main()
