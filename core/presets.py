"""Configurations for a good first minute, in the order in which they are offered. The page opens with the first."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from core.config import RunConfig
from core.link import from_query


@dataclass(frozen=True)
class Preset:
    """`about` is one sentence: what to look at. `link` is the configuration as a link has it. `shows` is the code of the finding
    that the preset is there for; None: it trains without any."""

    title: str
    about: str
    link: str
    shows: str | None = None

    @property
    def config(self) -> RunConfig:
        return from_query(dict(parse_qsl(self.link, strict_parsing=True)))


PRESETS = {
    "spiral": Preset(
        "It learns: a spiral",
        "Two hidden layers wind a boundary between two arms, within seconds.",
        "data.source=spiral&layers=8-tanh_8-tanh_1-sigmoid",
    ),
    "explosion": Preset(
        "It explodes: steps too long",
        "With a learning rate of 1 every step overshoots the one before, until the numbers overflow.",
        "data.source=hills&layers=8-tanh_8-tanh_1-linear&optimizer.learning_rate=1",
        shows="nonfinite",
    ),
    "divergence": Preset(
        "It diverges without a NaN",
        "ReLUs in place of tanh: nothing overflows, and yet the loss ends hundreds of times above where it began.",
        "data.source=hills&layers=8-relu_8-relu_1-linear&optimizer.learning_rate=1",
        shows="diverged",
    ),
    "dying": Preset(
        "Dying ReLUs",
        "Six steps that are too long, and a whole layer of ReLUs is zero for every sample; it does not come back.",
        "data.source=circle&layers=8-relu_8-relu_8-relu_1-sigmoid&optimizer.learning_rate=3",
        shows="dead_units",
    ),
    "vanishing": Preset(
        "Vanishing gradients",
        "Each layer of sigmoids passes back a quarter of the gradient at most: after seven, the first learns nothing.",
        "data.source=circle&layers=8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_8-sigmoid_1-sigmoid"
        "&optimizer.learning_rate=0.1",
        shows="vanishing_gradients",
    ),
    "features": Preset(
        "The right features",
        "Fed the sines of both coordinates as well, the network learns the same spiral in a third of the steps.",
        "data.source=spiral&data.features=x1~x2~sin(x1)~sin(x2)&layers=8-tanh_8-tanh_1-sigmoid",
    ),
    "overfitting": Preset(
        "Overfitting",
        "Fifty noisy samples and a thousand weights: the training loss falls while the test loss climbs.",
        "data.source=spiral&data.samples=100&data.noise=0.4&layers=32-tanh_32-tanh_1-sigmoid",
    ),
    "classes": Preset(
        "Three classes",
        "Softmax gives each class its share; the confidence fades towards the borders.",
        "data.source=blobs&data.noise=0.4&optimizer.learning_rate=0.003",
    ),
    "hills": Preset(
        "A landscape",
        "Regression: the output is a surface that takes the shape of hills and hollows.",
        "data.source=hills&layers=16-tanh_16-tanh_1-linear",
    ),
    "digits": Preset(
        "Handwritten digits",
        "1,797 pictures of 8 by 8 pixels, ten classes, Adam: watch the crosses go.",
        "data.source=digits&data.scaling=minmax&layers=32-relu_10-softmax&optimizer.name=adam&optimizer.learning_rate=0.0005&batch_size=32",
    ),
    "photo": Preset(
        "Photographs, enlarged",
        "From 16 by 16 pixels to 64 by 64, through a layer of 32 units.",
        "data.source=photo_upscale&layers=32-tanh_12288-linear&optimizer.name=adam&optimizer.learning_rate=0.001&batch_size=32&dtype=float32",
    ),
}
OPENING = PRESETS["spiral"].config
