"""What is about to go wrong: the learning rate against its stability limit, and a look ahead.

The gauge is curvature alone. On a quadratic an optimizer leaves the minimum when its learning rate exceeds its `stability` (see
core/nn/optimizers.py) over the sharpness, the largest eigenvalue of the objective's Hessian, preconditioned where the optimizer does that.
A network is no quadratic: above the limit a run may be thrown into a flatter place and go on well (the catapult of Lewkowycz et al. 2020),
or sit at the edge of stability for good (Cohen et al. 2021). So the limit alone decides between "stable" and "edge", and "unstable" is
said only of a run that a rehearsal, some real updates on a copy, has seen blow up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.data.dataset import Part, encoded_targets
from core.diagnosis.divergence import divergence_limit
from core.diagnosis.evidence import Evidence
from core.nn.curvature import Curvature, largest_eigenvalue
from core.nn.network import with_ones
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES
from core.training.cost_model import CALL, FORWARD, MULTIPLY_ADD, PARAMETER, activation_cost
from core.training.evaluation import penalty
from core.training.rehearsal import Rehearsal

if TYPE_CHECKING:
    from core.training.trainer import Trainer

# Microseconds that a forecast may take, by the estimates of core/training/cost_model.py: before the run, and while it lives (once a second)
BEFORE, LIVE = 600_000, 40_000

# Hessian-vector products: at least, usually and at most, within so much memory for Lanczos' basis, until the residual is so small
FEWEST_PRODUCTS, TYPICAL_PRODUCTS, PRODUCTS, BASIS_BYTES, TOLERANCE = 4, 16, 64, 1 << 28, 1e-6
CALLS = 30  # what a product's own calls for a layer cost, in calls of a step
# Samples: elements of all layers together that are held at once, and the fewest that speak for the whole
ELEMENTS, FEWEST = 1 << 20, 32

# Updates of a look ahead: at most, and at least whatever they cost
AHEAD, LEAST_AHEAD, LOOKS = 256, 8, 24
# The largest stable rate is looked for from the limit downwards, halving it so often
HALVINGS, MAX_RATE = 8, 1e6
# Updates after which an adaptive optimizer's preconditioner speaks for itself; before that, so many gradients from where the run stands
SETTLED = 32
PREVIEWED = 64  # pieces of a schedule's length, at whose ends its factor is asked for
STANDING = 1e-200  # a learning rate that moves nothing

# A run has also diverged when it was thrown so many times above the start and the best constant output, and is left with more than this
# share of the constant output's loss; it is no longer calm when its loss is so many times that of where it stands
THROWN, NO_BETTER, RISEN = 2.0, 0.98, 1.2


@dataclass(frozen=True)
class Forecast:
    """How near a run is to instability.

    `sharpness` is the largest eigenvalue of the Hessian of mean loss and penalty over `samples` training samples (all of them, unless
    that would take too long), with the Lanczos `residual`; `preconditioned_sharpness` that of the preconditioned Hessian of an
    adaptive optimizer, else None. `stability_limit` is the learning rate up to which a quadratic of this curvature is stable (inf where
    nothing curves upwards), `learning_rate` the largest that the schedule still has in store. `verdict`: "stable" below the limit, "edge"
    above it, "unstable" if the run blows up in the next `looked_ahead` updates. `largest_stable_rate` is the setting of the learning
    rate, limit or less, with which the same look ahead stays calm: its loss does not even rise far for a while.
    """

    sharpness: float
    residual: float
    samples: int
    preconditioned_sharpness: float | None
    learning_rate: float
    stability_limit: float
    verdict: str
    looked_ahead: int
    largest_stable_rate: float

    @property
    def ratio(self) -> float:
        """The gauge: learning rate over stability limit."""
        return self.learning_rate / self.stability_limit if self.stability_limit else math.inf

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON shape."""
        return {"sharpness": self.sharpness, "stability_limit": self.stability_limit, "verdict": self.verdict}


class Prospect(NamedTuple):
    """What a look ahead over so many updates saw: `diverged` for good; `calm`, the loss never came near that."""

    updates: int
    diverged: bool
    calm: bool


