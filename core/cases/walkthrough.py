"""One step of a small run in numbers: every tensor of its formulas, for all training samples, as its parameters stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import encoded_targets
from core.faults import edit, placed
from core.nn.formulas import Formulas, Plan, Values, parameters_given
from core.training.trainer import Trainer

if TYPE_CHECKING:
    from core.config import RunConfig

PRINTED = 1000  # updates after which a program of this kind prints its cost


@dataclass(frozen=True)
class Term:
    """A tensor by its name in TeX, with the equation that gives it, what it is in words, and its numbers (rows, columns)."""

    symbol: str
    equation: str
    words: str
    numbers: np.ndarray


class Follower:
    """A Trainer that is where a live run of the same configuration is: the same configuration gives the same bits. `costs` {step: training
    loss} are those of every thousandth update that it came by."""

    def __init__(self, config: RunConfig) -> None:
        self.trainer = Trainer(config)
        self.costs = {0: self.trainer.loss()}

    def at(self, step: int) -> Trainer:
        """The Trainer after so many updates, or where a value was no longer finite."""
        if step < self.trainer.step:
            self.trainer.reset()
        while self.trainer.step < step and not self.trainer.nonfinite:
            self.trainer.advance(min(step, (self.trainer.step // PRINTED + 1) * PRINTED) - self.trainer.step)
            if self.trainer.step % PRINTED == 0:
                self.costs[self.trainer.step] = self.trainer.loss()
        return self.trainer


def values(trainer: Trainer) -> Values:
    """The Values of one step on all training samples, (units, samples), by the run's own formulas: with its faults."""
    config, dataset = trainer.config, trainer.dataset
    plan, output = Plan.of(config, dataset.inputs), config.layers[-1]
    formulas = edit(Formulas(plan), "formulas", placed(config.faults, plan))
    targets = encoded_targets(dataset, dataset.train, output.units, output.activation, config.loss)
    given = parameters_given(trainer.network.matrices)
    return Values(formulas, {**given, ("activation", 0): dataset.train.inputs.T, ("labels", plan.last): targets.T})


def four_equations(trainer: Trainer, layer: int, sample: int) -> list[Term]:
    """The Terms of BP1 to BP4 in a layer (from 1) for one training sample (from 0): what arrives from behind, the slope, the delta, and
    what this sample adds to the gradients."""
    known = values(trainer)
    last = known.formulas.plan.last
    with np.errstate(all="ignore"):
        column = slice(sample, sample + 1)
        delta, slope = known["delta", layer][:, column], known["slope", layer][:, column]
        incoming = known["activation", layer - 1][:, column]
        terms = [_from_loss(known, last, column) if layer == last else _from_behind(known, layer, column)]
        terms += [
            Term(rf"f'(z^{layer})", rf"f'(z^{layer})", "slope of the activation", slope),
            _delta(layer, layer == last, delta),
            Term(rf"\partial C / \partial b^{layer}", rf"\partial C / \partial b^{layer} = \delta^{layer}", "BP3: for the biases", delta),
            Term(
                rf"\partial C / \partial W^{layer}",
                rf"\partial C / \partial W^{layer} = \delta^{layer} \, (a^{layer - 1})^\top",
                "BP4: for the weights",
                delta @ incoming.T,
            ),
        ]
    return terms


def _from_loss(known, last, column):
    return Term(r"\nabla_a C", r"\nabla_a C", "how the loss changes with the output", known["output_gradient", last][:, column])


def _from_behind(known, layer, column):
    above = layer + 1
    equation = rf"(W^{above})^\top \delta^{above}"
    return Term(equation, equation, "the next layer's error, brought back through its weights", known["error", layer][:, column])


def _delta(layer, is_output, delta):
    if is_output:
        return Term(rf"\delta^{layer}", rf"\delta^{layer} = \nabla_a C \odot f'(z^{layer})", "BP1: the output's error", delta)
    above = layer + 1
    equation = rf"\delta^{layer} = \left((W^{above})^\top \delta^{above}\right) \odot f'(z^{layer})"
    return Term(rf"\delta^{layer}", equation, "BP2: this layer's error", delta)


