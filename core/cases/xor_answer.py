"""The answer that another case was given: exclusive or, which it learns, with a slip of its own."""

from core.cases.case import Case, Expects, Slip, Variant
from core.config import RunConfig

STEPS = 50_000
POSTED = RunConfig.from_dict(
    {
        "data": {"source": "truth_table", "noise": 0.0, "test_fraction": 0.0},
        "layers": [{"units": 3, "activation": "sigmoid"}, {"units": 1, "activation": "sigmoid"}],
        "loss": "mse",
        # It adds up half the squares of four errors, with a learning rate of 0.1: as a mean of squares, with 0.2, that is the same step
        "optimizer": {"learning_rate": 0.2},
        "batch_size": None,
        "faults": ["positive_weights", "scalar_bias"],
    }
)
MENDED = {"faults": [], "init": {"weights": "uniform", "bias": "uniform"}}

XOR_ANSWER = Case(
    name="xor_answer",
    title="XOR that stands still at first",
    complaint="This program was given as an answer: it learns XOR in 50,000 rounds. Its error stands still for thousands of them. Is "
    "anything wrong with it?",
    answer="Its backpropagation is right, and it learns. What it loses is time: all weights begin positive and all biases of a layer at "
    "one number, so its units begin almost alike.",
    why=(
        "uniform(1, 3) was meant as a shape and is a range: every bias of the hidden layer begins at one number between 1 and 3.",
        "With weights between 0 and 1 beside it, all three sigmoids are high for all four rows, and the outputs hardly differ.",
        "So the error is that of a constant output, 0.25, and the gradients that could tell the units apart are small: the plateau.",
        "It takes some 6,400 rounds to leave it, against 2,500 from weights and biases of both signs.",
    ),
    source="001_0cf8dfd501b6fb9f.txt",
    variants=(
        Variant(
            "as_posted", "As posted",
            "It works. But every weight begins positive and every bias of a layer at the same number, so the units begin alike, and the "
            "loss stands still first.",
            POSTED, STEPS, Expects(("healthy",), loss=(0.0, 0.002), metric=(1.0, 1.0)),
        ),
        Variant(
            "mended", "Mended",
            "Weights and biases of both signs, each drawn by itself: that alone is different.",
            POSTED.patched(MENDED), STEPS, Expects(("healthy",), loss=(0.0, 0.002), metric=(1.0, 1.0)),
        ),
    ),
    slips=(
        Slip(
            r"b^{l} \sim U(1, n_l) \quad \text{one number}",
            r"b^{l}_i \sim U(-1, 1) \quad \text{for each unit } i",
            "uniform(1, 3) was meant as a shape and is a range: one number between 1 and 3 for all units of the layer.",
        ),
        Slip(r"W^{l}_{ij} \sim U(0, 1)", r"W^{l}_{ij} \sim U(-1, 1)", "All weights begin positive: all units begin alike."),
        Slip(
            r"\frac{\partial C}{\partial W^{l}} = \delta^{l} (a^{l-1})^{\top}, \quad \eta = 0.1",
            r"\frac{\partial C}{\partial W^{l}} = \frac{1}{m}\, \delta^{l} (a^{l-1})^{\top}, \quad \eta = 0.2",
            "No mistake: the loss is half the sum of the squares. As it is in every gradient, only the learning rate has to fit.",
            mistake=False,
        ),
    ),
    posted="""\
learning_rate = 0.1
z1 = W1 @ X + b1
a1 = 1 / (1 + exp(-z1))
z2 = W2 @ a1 + b2
a2 = 1 / (1 + exp(-z2))
delta2 = (y - a2) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)
W2, b2 = W2 + learning_rate * delta2 @ a1.T, b2 + learning_rate * delta2.sum(axis=1, keepdims=True)
W1, b1 = W1 + learning_rate * delta1 @ X.T, b1 + learning_rate * delta1.sum(axis=1, keepdims=True)
""",
    mended="""\
z1 = W1 @ X + b1
a1 = 0.5 * tanh(0.5 * z1) + 0.5
z2 = W2 @ a1 + b2
a2 = 0.5 * tanh(0.5 * z2) + 0.5
delta2 = 2 * (a2 - y) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)
W2, b2 = W2 - learning_rate * delta2 @ a1.T / m, b2 - learning_rate * delta2.sum(axis=1, keepdims=True) / m
W1, b1 = W1 - learning_rate * delta1 @ X.T / m, b1 - learning_rate * delta1.sum(axis=1, keepdims=True) / m
""",
    remarks=("The program prints the mean absolute error; here the loss is the mean squared error of the same outputs.",),
)  # fmt: skip
