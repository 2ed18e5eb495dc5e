"""What is known of a watched run, in a fixed amount of memory: its losses, norms, histograms and whole steps."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from core.limits import ConfigError
from core.training.telemetry import downsample_keep_peaks
from core.watch.probe_format import FIELD, Header, Record

SCALARS = 6000  # rows of scalars; thinned to half when they are more
CELLS = 2_000_000  # of a table of norms
FIRST_ROWS, LAST_ROWS = 32, 256  # rows of norms that are never thinned
WHOLE_BYTES = 40 << 20  # of whole steps
FIRST_WHOLE, LAST_WHOLE = 8, 4  # whole steps that go last
EVENTS = 20
WAITING = 1 << 14  # rows of scalars that wait to be joined to the others


@dataclass(frozen=True)
class WholeStep:
    """All that a program had at one step: lists of arrays in the order of the run's tensors, a gradient None where there was none."""

    step: int
    params: list
    grads: list
    X: np.ndarray | None
    Y: np.ndarray | None
    outputs: np.ndarray | None
    hidden: dict
    loss: float
    learning_rate: float
    loss_name: str
    activations: tuple[str, ...]
    nbytes: int = field(repr=False)

    def record(self) -> Record:
        """The Record that it was made of."""
        arrays = {f"params.{at}": array for at, array in enumerate(self.params)}
        arrays |= {f"grads.{at}": array for at, array in enumerate(self.grads) if array is not None}
        arrays |= {name: array for name in ("X", "Y", "outputs") if (array := getattr(self, name)) is not None}
        arrays |= {f"activations.{name}": array for name, array in self.hidden.items()}
        arrays |= {"loss": np.float64(self.loss), "learning_rate": np.float64(self.learning_rate)}
        return Record("whole", {"step": self.step, "loss_name": self.loss_name, "activations": self.activations}, arrays)