def forecast(trainer: Trainer, budget: int = BEFORE, between: Callable[[], None] | None = None) -> Forecast:
    """The Forecast of a Trainer at its present step; `budget` (microseconds, estimated) bounds samples and look ahead.

    The same run at the same step gives the same Forecast. `between`, if given, is called without arguments between the pieces of the
    work; what it raises ends that.
    """
    with np.errstate(all="ignore"):
        stage = _Stage(trainer, budget, between or (lambda: None))
        plain, steep = stage.sharpness()
        factor = _largest_factor(trainer)
        rate = trainer.config.optimizer.learning_rate * factor
        limit = stage.optimizer.stability(trainer.config.optimizer) / steep.value if steep.value > 0 else math.inf
        prospect = stage.look_ahead()
        if trainer.nonfinite or not math.isfinite(plain.value) or prospect.diverged:
            verdict = "unstable"
        else:
            verdict = "edge" if rate > limit else "stable"
        return Forecast(
            sharpness=plain.value,
            residual=plain.residual,
            samples=stage.samples,
            preconditioned_sharpness=None if steep is plain else steep.value,
            learning_rate=rate,
            stability_limit=limit,
            verdict=verdict,
            looked_ahead=prospect.updates,
            largest_stable_rate=stage.largest_stable_rate(limit / factor),
        )


def stability_limit(trainer: Trainer, budget: int = BEFORE, between: Callable[[], None] | None = None) -> float:
    """The Forecast's stability limit alone: a tenth of the work."""
    with np.errstate(all="ignore"):
        stage = _Stage(trainer, budget, between or (lambda: None))
        sharpness = stage.sharpness()[1].value
        return stage.optimizer.stability(trainer.config.optimizer) / sharpness if sharpness > 0 else math.inf


