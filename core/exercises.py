"""Ready exercises: each teaches one thing, and opens the playground by a link for a class (core/lesson.py)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from core.config import RunConfig
from core.link import from_query

HIDDEN = "preset"  # in every exercise: a preset is another run


@dataclass(frozen=True)
class Exercise:
    """`question` stands above the charts, `link` is the configuration that it begins with, as a link has it, `goal` what is to be reached
    and `lock` what stays as it is. `solution`, in a link's form too, are settings that reach the goal, and `see` says what to look at."""

    title: str
    question: str
    link: str
    goal: str
    lock: str
    solution: str
    see: str
    hide: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The playground's query: {parameter: text}."""
        hide = "~".join(filter(None, (HIDDEN, self.hide)))
        return dict(parse_qsl(self.link)) | {"hide": hide, "lock": self.lock, "text": self.question, "goal": self.goal}

    @property
    def address(self) -> str:
        """The link, relative to the server's address."""
        return f"?{urlencode(self.query)}"

    def config(self, solved: bool = False) -> RunConfig:
        """The configuration that it begins with, or one that reaches the goal."""
        return from_query(dict(parse_qsl(self.link)) | (dict(parse_qsl(self.solution, keep_blank_values=True)) if solved else {}))


EXERCISES = {
    "xor": Exercise(
        "XOR needs a hidden layer",
        "No straight line separates these two classes. Train the network as it is, look at its boundary, then change the network until "
        "it separates them.",
        "data.source=xor&layers=1-sigmoid",
        "test.accuracy>=0.95;units<=4;steps<=4000",
        "data",
        "layers=4-tanh_1-sigmoid",
        "Without a hidden layer the boundary is a straight line, and half of the samples stay on the wrong side. Each hidden unit adds one "
        "line; two are enough in principle, three or four find a solution more reliably.",
    ),
    "dying_relu": Exercise(
        "Dying ReLUs",
        "A few steps after the start nothing is learned any more. Find out which layer has died, and when. Then train the same network so "
        "that it learns.",
        "data.source=circle&layers=8-relu_8-relu_8-relu_1-sigmoid&optimizer.learning_rate=3",
        "test.accuracy>=0.95;steps<=1500",
        "data~layers",
        "optimizer.learning_rate=0.03",
        "A ReLU whose input is negative for every sample passes back no gradient, so it never recovers. The panel of dead units shows a "
        "whole layer at 100% after a few steps that were too long. A smaller learning rate keeps them alive.",
    ),
    "learning_rate": Exercise(
        "Too large a learning rate",
        "The loss explodes. Find the largest learning rate with which this network still learns, and compare it with the stability limit.",
        "data.source=hills&layers=8-tanh_8-tanh_1-linear&optimizer.learning_rate=1",
        "test.r2>=0.7;steps<=2000",
        "data~layers~loss~batch_size~optimizer.name~init",
        "optimizer.learning_rate=0.03",
        "Above the stability limit, 2 divided by the sharpness, each step overshoots the one before. Watch the gauge: it should stay below "
        "1. The range test under Check finds a usable learning rate in one sweep.",
    ),
    "init": Exercise(
        "Initial weights must differ",
        "All initial weights are zero. Look at the weight histograms as it trains: why does it not learn? Change only the initial weights.",
        "data.source=circle&layers=6-tanh_1-sigmoid&init.weights=zeros",
        "test.accuracy>=0.95;steps<=3000",
        "data~layers~loss~optimizer~batch_size",
        "init.weights=glorot_uniform",
        "With equal weights, all units of a layer compute the same thing and get the same gradient, so they stay equal for ever. With "
        "zeros nothing reaches the hidden layer at all. Random weights of a suitable scale break the symmetry.",
    ),
    "scaling": Exercise(
        "Scale the inputs",
        "The columns of this table differ in size a thousandfold. Make the network learn without touching the network or the optimizer.",
        "data.source=wine&layers=8-tanh_3-softmax&optimizer.learning_rate=0.03",
        "test.accuracy>=0.9;steps<=1000",
        "layers~loss~optimizer~init~batch_size",
        "data.scaling=standard",
        "Large inputs saturate tanh and make the first layer's gradients as large as themselves. Standardized inputs, with mean 0 and "
        "deviation 1, suit both the initial weights and the learning rate.",
    ),
    "overfitting": Exercise(
        "Overfitting",
        "Thirty noisy samples and more than a thousand weights: the training loss falls while the test loss climbs. Keep the test loss low "
        "for thousands of steps, without more data.",
        "data.source=circle&data.samples=60&data.noise=0.5&layers=32-tanh_32-tanh_1-sigmoid&optimizer.learning_rate=0.1",
        "test.loss<=0.3;steps>=3000;steps<=5000",
        "data~optimizer~batch_size",
        "penalty.l2=0.003",
        "The network learns the noise of its training samples by heart. A penalty on the weights, dropout, a smaller network or early "
        "stopping leaves it less freedom. The gap between the two loss curves is what to watch.",
    ),
    "vanishing": Exercise(
        "Vanishing gradients",
        "Seven hidden layers of sigmoids learn nothing. Keep the depth and make it learn.",
        "data.source=circle&layers=8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_1-sigmoid"
        "&optimizer.learning_rate=0.1",
        "test.accuracy>=0.95;layers>=7;steps<=2000",
        "data",
        "layers=8-tanh_8-tanh_8-tanh_8-tanh_8-tanh_8-tanh_8-tanh_1-sigmoid",
        "A sigmoid passes back at most a quarter of the gradient, so it shrinks from layer to layer: compare the gradient norms of the "
        "first and the last layer. Tanh, ReLU with He initialization, or normalization keep its size.",
    ),
    "momentum": Exercise(
        "Momentum",
        "This learns, but far too slowly. Get there in the given number of steps without touching the learning rate.",
        "data.source=moons&layers=8-tanh_1-sigmoid&optimizer.learning_rate=0.003",
        "test.accuracy>=0.95;steps<=2000",
        "data~layers~loss~batch_size~optimizer.learning_rate",
        "optimizer.name=momentum&optimizer.momentum=0.95",
        "Momentum adds up the gradients of earlier steps: along a direction that stays the same, steps become up to 1 / (1 - momentum) "
        "times as long, and what changes its sign cancels out.",
    ),
    "softmax": Exercise(
        "Softmax for classes that exclude each other",
        "Each sample belongs to exactly one of three classes. The loss expects shares: positive, with a sum of 1. Choose an output "
        "activation that gives them.",
        "data.source=blobs&data.noise=0.4&layers=3-tanh&loss=categorical_cross_entropy",
        "test.accuracy>=0.9;steps>=500;steps<=1000",
        "data~loss~optimizer~batch_size",
        "layers=3-softmax",
        "Categorical cross-entropy is the negative logarithm of the true class's share. Outputs of tanh may be negative and have no fixed "
        "sum, so the number that becomes smaller has no meaning. Softmax shares out a total of 1: raising one class lowers the others.",
    ),
    "backprop": Exercise(
        "Find the bug in backprop",
        "Somebody wrote this backward pass with one mistake. Use Check, Preflight to see whose gradients are wrong, compare the wrong line "
        "with the right one at the foot of the sidebar, and switch the mistake off.",
        "data.source=circle&layers=8-tanh_8-tanh_1-sigmoid&optimizer.learning_rate=0.1&faults=sign_flip:1",
        "test.accuracy>=0.95;faults<=0;steps<=3000",
        "data~layers~loss~optimizer~batch_size~init",
        "faults=",
        "The numerical gradient check compares each formula with central differences. Which layers are wrong, by which factor and in which "
        "direction, names the mistake: a ratio of -1 is a wrong sign.",
    ),
}