class WatchedRun:
    """A program of somebody's, as far as its probe told. `names`, `shapes` and `gradient_shapes` describe its tensors; they are () until
    it told. The tables are `scalars` (rows of step, loss, learning_rate, test_loss), `norm_steps` (rows,) with `norms` (rows, 4, tensors):
    parameter, gradient, update and whether all entries moved alike; `finite` (rows, tensors, 2) of parameter and gradient; `units`
    (rows, layers, 2), the shares of dead and saturated units. `version` counts what was added."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.run_id, self.name, self.began = header.run, header.name, header.began
        self.names, self.shapes, self.gradient_shapes = (), (), ()
        self.layers, self.events = (), []
        self.norm_steps, self._norms, self._finite, self._units = [], [], [], []
        self.histograms = {}  # the newest: name of the array -> array, and "step"
        self.whole = {}  # step -> WholeStep, in order
        self.steps = 0
        self.version = 0
        self._scalars, self._more = np.zeros((0, 4)), []

    def add(self, record: Record) -> None:
        """Take in one validated record. Raises ConfigError where it does not fit to those before."""
        getattr(self, f"_add_{record.kind}")(record)
        self.version += 1

    def records(self, most: int) -> Iterator[Record]:
        """The Records that make a fresh run the same as this one. Of its whole steps, as many as take up to `most` bytes: those between the
        first and the last are left out first."""
        if self.names:
            yield Record("tensors", {"names": self.names, "shapes": self.shapes, "gradient_shapes": self.gradient_shapes}, {})
        columns = dict(zip(("loss", "learning_rate", "test_loss"), self.scalars[:, 1:].T))
        yield Record("scalars", {}, {"step": self.scalars[:, 0].astype("<i8"), **columns})
        for step, norms, finite, units in zip(self.norm_steps, self._norms, self._finite, self._units):
            arrays = dict(zip(("parameter", "gradient", "update", "alike"), norms)) | {"finite": finite.astype("|u1")}
            about = {"step": step}
            if units is not None and len(units) == len(self.layers):
                about["layers"], arrays["units"] = self.layers, units
            yield Record("norms", about, arrays)
        if self.histograms:
            yield Record(
                "histograms", {"step": self.histograms["step"]}, {name: a for name, a in self.histograms.items() if name != "step"}
            )
        whole = dict(self.whole)
        while whole and sum(step.nbytes for step in whole.values()) > most:
            del whole[_least_wanted(list(whole))]
        yield from (step.record() for step in whole.values())
        yield from (Record("event", event, {}) for event in self.events)

    # Looking

    def frozen(self) -> WatchedRun:
        """A copy that stays as it is while this run goes on; the arrays are shared, since none is ever written to."""
        with_same = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (list, dict)):
                setattr(with_same, name, copy.copy(value))
        return with_same

    @property
    def scalars(self) -> np.ndarray:
        """(rows, 4): step, loss, learning rate, test loss; NaN where nothing was told."""
        self._join()
        return self._scalars

    @property
    def norms(self) -> np.ndarray:
        """(rows, 4, tensors)."""
        return np.array(self._norms).reshape(len(self._norms), 4, len(self.names))

    @property
    def finite(self) -> np.ndarray:
        """(rows, tensors, 2) of bool."""
        return np.array(self._finite, bool).reshape(len(self._finite), len(self.names), 2)

    @property
    def units(self) -> np.ndarray:
        """(rows, layers, 2), NaN where not told."""
        empty = np.full((len(self.layers), 2), np.nan)
        rows = [empty if row is None or len(row) != len(self.layers) else row for row in self._units]
        return np.array(rows).reshape(len(rows), len(self.layers), 2)

    @property
    def told(self) -> tuple[str, tuple[str, ...]]:
        """(loss's name, activations' names), as told at last; "" and () where they were not."""
        newest = next(reversed(self.whole.values()), None)
        return (newest.loss_name, newest.activations) if newest else ("", ())

    def layer_of(self, tensor: int) -> int:
        """The layer, from 1, that the tensor of this index belongs to, as far as their order tells: a new one begins with each matrix."""
        return max(1, sum(len(shape) > 1 and min(shape) > 1 for shape in self.shapes[: tensor + 1]))

    # Taking in

    def _join(self):
        """Put the newest scalars behind the others; where they are too many, keep the peaks, the test losses and the first that is not
        finite."""
        if not self._more:
            return
        rows, self._more = np.concatenate([self._scalars, *self._more]), []
        if (np.diff(rows[:, 0]) < 0).any():
            rows = rows[np.argsort(rows[:, 0], kind="stable")]
        if len(rows) > SCALARS:
            kept = [downsample_keep_peaks(rows, (1,), SCALARS // 2), np.flatnonzero(~np.isnan(rows[:, 3]))[-SCALARS // 4 :]]
            kept += [np.flatnonzero(~np.isfinite(rows[:, 1]))[:1], [0, len(rows) - 1]]
            rows = rows[np.unique(np.concatenate(kept))]
        self._scalars = rows

    def _add_tensors(self, record):
        if self.names and self.names != record.about["names"]:
            raise ConfigError(FIELD, "must keep to the tensors that it named first; they are others now")
        for name, value in record.about.items():
            setattr(self, name, value)

    def _add_scalars(self, record):
        columns = [record.arrays[name].astype(float) for name in ("step", "loss", "learning_rate", "test_loss")]
        self._more.append(np.column_stack(columns))
        if len(columns[0]):
            self.steps = max(self.steps, int(columns[0][-1]))
        if sum(map(len, self._more)) > WAITING:
            self._join()

    def _add_norms(self, record):
        self._check_count(len(record.arrays["parameter"]))
        step = record.about["step"]
        self.layers = record.about["layers"] or self.layers
        self.norm_steps.append(step)
        self._norms.append(np.stack([record.arrays[name] for name in ("parameter", "gradient", "update", "alike")]).astype("f8"))
        self._finite.append(record.arrays["finite"] > 0)
        self._units.append(record.arrays["units"].astype(float) if "units" in record.arrays else None)
        self.steps = max(self.steps, step)
        if len(self._norms) > max(2 * (FIRST_ROWS + LAST_ROWS), CELLS // (4 * len(self.names))):
            self._thin()

    def _thin(self):
        end = len(self._norms) - LAST_ROWS
        kept = [at for at in range(len(self._norms)) if at < FIRST_ROWS or at >= end or at % 2 == 0]
        for name in ("norm_steps", "_norms", "_finite", "_units"):
            rows = getattr(self, name)
            setattr(self, name, [rows[at] for at in kept])

    def _add_histograms(self, record):
        self._check_count(len(record.arrays["parameter_range"]))
        self.histograms = {"step": record.about["step"], **{name: array.copy() for name, array in record.arrays.items()}}

    def _add_whole(self, record):
        count, arrays = len(self.names), record.arrays
        places = [f"params.{at}" for at in range(count)]
        indices = [int(name.partition(".")[2]) for name in arrays if name.startswith(("params.", "grads."))]
        if not count or any(place not in arrays for place in places) or max(indices) >= count:
            raise ConfigError(FIELD, f"must have all of its {count:,} tensors, and no others, in a whole step")
        for place, name, shape in zip(places, self.names, self.shapes):
            if arrays[place].shape != shape:
                raise ConfigError(FIELD, f"must have the shape {shape} for {name} in a whole step; was {arrays[place].shape}")
        copies = {name: array.copy() for name, array in arrays.items()}
        prefix = "activations."
        step = WholeStep(
            step=record.about["step"],
            params=[copies[place] for place in places],
            grads=[copies.get(f"grads.{at}") for at in range(count)],
            **{name: copies.get(name) for name in ("X", "Y", "outputs")},
            hidden={name.removeprefix(prefix): array for name, array in copies.items() if name.startswith(prefix)},
            **{name: float(arrays[name]) for name in ("loss", "learning_rate")},
            **{name: record.about[name] for name in ("loss_name", "activations")},
            nbytes=sum(array.nbytes for array in copies.values()),
        )
        self.whole[step.step] = step
        self.whole = dict(sorted(self.whole.items()))
        self.steps = max(self.steps, step.step)
        while len(self.whole) > 2 and sum(step.nbytes for step in self.whole.values()) > WHOLE_BYTES:
            del self.whole[_least_wanted(list(self.whole))]

    def _add_event(self, record):
        self.events = [*self.events[: EVENTS - 1], record.about]

    def _check_count(self, count):
        if count != len(self.names):
            raise ConfigError(FIELD, f"must have a figure for each of its {len(self.names):,} tensors; had {count:,}")


def _least_wanted(steps):
    """Which of these whole steps to forget: one between the first and the last, that with the least distance to its neighbours."""
    between = range(FIRST_WHOLE, len(steps) - LAST_WHOLE) or range(1, len(steps) - 1)
    return steps[min(between, key=lambda at: steps[at + 1] / max(steps[at - 1], 1), default=0)]
