"""The twin: a right copy of a watched perceptron, from the same weights on the same batches, and where the person's own parts from it.

While both have made the same updates they have the same weights, so a step is judged by itself: the right gradients of this step's weights
and batch beside the person's own, and the person's update beside what the same rule makes of the right ones. At the first step that
differs the doctor says which line would do that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core import doctor
from core.diagnosis.comparison import WRONG
from core.faults import FAULTS
from core.limits import ConfigError
from core.nn.formulas import Formulas, Values
from core.nn.losses import LOSSES
from core.watch.moments import Moment, placed
from core.watch.perceptron import Perceptron
from core.watch.updates import find_rule, flat, lying_alike, unflat

if TYPE_CHECKING:
    from core.watch.history import WatchedRun

STEPS = 12  # whole steps that are compared
SINGLE_WRONG = 5e-3  # relative error of a wrong gradient in float32
NEGLIGIBLE = 1e-6  # a tensor's difference beside the whole gradient's length, which is rounding


@dataclass(frozen=True)
class Twin:
    """Where a program parts from its right copy: `fault` is a name of the catalogue ("unknown" where it is in none), `tensor` the first
    that is wrong, seen from the loss. None in all of them: it does not part in `compared` steps. `steps`, `yours` and `twins` are both
    curves of the loss, `answer` the doctor's. The copy began with the weights that were told with step `start`."""

    step: int | None
    tensor: str | None
    fault: str | None
    text: str
    compared: int
    perceptron: Perceptron
    rule: str | None
    steps: tuple[int, ...] = ()
    yours: tuple[float, ...] = ()
    twins: tuple[float, ...] = ()
    answer: doctor.Answer | None = None
    start: int = 1

    def to_dict(self) -> dict[str, Any] | None:
        """The contract's JSON shape; None where the program never parts from its twin."""
        return {"step": self.step, "tensor": self.tensor, "fault": self.fault, "text": self.text} if self.fault else None


def find_twin(run: WatchedRun, start: int | None = None) -> Twin | None:
    """The Twin of a WatchedRun from its kept whole step `start` on, None: the first; None where its program is no perceptron that could be
    recognised, or told too little. Raises ConfigError("start") where that step was not kept."""
    if start is not None and start not in run.whole:
        raise ConfigError("start", f"must be a step that was kept whole ({', '.join(map(str, run.whole)) or 'none was'}); was {start}")
    whole = [step for step in run.whole.values() if start is None or step.step >= start][:STEPS]
    if not whole or not run.names:
        return None
    found = placed(run.names, whole)
    if found is None:
        return None
    perceptron, moments = found
    before = run.whole.get(moments[0].step - 1)
    twin = _Comparison(run, perceptron, moments, before and before.grads).twin()
    begun = whole[0].step
    return twin and replace(twin, start=begun, text=f"{twin.text} The copy started from the weights of step {begun:,}.")


