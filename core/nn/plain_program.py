"""A training step replayed from its formulas: slower than the compiled one, and the place where faults are put in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import replay
from core.nn.buffers import aligned_like
from core.nn.dropout import Masks
from core.nn.formulas import Formulas, Plan, Values, parameters_given, scales_given
from core.nn.normalization import MOMENTUM

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.nn.activations import Call
    from core.nn.network import Network
    from core.nn.updater import Updater

# What the telemetry calls a tensor where the formulas have several steps on the way to it
TENSORS = {
    **dict.fromkeys(("outer", "dW", "db"), "gradient"),
    **dict.fromkeys(("error", "sum_delta"), "delta"),
    **dict.fromkeys(("weighted_sum", "mean", "variance", "deviation", "normalized"), "pre_activation"),
    **dict.fromkeys(("dscale", "dshift"), "gradient"),
    **{"input": "activation", "output": "activation", "backward_weights": "parameters"},
}


class PlainProgram:
    """Stands in for a Program where the configuration has faults; `kept` as there.

    What faults edit: `formulas`; `gather` and `update`, which hold one call for each layer (from 1) that writes its gradient and
    that applies it; and `early`, the layers that are updated before the error is taken back through them.
    """

    gradient_scale = 1.0

    def __init__(self, network: Network, updater: Updater, config: RunConfig, kept: np.ndarray | None = None) -> None:
        self.network, self.updater, self.config, self.kept = network, updater, config, kept
        self.formulas = Formulas(Plan.of(config, network.sizes[0]))
        if weigh := network.weigh:
            last = self.formulas.plan.last
            share = self.formulas["outputs_mean", last]
            self.formulas["outputs_mean", last] = lambda v: weigh(v["labels", last]) * share(v)
        self.early = set()
        self.gradient = updater.gather()
        self.gradients = network.matrices_of(self.gradient)
        self._scale_gradients, self._masks = network.scales_of(self.gradient), {}
        self._given = parameters_given(network.matrices) | scales_given(network.scales)
        self._values = None
        self._layers = range(len(network.matrices), 0, -1)
        ends = np.cumsum([0, *(matrix.size for matrix in network.matrices)])
        parts = {layer: [slice(ends[layer - 1], ends[layer])] for layer in self._layers}
        for layer in self._layers:
            parts[layer] += [part for part in [network.scale_parts[layer - 1]] if part]
        scratch = aligned_like(network.vector)

        def calls_of(layer, made):
            return [call for part in parts[layer] for call in made(part, self.gradient[part], scratch[part])]

        self.gather = {layer: partial(self._gather, layer) for layer in self._layers}
        self.update = {layer: partial(replay, calls_of(layer, updater.update_calls)) for layer in self._layers}
        self._finish = {layer: calls_of(layer, self._finish_calls) for layer in self._layers}
        self._clip = updater.clip_calls(self.gradient) if updater.clip_norm else []

    def _finish_calls(self, part, gradient, scratch):
        """Add the penalty, and keep what then is the gradient."""
        calls = self.updater.penalty_calls(part, gradient, scratch)
        return calls if self.kept is None else [*calls, (np.copyto, (self.kept[part], gradient))]

    @property
    def calls(self) -> int:
        """NumPy calls a step takes, roughly: three for a formula, as many again for the update."""
        return 3 * (len(self.formulas) + 2 * len(self.gradients))

    def bind(self, x: np.ndarray, y: np.ndarray) -> list[Call]:
        """The calls of the step on inputs `x` (features + 1, batch) and targets `y` (outputs, batch)."""
        return [(self._step, (x, y))]

    def batch_loss(self, y: np.ndarray) -> float:
        """Mean loss of the last step's batch before its update, penalty left out."""
        return self.network.loss.mean(self._values["loss", len(self.gradients)])

    def first_nonfinite(self, x: np.ndarray, y: np.ndarray) -> tuple[int, str] | None:
        """Make the step; (layer, tensor) of the first value in it that is not finite, or None."""
        self._step(x, y)
        for (tensor, layer), values in self._values.items():
            if layer and tensor not in ("W", "b", "scale", "shift", "mask", "labels") and not np.isfinite(values).all():
                return layer, TENSORS.get(tensor, tensor)  # pyright: ignore[reportReturnType]
        for tensor, vector in (("gradient", self.gradient), ("parameters", self.network.vector)):
            if layer := self.network.broken_layer(vector):
                return layer, tensor
        return None

    def _step(self, x, y):
        self.updater.tick()
        batch = {("activation", 0): x[:-1], ("labels", len(self.gradients)): y}
        self._values = Values(self.formulas, {**self._given, **self._drawn_masks(y.shape[1]), **batch})
        for layer in self._layers:
            self.gather[layer]()
            replay(self._finish[layer])
            if layer in self.early:
                self.update[layer]()
        self._track_statistics()
        replay(self._clip)
        for layer in self._layers:
            if layer not in self.early:
                self.update[layer]()

    def _drawn_masks(self, samples):
        """{("mask", layer): its mask for this update} of layers with dropout."""
        if not any(layer.dropout for layer in self.network.layers):
            return {}
        if samples not in self._masks:
            self._masks[samples] = Masks(self.network.layers, samples, self.config.seed, self.network.dtype)
        masks = self._masks[samples]
        masks.draw(self.updater.updates)
        return {("mask", layer): mask for layer, mask in masks.rows.items()}

    def _track_statistics(self):
        for layer, running in enumerate(self.network.running, 1):
            if running is not None:
                now = np.stack([self._values[name, layer][:, 0] for name in ("mean", "variance")])
                running[:] = (1 - MOMENTUM) * running + MOMENTUM * now

    def _gather(self, layer):
        matrix, scale = self.gradients[layer - 1], self._scale_gradients[layer - 1]
        matrix[:, :-1] = self._values["dW", layer]
        matrix[:, -1:] = self._values["db", layer] if self.network.layers[layer - 1].bias else 0
        if scale is not None:
            scale[0], scale[1] = self._values["dscale", layer][:, 0], self._values["dshift", layer][:, 0]
