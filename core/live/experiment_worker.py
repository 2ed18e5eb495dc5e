"""The process that makes a preflight, a range test or a loss surface beside a live run, or a map: `python -m core.live.experiment_worker
DESCRIPTOR`, started by `core.live.experiment_client`.

It is told once what to do, sends each result as it comes, and leaves when it is done, or when nobody listens any more.
"""

from __future__ import annotations

import resource
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

from core.experiments.map import divergence_map
from core.experiments.preflight import preflight
from core.experiments.range_test import range_test
from core.experiments.surface import loss_surface
from core.limits import ConfigError
from core.live.priority import give_way

# What can be asked for -> a function of (configuration, or a map's or surface's task; between) that yields results
KINDS = {
    "preflight": lambda config, between: preflight(config, between=between),
    "range": lambda config, between: iter([range_test(config, between=between)]),
    "map": divergence_map,
    "surface": lambda task, between: iter([loss_surface(task, between)]),
}


def main(descriptor: int) -> None:
    """Do the task at the other end of this socket: (settings, name out of KINDS, what that is made of)."""
    connection = Connection(descriptor)
    settings, kind, config = connection.recv()
    give_way(settings.trial_niceness)
    resource.setrlimit(resource.RLIMIT_AS, (settings.worker_memory_bytes,) * 2)

    def between():
        if connection.poll():  # nothing more is said to it: if there is something to hear, it is the end of the connection
            raise ConnectionError

    try:
        for result in KINDS[kind](config, between):
            connection.send(result)
        ending = None
    except ConnectionError:
        return
    except MemoryError:
        ending = "This needs more memory than one run may take here."
    except ConfigError as error:
        ending = f"{error}."
    except Exception as error:
        traceback.print_exc()
        ending = f"This failed: {traceback.format_exception_only(error)[-1].strip()}."
    with suppress(ConnectionError):
        connection.send(("ended", ending))


if __name__ == "__main__":
    main(int(sys.argv[1]))
