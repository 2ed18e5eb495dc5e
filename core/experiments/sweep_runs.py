"""The runs of a sweep: each is trained as `core train` does it, by joblib on this machine, or by the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from core.diagnosis import diagnose
from core.diagnosis.finding import status
from core.experiments.sweep import Sweep
from core.experiments.sweep_results import Results, merit, refused, spelled
from core.limits import ConfigError
from core.report import strict
from core.store.record import RunRecord, record_of
from core.training.trainer import Trainer

if TYPE_CHECKING:
    from core.experiments.sweep import Point

PATIENCE = 15  # seconds that a scheduler gets to answer
NAME_LENGTH = 80  # characters of a run's name in the store
REFUSED = "error"  # status of a run that could not be made though its configuration is valid: its data cannot be used, or memory is short


def sweep_runs(
    sweep: Sweep,
    results: Results,
    save: Callable[[RunRecord], None] | None = None,
    upload: Callable[[str], str] | None = None,
    scheduler: str | None = None,
    processes: int = -1,
) -> Iterator[dict]:
    """Make the runs of a sweep that `results` do not know yet, and yield the result of each, in the order in which they come; those known,
    and points that are no valid configuration, come first.

    `save(record)` keeps each run, before its result is taken in: one that was saved twice has the same id both times. `upload(path)` gives
    the digest by which the store knows a file. Runs are trained in so many `processes` (-1: one for each processor), or by the workers
    of the Dask `scheduler` at that address, which need this package, and the files that the runs train on. Results are the same wherever.
    Raises ConfigError when nobody answers at that address, and when processes are killed.
    """
    yield from (refused(point) for point in sweep.points if point.error)
    standing, digests = sweep.groups, {}
    with _workers(scheduler, processes) as parallel:
        for kept, steps in sweep.rungs:
            standing = dict(list(standing.items())[:kept])
            points = [point for points in standing.values() for point in points]
            known = {point.key(steps): results.known.get(point.key(steps)) for point in points}
            known = {key: result for key, result in known.items() if result and result["status"] != REFUSED}
            yield from known.values()
            missing = [point for point in points if point.key(steps) not in known]
            for path in {point.config.data.path for point in missing if upload} - {None, *digests}:
                digests[path] = upload(path)  # pyright: ignore[reportArgumentType]
            jobs = (
                delayed(trained)(point, steps, results.id(point), save is not None, digests.get(point.config.data.path))
                for point in missing
            )
            made: Any = parallel(jobs)
            for result, record in made:
                if record is not None:
                    save(record)
                results.add(result)
                yield result
            found = {group: [results.known[point.key(steps)] for point in points] for group, points in standing.items()}
            standing = dict(sorted(standing.items(), key=lambda item: merit(found[item[0]]), reverse=True))


@contextlib.contextmanager
def _workers(scheduler, processes):
    """What trains jobs and gives their results as they come. Small networks lose by BLAS threads: each process has one."""
    if scheduler is None:
        alone = {"inner_max_num_threads": 1, "initializer": _leave_with, "initargs": (os.getpid(),)}
        with parallel_config("loky", n_jobs=processes, **alone) if processes != 1 else contextlib.nullcontext():
            try:
                yield Parallel(return_as="generator_unordered")
            except TerminatedWorkerError:
                raise ConfigError(
                    "sweep", "was ended: the system killed a process that trains, probably for want of memory; start it again to go on"
                ) from None
        return
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ConfigError("scheduler", "needs Dask: pip install -r requirements-scale.txt") from None
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError("scheduler", f"must be the address of a Dask scheduler, as tcp://host:8786; {scheduler!r}: {error}") from None
    with client, parallel_config("dask", client=client):
        yield Parallel(return_as="generator_unordered")


def _leave_with(parent):
    """Have a process that trains end soon after the one that asked for it: where that is killed, joblib's own would wait for ever."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def trained(point: Point, steps: int, id: str, kept: bool, upload: str | None) -> tuple[dict[str, Any], RunRecord | None]:
    """(result of a Point trained for so many steps, its RunRecord or None). Never raises for a run that cannot be made."""
    result = {"key": point.key(steps), "settings": point.settings, "seed": point.seed}
    try:
        began = time.perf_counter()
        trainer = Trainer(point.config).run(steps)  # pyright: ignore[reportArgumentType]
        seconds = time.perf_counter() - began
        findings = diagnose(trainer, cost=0)  # no fix of it is tried
        figures = _figures(trainer) | {"status": status(findings), "id": id}
        if not kept:
            return strict(result | figures), None
        stands = "nonfinite" if trainer.nonfinite is not None else "finished" if trainer.stopping.stopped else "paused"
        record = record_of(trainer, id, status=stands, seconds=seconds, upload=upload, findings=findings)
        return strict(result | figures), dataclasses.replace(record, name=f"Sweep: {spelled(point.settings)}"[:NAME_LENGTH])
    except ConfigError as error:
        refusal = error
    except MemoryError:
        refusal = ConfigError("configuration", "must fit into this machine's memory; there was not enough")
    except Exception as error:  # the other runs are worth making all the same
        traceback.print_exc()
        refusal = ConfigError("run", f"failed: {traceback.format_exception_only(error)[-1].strip()}")
    nothing = dict.fromkeys(("metric", "metric_name", "loss", "test_loss", "steps", "id"))
    return result | nothing | {"status": REFUSED, "error": {"field": refusal.field, "message": refusal.message}}, None


def _figures(trainer):
    """Losses and metric as the report of `core train` has them."""
    has_test = len(trainer.dataset.test) > 0
    return {
        "steps": trainer.step,
        "metric": trainer.evaluator.metric("test" if has_test else "train"),
        "metric_name": "accuracy" if trainer.dataset.task == "classification" else "r2",
        "loss": trainer.loss(),
        "test_loss": trainer.loss("test") if has_test else None,
    }
