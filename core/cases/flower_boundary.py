"""An article's planar network: its mathematics are right, its names are not."""

from core.cases.case import Case, Expects, Slip, Variant
from core.config import RunConfig

CONFIG = RunConfig.from_dict(
    {
        "data": {"source": "flower", "samples": 400, "noise": 0.2, "test_fraction": 0.0},
        "layers": [{"units": 4, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}],
        "init": {"weights": "normal", "scale": 0.01},
        "loss": "binary_cross_entropy",
        "optimizer": {"learning_rate": 1.2},
        "batch_size": None,
    }
)
STEPS = 10_000

STEP = """\
z1 = W1 @ X + b1
a1 = tanh(z1)
z2 = W2 @ a1 + b2
a2 = sigmoid(z2)
{cost}
delta2 = a2 - y
dW2, db2 = {mean} * delta2 @ a1.T, {mean} * delta2.sum(axis=1, keepdims=True)
delta1 = (W2.T @ delta2) * (1 - a1**2)
dW1, db1 = {mean} * delta1 @ X.T, {mean} * delta1.sum(axis=1, keepdims=True)
W1, b1 = W1 - learning_rate * dW1, b1 - learning_rate * db1
W2, b2 = W2 - learning_rate * dW2, b2 - learning_rate * db2
"""

FLOWER_BOUNDARY = Case(
    name="flower_boundary",
    title="A NameError before the first step",
    complaint="I copied an article's first network, seven steps from data to decision boundary. It stops before its first update. Is the "
    "backpropagation wrong?",
    answer="No: its mathematics are right, and only names are wrong or missing. With the names filled in it draws the boundary, and its "
    "cost falls as in the table.",
    why=(
        "The sum of the cost is kept as cost_sum, and the next line divides logprobs, a name that nothing has: NameError.",
        "With that name put right, the backward pass asks for m, the training data and the learning rate, which exist only inside other "
        "functions or nowhere.",
        "The loop calls forward_propagation and backward_propagation; the functions are called forward_prop and back_propagate.",
        "With all names in place it learns. Weights of 0.01 make all units nearly 0, so the cost waits at ln 2 = 0.693 before it falls.",
    ),
    crash="cost_sum = np.multiply(np.log(A2), Y) + np.multiply((1 - Y), np.log(1 - A2))\n"
    "cost = - np.sum(logprobs) / m\n\n"
    "NameError: name 'logprobs' is not defined",
    source="003_605891a0108a7a7e.txt",
    variants=(
        Variant(
            "as_posted", "As posted, names filled in",
            "With its names put right the program runs, and this is all of its mathematics: nothing in it has to be mended.",
            CONFIG, STEPS, Expects(("healthy",), loss=(0.1, 0.35), metric=(0.87, 0.97)),
        ),
        Variant(
            "mended", "Mended",
            "The same run: only names were wrong.",
            CONFIG, STEPS, Expects(("healthy",), loss=(0.1, 0.35), metric=(0.87, 0.97)),
        ),
        Variant(
            "usual_weights", "Larger initial weights",
            "Not a mending: initial weights of Glorot's size instead of 0.01. The cost no longer waits at ln 2, and ends where it did.",
            CONFIG.patched({"init": {"weights": "glorot_normal", "scale": 1.0}}), STEPS,
            Expects(("healthy",), loss=(0.1, 0.35), metric=(0.87, 0.97)),
        ),
    ),
    slips=(
        Slip(
            r"C = -\frac{1}{m} \sum \mathtt{logprobs}",
            r"C = -\frac{1}{m} \sum y \log a^{2} + (1 - y) \log (1 - a^{2})",
            "The sum is kept as cost_sum and taken from logprobs, which does not exist: the first NameError.",
        ),
        Slip(
            r"\frac{\partial C}{\partial W^{l}} = \frac{1}{\mathtt{m}}\, \delta^{l} (a^{l-1})^{\top}",
            r"\frac{\partial C}{\partial W^{l}} = \frac{1}{m}\, \delta^{l} (a^{l-1})^{\top}, \quad m = 400",
            "m is known where the cost is worked out and nowhere else. learning_rate, num_iterations, print_cost and the training data "
            "inside the backward function are never given a value either.",
        ),
    ),
    posted=STEP.format(cost="C = -sum(logprobs) / m    # NameError: only cost_sum is defined", mean="(1 / m)"),
    mended=STEP.format(cost="C = (maximum(z2, 0) - y * z2 + log1p(exp(-abs(z2)))).sum() / m", mean="(1 / m)"),
    remarks=(
        "Two functions are called by names under which they were not defined (forward_propagation, backward_propagation), and the "
        "module that "
        "the data comes from is not part of the article. A configuration cannot hold a NameError, so both runs are the same.",
        "The flower is drawn here by the same formula as in the course that the article follows, with other random numbers.",
    ),
    show="tour",
)  # fmt: skip