class _Comparison:
    """A program's moments beside what is right. Everything is worked out once, in order."""

    def __init__(self, run, perceptron, moments, earlier):
        self.names, self.perceptron = run.names, perceptron
        # The gradients of the step before the first moment, where there is one: of a program that tells of its steps after their updates
        self.earlier = earlier if earlier and not any(gradient is None for gradient in earlier) else None
        usable = []
        for moment in moments:
            finite = moment.grads is not None and all(
                np.isfinite(array).all() for array in [*moment.params, *moment.grads, moment.X, moment.Y]
            )
            if not finite or (usable and moment.step != usable[-1].step + 1):
                break
            usable.append(moment)
        self.moments = usable
        single = any(array.dtype == np.float32 for moment in usable for array in moment.params)
        self.wrong = SINGLE_WRONG if single else WRONG
        self.rights = [self._right(moment) for moment in usable]
        self.scales = []

    def _right(self, moment):
        """(right gradients by tensor's index, mean loss), or None where the batch does not fit."""
        given = self.perceptron.given(moment.params, moment.X, moment.Y)
        if given is None:
            return None
        with np.errstate(all="ignore"):
            return self._gradients(given)

    def _gradients(self, given):
        plan = self.perceptron.plan
        values = Values(Formulas(plan), given)
        gradients = {}
        for number, layer in enumerate(self.perceptron.layers, 1):
            gradients[layer.weights] = values["dW", number]
            if layer.bias is not None:
                gradients[layer.bias] = values["db", number]
        return gradients, _mean_loss(plan, values)

    def twin(self):
        """What comes of it; None where there is nothing to compare."""
        if not self.moments or self.rights[0] is None:
            return None
        rule = self._rule()
        for at, moment in enumerate(self.moments):
            if self.rights[at] is None:
                self.moments, self.rights = self.moments[:at], self.rights[:at]
                break
            scale = self._agrees(at)
            if scale is None:
                parted = self._parted(at)
                if parted:
                    return self._made(moment, *parted, rule)
                if parted is None:
                    return None
                scale = self.scales[-1] if self.scales else 1.0
            self.scales.append(scale)
            fault = self._update_fault(at, scale, rule)
            if fault:
                return self._made(moment, *fault, rule)
        count, first = len(self.moments), self.moments[0].step
        which = "Your first" if first < 3 else f"From step {first:,} on, your"
        text = f"{which} {count} steps are those of a right program." if count > 1 else f"{which} step is that of a right program."
        answer = self._consult(0, with_update=False, with_loss=False)
        answer = answer if answer and answer.verdict == "correct" else None
        curves = self._curves(rule)
        if len(curves[0]) < count:
            text += " The copy's own loss goes no further than its first step: how its optimizer goes on cannot be told from here."
        return Twin(None, None, None, text, count, self.perceptron, rule and rule.name, *curves, answer)

    # Whether a step is right

    def _agrees(self, at):
        """The factor by which all of this step's gradients are the right ones, but for a penalty and for clipping; None where none is."""
        moment, (right, _) = self.moments[at], self.rights[at]
        weights = {layer.weights for layer in self.perceptron.layers}
        yours, columns, sizes = [], [], []
        for index, gradient in right.items():
            own = np.asarray(moment.grads[index], float)
            if own.size != gradient.size and moment.params[index].size != 1:
                return None
            own = self._own(index, own, gradient)
            gradient = gradient.sum(keepdims=True) if own.size < gradient.size else gradient
            param = self._own(index, np.asarray(moment.params[index], float), gradient)
            decay = param if index in weights else np.zeros_like(param)
            if own.shape != gradient.shape:
                return None
            yours.append(own.ravel())
            columns.append(np.stack([gradient.ravel(), decay.ravel(), np.sign(decay).ravel()]))
            sizes.append(own.size)
        own, table = np.concatenate(yours), np.concatenate(columns, axis=1)
        if not own.any() and not table[0].any():
            return 1.0
        for used in (1, 2, 3):
            lengths = np.maximum(np.linalg.norm(table[:used], axis=1), 1e-300)
            shares, *_ = np.linalg.lstsq((table[:used] / lengths[:, None]).T, own, rcond=None)
            if self._same(own, (shares / lengths) @ table[:used], sizes) and shares[0]:
                return float(shares[0] / lengths[0])
        return self._clipped(own, table[0], sizes)

    def _own(self, index, own, gradient):
        """A tensor of the person's as (units, inputs) or (units, 1)."""
        number = next(number for number, layer in enumerate(self.perceptron.layers, 1) if index in (layer.weights, layer.bias))
        layer = self.perceptron.layers[number - 1]
        if index == layer.bias:
            return own.reshape(-1, 1)
        if own.ndim == 2 and own.shape != self.moments[0].params[index].shape:  # the gradient lies the other way round than the weights
            own = own.T
        return self.perceptron.weights({index: own}, number) if own.size == gradient.size else own

    def _same(self, own, right, sizes):
        """Whether each tensor of two flat gradients agrees."""
        whole, start = np.linalg.norm(right), 0
        for size in sizes:
            mine, theirs = own[start : start + size], right[start : start + size]
            off = np.linalg.norm(mine - theirs)
            if off > self.wrong * max(np.linalg.norm(mine), np.linalg.norm(theirs)) and off > NEGLIGIBLE * whole:
                return False
            start += size
        return True

    def _clipped(self, own, right, sizes):
        """The factor, where every entry is clipped to the same size."""
        most = np.abs(own).max()
        free = np.abs(own) < most * (1 - 1e-9)
        if (~free).sum() < 2 or not right[free].any():
            return None
        scale = own[free] @ right[free] / (right[free] @ right[free])
        return float(scale) if self._same(own, np.clip(scale * right, -most, most), sizes) and scale else None

    def _rule(self):
        """By which rule the program updates its parameters, found from its own gradients."""
        moments = [moment for moment in self.moments if moment.after is not None]
        if not moments or any(moment.derived for moment in moments):
            return None
        if any(g.size != p.size for moment in moments for g, p in zip(moment.grads, moment.params)):
            return None
        rows = [flat(moment.params) for moment in moments] + [flat(moments[-1].after)]
        gradients = [lying_alike(moment.grads, moment.params) for moment in moments]
        weights = {layer.weights for layer in self.perceptron.layers}
        matrices = flat([np.full(array.shape, at in weights) for at, array in enumerate(moments[0].params)])
        return find_rule(np.array(rows), np.array(gradients), moments[0].step == 1, self._earlier(), matrices)

    def _earlier(self):
        """The gradient before the first moment as a flat vector, if that was the program's first; None otherwise."""
        first = self.moments[0]
        if self.earlier is None or first.step != 2 or any(a.size != b.size for a, b in zip(self.earlier, first.params)):
            return None
        return lying_alike(self.earlier, first.params)

    # What is wrong with one that is not

    def _parted(self, at):
        """(tensor, fault, text, Answer) of a step whose gradients are not right; False where the doctor finds them right after all; None
        where nothing can be said: the forward pass gives another loss, so that the network may be another one."""
        moment = self.moments[at]
        if self._stale(at):
            tensor = self.names[self.perceptron.layers[-1].weights]
            title = FAULTS["stale_gradients"]
            text = f"{title.title}: {title.origin}" if title.origin else title.title
            return (
                tensor,
                "stale_gradients",
                f"The gradients of step {moment.step} have those of the step before added to them. {text}",
                None,
            )
        if self.perceptron.factor is None:
            return None
        answer = self._consult(at, with_update=moment.after is not None and not moment.derived and bool(moment.learning_rate))
        if answer is None:
            return None
        if answer.verdict == "correct":
            return False
        if moment.derived and not answer.fault:
            return None  # worked out from an update that may be another optimizer's
        return self._tensor(answer), answer.fault or "unknown", answer.explanation, answer

    def _stale(self, at):
        """Whether this step's gradients are the right ones added to those of the step before."""
        other, before = self.moments[at], self.moments[at - 1].grads if at else self.earlier
        if before is None or other.derived or any(a.shape != b.shape for a, b in zip(before, other.grads)):
            return False
        fresh = [np.asarray(b, float) - a for a, b in zip(before, other.grads)]
        kept = self.moments
        self.moments = [*kept[:at], Moment(**{**vars(other), "grads": fresh}), *kept[at + 1 :]]
        scale = self._agrees(at)
        self.moments = kept
        return scale is not None and (not self.scales or bool(np.isclose(scale, self.scales[-1], rtol=1e-2)))

    def _tensor(self, answer):
        """The first wrong tensor, seen from the loss."""
        rows = {row.tensor: row.relative_error for row in answer.table}
        for number in range(len(self.perceptron.layers), 0, -1):
            layer = self.perceptron.layers[number - 1]
            for kind, index in (("dW", layer.weights), ("db", layer.bias)):
                if index is not None and not rows.get(f"{kind}{number}", 0.0) <= self.wrong:
                    return self.names[index]
        layer = self.perceptron.layers[(answer.layers or (1,))[-1] - 1]
        return self.names[layer.weights]

    def _update_fault(self, at, scale, rule):
        """(tensor, fault, text, Answer) of an update that right gradients do not explain; None where it is right or nobody can tell."""
        moment = self.moments[at]
        if moment.after is None or moment.derived:
            return (self._first(), *_uphill("sign_flip", moment), None) if scale < 0 and moment.derived else None
        if rule and scale > 0 and not rule.uphill:
            return None
        if rule and (scale < 0) != rule.uphill:
            return self._first(), *_uphill("added_update" if scale > 0 else "sign_flip", moment), None
        if rule or not moment.learning_rate or at + 1 >= len(self.moments):
            return None
        answer = self._consult(at, with_update=True, with_loss=False)
        if answer is None or answer.verdict != "faulty":
            return None
        layer = self.perceptron.layers[(answer.layers or (1,))[-1] - 1]
        index = layer.bias if answer.fault == "frozen_bias" and layer.bias is not None else layer.weights
        return self.names[index], answer.fault, answer.explanation, answer

    def _first(self):
        return self.names[self.perceptron.layers[-1].weights]

    def _consult(self, at, with_update, with_loss=True):
        """The doctor's Answer on one step; None where it cannot be asked."""
        try:
            return doctor.check_run(self._run_file(at, with_update, with_loss))
        except ConfigError:
            return None

    def _run_file(self, at, with_update, with_loss):
        """The step as the doctor takes it. Of a layer without biases it gets biases of 0 with the right gradient."""
        moment, plan, layers = self.moments[at], self.perceptron.plan, self.perceptron.layers
        given, (right, _) = self.perceptron.given(moment.params, moment.X, moment.Y), self.rights[at]
        weights = [given["W", number] for number in range(1, plan.last + 1)]
        biases = [given["b", number] for number in range(1, plan.last + 1)]
        scale = self.scales[-1] if self.scales else self._scale(at)
        with np.errstate(all="ignore"):
            values = Values(Formulas(plan), given)
            missing = {number: scale * values["db", number] for number, layer in enumerate(layers, 1) if layer.bias is None}
        own = [self._own(layer.weights, np.asarray(moment.grads[layer.weights], float), right[layer.weights]) for layer in layers]
        own_biases = [
            missing[number] if layer.bias is None else np.asarray(moment.grads[layer.bias], float).reshape(-1, 1)
            for number, layer in enumerate(layers, 1)
        ]
        after: dict[str, Any] = {}
        if with_update:
            after = {
                "next_weights": [self.perceptron.weights(moment.after, number) for number in range(1, plan.last + 1)],
                "next_biases": [
                    biases[number - 1] - moment.learning_rate * missing[number]
                    if layer.bias is None
                    else np.broadcast_to(np.asarray(moment.after[layer.bias], float).reshape(-1, 1), biases[number - 1].shape)
                    for number, layer in enumerate(layers, 1)
                ],
                "learning_rate": moment.learning_rate,
            }
        dtype = np.float32 if self.wrong == SINGLE_WRONG else float
        updated: dict[str, Any] = {
            name: [array.astype(dtype) for array in value] if isinstance(value, list) else value for name, value in after.items()
        }
        return doctor.RunFile(
            X=given["activation", 0].astype(dtype), Y=given["labels", plan.last].astype(dtype),
            weights=[array.astype(dtype) for array in weights], biases=[array.astype(dtype) for array in biases],
            weight_gradients=[array.astype(dtype) for array in own], bias_gradients=[array.astype(dtype) for array in own_biases],
            activations=plan.activations, loss=plan.loss, loss_value=moment.loss if with_loss else None,
            **updated,
        )  # fmt: skip

    def _scale(self, at):
        """By which factor the output layer's weight gradient is the right one: for what stands in for gradients that are not there."""
        index = self.perceptron.layers[-1].weights
        right = self.rights[at][0][index]
        own = self._own(index, np.asarray(self.moments[at].grads[index], float), right)
        return float(np.vdot(own, right) / max(np.vdot(right, right), 1e-300)) if own.shape == right.shape else 1.0

    # Both curves

    def _made(self, moment, tensor, fault, text, answer, rule):
        curves = self._curves(rule, plain=answer is not None and moment.after is not None)
        if answer is not None:  # how the arrays lie was found out before the doctor saw them
            text = text.removesuffix(f" Read as: {answer.reading}.")
        text = f"At step {moment.step} {tensor} parts from a right copy. {text}"
        return Twin(moment.step, tensor, fault, text, len(self.moments), self.perceptron, rule and rule.name, *curves, answer)

    def _curves(self, rule, plain=False):
        """(steps, the person's losses, the twin's) over the compared steps; the twin's go on only as long as its own updates are known.
        `plain`: the program's own are wrong, and were meant to be those of plain gradient descent."""
        moments = self.moments
        factor = self.perceptron.factor or 1.0
        params = [np.array(array, float) for array in moments[0].params]
        state, losses = {"parameters": flat(params)}, []
        scale = abs(self.scales[0]) if self.scales else abs(factor)
        earlier = self._earlier() if rule else None
        if earlier is not None:
            rule.update(1, earlier, state)
        for number, moment in enumerate(moments, 1 if earlier is None else 2):
            given = self.perceptron.given(params, moment.X, moment.Y)
            if given is None:
                break
            with np.errstate(all="ignore"):
                right, loss = self._gradients(given)
            losses.append(factor * loss)
            gradient = flat([self._turned(index, scale * right[index], params[index]) for index in range(len(params))])
            state["parameters"] = flat(params)
            if rule:
                change = rule.update(number, gradient, state)
                change = -change if rule.uphill else change
            elif plain and moment.learning_rate:
                change = -moment.learning_rate * gradient
            else:
                break
            params = unflat(state["parameters"] + change, params)
        kept = moments[: len(losses)]
        return tuple(moment.step for moment in kept), tuple(moment.loss for moment in kept), tuple(losses)

    def _turned(self, index, gradient, param):
        """A right gradient as the person's tensor lies."""
        if param.size < gradient.size:
            return gradient.sum().reshape(param.shape)
        weights = {layer.weights for layer in self.perceptron.layers}
        return self.perceptron.as_given(gradient, param) if index in weights else gradient.reshape(param.shape)


def _uphill(name, moment):
    fault = FAULTS[name]
    return name, f"{fault.title}: from step {moment.step} on the update climbs the loss instead of going down. {fault.origin}".strip()


def _mean_loss(plan, values):
    return LOSSES[plan.loss].mean(values["loss", plan.last])
