"""Validation of what is read back of a run: nothing of it is believed, and all of it must fit its configuration."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.config import RunConfig
from core.data.sources import SOURCES
from core.diagnosis.finding import SEVERITIES
from core.fit import parameter_count
from core.limits import TEXT_LENGTH, ConfigError, NotJSON, parsed_json, plain_text, shown
from core.nn.optimizers import OPTIMIZERS
from core.store.record import FIGURES, FINDING_FIELDS
from core.training.live_changes import needs_new_run
from core.training.telemetry import FRAME_ROWS, SAMPLE_ROWS, UNNAMED, column_names, in_present_columns

if TYPE_CHECKING:
    from core.store.record import StoredRun

STATUSES = ("running", "paused", "finished", "nonfinite")
LATEST = 2**53  # no step is later: beyond it a float64 cannot count
SAID = 1000  # characters of a title, a cause or an event
MOST_COLUMNS = 64  # of a layer, or of the full evaluations
DEEPEST = 4  # levels of a patch; a configuration has three


class InvalidRun(ValueError):
    """Something stored is not what it must be; the message says what."""


def validated(run: StoredRun) -> StoredRun:
    """The StoredRun with its configuration complete and its history in the columns of now. Raises InvalidRun unless everything fits its
    configuration, and nothing is unheard of."""
    try:
        config = RunConfig.from_dict(run.config)
    except ConfigError as error:
        raise InvalidRun(f"its configuration is not valid: {error}") from None
    _ensure(config.data.test_path is None, "its test part must be of its own file")  # a path from outside is never opened
    _ensure(_is_step(run.step), f"its step must be a whole number from 0; was {shown(run.step)}")
    _ensure(run.status in STATUSES, f"its status must be one of {', '.join(STATUSES)}; was {shown(run.status)}")
    for name in ("epoch", "seconds"):
        _ensure(_is_number(getattr(run, name)), f"its {name} must be a number; was {shown(getattr(run, name))}")
    _ensure(isinstance(run.name, str) and isinstance(run.note, str), "its name and note must be texts")
    _ensure(run.parent is None or (isinstance(run.parent, str) and _is_step(run.forked_at)), "a fork must have a run and a step it is from")
    _validate_figures(run.figures)
    _validate_findings(run.findings)
    _validate_interventions(run.interventions, run.step)
    history = run.history and _validated_history(run.history, len(config.layers))
    steps = [moment.step for moment in run.moments]
    _ensure(steps == sorted(set(steps)), "its moments must be in order")
    _ensure(not steps or steps[-1] == run.step, "its last moment must be its present")
    texts = {str(moment.state.get("config")) for moment in run.moments}  # of many moments few differ
    configs = {text: _config_of_moment(text, config) for text in texts}
    for moment in run.moments:
        _validate_moment(moment, configs[str(moment.state["config"])], len(run.interventions))
    return replace(run, config=config.to_dict(), history=history)


def validate_text(what: str, text: object, most: int, lines: bool = False) -> None:
    """InvalidRun unless `text` is a plain one, as core.limits has it; `what` is how the message calls it."""
    try:
        plain_text(what, text, most, lines)
    except ConfigError as error:
        raise InvalidRun(f"{what} {error.message}") from None


def _ensure(condition, message):
    if not condition:
        raise InvalidRun(message)


def _is_number(value):
    """Whether it is a finite number. A whole one that no float64 counts to measures nothing, and SQLite may not hold it."""
    return math.isfinite(value) if isinstance(value, float) else type(value) is int and abs(value) <= LATEST


def _is_step(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST


def _validate_figures(figures):
    _ensure(isinstance(figures, dict) and set(figures) == {*FIGURES, "metric"}, "its figures must be losses and metrics")
    _ensure(figures["metric"] in ("accuracy", "r2"), f"its metric must be accuracy or r2; was {shown(figures['metric'])}")
    for name in FIGURES:
        known = figures[name] is not None
        _ensure(not known or _is_number(figures[name]), f"its figure {name} must be a number or null; was {shown(figures[name])}")


def _validate_findings(findings):
    for finding in findings:
        _ensure(isinstance(finding, dict) and set(finding) == set(FINDING_FIELDS), "its findings must have code, severity, step, layer ...")
        for name in ("code", "severity", "title", "cause"):
            validate_text(f"a finding's {name}", finding[name], SAID)
        _ensure(finding["severity"] in SEVERITIES, f"a finding's severity must be one of {', '.join(SEVERITIES)}")
        _ensure(_is_step(finding["step"]) and (finding["layer"] is None or _is_step(finding["layer"])), "a finding must have a step")


def _validate_interventions(interventions, last):
    for entry in interventions:
        _ensure(isinstance(entry, (list, tuple)) and len(entry) == 3, "an intervention must have a step, a method and arguments")
        step, method, arguments = entry
        _ensure(_is_step(step) and step <= last, "an intervention's step must be one of the run's")
        _ensure(isinstance(arguments, (list, tuple)), "an intervention's arguments must be a list")
        if method == "change":
            _ensure(len(arguments) == 1 and isinstance(arguments[0], dict), "a change must be a patch of the configuration")
            _validate_patch(arguments[0], DEEPEST)
        else:
            _ensure(method == "edit" and len(arguments) == 4, f"an intervention must be a change or an edit; was {shown(method)}")
            *place, value = arguments
            _ensure(all(_is_step(at) for at in place if at is not None) and None not in place[:2], "an edit must name a weight or bias")
            _ensure(_is_number(value), f"an edit must set a number; was {shown(value)}")


def _validate_patch(value, levels):
    """Objects and lists, no deeper than so many levels, of plain texts, numbers, truths and nulls."""
    if isinstance(value, (dict, list)):
        _ensure(levels > 0, f"a change must have at most {DEEPEST} levels")
        for entry in [*value, *value.values()] if isinstance(value, dict) else value:
            _validate_patch(entry, levels - 1)
    elif isinstance(value, str):
        validate_text("a text of a change", value, TEXT_LENGTH)
    else:
        _ensure(value is None or isinstance(value, bool) or _is_number(value), f"a change must set numbers or texts; was {shown(value)}")


def _validated_history(history, layers):
    rows = {"samples", "frames", "events"}
    _ensure(set(history) in (rows, rows | {*UNNAMED}), "its history must have samples, frames and events, and all names of columns or none")
    for name in set(history) - rows:
        _ensure(history[name].ndim == 1 and history[name].dtype.kind == "U", f"its {name} must be names")
    metrics, in_frames = column_names(history)
    for names in (metrics, in_frames):
        _ensure(0 < len(names) == len(set(names)) <= MOST_COLUMNS, f"its columns must be at most {MOST_COLUMNS} different ones")
        for name in names:
            validate_text("a column's name", name, TEXT_LENGTH)
    _ensure(in_frames[0] == "step", "its frames must begin with their step")
    for name, most, columns in (("samples", SAMPLE_ROWS, 2 + layers * len(metrics)), ("frames", FRAME_ROWS, len(in_frames))):
        rows = history[name]
        fits = rows.dtype == float and rows.ndim == 2 and len(rows) <= most and rows.shape[1] == columns
        _ensure(fits, f"its {name} must be at most {most:,} rows of {columns} numbers; were {rows.shape} {rows.dtype}")
        steps = rows[:, 0]
        _ensure(np.isfinite(steps).all() and (np.diff(steps) >= 0).all(), f"the steps of its {name} must be numbers in order")
    _ensure(len(history["frames"]) > 0, "its history must have a first evaluation")
    _validate_events(history["events"], layers)
    return in_present_columns(history)


def _validate_events(texts, layers):
    try:
        events, nonfinite = (parsed_json(str(text)) for text in texts)
    except (ValueError, TypeError):
        raise InvalidRun("its events must be JSON") from None
    well_formed = isinstance(events, list) and all(isinstance(event, list) and len(event) == 2 and _is_step(event[0]) for event in events)
    _ensure(well_formed, "its events must be a list of steps and texts")
    for _, text in events:
        validate_text("an event", text, SAID)
    if nonfinite is not None:
        well_formed = isinstance(nonfinite, list) and len(nonfinite) == 3 and _is_step(nonfinite[0]) and _is_step(nonfinite[1])
        _ensure(well_formed, "its first non-finite value must have a step, a layer and a tensor")
        validate_text("its first non-finite tensor", nonfinite[2], SAID)
        _ensure(nonfinite[1] <= layers, "its first non-finite value must be in one of its layers")


def _config_of_moment(text, config):
    try:
        then = RunConfig.from_dict(parsed_json(text))
    except ConfigError as error:
        raise InvalidRun(f"a moment's configuration is not valid: {error}") from None
    except NotJSON:
        raise InvalidRun("a moment's configuration is not valid") from None
    _ensure(needs_new_run(config, then) is None, "a moment's configuration must be the run's but for what a run can change")
    return then


def _validate_moment(moment, config, interventions):
    state = moment.state
    _ensure(_is_number(moment.spent) and _is_step(moment.done) and moment.done <= interventions, "a moment must say what was before it")
    _ensure({"vector", "position", "config"} <= set(state), "a moment must have weights, position and configuration")
    vector, position = state["vector"], state["position"]
    source = SOURCES[config.data.source]
    parameters = source.kind != "file" and parameter_count(config, source.inputs or len(config.data.features))
    fits = vector.ndim == 1 and vector.dtype == config.dtype and (not parameters or len(vector) == parameters)
    _ensure(fits, f"a moment's weights must be {parameters or 'numbers'} of {config.dtype}; were {vector.shape} {vector.dtype}")
    _ensure(np.isfinite(vector).all(), "a moment's weights must be finite")
    _ensure(position.shape == (4,) and position.dtype.kind in "fi" and np.isfinite(position).all(), "a moment's position must be 4 numbers")
    sound = (position >= 0).all() and position.max() <= LATEST and position[1] <= position[0] == moment.step
    _ensure(sound, f"a moment's position must be that after {moment.step} updates; was {position.tolist()}")
    slots = {name: state[name] for name in state.keys() - {"vector", "position", "config", "best", "stopping"}}
    _ensure(
        ({"best", "stopping"} <= set(state)) == (config.stop is not None), "a moment must have the best weights where a run stops early"
    )
    if config.stop:
        best, figures = state["best"], state["stopping"]
        fits = best.shape == vector.shape and best.dtype == vector.dtype and figures.shape == (4,) and figures.dtype == float
        _ensure(fits and np.isfinite(best).all(), "a moment's best weights must be as large as its weights, and finite")
        _ensure(not np.isnan(figures).any() and np.isfinite(figures[1:]).all(), "a moment's early stopping must be 4 numbers")
    fits = all(slot.shape == vector.shape and slot.dtype == vector.dtype for slot in slots.values())
    _ensure(fits, "what a moment's optimizer carries must be as large as the weights")
    _ensure(set(slots) == {f"slot{index}" for index in range(_slots(config))}, f"a moment must have what {config.optimizer.name} carries")


def _slots(config):
    return OPTIMIZERS[config.optimizer.name].slots + bool(config.faults)  # as core.nn.updater has them


def vectors_carried(config: RunConfig) -> int:
    """How many vectors as long as the parameters a moment of a run has beside these."""
    return _slots(config) + (config.stop is not None)
