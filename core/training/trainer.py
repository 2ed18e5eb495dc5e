"""A run: data, network, optimizer and what they leave behind, moved on update by update.

Most updates are replayed blind. Some are observed (observer.py): their rows are exact, and each is followed by a check that all
parameters are finite. When they are not, the run goes back to the last observed state and comes again with every tensor checked
(nonfinite.py), so the first non-finite value is found in the update in which it appeared, at no cost to healthy runs.
"""

from __future__ import annotations

import json
import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from core import faults
from core.config import ConfigError, RunConfig, differences
from core.data import load
from core.data.dataset import Dataset
from core.fit import check_fit
from core.nn.network import Network
from core.nn.updater import Updater
from core.training.batches import Batches
from core.training.class_weights import sample_weights
from core.training.compiled_steps import CompiledSteps
from core.training.cost_model import evaluation_schedule, observation_interval, step_cost
from core.training.early_stopping import EarlyStopping
from core.training.evaluation import LOOKED_AT, Evaluator
from core.training.live_changes import needs_new_run
from core.training.nonfinite import find_nonfinite
from core.training.observer import Observer
from core.training.run_state import RunState
from core.training.telemetry import Event, Telemetry

if TYPE_CHECKING:
    from core.training.telemetry import NonFinite


class Trainer:
    """One run of a configuration. The same configuration gives the same bits, however the updates are cut into calls."""

    def __init__(self, config: RunConfig, dataset: Dataset | None = None) -> None:
        """Load the data, unless it is given, and initialise the network; raises ConfigError when they do not fit together."""
        self.config = config
        self.dataset = (dataset or load(config.data)).for_outputs(config.layers[-1].units)
        check_fit(config, self.dataset.inputs, self.dataset.outputs, self.dataset.task, not self.dataset.labels, self.dataset.rows)
        if dataset is None:
            self.dataset = faults.with_inputs(config, self.dataset)
        self.network = Network(config, self.dataset.inputs)
        if config.faults:
            self.network.load(faults.first_parameters(config, self.dataset.inputs))
            faults.break_network(config, self.network)
        self.evaluator = Evaluator(self.network, self.dataset, config)
        if config.class_weight and self.dataset.labels:
            self.network.weigh = sample_weights(self.evaluator.targets, self.network.dtype)
        self._observer = Observer(self.network, self.dataset.train.inputs)
        self._begin()

    def _begin(self):
        self.step = self._next_sample = 0
        self.telemetry = Telemetry(len(self.network.matrices))
        self.stopping = EarlyStopping(self.config.stop, self.evaluator, self.network.vector)
        self._cut_batches()
        self._compile()
        self._evaluate()

    def _cut_batches(self, epochs_before=0.0):
        data, config = (self.dataset.train.inputs, self.evaluator.targets), self.config
        seed = config.seed if faults.shuffles(config) else None
        self.batches = Batches(*data, faults.batch_size(config), config.dtype, seed, self.step, epochs_before)
        self.stopping.plan(self.batches, self.step)

    def _compile(self, slots=()):
        """Prepare the updates, for an optimizer with these vectors of state."""
        self.updater = Updater(self.network, self.config)
        self.updater.updates = self.step
        for slot, value in zip(self.updater.slots, slots):
            np.copyto(slot, value)
        self._state = RunState(self.network, self.updater)
        self._steps = CompiledSteps(self.network, self.updater, self.config, self.batches, self._observer)
        step = step_cost(self.network, self._steps.calls, self.batches.size)
        self._interval = observation_interval(self.network, step, self._observer.samples)
        evaluated = sum(min(len(part), LOOKED_AT) for part in (self.dataset.train, self.dataset.test))
        self._schedule = evaluation_schedule(self.network, step, evaluated)
        self._next_frame = self._schedule.first_from(self.step)
        self._state.guard(self.step)

    # Moving on

    def advance(self, updates: int) -> Trainer:
        """Make this many updates, or fewer when a value is no longer finite: then `nonfinite` says where."""
        end = self.step + updates
        with np.errstate(all="ignore"):
            while self.step < end and not (self.nonfinite or self.stopping.stopped):
                due = min(self._next_sample, self._next_frame, self.stopping.due)
                if self.step < due:
                    updates = int(min(end, due)) - self.step
                    self._steps.replay(self.batches.order(self.step, updates))
                    self.step += updates
                elif not self._state.finite:
                    self._find_nonfinite()
                elif self.step >= self.stopping.due:
                    self.stopping.look(self.batches, self.step, self.telemetry)
                    self._state.guard(self.step)
                elif self.step >= self._next_frame:
                    self._evaluate()
                else:
                    self._observe()
            if not self.nonfinite and not self._state.finite:
                self._find_nonfinite()
            if not self.nonfinite and self.step >= self.stopping.due:
                self.stopping.look(self.batches, self.step, self.telemetry)
                self._state.guard(self.step)
        return self

    def run(self, steps: int) -> Trainer:
        """`advance`, and look at the end."""
        return self.advance(steps).frame()

    def run_for(self, seconds: float) -> Trainer:
        """Advance for about this long (wall clock), and look at the end."""
        until, chunk = time.perf_counter() + seconds, 1
        while not self.nonfinite and (left := until - time.perf_counter()) > 0:
            began = time.perf_counter()
            self.advance(chunk)
            took = time.perf_counter() - began
            chunk = max(1, int(chunk * min(2.0, left / took)))
        return self.frame()

    def _evaluate(self):
        """The full evaluation that is due."""
        self.telemetry.add_frame(self.step, *self.evaluator.frame())
        self._next_frame = self._schedule.first_from(self.step + 1)

    def _observe(self):
        """One update whose gradients, outputs and effects are recorded."""
        loss = self._steps.observe(*self.batches.order(self.step, 1))
        self.step += 1
        if not (math.isfinite(loss) and self._state.finite):
            self._find_nonfinite()
            return
        self.telemetry.add_sample(self.step, loss, self._observer.measure())
        self._next_sample = self.step + min(self._interval, self.step // 16)
        self._state.guard(self.step)

    def _find_nonfinite(self):
        self.step = find_nonfinite(self.step, self._state, self._steps, self.batches, self._observer, self.telemetry)

    # Looking

    @property
    def nonfinite(self) -> NonFinite | None:
        """The first non-finite value, or None."""
        return self.telemetry.nonfinite

    @property
    def epoch(self) -> float:
        """How often the training samples have been seen."""
        return self.batches.epoch(self.step)

    def parameters(self) -> dict[str, np.ndarray]:
        """Copies of the weights and biases: {"W1": (inputs, units), "b1": (units,), ...}."""
        return self.network.parameters()

    def last_gradient(self) -> np.ndarray:
        """The flat gradient of the last observed update (zeros before the first)."""
        return self._observer.last_gradient()

    def loss(self, part: str = "train") -> float | None:
        """What training makes small, over all of the train or test part: mean loss and penalty; None if it is empty."""
        return self.evaluator.loss(part)

    def frame(self) -> Trainer:
        """Evaluate both parts as they are now. This stays in the histories only until the next evaluation: what they hold of the past, and
        so what is found, does not depend on when somebody looked."""
        self.telemetry.add_frame(self.step, *self.evaluator.frame(), passing=True)
        return self

    # Changing

    def reset(self) -> None:
        """Back to step 0 with the same first weights and the settings as they are now."""
        self.network.load(faults.first_parameters(self.config, self.dataset.inputs))
        self._begin()

    def load_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        """Take over weights and biases of the shapes of `parameters()`; ValueError names one that does not fit."""
        self.network.load(parameters)
        if not self.step:  # what was measured is of weights that were never trained
            self.telemetry.drop_after(-1)
            self.telemetry.add_frame(self.step, *self.evaluator.frame())
        self._state.guard(self.step)

    def change(self, patch: dict[str, Any]) -> None:
        """Change settings of the living run: a patch in the configuration's shape within live_changes.LIVE_CHANGES.

        Raises ConfigError, and changes nothing, for other settings and for values that are not allowed.
        """
        config = self.config.patched(patch)
        if name := needs_new_run(self.config, config):
            raise ConfigError(name, "must not be changed while a run lives; start a new one")
        check_fit(config, self.dataset.inputs, self.dataset.outputs, self.dataset.task, not self.dataset.labels, self.dataset.rows)
        texts = list(differences(self.config.to_dict(), config.to_dict()))
        recut, epoch = config.batch_size != self.config.batch_size, self.epoch
        self.config, self.evaluator.strengths = config, config.penalty
        if recut:
            self._cut_batches(epoch)
        self._compile(self.updater.slots)
        self.telemetry.events += [Event(self.step, text) for text in texts]

    def edit(self, layer: int, unit: int, source: int | None, value: float) -> None:
        """Set one weight (from unit or input `source` of the layer before) or, with `source` None, the bias of `unit`."""
        sizes = self.network.sizes
        if not (1 <= layer < len(sizes) and 0 <= unit < sizes[layer] and (source is None or 0 <= source < sizes[layer - 1])):
            raise ConfigError("edit", f"must name a weight of the network; was layer {layer}, unit {unit}, source {source}")
        if source is None and not self.config.layers[layer - 1].bias:
            raise ConfigError("edit", f"must be a weight; layer {layer} has no biases")
        if not math.isfinite(value) or not np.isfinite(self.network.dtype.type(value)):
            raise ConfigError("edit", f"must be a finite number; was {value}")
        self.network.matrices[layer - 1][unit, -1 if source is None else source] = value
        name = f"bias of unit {unit + 1}" if source is None else f"weight {source + 1} of unit {unit + 1}"
        self.telemetry.events.append(Event(self.step, f"Layer {layer}: {name} set to {value:g}"))
        self._state.guard(self.step)

    # Checkpoints

    def state(self) -> dict[str, np.ndarray]:
        """What the run needs to go on bit for bit from here, as plain arrays: no histories."""
        position = np.array([self.step, self.batches.begin, self._next_sample, self.batches.epochs_before])
        return self._state.to_arrays() | self.stopping.to_arrays() | {"position": position, "config": _as_array(self.config)}

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The state and all histories, for np.savez."""
        return self.state() | self.telemetry.to_arrays()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Become the run that this `state` or `checkpoint` was taken of; its configuration must be this one's but for
        LIVE_CHANGES. Of a state without histories, the run's own are kept up to its step."""
        batch_size, self.config = self.config.batch_size, RunConfig.from_dict(json.loads(str(state["config"])))
        self.evaluator.strengths = self.config.penalty
        step, cut_at, next_sample, epochs_before = state["position"].tolist()
        self.step, self._next_sample = int(step), int(next_sample)
        if self.config.batch_size != batch_size:
            self._cut_batches()
        self.batches.begin, self.batches.epochs_before = int(cut_at), epochs_before
        self._compile()
        self._state.load(state)
        self._state.guard(self.step)
        self.stopping.load(state)
        self.stopping.plan(self.batches, self.step)
        if "samples" in state:
            self.telemetry.load_arrays(state, passing=None if self.step == self._next_frame else self.step)
        else:
            self.telemetry.drop_after(self.step)
        self._look_ahead()

    def _look_ahead(self):
        """Have the next update's gradient for the last one's, which a state does not hold; zeros before the first update."""
        if not self.step:
            self._observer.gradient[:] = 0
            return
        with np.errstate(all="ignore"):
            self._steps.observe(*self.batches.order(self.step, 1))
        self.step = self._state.return_to_guarded()


@lru_cache(1)
def _as_array(config):
    """A configuration's JSON text as an array; one for all states that have it."""
    return np.array(json.dumps(config.to_dict()))