# The article's seven steps: title, and what happens
TOUR = (
    ("Look at the data", "400 points in the plane, two classes, one sample a column."),
    ("Decide the shapes", "A weight for every pair of units in neighbouring layers, (units, inputs); a bias for every unit."),
    ("Initialise", "Weights at random, so that no two units are alike; a hundredth of N(0, 1), so that tanh begins steep. Biases zero."),
    ("Forward", "Each layer takes what the one before gives, weighs it, adds its bias and bends it."),
    ("Cost", "Cross-entropy: how surprised the output is by each label, on average."),
    (
        "Backpropagate and update",
        "The output's error goes back through the weights; a gradient is a layer's error times what came in.",
    ),
    ("Predict and draw", "Class 1 where the output is above one half: the boundary in the picture above."),
)


def tour(trainer: Trainer, first: dict[str, np.ndarray], step: int) -> list[Term]:
    """The Terms of a step (from 1) of TOUR. `first` are the parameters that the run began with, as Trainer.parameters() gives them."""
    known = values(trainer)
    with np.errstate(all="ignore"):
        return _TOUR[step - 1](known, trainer, first)


def _data(known, trainer, first):
    return [
        Term("X", r"X", "coordinates of the points", known["activation", 0]),
        Term("y", r"y", "their classes", known["labels", 2]),
    ]


def _shapes(known, trainer, first):
    return [
        Term(f"{name}^{layer}", rf"{name}^{layer}", _size(known[name, layer]), known[name, layer])
        for layer in (1, 2)
        for name in ("W", "b")
    ]


def _size(array):
    return f"{array.shape[0]} unit{'s' if array.shape[0] > 1 else ''}" + (f", {array.shape[1]} inputs" if array.shape[1] > 1 else "")


def _initial(known, trainer, first):
    return [
        Term(f"{name}^{layer}", rf"{name}^{layer}_0", "as drawn" if name == "W" else "zeros", np.atleast_2d(first[f"{name}{layer}"]).T)
        for layer in (1, 2)
        for name in ("W", "b")
    ]


def _forward(known, trainer, first):
    terms = []
    for layer, name in ((1, r"\tanh"), (2, r"\sigma")):
        before = "X" if layer == 1 else f"a^{layer - 1}"
        terms += [
            Term(f"z^{layer}", f"z^{layer} = W^{layer} {before} + b^{layer}", "weighed sums", known["pre_activation", layer]),
            Term(f"a^{layer}", f"a^{layer} = {name}(z^{layer})", "activations", known["activation", layer]),
        ]
    return terms


def _cost(known, trainer, first):
    each = known["loss", 2]
    return [
        Term("C_i", r"C_i = -y_i \log a^2_i - (1 - y_i) \log (1 - a^2_i)", "of each sample", each),
        Term("C", r"C = \frac{1}{m} \sum C_i", "the mean, which training makes small", np.array([[each.mean()]])),
    ]


def _backward(known, trainer, first):
    rate = trainer.config.optimizer.learning_rate
    terms = [
        Term(r"\delta^2", r"\delta^2 = a^2 - y", "the output's error", known["delta", 2]),
        Term(
            r"\delta^1",
            r"\delta^1 = \left((W^2)^\top \delta^2\right) \odot \left(1 - (a^1)^2\right)",
            "the hidden error",
            known["delta", 1],
        ),
    ]
    for layer in (2, 1):
        before = "X" if layer == 1 else f"(a^{layer - 1})"
        gradient = known["dW", layer]
        terms += [
            Term(f"dW^{layer}", rf"dW^{layer} = \frac{{1}}{{m}} \delta^{layer} {before}^\top", "gradient", gradient),
            Term(
                f"W^{layer}",
                rf"W^{layer} \leftarrow W^{layer} - {rate:g} \, dW^{layer}",
                "after the update",
                known["W", layer] - rate * gradient,
            ),
        ]
    return terms


def _prediction(known, trainer, first):
    guesses = (known["activation", 2] > 0.5).astype(float)
    right = guesses == known["labels", 2]
    return [
        Term(r"\hat y", r"\hat y = [a^2 > 0.5]", "predicted classes", guesses),
        Term("y", r"y", "true classes", known["labels", 2]),
        Term(r"\text{accuracy}", r"\frac{1}{m} \sum [\hat y = y]", "share of right predictions", np.array([[right.mean()]])),
    ]


_TOUR = (_data, _shapes, _initial, _forward, _cost, _backward, _prediction)
