"""Remedies that are tried before they are recommended: each candidate trains the run's own configuration with one thing changed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.data import load
from core.data.sources import SOURCES
from core.diagnosis import diagnose
from core.diagnosis.baseline import baseline
from core.diagnosis.detectors import DETECTORS
from core.diagnosis.evidence import Evidence
from core.diagnosis.finding import status
from core.diagnosis.forecast import forecast as foresee
from core.diagnosis.remedies import CLIP_NORM, USUAL_BATCH, first_weights, recommended_rate, rounded
from core.limits import ConfigError
from core.nn.activations import ACTIVATIONS
from core.nn.losses import suited_output
from core.training.evaluation import penalty
from core.training.live_changes import LIVE_CHANGES, needs_new_run
from core.training.trainer import Trainer

if TYPE_CHECKING:
    import numpy as np

    from core.config import RunConfig
    from core.diagnosis.finding import Finding
    from core.diagnosis.forecast import Forecast

CANDIDATES = 10  # at most, those of the findings first
SECONDS = 10.0  # that each may take
NOTES = 10  # of progress during each
LOOK = 0.1  # seconds between two looks at the clock and at whether all is cancelled
METRIC_DIGITS = 2  # runs whose metrics differ by less did equally well: a test part has a few hundred samples

ADAM_RATE = 0.001  # its authors' own (Kingma & Ba 2015)


@dataclass(frozen=True)
class Candidate:
    """Something to try: a patch of the configuration, and what it does in a few words."""

    title: str
    patch: dict


AS_IT_IS = Candidate("As it is", {})


@dataclass(frozen=True)
class Trial:
    """What became of a candidate after `steps` updates. `loss` is that of the training part, `relative_loss` the same without penalty
    over the best constant output's; `metric` is of the test part, where there is one. `status` is the report's word, `findings` the
    codes of the critical findings and warnings left. `mended`: none is left, and the network does better than a constant output."""

    title: str
    patch: dict
    steps: int
    loss: float
    relative_loss: float
    metric: float
    status: str
    findings: tuple[str, ...]
    mended: bool

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of the report's trials."""
        return {name: getattr(self, name) for name in ("title", "patch", "loss", "metric", "status", "mended")}

    @property
    def rank(self) -> tuple[bool, float, int, float]:
        """Sorts trials best first: what did not blow up, by the metric, then by the findings left, then by the loss."""
        metric = round(self.metric, METRIC_DIGITS) if math.isfinite(self.metric) else -math.inf
        loss = self.relative_loss if math.isfinite(self.relative_loss) else math.inf
        return self.status in ("nonfinite", "diverged"), -metric, len(self.findings), loss


@dataclass(frozen=True)
class Trials:
    """How far trials are: `progress` 0 to 1, whether they are `running` still, those finished so far (best first), and whether they
    are `done` to the end; `problem` is one sentence when they could not be."""

    progress: float = 0.0
    running: bool = False
    trials: tuple[Trial, ...] = ()
    done: bool = False
    problem: str | None = None


def candidates(
    config: RunConfig, findings: list[Finding], forecast: Forecast | None = None, first: Sequence[Candidate] = ()
) -> tuple[Candidate, ...]:
    """What might mend a run of this configuration with these findings, at most CANDIDATES: patches known beforehand (`first`), the
    findings' own fixes, then general ones.

    All can run, none does nothing, no two are the same. `forecast` (a Forecast or None) knows the largest learning rate that is stable.
    """
    found, seen = [], [config]
    for patch in [*first, *(finding.fix for finding in findings if finding.fix), *_general(config, findings, forecast)]:
        try:
            patched = config.patched(patch)
        except ConfigError:
            continue
        if patched not in seen:
            seen.append(patched)
            found.append(Candidate(_title(config, patched), patch))
    return tuple(found[:CANDIDATES])


