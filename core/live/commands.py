"""What the worker of a run is told to do, as the page's handle passes it on: see `core.live.client.LiveRun`."""

from __future__ import annotations

import dataclasses
import gc
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import prediction
from core.experiments.surface import SurfaceTask
from core.export import STEPS, exported
from core.limits import ConfigError
from core.live import checkpoint
from core.live.persistence import loaded
from core.live.pictures import LOOK_REPLAY
from core.snapshot import samples
from core.training.live_changes import LIVE_CHANGES, needs_new_run
from core.training.telemetry import Event

if TYPE_CHECKING:
    import numpy as np

    from core.config import RunConfig
    from core.diagnosis.finding import Finding
    from core.live.pacing import Speed
    from core.live.run import Run
    from core.prediction import Prediction
    from core.snapshot.snapshot import Snapshot, WorstSamples

FORK_REPLAY = 5.0  # seconds of training that may be replayed to go on from a moment of the past
TRIAL_STEPS = 2000  # updates that a fix gets at least, to show what it does


def play(run: Run) -> None:
    run.pictures.leave_past()
    run.go(math.inf)


def pause(run: Run, why: str | None = None) -> None:
    if run.running:
        if why:
            run.trainer.telemetry.events.append(Event(run.trainer.step, why))
        run.stand()


def step(run: Run, updates: int) -> None:
    run.go(run.trainer.step + updates)
    run.train()


def epoch(run: Run) -> None:
    whole = len(run.trainer.batches)
    left = math.ceil((1 - run.trainer.epoch % 1) * whole - 1e-3)  # epochs are fractions: rounding must not cost an update
    run.go(run.trainer.step + (left or whole))


def reset(run: Run) -> None:
    run.leave()
    run.trainer.reset()
    run.begin(run.trainer)
    run.persistence.forget()


def configure(run: Run, config: RunConfig, parameters: dict[str, np.ndarray] | None = None) -> RunConfig:
    run.pictures.leave_past()
    gc.collect()  # what is left of earlier runs, so that never more than two are in memory
    trainer = loaded(config, parameters)
    run.leave()
    run.begin(trainer)
    run.persistence.forget()
    return run.trainer.config


def change(run: Run, patch: dict[str, Any]) -> RunConfig:
    run.recorder.record()
    run.trainer.change(patch)
    run.note("change", patch)
    run.pacing.forget(run.trainer.step)
    return run.trainer.config


def edit(run: Run, layer: int, unit: int, source: int | None, value: float) -> None:
    run.recorder.record()
    run.trainer.edit(layer, unit, source, value)
    run.note("edit", layer, unit, source, value)


def export(run: Run, name: str) -> bytes:
    try:
        return exported(name, run.trainer, run.trainer.step or STEPS)
    except MemoryError:
        raise ConfigError("", "This file needs more memory than one run may take here") from None


def examples(run: Run) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return prediction.examples(run.trainer)


def predict(run: Run, rows: bytes | list[dict[str, str]] | tuple[float, ...]) -> Prediction:
    """`rows`: a table's bytes, or what was typed, [{column: text}], or what was drawn."""
    if isinstance(rows, tuple):
        return prediction.predict_picture(run.trainer, rows)
    frame = prediction.rows_in(rows, run.trainer) if isinstance(rows, bytes) else prediction.of_texts(rows)
    return prediction.predict(run.trainer, frame)


def worst_samples(run: Run, part: str, at: int | None = None) -> WorstSamples:
    trainer = run.trainer if at is None or at >= run.trainer.step else run.pictures.replayed(at, LOOK_REPLAY)
    return samples.worst_samples(trainer, part)


def set_speed(run: Run, updates_per_second: Speed) -> None:
    run.pacing.speed = updates_per_second
    if run.running and run.pacing.until == math.inf:
        play(run)


def fork(run: Run, at: int, patch: dict[str, Any] | None) -> RunConfig:
    past = run.pictures.replayed(at, FORK_REPLAY)
    config = past.config.patched(patch or {})
    if needs_new_run(past.config, config):
        return configure(run, config)
    if patch:
        past.change(patch)  # refused, it leaves the run as it is
    run.leave(forked_at=past.step)
    run.recorder.forget_after(past.step)
    run.trainer.restore(past.checkpoint())
    run.pictures.forget_after(past.step)
    if patch:
        run.recorder.note("change", patch)
    run.stand()
    return config


def trial_task(run: Run, at: int | None) -> tuple[RunConfig, tuple[Finding, ...], tuple[dict[str, Any], ...], int, Path | None]:
    """What a trial worker needs to know: (configuration, findings, patches to try first, steps, where the state at `at` is)."""
    config, findings = run.trainer.config, snapshot(run, None).findings
    if at is None:
        return config, findings, (), max(run.trainer.step, TRIAL_STEPS), None
    before = run.pictures.replayed(at - 1, FORK_REPLAY).config.to_dict()  # under which it came to be as it is at `at`
    past = run.pictures.replayed(at, FORK_REPLAY)
    path = checkpoint.beside(run.path)
    try:
        checkpoint.save(path, past.checkpoint())
    except OSError as error:
        raise ConfigError("", f"The state to begin with could not be written: {error.strerror}") from None
    settings = {name: before[name] for name in LIVE_CHANGES}
    return config, findings, (settings,), max(run.trainer.step, past.step + TRIAL_STEPS), path


def surface_task(run: Run, random: bool) -> SurfaceTask:
    """The SurfaceTask of the run as it stands."""
    return SurfaceTask.of(run.trainer, run.recorder, random)


def snapshot(run: Run, unit: tuple[int, int] | None, at: int | None = None, share: float | None = None) -> Snapshot:
    run.pacing.share = share or run.pacing.share
    run.persistence.look_after()
    rate = run.pacing.steps_per_second if run.running else 0.0
    if at is not None and at < run.trainer.step:
        picture = run.pictures.past(at, run.status, rate, unit)
    else:
        known = {finding.code for finding in run.findings}
        picture = run.pictures.present(run.status, rate, unit)
        if {finding.code for finding in picture.findings} - known:
            run.persistence.hasten()
    return dataclasses.replace(picture, run_id=run.persistence.run_id, store_error=run.persistence.problem)


COMMANDS = {
    command.__name__: command
    for command in (
        play,
        pause,
        step,
        epoch,
        reset,
        configure,
        change,
        edit,
        export,
        examples,
        predict,
        worst_samples,
        set_speed,
        fork,
        trial_task,
        surface_task,
        snapshot,
    )
}
