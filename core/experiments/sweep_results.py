"""What a sweep has found: its results file, in which each run is a line, and the answer that is made of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from core.command_line import MAX_BYTES
from core.experiments.sweep import MAX_RUNS
from core.limits import ConfigError, NotJSON, parsed_json
from core.report import strict

if TYPE_CHECKING:
    from core.experiments.sweep import Point, Sweep

FORMAT = "descent_sweep"  # names the header's version: the first line of a results file
VERSION = 1
RESULT = ("key", "settings", "seed", "status", "metric", "metric_name", "loss", "test_loss", "steps", "id")
FIELD = "out"  # what errors call the file


class Results:
    """The results of a sweep, {key: result} in `known`; with a `path` also in that file, a line each, written as they come.

    A file that is there is read, and goes on: a sweep that was killed makes only what is missing. A line that was cut off is left out.
    `values` of the sweep stand in its header. Raises ConfigError when the file cannot be used, or another sweep writes to it.
    """

    def __init__(self, path: str | Path | None = None, values: dict[str, Any] | None = None) -> None:
        self.known, self.values, self._token, self._file = {}, values, secrets.token_urlsafe(12), None
        if path is None:
            return
        try:
            self._file = open(path, "a+b")  # noqa: SIM115 (open as long as the sweep goes on)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.seek(0)
            whole = self.load(self._file)
            self._file.truncate(whole)
            if whole == 0:
                self._write({FORMAT: VERSION, "token": self._token, "sweep": values})
        except BlockingIOError:
            self.close()
            raise ConfigError(FIELD, "is being written by another sweep; end that one, or name another file") from None
        except OSError as error:
            self.close()
            raise ConfigError(FIELD, f"cannot be written: {error.strerror or error}; was {str(path)!r}") from None
        except ConfigError:
            self.close()
            raise

    @classmethod
    def read(cls, path: str | Path) -> Results:
        """The Results in a file as it stands, which another process may be writing: to be looked at. Raises ConfigError and OSError."""
        results = cls()
        with open(path, "rb") as file:
            results.load(file)
        return results

    def load(self, file: BinaryIO) -> int:
        """Take in the lines of a file; where the last whole one ends."""
        end = 0
        for number in range(MAX_RUNS * 10):
            line = file.readline(2 * MAX_BYTES)
            if not line.endswith(b"\n"):
                if number == 0 and line and not line.startswith(f'{{"{FORMAT}"'.encode()):
                    raise ConfigError(FIELD, "must be a new file, or one that a sweep has written; it holds something else")
                break
            self._take(number, line)
            end += len(line)
        return end

    def _take(self, number, line):
        try:
            entry = parsed_json(line)
        except NotJSON:
            entry = None
        if number == 0:
            if not isinstance(entry, dict) or entry.get(FORMAT) != VERSION or not isinstance(entry.get("token"), str):
                raise ConfigError(FIELD, "must be a new file, or one that a sweep has written; it holds something else")
            self._token, self.values = entry["token"], self.values or entry.get("sweep")
        elif not isinstance(entry, dict) or not _sound(entry):
            raise ConfigError(FIELD, f"must hold one result a line; line {number + 1} is none")
        else:
            self.known[entry["key"]] = entry

    def id(self, point: Point) -> str:
        """The id under which this point's run is kept: the same one whenever it is asked for, and for nobody to guess."""
        return hashlib.sha256(f"{self._token} {point.group} {point.seed}".encode()).hexdigest()[:24]

    def add(self, result: dict[str, Any]) -> None:
        """Take in a result, and write it down."""
        self.known[result["key"]] = result
        if self._file is not None:
            self._write(result)

    def _write(self, entry):
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Let others write to the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _sound(entry):
    """Whether an object out of a file has the shape of a result."""
    return (
        set(entry) >= set(RESULT)
        and isinstance(entry["key"], str)
        and isinstance(entry["settings"], dict)
        and isinstance(entry["status"], str)
        and all(entry[name] is None or _is_number(entry[name]) for name in ("metric", "loss", "test_loss"))
    )


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def refused(point: Point) -> dict[str, Any]:
    """The result of a point that is no valid configuration."""
    error = {"field": point.error.field, "message": point.error.message}
    nothing = dict.fromkeys(("metric", "metric_name", "loss", "test_loss", "steps", "id"))
    return {"key": None, "settings": point.settings, "seed": point.seed, "status": "invalid"} | nothing | {"error": error}