def foreseen_candidates(
    config: RunConfig, findings: list[Finding], first: Sequence[Candidate] = (), start: dict[str, np.ndarray] | None = None
) -> tuple[Candidate, ...]:
    """`candidates` that know the forecast for step 0, or for `start`, a Trainer's checkpoint. Raises ConfigError."""
    return candidates(config, findings, foresee(_beginning(config, {}, None, start)), first)


def _general(config, findings, forecast):
    """Patches, most often helpful first, whether they fit or not."""
    rate = config.optimizer.learning_rate
    if forecast is not None and (stable := recommended_rate(config, forecast)):
        yield _learning_rate(stable)
    if any(DETECTORS[finding.code].slow for finding in findings):
        yield _learning_rate(10 * rate)
    yield _learning_rate(rate / 10)
    yield {"optimizer": {"name": "adam", "learning_rate": ADAM_RATE}}
    yield {"data": {"scaling": "standard"}} if config.data.scaling == "none" else {}
    yield {"data": {"target_scaling": "standard"}} if _task(config) == "regression" and config.data.target_scaling == "none" else {}
    yield _matching_output(config)
    yield _learning_rate(rate / 3)
    yield first_weights(config.to_dict()["layers"], ACTIVATIONS[config.layers[0].activation].init)
    yield _steadier(config)
    yield {"clip_norm": CLIP_NORM}
    yield {"batch_size": USUAL_BATCH} if config.batch_size is not None and config.batch_size < USUAL_BATCH else {}
    yield {"penalty": {"l1": 0.0, "l2": 0.0}}
    yield {"faults": []}


def _learning_rate(rate):
    return {"optimizer": {"learning_rate": rounded(rate)}}


def _task(config):
    return SOURCES[config.data.source].task or config.data.task


def _matching_output(config):
    """The output activation and the loss that belong to the task."""
    *hidden, output = config.to_dict()["layers"]
    activation, loss = suited_output(_task(config), exclusive=output["units"] > 1)
    return {"layers": [*hidden, {**output, "activation": activation}], "loss": loss}


def _steadier(config):
    """Steadier activations in the hidden layers, with the first weights that suit them."""
    *hidden, output = config.to_dict()["layers"]
    layers = [{**layer, "activation": ACTIVATIONS[layer["activation"]].steadier or layer["activation"]} for layer in hidden]
    if not layers:
        return {}
    return {"layers": [*layers, output], **first_weights([*layers, output], ACTIVATIONS[layers[0]["activation"]].init)}


def _title(config, patched):
    """What a patch does, in a few words."""
    words, old, new = [], config, patched
    if new.optimizer.name != old.optimizer.name:
        words.append(f"{new.optimizer.name} optimizer")
    if new.optimizer.learning_rate != old.optimizer.learning_rate:
        words.append(f"learning rate {new.optimizer.learning_rate:g}")
    if new.data.scaling != old.data.scaling:
        words.append(f"{new.data.scaling} scaling of the inputs")
    if new.data.target_scaling != old.data.target_scaling:
        words.append(f"{new.data.target_scaling} scaling of the targets")
    words += _layer_words(old.layers, new.layers)
    if new.loss != old.loss:
        words.append(f"{new.loss.replace('_', ' ')} loss")
    if new.init != old.init or any(layer.init for layer in old.layers) != any(layer.init for layer in new.layers):
        words.append(f"{new.init.weights.replace('_', ' ')} weights to begin with")
    if new.clip_norm != old.clip_norm:
        words.append("no clipping" if new.clip_norm is None else f"gradients clipped at {new.clip_norm:g}")
    if new.batch_size != old.batch_size:
        words.append(f"batches of {new.batch_size or 'all samples'}")
    if new.penalty != old.penalty:
        words.append("no penalty" if not (new.penalty.l1 or new.penalty.l2) else f"penalty l1 {new.penalty.l1:g}, l2 {new.penalty.l2:g}")
    if new.faults != old.faults:
        words.append("without the planted faults")
    title = ", ".join(words or ["other settings"])
    return title[0].upper() + title[1:]


