"""The words of this field as Descent uses them: what each is, why it matters, what is normal. The glossary and the help bubbles read it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """`what` it is, `why` it matters and what is `normal`, a sentence or two each. A help bubble shows the first."""

    title: str
    what: str
    why: str
    normal: str

    @property
    def anchor(self) -> str:
        """The end of its address on the glossary's page."""
        return re.sub("[^a-z0-9]+", "-", self.title.lower()).strip("-")


GLOSSARY = {
    "step": Term(
        "Step",
        "One update of all weights and biases, from one mini-batch.",
        "Everything here is dated by it: curves, findings, the time slider.",
        "A few hundred for an easy problem, tens of thousands for a spiral.",
    ),
    "epoch": Term(
        "Epoch",
        "As many steps as it takes to show every training sample once.",
        "It compares runs with different batch sizes: both have seen the same data.",
        "With 250 training samples and a batch size of 10, one epoch is 25 steps.",
    ),
    "learning_rate": Term(
        "Learning rate",
        "How far each step goes along the negative gradient.",
        "The most important setting: too small and nothing happens, too large and training explodes.",
        "0.01 to 0.3 for plain gradient descent on scaled data, 0.001 for Adam; below the stability limit.",
    ),
    "loss": Term(
        "Loss",
        "What training makes smaller: the mean error over the samples, and the penalty if there is one.",
        "Its curve tells first when something goes wrong.",
        "It starts near the chance level and falls, quickly at first. Small ups and downs come from mini-batches.",
    ),
    "chance": Term(
        "Chance level",
        "The loss or accuracy of a network that ignores its inputs: ln 2 = 0.693 and 50% for two equally frequent classes.",
        "A network that stays there has learned nothing; one that starts far above it has initial weights that are too large.",
        "Near it at step 0, clearly better after some hundred steps. With unequal classes it is the share of the most frequent one.",
    ),
    "test_data": Term(
        "Test data",
        "Samples that are held back: the network never trains on them.",
        "Only they show whether it has learned the rule or the samples.",
        "Slightly worse on them than on the training samples.",
    ),
    "overfitting": Term(
        "Overfitting",
        "The training loss goes on falling while the test loss rises.",
        "The network learns the noise of its samples by heart, and gets worse on new ones.",
        "A small, steady gap between the two curves is normal; a growing one is not.",
    ),
    "gradient": Term(
        "Gradient norm",
        "The length of the loss's gradient with respect to the weights of one layer.",
        "It says how much each layer is told to change, and whether the error reaches the first layer at all.",
        "Within a factor of about 10 from layer to layer, shrinking slowly as the loss falls.",
    ),
    "vanishing": Term(
        "Vanishing gradients",
        "The gradient shrinks from layer to layer on its way back, until the first layers hardly change.",
        "Deep networks with sigmoids stop learning because of it.",
        "The first layer's gradient is no less than a thousandth of the last one's.",
    ),
    "exploding": Term(
        "Exploding gradients",
        "The gradient grows from layer to layer on its way back, or from step to step.",
        "One such step can ruin all weights. Gradient clipping bounds it; smaller initial weights or a smaller learning rate prevent it.",
        "The largest layer's gradient is less than about 70 times the smallest one's.",
    ),
    "update_ratio": Term(
        "Update:weight ratio",
        "The length of a layer's last update, divided by the length of its weights.",
        "It says in one number whether the learning rate suits the layer: too small and it stands still, too large and it is rewritten.",
        "About 0.001; between 0.0001 and 0.1 is usually fine.",
    ),
    "sharpness": Term(
        "Sharpness",
        "The largest curvature of the loss: the largest eigenvalue of its Hessian matrix.",
        "It sets the stability limit: the sharper the valley, the shorter the steps have to be.",
        "It grows in training, often until the learning rate is at the limit, and then stays about there.",
    ),
    "stability_limit": Term(
        "Stability limit",
        "The learning rate above which gradient descent is unstable: 2 over the sharpness, the largest curvature of the loss (Cohen et al. "
        "2021); other optimizers have limits of their own.",
        "Above it each step overshoots the one before along the sharpest direction.",
        "Below 1 as learning rate divided by limit. Above 1 a run may still go on well, at the edge of stability.",
    ),
    "saturated": Term(
        "Saturated unit",
        "A unit of sigmoid or tanh whose output is at one of its ends for nearly every sample.",
        "The slope is close to 0 there, so it passes back almost no gradient and hardly learns.",
        "A few percent of a layer. More comes of inputs or weights that are too large.",
    ),
    "dead": Term(
        "Dead unit",
        "A ReLU whose input is negative for every sample, so that its output is always 0.",
        "Its gradient is 0 as well: it never comes back by itself, and the network is smaller than it looks.",
        "Up to a tenth of a layer. Whole layers die of steps that were too long.",
    ),
    "plateau": Term(
        "Plateau",
        "A stretch in which the loss hardly falls, though it is far from what simple baselines reach.",
        "It is either slow (saturation, a small learning rate) or stuck (dead units, equal weights, a bug).",
        "Short ones near the start are common; after one, the loss falls again by itself.",
    ),
    "oscillation": Term(
        "Oscillation",
        "The loss goes up and down from step to step instead of falling.",
        "The learning rate is near its limit, or the mini-batches are too small to agree.",
        "Some noise with small batches. It should become less with a smaller learning rate.",
    ),
    "divergence": Term(
        "Divergence",
        "The loss ends far above where it began and does not come back. It need not become NaN.",
        "Of 317 runs with cross-entropy that diverged, only 8 ever had a value that was not finite: a check for NaN misses most.",
        "Never. Go back to the last healthy step with a smaller learning rate.",
    ),
    "initial_weights": Term(
        "Initial weights",
        "Random numbers that the weights start from, scaled to the number of inputs and outputs of a layer.",
        "Equal weights never become different; too large ones saturate or explode, too small ones let the signal fade.",
        "Glorot for tanh and sigmoid, He for ReLU: the spread of the activations stays about the same from layer to layer.",
    ),
    "scaling": Term(
        "Input scaling",
        "Bringing every input column to the same size, such as mean 0 and standard deviation 1.",
        "Large inputs make large gradients in the first layer, so that no learning rate suits all layers.",
        "Values of about 1 in size, fitted on the training data alone.",
    ),
    "momentum": Term(
        "Momentum",
        "A running sum of earlier gradients, which is added to each step.",
        "It speeds up along directions that stay the same, and evens out those that alternate.",
        "0.9. Steps become up to 10 times as long, so the learning rate has to be smaller.",
    ),
    "softmax": Term(
        "Softmax",
        "An output layer that turns numbers into shares: all positive, with a sum of 1.",
        "It is right for classes that exclude each other, together with categorical cross-entropy.",
        "The largest share is the prediction; near a boundary the shares come close to each other.",
    ),
    "gradient_check": Term(
        "Gradient check",
        "Compares each gradient of backprop with a central difference of the loss.",
        "It finds mistakes that no curve shows: of 15 planted ones, 6 still reached full accuracy.",
        "A relative error below 1e-7 is right, above 1e-4 wrong; kinks of ReLU lie in between.",
    ),
}


def explained(*names: str) -> str:
    """What a help bubble says of these terms: what each is, and what is normal."""
    return " ".join(f"{GLOSSARY[name].what} {GLOSSARY[name].normal}" for name in names)
