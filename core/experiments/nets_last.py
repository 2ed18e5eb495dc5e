"""Many small networks of one shape trained at once, the networks along the last axis of every array.

A NumPy call on one small network costs more than its arithmetic; on hundreds of networks that call costs nothing. All share data, batches
and architecture; what may differ from network to network are the numbers in PER_NET. Activations, losses and optimizers are the very rows
of `core.nn`: they are elementwise over whatever follows their first axis. Arrays are (units, samples, nets); parameters (numbers, nets).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import ACTIVATIONS, replay
from core.nn.buffers import aligned
from core.nn.initializers import initial_parameters
from core.nn.losses import LOSSES, difference
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES
from core.training.batches import Batches

if TYPE_CHECKING:
    from core.training.trainer import Trainer

# The settings that may be another number for each network
HYPERPARAMETERS = ("learning_rate", "momentum", "rho", "beta1", "beta2", "epsilon", "weight_decay", "schedule.factor")
PER_NET = (*(f"optimizer.{name}" for name in HYPERPARAMETERS), "init.scale", "init.bias_scale", "penalty.l1", "penalty.l2", "clip_norm")

# Parameters times samples of a batch from which on networks train faster one by one, through BLAS
MOST_WORK = 30_000
# What the arrays of one Nets should take at most: they are gone through again and again, and should stay in a cache
CACHE_BYTES, FEWEST = 3 << 19, 64


def reaches(trainer: Trainer) -> bool:
    """Whether networks like this Trainer's can be trained here: small dense ones without what acts on layers or ends a run."""
    config = trainer.config
    plain = not (config.faults or config.stop or trainer.network.weigh)
    plain &= not any(layer.dropout or layer.normalization != "none" for layer in config.layers)
    return bool(plain and trainer.network.vector.size * trainer.batches.size <= MOST_WORK)


