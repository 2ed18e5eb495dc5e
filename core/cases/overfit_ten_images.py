"""Ten pictures that a network cannot even learn by heart."""

from core.cases.case import Case, Expects, Slip, Variant
from core.config import RunConfig

POSTED = RunConfig.from_dict(
    {
        "data": {"source": "photo_ten", "test_fraction": 0.0, "seed": 1},
        "layers": [{"units": 64, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}],
        "init": {"weights": "normal", "scale": 0.01},
        "loss": "binary_cross_entropy",
        "optimizer": {"learning_rate": 0.1},
        "batch_size": None,
        "faults": ["weights_not_averaged:1", "naive_log_loss"],
        "seed": 1,
    }
)
SLOWER = {"optimizer": {"learning_rate": 0.01}}

OVERFIT_TEN_IMAGES = Case(
    name="overfit_ten_images",
    title="The loss explodes, then sticks at 0.693",
    complaint="To test my code I overfit ten pictures. The loss explodes in the first steps, comes back to where it began, and stays "
    "there. Is my backpropagation wrong?",
    answer="One line is: the first layer's weight gradient is not divided by the number of pictures, so its first steps are ten times "
    "too long and kill every ReLU. Divide by m and take a tenth of the learning rate, and all ten pictures are learned.",
    why=(
        "The first layer's gradient is a sum over ten pictures where the others are means: its step is ten times too long.",
        "12,288 inputs add up, so after a few such steps the weighted sums of all 64 units are below 0 for every picture: each ReLU "
        "gives 0, and its gradient is 0 for ever.",
        "Only the output's bias is left to learn, so the output is the same number for every picture, whatever its class.",
        "With as many pictures of one class as of the other, the best single number is 0.5: both outputs, for 0 and for 1, go there.",
        "The loss of an output of 0.5 is ln 2 = 0.6931, whichever the class, so that is exactly where it ends. Untrained, with weights "
        "of 0.01, the outputs were close to 0.5 too: that is why it seems to come back to where it began.",
    ),
    source="001_0cf8dfd501b6fb9f.txt",
    variants=(
        Variant(
            "as_posted", "As posted",
            "The first layer's weights take steps ten times too long: the loss jumps, every ReLU dies, and it is ln 2 = 0.693 for ever.",
            POSTED, 300, Expects(("warning",), ("gradient_fault", "dead_units"), "gradient_code", (0.6931, 0.694), (0.5, 0.5)),
        ),
        Variant(
            "mean_restored", "1/m put back",
            "The gradient is right now, and it is not enough: at this learning rate the ReLUs still die, within a few more steps.",
            POSTED.patched({"faults": []}), 300, Expects(("warning",), ("dead_units",), "learning_rate", (0.69, 0.75), (0.5, 0.5)),
        ),
        Variant(
            "rate_alone", "Smaller steps alone",
            "A tenth of the learning rate hides the mistake: the first layer's steps are of a bearable length, and it trains.",
            POSTED.patched(SLOWER), 300, Expects(("warning",), ("gradient_fault",), "gradient_code", metric=(1.0, 1.0)),
        ),
        Variant(
            "mended", "Mended",
            "Right gradient and a tenth of the learning rate: all ten pictures are learned.",
            POSTED.patched({**SLOWER, "faults": []}), 1000, Expects(("healthy",), loss=(0.0, 0.1), metric=(1.0, 1.0)),
        ),
    ),
    slips=(
        Slip(
            r"\frac{\partial C}{\partial W^{1}} = \delta^{1} X^{\top}",
            r"\frac{\partial C}{\partial W^{1}} = \frac{1}{m}\, \delta^{1} X^{\top}",
            "The sum over the ten pictures is not divided by ten: in this one line the gradient is ten times too long.",
        ),
        Slip(
            r"C = -\frac{1}{m} \sum y \log a^{2} + (1 - y) \log (1 - a^{2})",
            r"C = \frac{1}{m} \sum \max(z^{2}, 0) - y\, z^{2} + \log\left(1 + e^{-|z^{2}|}\right)",
            "The logarithm of an output that has been rounded to 0 or 1 is infinite, and its gradient 0/0. With some first weights it "
            "gets there.",
        ),
        Slip(r"\eta = 0.1", r"\eta = 0.01", "12,288 inputs of up to 1 add up: even with the right gradient these steps are too long."),
    ),
    posted="""\
z1 = W1 @ X + b1
a1 = maximum(z1, 0)
z2 = W2 @ a1 + b2
a2 = 1 / (1 + exp(-z2))
C = -(y * log(a2) + (1 - y) * log(1 - a2)).sum() / m
delta2 = ((1 - y) / (1 - a2) - y / a2) * a2 * (1 - a2)
dW2, db2 = delta2 @ a1.T / m, delta2.sum(axis=1, keepdims=True) / m
delta1 = (W2.T @ delta2) * (z1 > 0)
dW1, db1 = delta1 @ X.T, delta1.sum(axis=1, keepdims=True) / m
W1, b1 = W1 - learning_rate * dW1, b1 - learning_rate * db1
W2, b2 = W2 - learning_rate * dW2, b2 - learning_rate * db2
""",
    mended="""\
z1 = W1 @ X + b1
a1 = maximum(z1, 0)
z2 = W2 @ a1 + b2
a2 = 0.5 * tanh(0.5 * z2) + 0.5
C = (maximum(z2, 0) - y * z2 + log1p(exp(-abs(z2)))).sum() / m
delta2 = a2 - y
dW2, db2 = delta2 @ a1.T / m, delta2.sum(axis=1, keepdims=True) / m
delta1 = (W2.T @ delta2) * (z1 > 0)
dW1, db1 = delta1 @ X.T / m, delta1.sum(axis=1, keepdims=True) / m
W1, b1 = W1 - learning_rate * dW1, b1 - learning_rate * db1
W2, b2 = W2 - learning_rate * dW2, b2 - learning_rate * db2
""",
    remarks=(
        "The author's pictures are not to be had: these are ten 64 x 64 patches of two photographs, divided by 255, and the class is the "
        "photograph.",
        "How it fails depends on the patches and the first weights. These were chosen because 1/m alone does not help here; with most "
        "others it does, with up to 98% of the units dead, and with some the logarithm gives NaN before the ReLUs have died.",
    ),
)  # fmt: skip
