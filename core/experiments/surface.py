"""The loss surface: a slice through the parameters of a run as they stand, with the way that the run came on it.

The slice is spanned by the sharpest direction, the Hessian's eigenvector of the largest eigenvalue (Lanczos' method on exact
Hessian-vector products, core/nn/curvature.py), and the next update's, what it has of the first left out. Random directions with each unit's
weights as large as the network's own (Li et al. 2018, "Visualizing the loss landscape of neural nets", arXiv 1712.09913) are to be had as
well; of a network's way they show next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.config import RunConfig
from core.experiments.subject import Subject, normalizing
from core.limits import ConfigError
from core.nn.curvature import Curvature, largest_eigenvalue
from core.report import strict
from core.training.cost_model import CALL, FORWARD, activation_cost
from core.training.evaluation import penalty
from core.training.recorder import FlightRecorder, last_sound_step
from core.training.rehearsal import Rehearsal
from core.training.trainer import Trainer

MOST_PARAMETERS = 1 << 20
PATH_BYTES = 1 << 24  # of the recorded moments that the path is made from
MOMENTS = 64  # that a run on the command line records
# Points of an axis: at most, and of a large network; microseconds that the losses on all of them may take, as estimated; training samples:
# at most, and at least whatever they cost; elements of all layers that are held at once
POINTS, FEWEST_POINTS, MEASURING, SAMPLES, FEWEST_SAMPLES, ELEMENTS = 41, 21, 1_500_000, 2048, 64, 1 << 20
# Hessian-vector products at most, within so much memory, until the residual is so small
PRODUCTS, BASIS_BYTES, TOLERANCE = 64, 1 << 27, 1e-6
# An axis reaches to where the loss has about doubled, by its curvature; at most so many times the length of all parameters
DOUBLED, FARTHEST = 2.0, 2.0
MARGIN = 1.1  # beyond what an axis must show
NOTHING = 1e-6  # share of an update's length below which it has no direction of its own beside the sharpest
MULTIPLES = 64  # lengths of the next update at which the loss is taken, from 1/16 of it to the end of the slice
SHARPEST, UPDATE, RANDOM = "sharpest direction", "update's direction", "random direction"


@dataclass(frozen=True)
class SurfaceTask:
    """What a surface is made of: the configuration, a `state` of the run (Trainer.state), the parameters `vectors` (n, numbers) that it
    had after `steps` (n,), and whether the directions are to be random. `asked` is the step at which the run stands, which is beyond the
    state's where it is not finite any more."""

    config: RunConfig
    state: dict
    steps: np.ndarray
    vectors: np.ndarray
    asked: int
    random: bool = False

    @classmethod
    def of(cls, trainer: Trainer, recorder: FlightRecorder, random: bool = False) -> SurfaceTask:
        """That of a run as it stands; of one that is not finite any more, as it was at the last recorded moment when it was sound.

        Raises ConfigError for a network of more than MOST_PARAMETERS.
        """
        if trainer.network.vector.size > MOST_PARAMETERS:
            raise ConfigError(
                "network",
                f"must have at most {MOST_PARAMETERS:,} parameters for its loss surface to be drawn; had {trainer.network.vector.size:,}",
            )
        state, step = trainer.state(), trainer.step
        if trainer.nonfinite:
            kept = recorder.at(last_sound_step(trainer, recorder, trainer.nonfinite.step))
            state, step = kept.state, kept.step
        steps, vectors = recorder.path(step, PATH_BYTES)
        return cls(trainer.config, state, steps, vectors, trainer.step, random)


