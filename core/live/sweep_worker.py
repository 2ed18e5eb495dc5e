"""The process that makes the runs of a page's sweep: `python -m core.live.sweep_worker DESCRIPTOR`, started by `core.live.sweep_client`.

It is told once what to do, writes each result down as it comes, and leaves when it is done, or when nobody listens any more.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from core.data.files import read_bytes
from core.experiments.sweep import Sweep
from core.experiments.sweep_results import Results
from core.experiments.sweep_runs import sweep_runs
from core.limits import ConfigError
from core.live.priority import give_way
from core.store.store import Store, StoreError


def main(descriptor: int) -> None:
    """Do the task at the other end of this socket: (settings, results file, the sweep's JSON object, owner of the runs)."""
    connection = Connection(descriptor)
    task = connection.recv()
    give_way(task[0].trial_niceness)
    resource.setrlimit(resource.RLIMIT_AS, (task[0].worker_memory_bytes,) * 2)
    threading.Thread(target=_leave_with, args=(connection,), daemon=True).start()
    try:
        _make(*task)
        ending = None
    except KeyboardInterrupt:
        return
    except MemoryError:
        ending = "This needs more memory than one run may take here."
    except (ConfigError, StoreError) as error:
        ending = f"{str(error).removesuffix('.')}."
    except Exception as error:
        traceback.print_exc()
        ending = f"This failed: {traceback.format_exception_only(error)[-1].strip()}."
    connection.send(("ended", ending))


def _make(settings, path, values, owner):
    store = Store(settings.data_folder, settings.run_bytes, settings.store_bytes)

    def save(record):
        store.save(dataclasses.replace(record, owner=owner))

    def upload(path):
        return store.keep_upload(Path(path).name, read_bytes(path, "data.path"))

    sweep = Sweep.from_dict(values, settings.sweep_runs)
    with Results(path, values) as results:
        for _ in sweep_runs(sweep, results, save, upload, settings.sweep_scheduler or None, settings.sweep_processes):
            pass


def _leave_with(connection):
    """Interrupt the work once the other end is gone: nothing more is said to it. joblib then ends the processes that train."""
    connection.poll(None)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main(int(sys.argv[1]))
