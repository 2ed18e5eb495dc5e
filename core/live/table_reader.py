"""Reading a table in a process of its own, for servers: what a stranger uploads can neither hold up a page for long nor eat its memory.

`python -m core.live.table_reader` reads a pickled question of its server's on standard input, and writes the pickled answer, or refusal.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import threading

from core.limits import ConfigError
from core.live.process import ONE_THREAD, ROOT
from core.proposal import describe as described
from core.settings import Settings

SECONDS = 30.0  # a file gets; 64 MiB of text take a few
AT_A_TIME = 2  # files in all of the server

_places = threading.BoundedSemaphore(AT_A_TIME)


def describe(data, given=frozenset(), seconds=SECONDS):
    """The Description of a DataConfig's file, as core.proposal has it; ConfigError when the file is no good, or takes longer."""
    if not _places.acquire(timeout=seconds):
        raise ConfigError("data.path", "cannot be read now: other files are being read; try again in a minute")
    question = pickle.dumps((data, frozenset(given), Settings.from_environment().worker_memory_bytes))
    try:
        command = [sys.executable, "-m", "core.live.table_reader"]
        done = subprocess.run(command, input=question, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **ONE_THREAD}, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ConfigError("data.path", f"must be read within {seconds:g} seconds, and took longer: use fewer rows or columns") from None
    finally:
        _places.release()
    if done.returncode:
        raise ConfigError("data.path", "must be a sound table that fits into memory; reading it failed")
    answer = pickle.loads(done.stdout)
    if isinstance(answer, ConfigError):
        raise answer
    return answer


def main():
    """Answer the one question on standard input."""
    data, given, memory_bytes = pickle.loads(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        answer = described(data, given)
    except ConfigError as refusal:
        answer = refusal
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
