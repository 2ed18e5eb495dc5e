"""The answer that another case was given: exclusive or, which it learns, with a slip of its own."""

from core.cases.case import Case, Expects, Slip, Variant
from core.config import RunConfig

STEPS = 50_000
POSTED = RunConfig.from_dict(
    {
        "data": {"source": "truth_table", "noise": 0.0, "test_fraction": 0.0},
        "layers": [{"units": 3, "activation": "sigmoid"}, {"units": 1, "activation": "sigmoid"}],
        "loss": "mse",
        "optimizer": {"learning_rate": 0.1},
        "batch_size": None,
        "faults": ["missing_mean", "half_of_the_square", "positive_weights", "scalar_bias"],
    }
)
# The sum of four halves is twice their mean: with twice the learning rate, the step is the same
MENDED = {"faults": [], "optimizer": {"learning_rate": 0.2}, "init": {"weights": "uniform", "bias": "uniform"}}

XOR_ANSWER = Case(
    name="xor_answer",
    title="Exclusive or, in answer",
    complaint="Offered as a program that works: 50,000 rounds for four lines of a truth table.",
    source="001_0cf8dfd501b6fb9f.txt",
    variants=(
        Variant(
            "as_posted", "As posted",
            "It works: errors are summed and halved alike in all gradients, which is a matter of the learning rate. But every weight "
            "begins "
            "positive and every bias of a layer at the same number, so the units begin alike, and the loss stands still first.",
            POSTED, STEPS, Expects(("warning",), ("gradient_fault",), "gradient_code", (0.0, 0.002), (1.0, 1.0)),
        ),
        Variant(
            "mended", "Mended",
            "Weights and biases of both signs, each drawn by itself. The means are written as means, with twice the learning rate: the "
            "same step.",
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
        ),
    ),
    posted="""\
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