def _layer_words(old, new):
    if [layer.units for layer in old] != [layer.units for layer in new]:
        yield "layers of " + ", ".join(str(layer.units) for layer in new) + " units"
    if changed := {layer.activation for layer in new[:-1]} - {layer.activation for layer in old[:-1]}:
        yield f"{' and '.join(sorted(changed)).replace('_', ' ')} in the hidden layers"
    if new[-1].activation != old[-1].activation:
        yield f"{new[-1].activation} output"


def try_fixes(
    config: RunConfig,
    candidates: Sequence[Candidate],
    steps: int,
    progress: Callable | None = None,
    cancelled: Callable[[], bool] | None = None,
    start: dict[str, np.ndarray] | None = None,
    seconds: float = SECONDS,
) -> tuple[Trial, ...]:
    """Train the configuration as it is and with each of the candidates up to step `steps`, one after the other; the Trials, best first.

    `start`, a Trainer's checkpoint or None, is where what a living run can change begins; all else begins at step 0. `progress(share,
    trials)` is told NOTES times for each candidate how much is done; when `cancelled()` says so, the rest is left out.
    Raises ConfigError when the data cannot be loaded.
    """
    dataset, trials, runs = load(config.data), (), [AS_IT_IS, *candidates]
    for number, candidate in enumerate(runs):
        try:
            trainer = _beginning(config, candidate.patch, dataset, start)
        except ConfigError:
            continue  # it does not fit the data after all
        tell = _telling(progress, number, len(runs), trials)
        if not _trained(trainer, steps, time.monotonic() + seconds, tell, cancelled):
            break
        trials = tuple(sorted([*trials, _judged(candidate, trainer)], key=lambda trial: trial.rank))
        if progress:
            progress((number + 1) / len(runs), trials)
    return trials


def _telling(progress, number, runs, trials):
    """A function of the share that is done of run `number`, which tells how much is done of all."""
    return lambda share: progress and progress((number + share) / runs, trials)


def _beginning(config, patch, dataset, start):
    """A Trainer of the patched configuration, at `start` if a living run can change that."""
    patched = config.patched(patch)
    trainer = Trainer(patched, dataset if patched.data == config.data else None)
    if start is not None and needs_new_run(config, patched) is None:
        trainer.restore(start)
        settings = patched.to_dict()
        trainer.change({name: settings[name] for name in LIVE_CHANGES})
    return trainer


def _trained(trainer, steps, end, tell, cancelled):
    """Train up to step `steps`, or until the clock says `end`; False when it was cancelled."""
    first = trainer.step
    chunk, told = 1, 0
    while trainer.step < steps and not trainer.nonfinite and time.monotonic() < end:
        if cancelled and cancelled():
            return False
        began = time.monotonic()
        trainer.advance(min(chunk, steps - trainer.step))
        chunk = max(1, int(chunk * min(2.0, LOOK / max(time.monotonic() - began, 1e-9))))
        done = NOTES * (trainer.step - first) // (steps - first)
        if told < done < NOTES:
            told = done
            tell(done / NOTES)
    trainer.frame()
    return True


def _judged(candidate, trainer):
    findings = diagnose(trainer)
    left = tuple(finding.code for finding in findings if finding.severity != "info")
    loss, chance = trainer.loss(), baseline(trainer.config, trainer.dataset).loss
    metric = trainer.evaluator.metric("test" if len(trainer.dataset.test) else "train")
    return Trial(
        title=candidate.title,
        patch=candidate.patch,
        steps=trainer.step,
        loss=loss,
        relative_loss=(loss - penalty(trainer.network, trainer.config.penalty)) / chance if chance > 0 else loss,
        metric=metric,
        status=status(findings),
        findings=left,
        mended=not left and Evidence(trainer).progress.learned,
    )