@dataclass(frozen=True)
class Surface:
    """`losses` (ys, xs), mean loss and penalty on `samples` of `of` training samples, at distances `xs` and `ys` from the parameters after
    `step` updates, along two directions of length 1 at right angles, which `names` (x, y) name; NaN where the loss is not finite. Classes
    are weighted as in training; dropout is left out.

    `loss` is that in the middle, `curvatures` (2,) the second derivatives there along x and y. `path` (n, 2) are the recorded moments after
    `path_steps` (n,) as they lie in the slice, and `path_share` the part of their way, in squares, that the slice holds (None: no way).
    `lowest` is (x, y, loss) of the lowest point of the slice. `onward` is the same along the next update's line, with the multiple of the
    update: (x, y, loss, multiple); None where there is no update in the slice. `update_share` is the part of the next update, in squares,
    that goes along the sharpest direction. `asked` is the run's own step when this was asked for.
    """

    step: int
    asked: int
    names: tuple[str, str]
    xs: np.ndarray
    ys: np.ndarray
    losses: np.ndarray
    loss: float
    curvatures: tuple[float, float]
    path: np.ndarray
    path_steps: np.ndarray
    path_share: float | None
    lowest: tuple[float, float, float]
    onward: tuple[float, float, float, float] | None
    update_share: float | None
    samples: int
    of: int

    @property
    def sentences(self):
        """What there is to see."""
        told = []
        if self.names[1] == SHARPEST:
            curves = f"Curvature {self.curvatures[1]:.3g} along the sharpest direction"
            beside = f", {self.curvatures[0]:.2g} along the {self.names[0]}" if self.names[0] == UPDATE else ""
            told.append(f"{curves}{beside}.")
        else:
            told.append("Both directions are random: they show how rugged the loss is, not where the run goes.")
        if self.update_share is not None:
            told.append(f"{self.update_share:.0%} of the next update goes along the sharpest direction.")
        if self.names == (RANDOM, SHARPEST):
            told.append("The next update has no direction of its own beside it, so that the other one is random.")
        if self.onward:
            times = self.onward[3]
            told.append(
                f"Along its line the loss is lowest at {times:.2g} times its length." if times else "Along its line the loss only rises."
            )
        if self.path_share is not None:
            share = f"{self.path_share:.0%}" if self.path_share >= 0.01 else "less than 1%"
            told.append(f"The slice holds {share} of the way that the run came.")
        if self.samples < self.of:
            told.append(f"Losses are on {self.samples:,} of {self.of:,} training samples.")
        return told

    def to_dict(self):
        """Plain values for strict JSON."""
        arrays = {name: getattr(self, name).tolist() for name in ("xs", "ys", "losses", "path", "path_steps")}
        return strict(vars(self) | arrays | {"text": " ".join(self.sentences)})

    def __str__(self):
        x, y, loss = self.lowest
        return (
            f"Loss {self.loss:.4g} after {self.step} updates; {self.names[0]} {self.xs[0]:.3g} to {self.xs[-1]:.3g}, "
            f"{self.names[1]} {self.ys[0]:.3g} to {self.ys[-1]:.3g}.\nLowest {loss:.4g} at ({x:.3g}, {y:.3g}).\n{' '.join(self.sentences)}"
        )


def loss_surface(task: SurfaceTask, between: Callable[[], None] | None = None) -> Surface:
    """The Surface of a task. The same task gives the same one.

    `between` is called without arguments between pieces of the work; what it raises ends it. Raises ConfigError when the configuration
    cannot run, has fewer than two parameters to train, or has no finite curvature where it stands.
    """
    subject = Subject(task.config, None, between)
    with np.errstate(all="ignore"):
        subject.trainer.restore(task.state)
        return _Slice(subject, task).surface()


