"""A class built to understand four equations: right gradients, but its batches are cut the wrong way round and its sigmoid overflows."""

from core.cases.case import Case, Expects, Slip, Variant
from core.config import RunConfig

EPOCHS, BATCHES = 100, 25
POSTED = RunConfig.from_dict(
    {
        "data": {"source": "circle", "test_fraction": 0.5},
        "layers": [{"units": 10, "activation": "sigmoid"}, {"units": 1, "activation": "sigmoid"}],
        "init": {"weights": "normal", "scale": 1.0, "bias": "normal"},
        "loss": "mse",
        "optimizer": {"learning_rate": 0.01},
        "batch_size": 10,
        "faults": ["half_of_the_square", "batches_along_features", "naive_sigmoid"],
    }
)

FOUR_EQUATIONS = Case(
    name="four_equations",
    title="100 epochs, and the loss hardly moves",
    complaint="After years with frameworks I wrote backpropagation out, by its four equations, in one class. What is the error of a "
    "layer really, and why does training for 100 epochs change next to nothing?",
    answer="The four equations are right; the batches are cut along the wrong axis, so that an epoch makes one update instead of 25. The "
    "error of a layer is how the cost changes with its weighted sums: below it stands in numbers, for any sample.",
    why=(
        "One column is one sample, and the slice takes rows: of two rows it takes both, so each batch is all samples.",
        "100 epochs are then 100 updates and not 2,500, at a learning rate of 0.01: the loss has no time to fall.",
        "With pixels of 0 to 255 as inputs it would break instead: for z above 709, e to the z is infinite, and infinity over infinity "
        "is NaN.",
    ),
    source="002_4018bb2d00b5f364.txt",
    variants=(
        Variant(
            "as_posted", "As posted",
            "Every batch is the full batch: one update in each of 100 epochs, where 25 were meant, and the loss has hardly moved.",
            POSTED, EPOCHS, Expects(("warning",), ("update_fault",), "update_code", (0.4, 0.44), (0.4, 0.6)),
        ),
        Variant(
            "large_inputs", "Fed 0 to 255",
            "The same program on inputs 255 times as large: exp(z) overflows, and infinity over infinity is NaN in the first step.",
            POSTED.patched({"faults": [*POSTED.faults, "inputs_in_pixels"]}), EPOCHS,
            Expects(("nonfinite",), ("nonfinite", "update_fault", "gradient_fault")),
        ),
        Variant(
            "samples_sliced", "Batches of samples",
            "Slices along the samples: 25 updates an epoch instead of one. It learns now, slowly.",
            POSTED.patched({"faults": ["half_of_the_square", "naive_sigmoid"]}), EPOCHS * BATCHES,
            Expects(("warning",), ("gradient_fault",), "gradient_code", (0.12, 0.25), (0.65, 0.9)),
        ),
        Variant(
            "mended", "Mended",
            "A sigmoid that cannot overflow, the gradient of the loss that is shown, and a learning rate that suits both: the disc is "
            "told from "
            "the ring in the same 100 epochs.",
            POSTED.patched({"faults": [], "optimizer": {"learning_rate": 1.0}}), EPOCHS * BATCHES,
            Expects(("healthy",), loss=(0.0, 0.02), metric=(0.98, 1.0)),
        ),
    ),
    slips=(
        Slip(
            r"X_{\text{batch}} = X_{\,i:i+10,\;:}",
            r"X_{\text{batch}} = X_{\,:,\;i:i+10}",
            "One column is one sample, and the slice takes rows: of two rows it takes both, so every batch is the full batch. With more "
            "than "
            "ten inputs it would be a shape error.",
        ),
        Slip(
            r"\sigma(z) = \frac{e^{z}}{1 + e^{z}}",
            r"\sigma(z) = \tfrac{1}{2} \tanh\left(\tfrac{z}{2}\right) + \tfrac{1}{2}",
            "For z above 709, e to the z is infinite, and infinity over infinity is NaN.",
        ),
        Slip(
            r"\delta^{2} = (y - a^{2}) \odot \sigma'(z^{2}), \quad W \leftarrow W + \eta\, \frac{\partial C}{\partial W}",
            r"\delta^{2} = 2\, (a^{2} - y) \odot \sigma'(z^{2}), \quad W \leftarrow W - \eta\, \frac{\partial C}{\partial W}",
            "No mistake: the error is taken the other way round and added. It is half the gradient of the squared error.",
            mistake=False,
        ),
    ),
    posted="""\
x_batch, y_batch = X[0:10], y[0:10]    # two rows of inputs, one of labels: all samples
m = y_batch.shape[1]
z1 = W1 @ x_batch + b1
a1 = exp(z1) / (1 + exp(z1))
z2 = W2 @ a1 + b2
a2 = exp(z2) / (1 + exp(z2))
delta2 = (y_batch - a2) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)
dW1, db1 = delta1 @ x_batch.T / m, delta1.sum(axis=1, keepdims=True) / m
dW2, db2 = delta2 @ a1.T / m, delta2.sum(axis=1, keepdims=True) / m
W1, b1 = W1 + learning_rate * dW1, b1 + learning_rate * db1
W2, b2 = W2 + learning_rate * dW2, b2 + learning_rate * db2
""",
    mended="""\
x_batch, y_batch = X[:, 0:10], y[:, 0:10]
m = y_batch.shape[1]
z1 = W1 @ x_batch + b1
a1 = 0.5 * tanh(0.5 * z1) + 0.5
z2 = W2 @ a1 + b2
a2 = 0.5 * tanh(0.5 * z2) + 0.5
delta2 = 2 * (a2 - y_batch) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)
dW1, db1 = delta1 @ x_batch.T / m, delta1.sum(axis=1, keepdims=True) / m
dW2, db2 = delta2 @ a1.T / m, delta2.sum(axis=1, keepdims=True) / m
W1, b1 = W1 - learning_rate * dW1, b1 - learning_rate * db1
W2, b2 = W2 - learning_rate * dW2, b2 - learning_rate * db2
""",
    remarks=(
        "The program is posted without data: a disc inside a ring stands in, of 250 samples, or 25 batches of ten.",
        "What stands over the second equation as BP1 is BP2.",
    ),
    show="equations",
)  # fmt: skip
