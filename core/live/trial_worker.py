"""The process that tries fixes out beside a live run: `python -m core.live.trial_worker DESCRIPTOR`, started by `core.live.trials_client`.

It is told once what to do, sends `Trials` as it goes on, and leaves when it is done, or when nobody listens any more. It gives way to
the runs that are looked at.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

from core.diagnosis.trials import Trials, foreseen_candidates, try_fixes
from core.limits import ConfigError
from core.live import checkpoint
from core.live.priority import give_way


def main(descriptor: int) -> None:
    """Do the task at the other end of this socket: (settings, (configuration, findings, first patches, steps, start's path or None))."""
    connection = Connection(descriptor)
    settings, (config, findings, first, steps, path) = connection.recv()
    give_way(settings.trial_niceness)
    resource.setrlimit(resource.RLIMIT_AS, (settings.worker_memory_bytes,) * 2)
    told = Trials(running=True)

    def progress(share, trials):
        nonlocal told
        grown = len(trials) > len(told.trials)
        told = Trials(share, True, trials)
        connection.send(told if grown else share)  # so little that it never has to wait for somebody to listen

    with suppress(ConnectionError):
        try:
            start = checkpoint.taken(path) if path else None
            gone = connection.poll  # nothing more is said to it: if there is something to hear, it is the end of the connection
            try_fixes(config, foreseen_candidates(config, findings, first, start), steps, progress, gone, start)
            ending = {"progress": 1.0, "done": True}
        except ConnectionError:
            raise
        except MemoryError:
            ending = {"problem": "The trials need more memory than one run may take here."}
        except ConfigError as error:
            ending = {"problem": str(error)}
        except Exception as error:
            traceback.print_exc()
            ending = {"problem": f"The trials failed: {traceback.format_exception_only(error)[-1].strip()}."}
        connection.send(dataclasses.replace(told, running=False, **ending))


if __name__ == "__main__":
    main(int(sys.argv[1]))
