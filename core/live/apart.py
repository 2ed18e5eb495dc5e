"""Reading in a process of its own, for servers: what a stranger uploads can neither hold up a page for long nor eat its memory.

`python -m core.live.apart` reads a pickled question of its server's on standard input, and writes the pickled answer, or refusal.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from core.limits import ConfigError
from core.live.priority import give_way
from core.live.process import ONE_THREAD, ROOT
from core.settings import Settings

SECONDS = 30.0  # a file gets; 64 MiB of text take a few
AT_A_TIME = 2  # files in all of the server
NICENESS = 2  # pages are answered first, and then whoever waits for a file: training comes last
T = TypeVar("T")

_places = threading.BoundedSemaphore(AT_A_TIME)


def apart(read: Callable[..., T], *arguments: Any, field: str, seconds: float = SECONDS, smaller: str = "use a smaller file") -> T:
    """What `read(*arguments)` gives, a function of a module and plain data. Raises its ConfigError; and one filed under `field` when it
    fails, takes longer than `seconds` (`smaller` says what to do then), or too many others are being read."""
    if not _places.acquire(timeout=seconds):
        raise ConfigError(field, "cannot be read now: other files are being read; try again in a minute")
    question = pickle.dumps((Settings.from_environment().worker_memory_bytes, read, arguments))
    try:
        command = [sys.executable, "-m", "core.live.apart"]
        settings = {"cwd": ROOT, "env": {**os.environ, **ONE_THREAD}, "timeout": seconds, "start_new_session": True}
        done = subprocess.run(command, input=question, stdout=subprocess.PIPE, **settings)
    except subprocess.TimeoutExpired:
        raise ConfigError(field, f"must be read within {seconds:g} seconds, and took longer: {smaller}") from None
    finally:
        _places.release()
    if done.returncode:
        raise ConfigError(field, f"must be a sound file that fits into memory, and reading it failed: {smaller}")
    answer = pickle.loads(done.stdout)
    if isinstance(answer, ConfigError):
        raise answer
    return answer


def main() -> None:
    """Answer the one question on standard input."""
    question = sys.stdin.buffer.read()
    memory_bytes, read, arguments = pickle.loads(question)
    del question
    give_way(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        answer = read(*arguments)
    except ConfigError as refusal:
        answer = refusal
    with suppress(BrokenPipeError), open(sys.stdout.fileno(), "wb", closefd=False) as line:  # broken where the server has gone
        line.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
