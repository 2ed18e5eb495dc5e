"""The doctor in a process of its own, for servers: what a stranger uploads can neither hold up a page for long nor eat its memory.

`python -m core.doctor.consult` reads a file on standard input and writes the pickled answer, or the refusal, on standard output.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from core import doctor
from core.doctor.run_file import SMALLER
from core.limits import ConfigError

if TYPE_CHECKING:
    from core.doctor.answers import Answer

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 45.0  # a file gets; most take less than one
MEMORY_BYTES = 4 << 30  # of address space
AT_A_TIME = 2  # files in all of the server
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_places = threading.BoundedSemaphore(AT_A_TIME)


def consult(raw: bytes, seconds: float = SECONDS) -> Answer:
    """The doctor's Answer on the bytes of a RUN.npz; ConfigError when the file is no good or takes longer than `seconds`."""
    if not _places.acquire(timeout=seconds):
        raise ConfigError("file", "cannot be looked at now: others are being looked at; try again in a minute")
    try:
        command = [sys.executable, "-m", "core.doctor.consult"]
        done = subprocess.run(command, input=raw, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **ONE_THREAD}, timeout=seconds)
    except subprocess.TimeoutExpired:
        smaller = SMALLER
        raise ConfigError("file", f"must be looked through within {seconds:g} seconds, and took longer; {smaller}") from None
    finally:
        _places.release()
    if done.returncode:
        raise ConfigError("file", "must be small enough to be looked through; there was not enough memory; " + SMALLER)
    answer = pickle.loads(done.stdout)
    if isinstance(answer, ConfigError):
        raise answer
    return answer


def main() -> None:
    """Answer the one file on standard input."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    raw = sys.stdin.buffer.read()
    try:
        answer = doctor.check(raw)
    except ConfigError as refusal:
        answer = refusal
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