class _Slice:
    """Works a Surface out, in float64 whatever the network's own type."""

    def __init__(self, subject, task):
        self._between, self._trainer, self._task = subject.between, subject.trainer, task
        network = subject.trainer.network
        self._network = normalizing(network).copy(np.float64)
        self._network.drops_in_testing = frozenset()
        self._here = self._network.vector.copy()
        if np.count_nonzero(self._network.zero_untrained(np.ones_like(self._here))) < 2:
            raise ConfigError("layers", "must have at least two parameters to train for a loss surface")
        self._of = len(subject.dataset.train)
        point = CALL * 8 * len(network.matrices)
        sample = FORWARD * network.vector.size + activation_cost(network, 1) / 2
        points = math.sqrt(MEASURING / (point + FEWEST_SAMPLES * sample))
        self._points = int(np.clip(points, FEWEST_POINTS, POINTS))
        affordable = (MEASURING / self._points**2 - point) / sample
        self._samples = int(min(self._of, SAMPLES, max(FEWEST_SAMPLES, affordable), max(1, ELEMENTS // sum(network.sizes))))
        self._x, self._y = subject.samples(self._samples, np.float64)
        self._random = np.random.default_rng([task.config.seed, len(self._here)])
        self._length = float(np.linalg.norm(self._here)) or 1.0

    def surface(self):
        """The Surface."""
        loss = self._loss(self._here)
        curvature = Curvature(self._network, self._x, self._y, self._task.config.penalty.l2)
        update = self._update()
        first, second, names = self._directions(curvature, update)
        directions = np.array([second, first])  # the sharpest goes upwards
        path = (self._task.vectors - self._here).dot(directions.T)
        if len(path) and path[0].any():
            turned = np.where(path[0] > 0, -1.0, 1.0)[:, None]  # the run came from the left and from below
            directions, path = directions * turned, path * turned.T
        products = [self._product(curvature, direction) for direction in directions]
        along_x, along_y = (float(direction.dot(product)) for direction, product in zip(directions, products))
        curvatures = along_x, along_y
        slopes = directions.dot(curvature.gradient())
        xs, ys = (self._axis(loss, *ends) for ends in zip(curvatures, slopes.tolist(), path.T))
        losses = self._losses(directions, xs, ys)
        lowest = np.unravel_index(np.nanargmin(losses), losses.shape) if np.isfinite(losses).any() else None
        if lowest is None or not math.isfinite(loss):
            raise ConfigError("network", "must have a finite loss where it stands for its surface to be drawn; had none")
        length = float(np.linalg.norm(update))
        shown = names == (UPDATE, SHARPEST)
        return Surface(
            step=self._trainer.step, asked=self._task.asked, names=names, xs=xs, ys=ys, losses=losses, loss=loss, curvatures=curvatures,
            path=path, path_steps=self._task.steps, path_share=self._share(path),
            lowest=(float(xs[lowest[1]]), float(ys[lowest[0]]), float(losses[lowest])),
            onward=self._onward(directions, directions.dot(update), xs, ys) if shown else None,
            update_share=(float(first.dot(update)) / length) ** 2 if names[1] == SHARPEST and length else None,
            samples=self._samples, of=self._of,
        )  # fmt: skip

    def _loss(self, vector):
        """What training makes small, at other parameters; classes weighted as in training."""
        network = self._network
        np.copyto(network.vector, vector)
        z, a = network.forward(self._x)[-1]
        values = network.loss_values(z, a, self._y)
        if network.weigh:
            values = values * network.weigh(self._y)
        return float(network.loss.mean(values)) + penalty(network, self._task.config.penalty)

    def _update(self):
        """The next update (numbers,), zeros for what is not trained; zeros where it is not finite."""
        moved = Rehearsal(self._trainer).advance(1).network.vector.astype(float)
        update = self._network.zero_untrained(moved - self._here)
        return update if np.isfinite(update).all() else np.zeros_like(update)

    def _product(self, curvature, v):
        self._between()
        np.copyto(self._network.vector, self._here)
        return curvature.product(v)

    def _directions(self, curvature, update):
        """(the first direction, the second, their names the other way round)."""
        if self._task.random:
            first = _unit(self._as_large())
            return first, self._beside(first, self._as_large()), (RANDOM, RANDOM)
        products = max(4, min(PRODUCTS, BASIS_BYTES // self._here.nbytes))
        found = largest_eigenvalue(lambda v: self._product(curvature, v), len(self._here), np.dtype(float), products, TOLERANCE)
        if found.vector is None:
            raise ConfigError("network", "must have a finite curvature where it stands for its loss surface to be drawn; had none")
        first = _unit(self._network.zero_untrained(found.vector))
        rest = update - first * first.dot(update)
        if np.linalg.norm(rest) > NOTHING * np.linalg.norm(update) > 0:
            return first, self._beside(first, update), (UPDATE, SHARPEST)
        return first, self._beside(first, self._as_large()), (RANDOM, SHARPEST)

    def _as_large(self):
        """A random direction, each unit's weights as large as those of the network, without biases and scales (Li et al. 2018)."""
        drawn = np.zeros_like(self._here)
        for direction, matrix in zip(self._network.matrices_of(drawn), self._network.matrices_of(self._here)):
            weights = self._random.standard_normal(matrix[:, :-1].shape)
            sizes = np.linalg.norm(matrix[:, :-1], axis=1, keepdims=True) / np.linalg.norm(weights, axis=1, keepdims=True)
            direction[:, :-1] = weights * sizes
        return drawn if drawn.any() else self._network.zero_untrained(self._random.standard_normal(drawn.shape))

    def _beside(self, first, v):
        """What is left of a vector at right angles to the first direction, of length 1."""
        for _ in range(2):  # once is not enough where much cancels
            v = v - first * first.dot(v)
            if np.linalg.norm(v) <= NOTHING:
                v = v / (np.linalg.norm(v) or 1.0)
        if not v.any():  # as there are at least two parameters, another draw is no multiple of the first
            return self._beside(first, self._network.zero_untrained(self._random.standard_normal(v.shape)))
        return _unit(v)

    def _axis(self, loss, curvature, slope, path):
        """Distances along a direction, the denser the closer to 0, which is one of them: as far as the loss doubles, the parabola's minimum
        lies, and the path came from."""
        reach = min(math.sqrt(DOUBLED * loss / curvature), self._length) if curvature > 0 and loss > 0 else self._length
        reach = self._length if self._task.random else max(reach, NOTHING * self._length)
        minimum = float(np.clip(-slope / curvature, -self._length, self._length)) if curvature > 0 else 0.0
        within = np.clip([minimum, *path], -FARTHEST * self._length, FARTHEST * self._length)
        ends = MARGIN * min(-reach, within.min()), MARGIN * max(reach, within.max())
        sides = [math.asinh(abs(end) / reach) for end in ends]
        below = int(np.clip(round((self._points - 1) * sides[0] / sum(sides)), 4, self._points - 5))
        low = ends[0] * np.sinh(np.linspace(sides[0], 0, below + 1)) / math.sinh(sides[0])
        high = ends[1] * np.sinh(np.linspace(0, sides[1], self._points - below)) / math.sinh(sides[1])
        return np.concatenate([low[:-1], high])

    def _losses(self, directions, xs, ys):
        losses = np.full((len(ys), len(xs)), math.nan)
        for row, y in enumerate(ys):
            start = self._here + y * directions[1]
            for column, x in enumerate(xs):
                if not column % 8:
                    self._between()
                losses[row, column] = self._loss(start + x * directions[0])
        return np.where(np.isfinite(losses), losses, math.nan)

    def _onward(self, directions, update, xs, ys):
        """(x, y, loss, multiple) of the lowest point of the next update's line within the slice."""
        ends = [max(axis[0] / part, axis[-1] / part) for axis, part in zip((xs, ys), update.tolist()) if part]
        times = np.concatenate([[0.0], np.geomspace(min(1 / 16, min(ends)), min(ends), MULTIPLES)])
        losses = []
        for places in times[:, None] * update:
            self._between()
            losses.append(self._loss(self._here + places.dot(directions)))
        best = int(np.nanargmin(losses))
        return (*(times[best] * update).tolist(), losses[best], float(times[best]))

    def _share(self, path):
        way = np.square(self._task.vectors - self._here).sum()
        return float(np.square(path).sum() / way) if way > 0 else None


def _unit(v):
    return v / np.linalg.norm(v)
