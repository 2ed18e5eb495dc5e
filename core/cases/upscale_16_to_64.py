"""Pictures from 16 x 16 to 64 x 64 through five units."""

from core.cases.case import Case, Expects, Slip, Variant
from core.config import RunConfig

OUTPUTS = 64 * 64 * 3
RATE = 0.001
POSTED = RunConfig.from_dict(
    {
        "data": {"source": "photo_upscale", "samples": 200, "test_fraction": 0.5},
        "layers": [{"units": 5, "activation": "relu"}, {"units": OUTPUTS, "activation": "linear"}],
        "init": {"weights": "normal", "scale": 1.0, "bias": "normal"},
        "loss": "mse",
        "optimizer": {"learning_rate": RATE},
        "batch_size": None,
        "faults": [
            *("reinitialized_weights", "weights_not_averaged:2", "derivative_before_weights:1", "update_before_backprop:2"),
            *("sum_over_outputs", "half_of_the_square"),
        ],
    }
)
KEPT = POSTED.patched({"faults": list(POSTED.faults[1:])})
AVERAGED = KEPT.patched({"faults": list(POSTED.faults[2:])})
IN_PLACE = AVERAGED.patched({"faults": list(POSTED.faults[4:])})
# Half the sum of the squares over all outputs, as a mean: the learning rate is so much larger, and the step the same
MENDED = POSTED.patched(
    {"faults": [], "init": {"weights": "glorot_normal", "bias": "zeros"}, "optimizer": {"learning_rate": RATE * OUTPUTS / 2}}
)
WIDENED = RunConfig.from_dict(
    {
        "data": {"source": "photo_upscale", "samples": 2500, "test_fraction": 0.1},
        "layers": [{"units": 256, "activation": "relu"}, {"units": OUTPUTS, "activation": "linear"}],
        "init": {"weights": "glorot_normal"},
        "loss": "mse",
        "optimizer": {"name": "adam", "learning_rate": 0.0005},
        "batch_size": 64,
        "dtype": "float32",
    }
)
BROKEN = ("nonfinite", "update_fault", "gradient_fault")

