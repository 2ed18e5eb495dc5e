"""How processes that compute give way to the server and to the browsers of its machine."""

import os
from contextlib import suppress
from pathlib import Path


def give_way(niceness: int) -> None:
    """Lower this process' priority (0 usual, 19 lowest), and where Linux shares processors among sessions first, its session's."""
    os.nice(niceness)
    with suppress(OSError):  # not there, or not allowed
        Path("/proc/self/autogroup").write_text(str(niceness))
