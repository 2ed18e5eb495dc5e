"""What is kept of a run: made of a Trainer when it is saved, validated when it is read back."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.config import RunConfig
from core.limits import ConfigError
from core.training.telemetry import FRAME_COLUMNS
from core.training.trainer import Trainer

if TYPE_CHECKING:
    from core.diagnosis.finding import Finding

SPARK_POINTS = 60  # of the little loss curve in a list of runs
FINDING_FIELDS = ("code", "severity", "step", "layer", "title", "cause")
FIGURES = ("initial", "final", "best", "test", "train_metric", "test_metric")


class Moment(NamedTuple):
    """A state of the run after `step` updates (core.training.recorder.Kept); `pinned` ones are kept longest."""

    step: int
    state: dict
    spent: float
    done: int
    pinned: bool = False


@dataclass(frozen=True)
class RunRecord:
    """A run as it is saved. `figures` holds FIGURES (None where there is none) and `metric`, the metric's name; `interventions` are (step,
    method, arguments); `moments` those not saved yet, the present last; a step before the one it was saved at forgets what came after.
    Only a run from elsewhere brings its `name`, `note` and `file`, (name, bytes) of the upload: None leaves what is stored.
    """

    id: str
    config: dict
    status: str
    step: int
    epoch: float
    seconds: float
    figures: dict
    spark: np.ndarray
    history: dict
    moments: tuple[Moment, ...]
    owner: str | None = None
    parent: str | None = None
    forked_at: int | None = None
    upload: str | None = None
    interventions: tuple = ()
    findings: tuple[dict, ...] = ()
    name: str | None = None
    note: str | None = None
    file: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class WatchedRecord:
    """A watched program as it is saved: `id` is its probe's run id, `probe` all that is known of it in the probe's form, `figures`
    those of FIGURES that were told, `spark` losses at even distances, `findings` dicts of FINDING_FIELDS."""

    id: str
    owner: str | None
    name: str
    status: str
    step: int
    seconds: float
    figures: dict
    spark: np.ndarray
    findings: tuple[dict, ...]
    probe: bytes


@dataclass(frozen=True)
class StoredRun:
    """A run as it is read back, and validated. `history` is what Telemetry.load_arrays takes; `moments` begin with the oldest, the last
    one is the present; both are empty in a run of which only the figures were kept. `file` is (name, bytes) of the upload it trains on."""

    id: str
    owner: str | None
    parent: str | None
    forked_at: int | None
    name: str
    note: str
    starred: bool
    created: float
    updated: float
    status: str
    step: int
    epoch: float
    seconds: float
    figures: dict
    config: dict
    interventions: tuple = ()
    findings: tuple[dict, ...] = ()
    history: dict = field(default_factory=dict)
    moments: tuple[Moment, ...] = ()
    upload: str | None = None
    file: tuple[str, bytes] | None = None

    def placed(self, path: str) -> StoredRun:
        """This run with its upload at `path`, where it was put."""
        moments = tuple(moment._replace(state=_state_with_path(moment.state, path)) for moment in self.moments)
        return dataclasses.replace(self, config=with_path(self.config, path), moments=moments)

    def trainer(self) -> Trainer:
        """The Trainer of this run as it stood. Raises ConfigError where only its figures were kept, or its data cannot be loaded."""
        if not self.moments:
            raise ConfigError("run", "must hold its weights; of this run only the figures were kept")
        with tempfile.NamedTemporaryFile(prefix="descent-run-") as place:
            if self.file:
                place.write(self.file[1])
                place.flush()
            run = self.placed(place.name) if self.file else self
            trainer = Trainer(RunConfig.from_dict(run.config))
        trainer.restore(run.moments[-1].state | run.history)
        return trainer


def record_of(
    trainer: Trainer,
    id: str,
    *,
    status: str,
    seconds: float,
    owner: str | None = None,
    parent: str | None = None,
    forked_at: int | None = None,
    upload: str | None = None,
    findings: Iterable[Finding] = (),
    interventions: Sequence[tuple] = (),
    moments: Iterable[tuple] = (),
) -> RunRecord:
    """The RunRecord of a Trainer as it stands, cheap enough to be made between two updates.

    `moments` are the recorder's Kept or Moments that were not saved yet; the present is added. `interventions` are the recorder's.
    `upload` is the digest of the file it trains on, which takes the place of the file's path everywhere.
    """
    moments = [Moment(*moment) for moment in moments]
    pinned = any(moment.pinned for moment in moments if moment.step == trainer.step)
    present = Moment(trainer.step, trainer.state(), seconds, len(interventions), pinned)
    moments = [moment for moment in moments if moment.step < trainer.step] + [present]
    config, history = trainer.config.to_dict(), trainer.telemetry.to_arrays()
    if config["data"]["path"] is not None:
        config = with_path(config, upload)
        moments = [moment._replace(state=_state_with_path(moment.state, upload)) for moment in moments]
    return RunRecord(
        id=id,
        config=config,
        status=status,
        step=trainer.step,
        epoch=trainer.epoch,
        seconds=seconds,
        figures=_figures(trainer),
        spark=spark(history["frames"]),
        history=history,
        moments=tuple(moments),
        owner=owner,
        parent=parent,
        forked_at=forked_at,
        upload=upload,
        interventions=tuple((step, method, list(arguments)) for step, method, arguments in interventions),
        findings=tuple({name: getattr(finding, name) for name in FINDING_FIELDS} for finding in findings),
    )


def _figures(trainer):
    """Losses and metrics as the last full evaluation has them."""
    losses = trainer.telemetry.frames("train_loss")
    finite = losses[np.isfinite(losses)]
    last = {name: trainer.telemetry.frames(name)[-1] for name in FRAME_COLUMNS}
    figures = {
        "initial": losses[0],
        "final": last["train_loss"],
        "best": finite.min() if len(finite) else None,
        "test": last["test_loss"],
        "train_metric": last["train_metric"],
        "test_metric": last["test_metric"],
    }
    figures = {name: None if value is None or not math.isfinite(value) else float(value) for name, value in figures.items()}
    return figures | {"metric": trainer.evaluator.metric_name}


def spark(frames: np.ndarray) -> np.ndarray:
    """Train losses (n,) float32 at even distances over the run so far, of the full evaluations `frames` (m, FRAME_COLUMNS)."""
    step, loss = frames[:, 0], frames[:, FRAME_COLUMNS.index("train_loss")]
    rows = np.searchsorted(step, np.linspace(step[0], step[-1], SPARK_POINTS))
    largest = np.finfo(np.float32).max
    return np.clip(loss[np.unique(rows)], -largest, largest).astype(np.float32)


def with_path(config: dict[str, Any], path: str | None) -> dict[str, Any]:
    """A configuration's dict with another path of its file."""
    return config | {"data": config["data"] | {"path": path}}


def _state_with_path(state, path):
    return state | {"config": np.array(json.dumps(with_path(json.loads(str(state["config"])), path)))}