def _largest_factor(trainer):
    """The largest factor on the learning rate that the schedule still has in store, at PREVIEWED updates over its length."""
    schedule, now = trainer.config.optimizer.schedule, trainer.step
    factor = SCHEDULES[schedule.name].factor
    updates = (now + schedule.steps * part // PREVIEWED for part in range(PREVIEWED + 1))
    return max(factor(t, schedule.steps, schedule.factor) for t in updates) if factor else 1.0


class _Stage:
    """A run with the training samples that its forecast looks at, and how far it can afford to look."""

    def __init__(self, trainer, budget, between):
        self._between = between
        self.trainer, self.network, self.optimizer = trainer, trainer.network, OPTIMIZERS[trainer.config.optimizer.name]
        self._sharpness_budget, self._ahead_budget = budget / 2, budget / 4  # the last quarter is for the largest stable rate
        if self.optimizer.preconditioner:
            self._sharpness_budget /= 2
        self._x, self._y = self._choose_samples()
        self._watched = self._choose_watched()
        evidence = Evidence(trainer)
        self._first, self._chance = evidence.losses.initial, evidence.data.baseline.loss

    def _product_cost(self, samples):
        """Estimated microseconds of a Hessian-vector product."""
        network = self.network
        fixed = CALLS * CALL * len(network.matrices) + PARAMETER * network.vector.size
        return fixed + 2 * MULTIPLY_ADD * network.vector.size * samples + activation_cost(network, samples)

    def _choose_samples(self):
        """(x, y) of all training samples, or of as many as can be afforded, drawn at random."""
        config, dataset, part = self.trainer.config, self.trainer.dataset, self.trainer.dataset.train
        fixed = self._product_cost(0)
        affordable = (self._sharpness_budget / TYPICAL_PRODUCTS - fixed) / (self._product_cost(1) - fixed)
        self.samples = min(len(part), ELEMENTS // sum(self.network.sizes), int(max(affordable, FEWEST)))
        if self.samples < len(part):
            rows = np.sort(np.random.default_rng([config.seed, len(part)]).choice(len(part), self.samples, replace=False))
            part = Part(part.inputs[rows], part.targets[rows])
        output = config.layers[-1]
        targets = encoded_targets(dataset, part, output.units, output.activation, config.loss)
        return with_ones(part.inputs, self.network.dtype), np.ascontiguousarray(targets.T, self.network.dtype)

    def _evaluation_cost(self, samples):
        return FORWARD * self.network.vector.size * samples + activation_cost(self.network, samples)

    def _choose_watched(self):
        """How many of the samples a look ahead evaluates: all, or what half its budget affords."""
        return int(min(self.samples, max(FEWEST, self._ahead_budget / 2 / LOOKS / self._evaluation_cost(1))))

    def sharpness(self):
        """Eigenvalues (of the Hessian, of the preconditioned Hessian): the same one where the optimizer does not precondition."""
        curvature = Curvature(self.network, self._x, self._y, self.trainer.config.penalty.l2)
        plain = self._largest(curvature.product)
        if not self.optimizer.preconditioner:
            return plain, plain
        scale = 1 / np.sqrt(self._preconditioner())
        return plain, self._largest(lambda v: scale * curvature.product(scale * v))

    def _largest(self, product):
        network = self.network
        affordable = self._sharpness_budget / self._product_cost(self.samples)
        products = int(max(FEWEST_PRODUCTS, min(PRODUCTS, BASIS_BYTES // network.vector.nbytes, affordable)))

        def piece(v):
            self._between()
            return product(v)

        return largest_eigenvalue(piece, network.vector.size, network.dtype, products, TOLERANCE)

    def _preconditioner(self):
        """As it is; or, before the optimizer has seen enough gradients, as it would be if the run stood still until then."""
        trainer, slots, t = self.trainer, self.trainer.updater.slots, self.trainer.step
        if t < SETTLED:
            slots, t = Rehearsal(trainer, STANDING).advance(SETTLED - t).slots, SETTLED
        return self.optimizer.preconditioner(slots, trainer.config.optimizer, t).astype(self.network.dtype)

    def look_ahead(self, learning_rate=None):
        """What a rehearsal of the next updates sees, at this or the run's own learning rate."""
        rehearsal = Rehearsal(self.trainer, learning_rate)
        steps = np.array(_looks(self._affordable_updates(rehearsal.update_cost)))
        before, losses = self._loss(rehearsal.network), np.full(len(steps), math.inf)
        for look, step in enumerate(steps):
            self._between()
            losses[look] = self._loss(rehearsal.advance(step - rehearsal.updates).network)
            if not math.isfinite(losses[look]):
                break
        limit = max(divergence_limit(self._first, before, self._chance)[0], RISEN * before)
        diverged = has_diverged(steps, losses, self._first, before, self._chance)
        return Prospect(int(steps[-1]), diverged, calm=bool(losses.max() <= limit))

    def _affordable_updates(self, update_cost):
        left = self._ahead_budget - LOOKS * self._evaluation_cost(self._watched)
        return int(max(LEAST_AHEAD, min(AHEAD, left / update_cost)))

    def _loss(self, network):
        z, a = network.forward(self._x[:, : self._watched])[-1]
        loss = network.loss.mean(network.loss_values(z, a, self._y[:, : self._watched]))
        return loss + penalty(network, self.trainer.config.penalty)

    def largest_stable_rate(self, limit):
        """The limit, or what is left of it when halved until a rehearsal stays calm; without a limit, of the learning rate."""
        rate = min(limit, MAX_RATE) if math.isfinite(limit) else self.trainer.config.optimizer.learning_rate
        for _ in range(HALVINGS):
            if self.look_ahead(rate).calm:
                break
            rate /= 2
        return rate


def _looks(updates):
    """The updates after which a rehearsal of so many is looked at: LOOKS at most, half of them in its last quarter."""
    early = np.geomspace(1, 0.75 * updates, LOOKS // 2)
    late = np.linspace(0.75 * updates, updates, LOOKS // 2 + 1)[1:]
    return np.unique(np.rint(np.concatenate([early, late])).astype(int)).tolist()


def has_diverged(steps: np.ndarray, losses: np.ndarray, first: float, best: float, chance: float) -> bool:
    """Whether a run whose training loss was `losses` (n,) after the updates `steps` (n,) has diverged: if it is not finite, if the
    median over the last quarter is above the `divergence_limit`, or if it was thrown out and is stuck no better than a constant."""
    if not np.isfinite(losses).all():
        return True
    late = float(np.median(losses[steps > 0.75 * steps[-1]]))
    thrown = losses.max() > THROWN * max(first, chance)
    return bool(late > divergence_limit(first, best, chance)[0] or (thrown and late > NO_BETTER * chance))