UPSCALE_16_TO_64 = Case(
    name="upscale_16_to_64",
    title="Weights that keep growing",
    complaint="We enlarge pictures from 16 x 16 to 64 x 64 with one hidden layer of five ReLUs. With every update positive weights grow "
    "and negative ones fall, and the hidden layer's update ends in a shape error. What is wrong with our backpropagation?",
    answer="Two lines of it: the output layer's gradient is a sum over all pictures instead of their mean, and the hidden layer's error "
    "multiplies in the wrong order. Initial weights of 1 on 768 inputs make the first error so large that the rest follows.",
    why=(
        "768 inputs with weights of N(0, 1) add up to numbers of about 15, so the first outputs are some 26 away from pixels of 0 to 1.",
        "The output layer's gradient adds that error up over all pictures and is not divided by their number: its first step overshoots "
        "the target, to the other side and further away.",
        "A larger error gives a larger gradient, and a longer step back: each update multiplies the error and the weights, which grow to "
        "both sides of 0.",
        "The hidden layer gets its error through the output weights, after they have been updated: what has grown there multiplies what "
        "arrives here, and both layers run away together.",
        "Nothing stops it: weights that are drawn anew at every call are small beside what is added to them. After two steps weights "
        "are beyond 10 to the 25, after three the loss is no longer finite.",
    ),
    crash="Error = Error_Output * np.dot(Weights_Output.T , da_dz)\n"
    "dw = np.dot(Error, a_2.T) * (1/10000)\n"
    "Weights = Weights - alpha * dw.T\n\n"
    "ValueError: operands could not be broadcast together with shapes (768,5) (768,12288)",
    link=("The page that its authors worked from", "https://ml-cheatsheet.readthedocs.io/en/latest/backpropagation.html"),
    source="000_4e82b2fdeeaf31b1.txt",
    variants=(
        Variant(
            "as_posted", "As posted",
            "The hidden weights have a norm of 600,000 after one step and of 10 to the 25 after two; then numbers are no longer finite.",
            POSTED, 12, Expects(("nonfinite",), BROKEN, "update_code"),
        ),
        Variant(
            "weights_kept", "Weights kept",
            "The first weights are drawn once and no longer at every call. It runs away as fast: what is drawn is nothing beside what "
            "is added.",
            KEPT, 12, Expects(("nonfinite",), BROKEN, "update_code"),
        ),
        Variant(
            "averaged", "1/m in the output layer",
            "The steps are a hundred times shorter: numbers stay finite, but the first step of the hidden layer kills all five ReLUs. "
            "Only the output's biases learn.",
            AVERAGED, 60, Expects(("warning",), ("update_fault", "dead_units"), "update_code", metric=(-20.0, 0.0)),
        ),
        Variant(
            "in_place", "Hadamard product in its place",
            "The error goes back through the weights first, and through those that made it. The gradient is right now; the ReLUs die "
            "all the "
            "same, since weights of N(0, 1) make outputs that are far too large.",
            IN_PLACE, 60, Expects(("warning",), ("gradient_fault", "dead_units"), "gradient_code", metric=(-20.0, 0.0)),
        ),
        Variant(
            "mended", "Mended: smaller first weights",
            "Weights of Glorot's size. Written as a mean over the outputs, with the learning rate that takes the very same step, it "
            "enlarges.",
            MENDED, 1500, Expects(("healthy",), loss=(0.0, 0.03), metric=(0.6, 0.8)),
        ),
        Variant(
            "widened", "Widened: 256 units",
            "256 units instead of five, 2,250 patches in small batches, and Adam. Much more comes through, and it still stays behind "
            "both interpolations: a dense layer has to learn for each pixel by itself what interpolation knows for all.",
            WIDENED, 1800, Expects(("healthy", "warning"), loss=(0.0, 0.02), metric=(0.75, 1.0)),
        ),
    ),
    slips=(
        Slip(
            r"W \leftarrow W_{\text{random}} - \eta\, \frac{\partial C}{\partial W}",
            r"W \leftarrow W - \eta\, \frac{\partial C}{\partial W}",
            "All weights are drawn anew inside the function that is called at every step: no step builds on the one before.",
        ),
        Slip(
            r"\frac{\partial C}{\partial W^{2}} = \delta^{2} (a^{1})^{\top}",
            r"\frac{\partial C}{\partial W^{2}} = \frac{1}{m}\, \delta^{2} (a^{1})^{\top}",
            "The comment beside the line says that it is divided by the number of pictures, and the line does not.",
        ),
        Slip(
            r"\delta^{1} = \delta^{2} \odot \left( W^{2}\, f'(z^{1}) \right)",
            r"\delta^{1} = \left( (W^{2})^{\top} \delta^{2} \right) \odot f'(z^{1})",
            "The two products have changed places. That gives 12,288 rows for five units, and NumPy refuses the update.",
        ),
        Slip(
            r"W^{2} \leftarrow W^{2} - \eta\, \frac{\partial C}{\partial W^{2}} \;\text{ before }\; \delta^{1}",
            r"W^{2} \leftarrow W^{2} - \eta\, \frac{\partial C}{\partial W^{2}} \;\text{ after }\; \delta^{1}",
            "The error is taken back through weights that have been updated already.",
        ),
        Slip(
            r"W_{ij},\, b_i \sim N(0, 1)",
            r"W_{ij} \sim N\left(0, \tfrac{2}{n_{\text{in}} + n_{\text{out}}}\right), \quad b_i = 0",
            "768 inputs with weights of 1 add up to numbers of about 15, and the outputs begin 26 away from pixels between 0 and 1.",
        ),
    ),
    posted="""\
W1, b1 = randn(5, 768), randn(5, 1)    # at every call
W2, b2 = randn(12288, 5), randn(12288, 1)
delta2 = a2 - y
dW2, db2 = delta2 @ a1.T, delta2.sum(axis=1, keepdims=True) / m
W2, b2 = W2 - learning_rate * dW2, b2 - learning_rate * db2
delta1 = delta2 * (W2 @ (z1 > 0))    # (12288, m): NumPy refuses what follows
delta1 = delta1.sum(axis=0).repeat(5).reshape(-1, 5).T    # added here, to go on
dW1, db1 = delta1 @ X.T / m, delta1.sum(axis=1, keepdims=True) / m
W1, b1 = W1 - learning_rate * dW1, b1 - learning_rate * db1
""",
    mended="""\
delta2 = 2 * (a2 - y) / 12288
dW2, db2 = delta2 @ a1.T / m, delta2.sum(axis=1, keepdims=True) / m
delta1 = (W2.T @ delta2) * (z1 > 0)
dW1, db1 = delta1 @ X.T / m, delta1.sum(axis=1, keepdims=True) / m
W2, b2 = W2 - learning_rate * dW2, b2 - learning_rate * db2
W1, b1 = W1 - learning_rate * dW1, b1 - learning_rate * db1
""",
    remarks=(
        "The posted line for the hidden layer's delta ends in a shape error. To go on at all, it is summed over the outputs here, which "
        "is the "
        "least that makes the shapes fit.",
        "The author had 10,000 pictures and divides by that; here m is 100 patches of two photographs, and as many more are held back.",
        "Five units can carry five numbers: whatever comes out lies in five dimensions around the mean picture. The best five (the "
        "principal "
        "components of the training patches) are the limit.",
    ),
    show="pictures",
)  # fmt: skip
