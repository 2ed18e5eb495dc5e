"""A run: data, network, optimizer and what they leave behind, moved on update by update.

Most updates are replayed blind. Some are observed (telemetry.py): their rows are exact, and each is followed by a check that all
parameters are finite. When they are not, the run goes back to the last observed state and comes again with every tensor checked,
so the first non-finite value is found in the update in which it appeared, at no cost to healthy runs.
"""

from __future__ import annotations

import json
import math
import time
from functools import lru_cache

import numpy as np

from core import faults
from core.config import ConfigError, RunConfig, check_fit, differences
from core.data import load
from core.data.dataset import Dataset
from core.nn.buffers import aligned_like
from core.nn.initializers import initial_parameters
from core.nn.network import Network
from core.nn.updater import Updater
from core.training.batches import Batches
from core.training.compiled_steps import CompiledSteps
from core.training.cost_model import evaluation_schedule, observation_interval, step_cost
from core.training.evaluation import LOOKED_AT, Evaluation
from core.training.live_changes import needs_new_run
from core.training.run_state import RunState
from core.training.telemetry import LAYER_METRICS, Event, NonFinite, Telemetry
from core.training.unit_samples import Probe, norm


class Trainer:
    """One run of a configuration. The same configuration gives the same bits, however the updates are cut into calls."""

    def __init__(self, config: RunConfig, dataset: Dataset | None = None):
        """Load the data, unless it is given, and initialise the network; raises ConfigError when they do not fit together."""
        self.config = config
        self.dataset = dataset or load(config.data)
        check_fit(config, self.dataset.inputs, self.dataset.outputs, self.dataset.task, not self.dataset.labels, self.dataset.rows)
        if config.faults and dataset is None:
            self.dataset = faults.with_inputs(config, self.dataset)
        self.network = Network(config, self.dataset.inputs)
        if config.faults:
            self.network.load(self.first_parameters())
        self._gradient = aligned_like(self.network.vector)
        self._before = aligned_like(self.network.vector)
        self._parts = {"train": self._evaluation(self.dataset.train), "test": self._evaluation(self.dataset.test)}
        self._probe = Probe(self.network, self.dataset.train.inputs)
        self._start()

    def first_parameters(self):
        """Weights and biases that the run begins with, in float64, in the shapes of `parameters()`."""
        made = faults.first_parameters if self.config.faults else initial_parameters
        return made(self.config, self.dataset.inputs)

    def _evaluation(self, part):
        return Evaluation(self.network, self.dataset, part, self.config)

    def _start(self):
        self.step = 0
        self._epochs_before, self._cut_at = 0.0, 0  # epochs done, and the step, when the batches were last cut
        self.telemetry = Telemetry(len(self.network.matrices))
        self._next_sample = 0
        self._updater = Updater(self.network, self.config)
        self._state = RunState(self.network, self._updater)
        self._cut_batches()
        self._compile()
        self._evaluate()

    def _cut_batches(self):
        config = self.config
        size = faults.batch_size(config) if config.faults else config.batch_size
        self.batches = Batches(self.dataset.train.inputs, self._parts["train"].targets, size, config.dtype, config.seed)

    def _compile(self):
        self._steps = CompiledSteps(self.network, self._updater, self.config, self.batches, self._gradient)
        step = step_cost(self.network, self._steps.calls, self.batches.size)
        self._interval = observation_interval(self.network, step, self._probe.samples)
        evaluated = sum(min(len(part), LOOKED_AT) for part in (self.dataset.train, self.dataset.test))
        self._schedule = evaluation_schedule(self.network, step, evaluated)
        self._next_frame = self._schedule.first_from(self.step)
        self._state.guard(self.step)

    # Moving on

    def advance(self, updates):
        """Make this many updates, or fewer when a value is no longer finite: then `nonfinite` says where."""
        end = self.step + updates
        with np.errstate(all="ignore"):
            while self.step < end and not self.nonfinite:
                if self.step >= self._next_frame:
                    self._evaluate()
                elif self.step >= self._next_sample:
                    self._observe()
                else:
                    self._replay(min(end, self._next_sample, self._next_frame) - self.step)
            if not self.nonfinite and not self._state.finite:
                self._find_nonfinite()
        return self

    def run(self, steps):
        """`advance`, and look at the end."""
        return self.advance(steps).frame()

    def run_for(self, seconds):
        """Advance for about this long (wall clock), and look at the end."""
        until, chunk = time.perf_counter() + seconds, 1
        while not self.nonfinite and (left := until - time.perf_counter()) > 0:
            began = time.perf_counter()
            self.advance(chunk)
            took = time.perf_counter() - began
            chunk = max(1, int(chunk * min(2.0, left / took)))
        return self.frame()

    def _replay(self, updates):
        for tape in self._steps.tapes(self.next_batches(updates)):
            for function, arguments in tape:
                function(*arguments)
        self.step += updates

    def _evaluate(self):
        """The full evaluation that is due."""
        if not self._state.finite:
            self._find_nonfinite()
            return
        self._add_frame()
        self._next_frame = self._schedule.first_from(self.step + 1)

    def _observe(self):
        """One update whose gradients, outputs and effects are recorded."""
        if not self._state.finite:
            self._find_nonfinite()
            return
        np.copyto(self._before, self.network.vector)
        program, x, y = self._steps.program(*self.next_batches(1), observed=True)
        for function, arguments in program.bind(x, y):
            function(*arguments)
        loss = program.batch_loss(y) + self.penalty(self._before)
        self.step += 1
        if not (math.isfinite(loss) and self._state.finite):
            self._find_nonfinite()
            return
        self.telemetry.add_sample(self.step, loss, self._layer_metrics(program))
        self._next_sample = self.step + min(self._interval, self.step // 16)
        self._state.guard(self.step)

    def _layer_metrics(self, program):
        """(layers, LAYER_METRICS) of the update just made; leaves its difference in `_before`."""
        vectors = zip(self.network.flat_layers(self._gradient), self.network.flat_layers(self._before))
        metrics = np.array([(norm(gradient) / program.gradient_scale, norm(before)) for gradient, before in vectors])
        np.subtract(self.network.vector, self._before, self._before)
        updates = np.array([norm(change) for change in self.network.flat_layers(self._before)])
        ratios = np.divide(updates, metrics[:, 1], out=np.full_like(updates, np.nan), where=metrics[:, 1] > 0)
        return np.column_stack([metrics, ratios, self._probe.measure()])

    # Non-finite values

    @property
    def nonfinite(self):
        """The first non-finite value, or None."""
        return self.telemetry.nonfinite

    def _find_nonfinite(self):
        """Come again from the guarded state, checking every tensor and recording every update; stop before the one that broke."""
        end = self.step
        self.step = self._state.return_to_guarded()
        while self.step < end:
            self._state.guard(self.step)
            program, x, y = self._steps.program(*self.next_batches(1), observed=True)
            broken = program.first_nonfinite(x, y)
            loss = program.batch_loss(y) + self.penalty(self._state.guarded_vector)
            if not math.isfinite(loss) and (broken is None or broken[1] not in ("pre_activation", "activation")):
                broken = (0, "loss")
            if broken:
                self.telemetry.nonfinite = NonFinite(self.step + 1, *broken)
                self.telemetry.add_sample(self.step + 1, loss, np.full((len(self.network.matrices), len(LAYER_METRICS)), np.nan))
                self.step = self._state.return_to_guarded()
                return
            self.step += 1
            np.copyto(self._before, self._state.guarded_vector)
            self.telemetry.add_sample(self.step, loss, self._layer_metrics(program))

    # Looking

    @property
    def epoch(self):
        """How often the training samples have been seen."""
        return self._epochs_before + (self.step - self._cut_at) / len(self.batches)

    @property
    def batches_per_epoch(self):
        """Updates that make one epoch."""
        return len(self.batches)

    def next_batches(self, updates):
        """Numbers of the batches that the next updates will use."""
        return self.batches.order(self.step - self._cut_at, updates)

    @property
    def slots(self):
        """The optimizer's vectors of state, themselves."""
        return self._updater.slots

    @property
    def learning_rate(self):
        """The rate of the last update, schedule included."""
        return self._updater.rate

    def parameters(self):
        """Copies of the weights and biases: {"W1": (inputs, units), "b1": (units,), ...}."""
        return self.network.parameters()

    def load_parameters(self, parameters):
        """Take over weights and biases of the shapes of `parameters()`; ValueError names one that does not fit."""
        self.network.load(parameters)
        if not self.step:  # what was measured is of weights that were never trained
            self.telemetry.drop_after(-1)
            self._add_frame()
        self._state.guard(self.step)

    def last_gradient(self):
        """The flat gradient of the last observed update (zeros before the first)."""
        return self._gradient / self._steps.gradient_scale

    def predicted_classes(self, part="train"):
        """Class index of each sample of a part, for classification."""
        return self._parts[part].predicted_classes()

    def penalty(self, vector=None):
        """l1 * sum|w| + l2 * sum(w^2) over all weights, biases left out."""
        l1, l2 = self.config.penalty.l1, self.config.penalty.l2
        if not (l1 or l2):
            return 0.0
        weights = [matrix[:, :-1] for matrix in self.network.matrices_of(self.network.vector if vector is None else vector)]
        return float(sum(l1 * np.abs(w).sum() + l2 * np.square(w).sum() for w in weights))

    def evaluate(self, part="train", most=None):
        """(loss with penalty, metric) over the train or test part, or its first `most` samples; (None, None) if it is empty."""
        with np.errstate(all="ignore"):
            loss, metric = self._parts[part].loss_and_metric(most)
            return (None, None) if loss is None else (loss + self.penalty(), metric)

    def loss(self, part="train"):
        """What training makes small, over all of the part: mean loss and penalty."""
        return self.evaluate(part)[0]

    def loss_of(self, state):
        """The training loss of a `state` of this run, as its histories have it; the run itself is left alone."""
        now = self.network.vector.copy()
        np.copyto(self.network.vector, state["vector"])
        loss, _ = self.evaluate(most=LOOKED_AT)
        np.copyto(self.network.vector, now)
        return loss

    def metric(self, part="train"):
        """Accuracy or R^2 over all of the part."""
        return self.evaluate(part)[1]

    @property
    def metric_name(self):
        """`accuracy` or `r2`."""
        return self._parts["train"].metric_name

    def frame(self):
        """Evaluate both parts as they are now. This stays in the histories only until the next evaluation: what they hold of the past, and
        so what is found, does not depend on when somebody looked."""
        self._add_frame(passing=True)
        return self

    def _add_frame(self, passing=False):
        train, test = self.evaluate("train", LOOKED_AT), self.evaluate("test", LOOKED_AT)
        values = [math.nan if value is None else value for value in (train[0], test[0], train[1], test[1])]
        self.telemetry.add_frame(self.step, *values, passing=passing)

    # Changing

    def reset(self):
        """Back to step 0 with the same first weights and the settings as they are now."""
        self.network.load(self.first_parameters())
        self._start()

    def change(self, patch):
        """Change settings of the living run: a patch in the configuration's shape within live_changes.LIVE_CHANGES.

        Raises ConfigError, and changes nothing, for other settings and for values that are not allowed.
        """
        config = self.config.patched(patch)
        if name := needs_new_run(self.config, config):
            raise ConfigError(name, "must not be changed while a run lives; start a new one")
        check_fit(config, self.dataset.inputs, self.dataset.outputs, self.dataset.task, not self.dataset.labels, self.dataset.rows)
        texts = list(differences(self.config.to_dict(), config.to_dict()))
        recut = config.batch_size != self.config.batch_size
        epoch, slots, self.config = self.epoch, self.slots, config
        self._updater = Updater(self.network, config)
        for slot, value in zip(self.slots, slots):
            np.copyto(slot, value)
        self._updater.updates = self.step
        self._state = RunState(self.network, self._updater)
        if recut:
            self._epochs_before, self._cut_at = epoch, self.step
            self._cut_batches()
        self._compile()
        self.telemetry.events += [Event(self.step, text) for text in texts]

    def edit(self, layer, unit, source, value):
        """Set one weight (from unit or input `source` of the layer before) or, with `source` None, the bias of `unit`."""
        sizes = self.network.sizes
        if not (1 <= layer < len(sizes) and 0 <= unit < sizes[layer] and (source is None or 0 <= source < sizes[layer - 1])):
            raise ConfigError("edit", f"must name a weight of the network; was layer {layer}, unit {unit}, source {source}")
        if not math.isfinite(value) or not np.isfinite(self.network.dtype.type(value)):
            raise ConfigError("edit", f"must be a finite number; was {value}")
        self.network.matrices[layer - 1][unit, -1 if source is None else source] = value
        name = f"bias of unit {unit + 1}" if source is None else f"weight {source + 1} of unit {unit + 1}"
        self.telemetry.events.append(Event(self.step, f"Layer {layer}: {name} set to {value:g}"))
        self._state.guard(self.step)

    # Checkpoints

    def state(self):
        """What the run needs to go on bit for bit from here, as plain arrays: no histories."""
        position = np.array([self.step, self._cut_at, self._next_sample, self._epochs_before])
        return self._state.to_arrays() | {"position": position, "config": _as_array(self.config)}

    def checkpoint(self):
        """The state and all histories, for np.savez."""
        return self.state() | self.telemetry.to_arrays()

    def restore(self, state):
        """Become the run that this `state` or `checkpoint` was taken of; its configuration must be this one's but for
        LIVE_CHANGES. Of a state without histories, the run's own are kept up to its step."""
        batch_size, self.config = self.config.batch_size, RunConfig.from_dict(json.loads(str(state["config"])))
        self._updater = Updater(self.network, self.config)
        self._state = RunState(self.network, self._updater)
        self._state.load(state)
        step, cut_at, next_sample, self._epochs_before = state["position"].tolist()
        self.step, self._cut_at, self._next_sample = int(step), int(cut_at), int(next_sample)
        self._updater.updates = self.step
        if self.config.batch_size != batch_size:
            self._cut_batches()
        self._compile()
        if "samples" in state:
            self.telemetry.load_arrays(state, passing=None if self.step == self._next_frame else self.step)
        else:
            self.telemetry.drop_after(self.step)
        self._look_ahead()

    def _look_ahead(self):
        """Have the next update's gradient for the last one's, which a state does not hold; zeros before the first update."""
        if not self.step:
            self._gradient[:] = 0
            return
        program, x, y = self._steps.program(*self.next_batches(1), observed=True)
        with np.errstate(all="ignore"):
            for function, arguments in program.bind(x, y):
                function(*arguments)
        self.step = self._state.return_to_guarded()


@lru_cache(1)
def _as_array(config):
    """A configuration's JSON text as an array; one for all states that have it."""
    return np.array(json.dumps(config.to_dict()))