def nets_at_once(trainer: Trainer) -> int:
    """How many networks like this Trainer's one Nets should hold."""
    network = trainer.network
    numbers = 3 * trainer.batches.size * sum(network.sizes[1:]) + (2 + len(trainer.updater.slots)) * network.vector.size
    return max(FEWEST, CACHE_BYTES // (numbers * network.dtype.itemsize))


class Nets:
    """Networks like a Trainer's at step 0, which differ in `values`: {a name of PER_NET: (nets,) numbers}.

    The Trainer gives configuration, data and batches, and is not moved. Each network makes the updates that a Trainer with its settings
    would make, to within rounding. `samples` and `targets`, (samples, inputs) and (samples, outputs), are what `losses` looks at.
    """

    def __init__(self, trainer: Trainer, values: dict[str, np.ndarray], samples: np.ndarray, targets: np.ndarray) -> None:
        config, network = trainer.config, trainer.network
        self.batches, self.sizes, self.dtype = trainer.batches, network.sizes, network.dtype
        self.layers, self.loss = config.layers, LOSSES[config.loss]
        self.optimizer, self.schedule = OPTIMIZERS[config.optimizer.name], config.optimizer.schedule
        self.updates = 0
        self._values = {name: np.asarray(value, float) for name, value in values.items()}
        settings = {name: getattr(config.optimizer, name) for name in HYPERPARAMETERS if "." not in name}
        self._plain = {f"optimizer.{name}": value for name, value in settings.items()} | {
            "optimizer.schedule.factor": self.schedule.factor, "clip_norm": config.clip_norm,
            "penalty.l1": config.penalty.l1, "penalty.l2": config.penalty.l2,
        }  # fmt: skip
        nets = len(next(iter(self._values.values())))
        self.vector = aligned((sum((fan_in + 1) * units for fan_in, units in zip(self.sizes, self.sizes[1:])), nets), self.dtype)
        self.slots = [aligned(self.vector.shape, self.dtype) for _ in range(self.optimizer.slots)]
        self._watched = Batches(samples, targets, self.batches.size, self.dtype, None)
        self._initialize(config)
        self._compile()

    @property
    def nets(self) -> int:
        """How many networks there are."""
        return self.vector.shape[1]

    def matrices_of(self, vector: np.ndarray) -> list[np.ndarray]:
        """The layers of the rows of `vector` (numbers, nets), as (units, inputs + 1, nets) views; biases are last."""
        views, start = [], 0
        for fan_in, units in zip(self.sizes, self.sizes[1:]):
            views.append(vector[start : start + units * (fan_in + 1)].reshape(units, fan_in + 1, -1))
            start += units * (fan_in + 1)
        return views

    def parameters(self, net: int) -> dict[str, np.ndarray]:
        """Copies of one network's parameters, as Trainer.parameters() has them."""
        named = {}
        for layer, matrix in enumerate(self.matrices_of(self.vector), 1):
            named |= {f"W{layer}": matrix[:, :-1, net].T.copy(), f"b{layer}": matrix[:, -1, net].copy()}
        return named

    def _initialize(self, config):
        """First weights: drawn once with scale 1, of which all scales are multiples; layers with an `init` of their own keep that."""
        scales = [self._values.get(f"init.{name}", np.array([getattr(config.init, name)])) for name in ("scale", "bias_scale")]
        drawn = initial_parameters(config.patched({"init": {"scale": 1.0, "bias_scale": 1.0}}), self.sizes[0])
        for layer, (entry, matrix) in enumerate(zip(self.layers, self.matrices_of(self.vector)), 1):
            weights, biases = (np.array([1.0]), np.array([1.0])) if entry.init else scales
            matrix[:, :-1] = drawn[f"W{layer}"].T[:, :, None] * weights
            matrix[:, -1] = drawn[f"b{layer}"][:, None] * biases

    # Training

    def advance(self, updates: int) -> Nets:
        """Make so many updates of all networks, whatever becomes of them."""
        with np.errstate(all="ignore"):
            for index in self.batches.order(self.updates, updates):
                self.updates += 1
                if self._ticks:
                    self._set_constants()
                self._programs[self.batches[index][1].shape[1]].step(*self.batches[index])
        return self

    def losses(self) -> np.ndarray:
        """The mean loss and penalty of each network (nets,) on the samples that are looked at; NaN where a parameter is not finite."""
        with np.errstate(all="ignore"):
            total = np.zeros(self.nets)
            for x, y in (self._watched[index] for index in range(len(self._watched))):
                total += self._program(y.shape[1]).loss(x, y)
            total /= self._watched.samples * self.loss.divisor(self.sizes[-1])
            l1, l2 = self._value("penalty.l1"), self._value("penalty.l2")
            for matrix in self.matrices_of(self.vector) if np.any(l1) or np.any(l2) else ():
                total += l1 * np.abs(matrix[:, :-1]).sum((0, 1)) + l2 * np.square(matrix[:, :-1]).sum((0, 1))
            return np.where(np.isfinite(self.vector).all(axis=0), total, np.nan)

    def keep(self, chosen: np.ndarray) -> None:
        """Go on with these networks alone: `chosen` (nets,) bool."""
        self.vector, self.slots = (np.ascontiguousarray(self.vector[:, chosen]), [slot[:, chosen].copy() for slot in self.slots])
        self._values = {name: value[chosen] for name, value in self._values.items()}
        self._compile()

    # The compiled step

    def _value(self, name):
        """A number of all networks alike, or (nets,) of them."""
        return self._values.get(name, self._plain[name])

    def _compile(self):
        factor = SCHEDULES[self.schedule.name].factor
        self._factor = factor and (lambda t: factor(t, self.schedule.steps, self._value("optimizer.schedule.factor")))
        self._hyperparameters = SimpleNamespace(**{name: self._value(f"optimizer.{name}") for name in HYPERPARAMETERS if "." not in name})
        self._ticks = bool(self.optimizer.timed or self._factor)
        self.gradient = aligned(self.vector.shape, self.dtype)
        self._constants = {name: np.array(value, self.dtype) for name, value in self._constants_of(1).items()}
        self._penalties = np.any(self._value("penalty.l1")) or np.any(self._value("penalty.l2"))
        clipped = self._value("clip_norm") is not None
        # As a single network's plain step has it: what is linear in the gradient goes into the output's few deltas
        folds = self.optimizer.folds and not (self._ticks or self._penalties or clipped)
        self.rate = self._constants["rate"] if folds else None
        self._programs = {}
        for index in {0, len(self.batches) - 1}:
            self._program(self.batches[index][1].shape[1])
        scratch = aligned(self.vector.shape, self.dtype)
        self.finish = self._penalty_calls(scratch) if self._penalties else []
        self.finish += [(self._clip, (scratch,))] if clipped else []
        if folds:
            self.finish += [(np.subtract, (self.vector, self.gradient, self.vector))]
        else:
            self.finish += self.optimizer.update(self.vector, self.gradient, self.slots, scratch, self._constants)

    def _program(self, size):
        if size not in self._programs:
            self._programs[size] = _Program(self, size)
        return self._programs[size]

    def _constants_of(self, t):
        rate = self._value("optimizer.learning_rate") * (self._factor(t - 1) if self._factor else 1.0)
        return self.optimizer.constants(self._hyperparameters, rate, t)

    def _set_constants(self):
        for name, value in self._constants_of(self.updates).items():
            self._constants[name][...] = value

    def _penalty_calls(self, scratch):
        """Calls that add 2 * l2 * w and l1 * sign(w) to the gradient of the weights."""
        calls = []
        l1, l2 = (np.array(self._value(f"penalty.{name}"), self.dtype) for name in ("l1", "l2"))
        for matrix, gradient, buffer in zip(*map(self.matrices_of, (self.vector, self.gradient, scratch))):
            w, g, t = matrix[:, :-1], gradient[:, :-1], buffer[:, :-1]
            calls += [(np.multiply, (w, 2 * l2, t)), (np.add, (g, t, g))] if l2.any() else []
            calls += [(np.sign, (w, t)), (np.multiply, (t, l1, t)), (np.add, (g, t, g))] if l1.any() else []
        return calls

    def _clip(self, scratch):
        """Shorten each network's gradient to its `clip_norm`."""
        norm = np.sqrt(np.einsum("pn,pn->n", self.gradient, self.gradient))
        np.multiply(self.gradient, np.where(norm > self._value("clip_norm"), self._value("clip_norm") / norm, 1), scratch)
        np.copyto(self.gradient, scratch)


class _Program:
    """The step of all networks on batches of one size."""

    def __init__(self, nets, size):
        self._nets, shape = nets, (size, nets.nets)
        self._x, self._y = aligned((nets.sizes[0] + 1, size), nets.dtype), aligned((nets.sizes[-1], size, 1), nets.dtype)
        activations = [ACTIVATIONS[layer.activation] for layer in nets.layers]
        fused = nets.loss.fused.get(nets.layers[-1].activation)
        hidden = [aligned((units + 1, *shape), nets.dtype, fill=1) for units in nets.sizes[1:-1]]
        a = [*(rows[:-1] for rows in hidden), aligned((nets.sizes[-1], *shape), nets.dtype)]
        z = [aligned(rows.shape, nets.dtype) if activation.needs_z else rows for rows, activation in zip(a, activations)]
        self._output = aligned(a[-1].shape, nets.dtype) if fused else a[-1]
        self._value = fused.value if fused else nets.loss.value
        matrices, gradients = nets.matrices_of(nets.vector), nets.matrices_of(nets.gradient)

        self._before = []  # up to the output's pre-activation
        for layer, (matrix, activation) in enumerate(zip(matrices, activations)):
            if layer:
                self._before.append((_einsum, ("oin,ibn->obn", matrix, hidden[layer - 1], z[layer])))
            else:
                self._before.append((np.matmul, (self._x.T, matrix, z[0])))
            last = activation.value(z[layer], a[layer])
            self._before += last if layer < len(matrices) - 1 else []
        self._after, self._keep = last, [(np.copyto, (self._output, z[-1]))] if fused else []

        self._back = []
        d = aligned(a[-1].shape, nets.dtype)
        self._back += (difference if fused else nets.loss.gradient)(a[-1], self._y, d)
        outputs = nets.loss.divisor(nets.sizes[-1])
        scale = (1.0 if fused else nets.loss.factor) / (size * outputs) * (1 if nets.rate is None else nets.rate)
        self._back += [] if fused else _through(activations[-1], z[-1], a[-1], d)
        self._back.append((np.multiply, (d, np.array(scale, nets.dtype), d)))
        for layer in range(len(matrices) - 1, -1, -1):
            incoming, gradient = hidden[layer - 1] if layer else self._x, gradients[layer]
            if layer:
                self._back.append((_einsum, ("obn,ibn->oin", d, incoming, gradient)))
            else:
                self._back.append((np.matmul, (incoming, d, gradient)))
            if not nets.layers[layer].bias:
                self._back.append((gradient[:, -1].fill, (0,)))
            if layer:
                below = aligned(a[layer - 1].shape, nets.dtype)
                self._back.append((_einsum, ("oin,obn->ibn", matrices[layer][:, :-1], d, below)))
                d = below
                self._back += _through(activations[layer - 1], z[layer - 1], a[layer - 1], d)

    def step(self, x, y):
        """An update with inputs `x` (features + 1, samples) and targets `y` (outputs, samples)."""
        self._set(x, y)
        for calls in (self._before, self._after, self._back, self._nets.finish):
            replay(calls)

    def loss(self, x, y):
        """The sum (nets,) of the losses of these samples, over outputs too."""
        self._set(x, y)
        for calls in (self._before, self._keep, self._after):
            replay(calls)
        return self._value(self._output, self._y).sum((0, 1), dtype=float)

    def _set(self, x, y):
        np.copyto(self._x, x)
        np.copyto(self._y[..., 0], y)


def _einsum(subscripts, left, right, out):
    np.einsum(subscripts, left, right, out=out)


def _through(activation, z, a, d):
    """Calls that take the error `d` at what a layer puts out back to its weighted sums."""
    if activation.pullback:
        return activation.pullback(a, d)
    if activation is ACTIVATIONS["linear"]:
        return []
    slope = aligned(a.shape, a.dtype)
    return [*activation.slope(z, a, slope), (np.multiply, (d, slope, d))]
