"""One training step, compiled once into a list of NumPy calls that allocates nothing when it is replayed.

Three things make it fast. Few calls: on small networks a call costs more than its arithmetic, so biases are a column of the weight
matrix, neighbouring layers of one activation share one slope call, and plain SGD folds learning rate and 1/batch into the output's delta.
Few passes over memory: weights that outgrow the cache are updated block by block, straight after the block's gradient.
And no copies: each mini-batch lies contiguous, and calls that touch it are made for each batch (`Late`).

With `kept`, a vector for gradients, the same arithmetic leaves gradients and outputs readable: the step that telemetry observes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core.nn.activations import ACTIVATIONS
from core.nn.buffers import aligned, aligned_like
from core.nn.dropout import Masks
from core.nn.losses import difference
from core.nn.normalization import Normalization

if TYPE_CHECKING:
    from core.nn.activations import Call
    from core.nn.network import Network
    from core.nn.updater import Updater

CACHE_BYTES = 1 << 19  # half of a usual L2 cache: what is larger is worked on in blocks of this size


class Operation(NamedTuple):
    """The calls that produce one tensor of one layer (from 1), and the array it is then in."""

    tensor: str  # pre_activation | activation | output_gradient | slope | delta | gradient | parameters
    layer: int
    calls: list
    result: np.ndarray | None


class Late(NamedTuple):
    """A call that needs the batch: `make(x, y)` gives it."""

    make: Callable


def blocks(rows: int, row_bytes: int) -> list[slice]:
    """Slices over `rows` rows, each of about CACHE_BYTES."""
    size = max(1, CACHE_BYTES // row_bytes)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _outer_product(incoming, d, rows, tall, g):
    """The call that writes rows `rows` of a layer's stored gradient; `incoming` None stands for the batch's inputs."""
    if tall:
        right = d.T
        return Late(lambda x, y: (x[rows].dot, (right, g))) if incoming is None else (incoming[rows].dot, (right, g))
    left = d[rows]
    return Late(lambda x, y: (left.dot, (x.T, g))) if incoming is None else (left.dot, (incoming.T, g))


class Workspace:
    """Buffers for one batch size: activations, slopes and deltas of all layers, each kind in one flat block of rows.

    Hidden layers have one row more than units: of ones in the activations, unused in the others. Of a layer with dropout, `dropped` has
    the outputs that go on, with their row of ones.
    """

    def __init__(self, network: Network, batch: int, seed: int = 0) -> None:
        sizes, dtype = network.sizes, network.dtype
        self.batch = batch
        self.ends = np.cumsum([0, *(size + 1 for size in sizes[1:-1]), sizes[-1]])
        shape = (self.ends[-1], batch)
        self.activations = aligned(shape, dtype, fill=1)
        self.pre_activations = aligned(shape, dtype) if any(a.needs_z for a in network.activations) else self.activations
        self.slopes = aligned(shape, dtype)
        self.deltas = aligned(shape, dtype)
        self.output_z = aligned((sizes[-1], batch), dtype) if network.fused_value else None
        self.masks = Masks(network.layers, batch, seed, dtype) if any(layer.dropout for layer in network.layers) else None
        self.dropped = {layer: aligned((len(mask) + 1, batch), dtype, fill=1) for layer, mask in self.mask_rows.items()}

    @property
    def mask_rows(self) -> dict[int, np.ndarray]:
        """The masks (units, samples) of layers with dropout, by layer (from 1)."""
        return self.masks.rows if self.masks else {}

    def rows(self, flat: np.ndarray, first: int, last: int) -> np.ndarray:
        """The rows of layers `first` to `last` (from 1, inclusive), rows of ones included."""
        return flat[self.ends[first - 1] : self.ends[last]]


class Program:
    """A compiled step of `network` for batches of one size: `bind(x, y)` is ready to replay.

    `kept` (parameters,) receives the gradient with its penalty, before clipping: then the step can be observed.
    """

    def __init__(self, network: Network, updater: Updater, workspace: Workspace, kept: np.ndarray | None = None) -> None:
        self.network, self.updater, self.workspace, self.kept = network, updater, workspace, kept
        self._last = len(network.matrices)
        self._stored = network.stored_of(network.vector)
        self._offsets = np.cumsum([0, *(stored.size for stored in self._stored)])
        self._streams = network.vector.nbytes > CACHE_BYTES and not updater.clip_norm
        self._splits = self._streams and self._can_split_output()
        largest = max(CACHE_BYTES // network.dtype.itemsize, 2 * max(network.sizes))
        self._scratch = aligned(min(largest, network.vector.size), network.dtype)
        self._gradient = None if self._streams else updater.gather()
        self._block = aligned_like(self._scratch) if self._streams else None
        self._scale = self._delta_scale()
        self._normalizations = {
            layer: Normalization(self._buffers(layer)[0], scale, running)
            for layer, (scale, running) in enumerate(zip(network.scales, network.running), 1)
            if scale is not None
        }
        self._gradient_function = difference if network.fused_value else network.loss.gradient
        self.operations = self._compile()
        self._calls = [call for operation in self.operations for call in operation.calls]
        self._late = [index for index, call in enumerate(self._calls) if isinstance(call, Late)]

    def bind(self, x: np.ndarray, y: np.ndarray) -> list[Call]:
        """The calls of the step on inputs `x` (features + 1, batch) and targets `y` (outputs, batch)."""
        calls = self._calls.copy()
        for index in self._late:
            calls[index] = calls[index].make(x, y)
        return calls

    @property
    def calls(self) -> int:
        """NumPy calls a step takes."""
        return len(self._calls)

    @property
    def gradient_scale(self) -> float:
        """What `kept` is multiplied by: the learning rate where it is folded into the gradient, else 1."""
        return self.updater.rate if self.updater.folds else 1.0

    def batch_loss(self, y: np.ndarray) -> float:
        """Mean loss of the last step's batch before its update, penalty left out; only with `kept`."""
        values = self.network.loss_values(self.workspace.output_z, self._units(self.workspace.activations, self._last), y)
        return self.network.loss.mean(values)

    def first_nonfinite(self, x: np.ndarray, y: np.ndarray) -> tuple[int, str] | None:
        """Replay the step until a tensor is not finite; (layer, tensor), or None if all are. Leaves the step half done."""
        for operation in self.operations:
            for call in operation.calls:
                function, arguments = call.make(x, y) if isinstance(call, Late) else call
                function(*arguments)
            if operation.result is not None and not np.isfinite(operation.result).all():
                return operation.layer or self._layer_of(operation), operation.tensor  # pyright: ignore[reportReturnType]
        return None

    def _layer_of(self, operation):
        """The first layer that is not finite in a tensor that spans all of them."""
        whole = self._gradient if operation.tensor == "gradient" else self.network.vector
        return self.network.broken_layer(whole)  # pyright: ignore[reportArgumentType]

    def _compile(self):
        operations = []
        if self.updater.ticks:
            operations.append(Operation("constants", 0, [(self.updater.tick, ())], None))
        if self.workspace.masks:
            operations.append(Operation("constants", 0, [(self._draw_masks, ())], None))
        for layer in range(1, self._last + (not self._splits)):
            operations += self._forward(layer)
        operations += self._slopes()
        operations += self._split_output() if self._splits else self._output_delta()
        for layer in range(self._last, 0, -1):
            if layer == self._last and self._splits:
                continue
            if layer > 1:
                operations.append(self._delta(layer - 1))
            operations += self._gradient_of(layer)
        return operations if self._streams else operations + self._update_all()

    def _draw_masks(self):
        self.workspace.masks.draw(self.updater.updates)

    def _can_split_output(self):
        """Whether the output layer is so wide that it is worked on in blocks of units, each from forward to update."""
        network = self.network
        if network.weigh or network.scales[-1] is not None:
            return False
        wide = network.sizes[-1] * self.workspace.batch * network.dtype.itemsize > 2 * CACHE_BYTES
        return wide and network.activations[-1].pullback is None and not network.is_tall(*network.sizes[-2:])

    def _delta_scale(self):
        """What the output's delta is multiplied by: mean over the batch (and outputs), and the learning rate where it folds."""
        loss, outputs = self.network.loss, self.network.sizes[-1]
        factor = 1.0 if self.network.fused_value else loss.factor
        return np.array(factor * self.gradient_scale / (self.workspace.batch * loss.divisor(outputs)), self.network.dtype)

    def _units(self, flat, layer):
        """A layer's rows without the row of ones."""
        return self.workspace.rows(flat, layer, layer)[: self.network.sizes[layer]]

    def _buffers(self, layer, rows=slice(None)):
        """(pre-activation, activation, slope, delta) of some units of a layer. Where `z` is overwritten in place it is the very
        same object as `a`: NumPy spends 200 ns on finding out that two objects share their memory."""
        space = self.workspace
        a, s, d = (self._units(flat, layer)[rows] for flat in (space.activations, space.slopes, space.deltas))
        z = self._units(space.pre_activations, layer)[rows] if self.network.activations[layer - 1].needs_z else a
        return z, a, s, d

    def _incoming(self, layer):
        """What the layer before puts out, with its row of ones; None for the first, whose input is the batch."""
        if layer - 1 in self.workspace.dropped:
            return self.workspace.dropped[layer - 1]
        return self.workspace.rows(self.workspace.activations, layer - 1, layer - 1) if layer > 1 else None

    def _forward(self, layer):
        z, a, _, _ = self._buffers(layer)
        return self._forward_of(layer, self.network.matrices[layer - 1], z, a, self.workspace.output_z)

    def _forward_of(self, layer, matrix, z, a, output_z):
        """Forward through `matrix`, the layer's own or some of its rows; `output_z` keeps the output's pre-activation."""
        incoming = self._incoming(layer)
        calls = [(matrix.dot, (incoming, z)) if layer > 1 else Late(lambda x, y: (matrix.dot, (x, z)))]
        operations = []
        if normalization := self._normalizations.get(layer):
            calls += normalization.forward
            if normalization.track:
                operations.append(Operation("pre_activation", layer, normalization.track, self.network.running[layer - 1]))
        if self.kept is not None and layer == self._last and self.network.fused_value:
            calls.append((np.copyto, (output_z, z)))
        activate = self.network.activations[layer - 1].value(z, a)
        if (mask := self.workspace.mask_rows.get(layer)) is not None:
            activate.append((np.multiply, (a, mask, self.workspace.dropped[layer][:-1])))
        return [Operation("pre_activation", layer, calls, z), *operations, Operation("activation", layer, activate, a)]

    def _slopes(self):
        """Slopes of all layers whose delta needs them, one run of calls for neighbours with the same activation."""
        space, operations = self.workspace, []
        needing = range(1, self._last + (not self._splits and self._multiplies_slope(self._last)))
        for activation, run in itertools.groupby(needing, lambda layer: self.network.activations[layer - 1]):
            layers = list(run)
            if self._multiplies_slope(layers[0]):
                a, s = (space.rows(flat, layers[0], layers[-1]) for flat in (space.activations, space.slopes))
                z = space.rows(space.pre_activations, layers[0], layers[-1]) if activation.needs_z else a
                operations.append(Operation("slope", layers[0], activation.slope(z, a, s), s))
        return operations

    def _multiplies_slope(self, layer):
        """Whether a layer's delta is an elementwise product with its slope."""
        activation = self.network.activations[layer - 1]
        fused = layer == self._last and self.network.fused_value
        return not (fused or activation.pullback or activation is ACTIVATIONS["linear"])

    def _loss_gradient(self, a, d, targets):
        """Calls that write the loss gradient at `a` into `d`; `targets(y)` picks the targets that belong to it."""
        stand_in = aligned_like(a)
        return [self._with_targets(call, stand_in, targets) for call in self._gradient_function(a, stand_in, d)]

    @staticmethod
    def _with_targets(call, stand_in, targets):
        """The call with `stand_in` replaced by the batch's targets, or the call itself if it does not use them."""
        function, arguments = call
        if not any(argument is stand_in for argument in arguments):
            return call
        return Late(lambda x, y: (function, tuple(targets(y) if argument is stand_in else argument for argument in arguments)))

    def _output_delta(self):
        layer = self._last
        _, a, s, d = self._buffers(layer)
        calls = self._loss_gradient(a, d, lambda y: y)
        activation = self.network.activations[-1]
        if activation.pullback and not self.network.fused_value:
            calls += activation.pullback(a, d)
        calls.append((np.multiply, (d, self._scale, d)))
        if weigh := self.network.weigh:
            calls.append(Late(lambda x, y: (np.multiply, (d, weigh(y), d))))
        if self._multiplies_slope(layer):
            calls.append((np.multiply, (d, s, d)))
        if normalization := self._normalizations.get(layer):
            calls += normalization.backward(d)
        return [Operation("delta", layer, calls, d)]

    def _delta(self, layer):
        """Delta of a hidden layer: the whole matrix of the next one is used, since a contiguous one is faster than all but
        its last column; the surplus row is never read."""
        space = self.workspace
        d = space.rows(space.deltas, layer, layer)
        following = self._units(space.deltas, layer + 1)
        calls = [(self.network.matrices[layer].T.dot, (following, d)), *self._through(layer, d)]
        return Operation("delta", layer, calls, d[:-1])

    def _through(self, layer, d):
        """Calls that take the error `d` at what a hidden layer puts out back to its weighted sums: dropout, activation, normalization."""
        space, calls, own = self.workspace, [], d[:-1]
        if (mask := space.mask_rows.get(layer)) is not None:
            calls.append((np.multiply, (own, mask, own)))
        if pullback := self.network.activations[layer - 1].pullback:
            calls += pullback(self._units(space.activations, layer), own)
        elif self._multiplies_slope(layer):
            calls.append((np.multiply, (d, space.rows(space.slopes, layer, layer), d)))
        if normalization := self._normalizations.get(layer):
            calls += normalization.backward(own)
        return calls

    def _gradient_of(self, layer):
        """Gradient of a layer from its delta; block by block with the update where weights outgrow the cache."""
        stored = self._stored[layer - 1]
        incoming, d = self._incoming(layer), self._units(self.workspace.deltas, layer)
        tall = self.network.is_tall(*self.network.sizes[layer - 1 : layer + 1])
        operations = []
        for rows in blocks(*self._block_shape(stored)) if self._streams else [slice(0, len(stored))]:
            part = self._part(layer, rows)
            g = self._gradient_buffer(part).reshape(-1, stored.shape[1])
            calls = [_outer_product(incoming, d, rows, tall, g), *self._without_bias(layer, g, tall, rows.stop == len(stored))]
            operations.append(Operation("gradient", layer, calls, g))
            if self._streams:
                operations += [self._finish_gradient(layer, part), self._update(layer, part)]
        if part := self.network.scale_parts[layer - 1]:
            g = self._gradient_buffer(part)
            operations.append(Operation("gradient", layer, [(np.copyto, (g.reshape(2, -1), self._normalizations[layer].gradient))], g))
            if self._streams:
                operations += [self._finish_gradient(layer, part), self._update(layer, part)]
        return operations

    def _without_bias(self, layer, g, tall, last):
        """Calls that keep biases at zero where a layer has none; `g` are stored rows of its gradient, the `last` ones or not."""
        if self.network.layers[layer - 1].bias or (tall and not last):
            return []
        return [((g[-1] if tall else g[:, -1]).fill, (0,))]

    def _block_shape(self, stored):
        return len(stored), stored.shape[1] * stored.itemsize

    def _part(self, layer, rows):
        """The slice of the flat vector that holds these stored rows of a layer."""
        start, width = self._offsets[layer - 1], self._stored[layer - 1].shape[1]
        return slice(start + rows.start * width, start + rows.stop * width)

    def _gradient_buffer(self, part):
        return self._block[: part.stop - part.start] if self._streams else self._gradient[part]

    def _finish_gradient(self, layer, part):
        """Add the penalty, and keep what then is the gradient."""
        gradient = self._gradient_buffer(part)
        calls = self.updater.penalty_calls(part, gradient, self._scratch[: part.stop - part.start])
        if self.kept is not None:
            calls.append((np.copyto, (self.kept[part], gradient)))
        return Operation("gradient", layer, calls, gradient)

    def _update(self, layer, part):
        gradient, scratch = self._gradient_buffer(part), self._scratch[: part.stop - part.start]
        return Operation("parameters", layer, self.updater.update_calls(part, gradient, scratch), self.network.vector[part])

    def _update_all(self):
        """Penalty, clipping and update of all layers at once."""
        parts = blocks(self.network.trained, self.network.dtype.itemsize)
        operations = [self._finish_gradient(0, part) for part in parts]
        if self.updater.clip_norm:
            operations.append(Operation("gradient", 0, self.updater.clip_calls(self._gradient), self._gradient))  # pyright: ignore[reportArgumentType]
        return operations + [self._update(0, part) for part in parts]

    def _split_output(self):
        """The output layer in blocks of units: forward, delta, the share of the delta below, gradient, update.

        The scale goes onto the small arrays, the incoming activations and the delta below, not onto the wide delta.
        """
        layer, space = self._last, self.workspace
        activation, stored = self.network.activations[-1], self._stored[-1]
        incoming = self._incoming(layer)
        shape = (self.network.sizes[-2] + 1, space.batch)
        scaled, share = aligned(shape, self.network.dtype), aligned(shape, self.network.dtype)
        scale_call = (np.multiply, (incoming, self._scale, scaled))
        if layer == 1:
            scale_call = Late(lambda x, y: (np.multiply, (x, self._scale, scaled)))
        below = space.rows(space.deltas, layer - 1, layer - 1) if layer > 1 else None
        operations = [Operation("activation", layer - 1, [scale_call], scaled)]
        for rows in blocks(len(stored), stored.itemsize * max(2 * space.batch, stored.shape[1])):
            at = rows if self.kept is not None else slice(0, rows.stop - rows.start)  # unless kept, every block uses the same buffers
            z, a, s, d = self._buffers(layer, at)
            if self.kept is None and self._gradient_function is difference and not self._multiplies_slope(layer):
                d = a  # the outputs are not needed again: one buffer in the cache instead of two
            operations += self._forward_of(layer, stored[rows], z, a, space.output_z[rows] if space.output_z is not None else None)
            calls = self._loss_gradient(a, d, lambda y, rows=rows: y[rows])
            if self._multiplies_slope(layer):
                calls += [*activation.slope(z, a, s), (np.multiply, (d, s, d))]
            operations.append(Operation("delta", layer, calls, d))
            if below is not None:
                first = rows.start == 0
                calls = [(stored[rows].T.dot, (d, below if first else share))]
                operations.append(Operation("delta", layer - 1, calls + ([] if first else [(np.add, (below, share, below))]), below[:-1]))
            part = self._part(layer, rows)
            g = self._gradient_buffer(part).reshape(-1, stored.shape[1])
            operations.append(Operation("gradient", layer, [(d.dot, (scaled.T, g)), *self._without_bias(layer, g, False, True)], g))
            operations += [self._finish_gradient(layer, part), self._update(layer, part)]
        if below is not None:
            calls = [(np.multiply, (below, self._scale, below)), *self._through(layer - 1, below)]
            operations.append(Operation("delta", layer - 1, calls, below[:-1]))
        return operations