def merit(results: list[dict[str, Any]]) -> tuple[float, float]:
    """What a group's results are ranked by, higher is better: the mean metric over its seeds, then the lower loss on test data. A run
    without a metric (not finite, refused) puts its group last."""
    metrics = [result["metric"] for result in results]
    losses = [result["test_loss"] if result["test_loss"] is not None else result["loss"] for result in results]
    mean = -math.inf if None in metrics else float(np.mean(metrics))
    return mean, -math.inf if None in losses else -float(np.mean(losses))


def latest(sweep: Sweep, known: dict[str, dict[str, Any]]) -> list[dict[str, Any] | None]:
    """[the newest result of each point, the one of most steps; None where it has none], in the sweep's order."""
    steps = sorted({steps for _, steps in sweep.rungs}, reverse=True)
    return [
        refused(point) if point.error else next((known[key] for key in (point.key(n) for n in steps) if key in known), None)
        for point in sweep.points
    ]


def report(sweep: Sweep, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The contract's {"runs": [...], "best": {...} or None} of what is known so far.

    `best` is the best run of the best settings, those of the highest mean metric over seeds that were trained to the end, with that `mean`,
    the `spread` (standard deviation over seeds, None for one) and how many `seeds`. The metric is that of the test data, or else training.
    """
    runs = [{name: value for name, value in run.items() if name != "key"} for run in latest(sweep, known) if run]
    return strict({"runs": runs, "best": best(sweep, known)})


def best(sweep: Sweep, known: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The best run with its spread, as `report` has it; None while no settings were trained to the end."""
    groups = {}
    for group, points in sweep.groups.items():
        results = [known.get(point.key(sweep.steps)) for point in points]
        if None not in results and all(result["metric"] is not None for result in results):
            groups[group] = results
    if not groups:
        return None
    results = max(groups.values(), key=merit)
    metrics = [result["metric"] for result in results]
    top = max(results, key=lambda result: merit([result]))
    spread = float(np.std(metrics, ddof=1)) if len(metrics) > 1 else None
    chosen = {name: value for name, value in top.items() if name != "key"}
    return chosen | {"mean": float(np.mean(metrics)), "spread": spread, "seeds": len(metrics)}


def told(sweep: Sweep, answer: dict[str, Any], rows: int = 20) -> str:
    """The report as lines to be read: the best settings first."""
    order = sorted(answer["runs"], key=lambda run: merit([run]), reverse=True)
    lines = [f"{len(answer['runs'])} runs, the best first:"]
    for run in order[:rows]:
        metric = "-" if run["metric"] is None else f"{run['metric']:.4g}"
        lines.append(f"  {metric:>8}  {run['status']:10} seed {run['seed']}  {spelled(run['settings'])}")
        if "error" in run:
            lines.append(f"            {run['error']['field']}: {run['error']['message']}")
    if len(order) > rows:
        lines.append(f"  and {len(order) - rows:,} more: --json lists them all")
    if (top := answer["best"]) is None:
        return "\n".join([*lines, "No settings were trained to the end with a finite metric."])
    spread = "" if top["spread"] is None else f", standard deviation {top['spread']:.2g} over {top['seeds']} seeds"
    return "\n".join([*lines, f"Best: {spelled(top['settings'])}: mean {top['metric_name']} {top['mean']:.4g}{spread}"])


def spelled(settings: dict[str, Any]) -> str:
    """ "optimizer.learning_rate 0.1, layers.0.units 8" """
    return ", ".join(f"{path} {value if isinstance(value, str) else json.dumps(value)}" for path, value in settings.items()) or "no setting"
