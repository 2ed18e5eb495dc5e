"""The compiled step's gradients against central differences, and its weights against scikit-learn's."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.class_weight import compute_sample_weight

from core.config import RunConfig
from core.nn.activations import ACTIVATIONS
from core.nn.curvature import Curvature, largest_eigenvalue
from core.nn.losses import LOSSES
from core.training.trainer import Trainer

STEP = 2e-4


def trainer_for(output, loss, hidden="tanh", units=1, source="xor", **settings):
    config = {
        "data": {"source": source, "samples": 7, "test_fraction": 0.0, "scaling": "standard"},
        "layers": [{"units": 4, "activation": hidden}, {"units": 3, "activation": hidden}, {"units": units, "activation": output}],
        "init": {"weights": "glorot_normal", "bias": "uniform", "bias_scale": 0.4},
        "loss": loss,
        "batch_size": None,
        "optimizer": {"learning_rate": 1e-3},
        **settings,
    }
    return Trainer(RunConfig.from_dict(config))


def numerical_gradient(trainer, coordinate, step):
    """Five-point central difference of the training objective along one parameter."""
    vector = trainer.network.vector
    kept, values = vector[coordinate], {}
    for times in (-2, -1, 1, 2):
        vector[coordinate] = kept + times * step
        values[times] = trainer.loss()
    vector[coordinate] = kept
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)


def assert_gradient_is_right(trainer):
    """Every coordinate, but those where a kink lies within reach: there two step lengths disagree."""
    coordinates = range(trainer.network.vector.size)
    coarse, fine = (np.array([numerical_gradient(trainer, at, step) for at in coordinates]) for step in (STEP, STEP / 4))
    smooth = np.abs(coarse - fine) < 1e-7 * max(np.linalg.norm(fine), 1e-3)
    trainer.advance(1)
    assert smooth.mean() > 0.6
    error = np.linalg.norm((trainer.last_gradient() - fine)[smooth]) / max(np.linalg.norm(fine[smooth]), 1e-3)
    assert error <= 1e-7


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_every_output_activation_with_every_loss(output, loss):
    units = 3 if output == "softmax" or loss == "categorical_cross_entropy" else 1
    assert_gradient_is_right(trainer_for(output, loss, units=units, source="blobs" if units == 3 else "xor"))


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_every_hidden_activation(hidden):
    assert_gradient_is_right(trainer_for("linear", "mse", hidden=hidden, source="hills"))


@pytest.mark.parametrize("penalty", [{"l1": 0.03}, {"l2": 0.05}, {"l1": 0.02, "l2": 0.01}])
def test_penalties(penalty):
    assert_gradient_is_right(trainer_for("sigmoid", "binary_cross_entropy", penalty=penalty))


@pytest.mark.parametrize(
    "values",
    [
        {"data": {"source": "breast_cancer", "scaling": "standard"}},
        {"data": {"source": "wine", "scaling": "standard"}},
        {"data": {"source": "breast_cancer", "scaling": "standard"}, "layers": [{"units": 1, "activation": "tanh"}], "loss": "mse"},
    ],
)
def test_balanced_classes_count_alike(values):
    """As if each sample were there as often as scikit-learn's weights say."""
    trainer = Trainer(RunConfig.from_dict({**values, "class_weight": "balanced", "batch_size": None}))
    labels = trainer.dataset.train.targets
    weights = compute_sample_weight("balanced", labels)
    vector = trainer.network.vector
    kept, x, y = vector.copy(), *trainer.batches[0]

    def objective():
        z, a = trainer.network.forward(x)[-1]
        return trainer.network.loss.mean(trainer.network.loss_values(z, a, y) * weights)

    numerical = []
    for coordinate in range(0, len(vector), 7):
        sides = []
        for step in (1e-5, -1e-5):
            vector[:] = kept
            vector[coordinate] += step
            sides.append(objective())
        numerical.append((sides[0] - sides[1]) / 2e-5)
    vector[:] = kept
    unweighted = trainer.loss()
    trainer.advance(1)
    np.testing.assert_allclose(trainer.last_gradient()[::7], numerical, rtol=1e-5, atol=1e-8)
    assert trainer.telemetry.loss[0] == pytest.approx(unweighted)
    product, plain = (curvature_largest(one) for one in (trainer, Trainer(trainer.config.patched({"class_weight": None}))))
    assert product != pytest.approx(plain, rel=1e-3)


def curvature_largest(trainer):
    x, y = trainer.batches[0]
    curvature = Curvature(trainer.network, x, y)
    return largest_eigenvalue(curvature.product, trainer.network.vector.size, trainer.network.dtype, 20, 1e-6).value


def test_mixed_activations_share_no_slope():
    layers = [{"units": 4, "activation": name} for name in ("tanh", "tanh", "gelu", "linear", "relu", "silu", "silu")]
    layers.append({"units": 1, "activation": "tanh"})
    assert_gradient_is_right(trainer_for("tanh", "mse", layers=layers))


def test_clipping_shortens_the_update_and_keeps_its_direction():
    free, clipped = trainer_for("linear", "mse", source="hills"), trainer_for("linear", "mse", source="hills", clip_norm=1e-3)
    before = free.network.vector.copy()
    free.advance(1), clipped.advance(1)
    step, short = before - free.network.vector, before - clipped.network.vector
    assert np.linalg.norm(short) == pytest.approx(1e-3 * 1e-3)
    assert step @ short == pytest.approx(np.linalg.norm(step) * np.linalg.norm(short))
    assert clipped.telemetry.metric("gradient_norm")[0] == pytest.approx(free.telemetry.metric("gradient_norm")[0])


# The same weights as scikit-learn after 50 updates

NAMES = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
OPTIMIZERS = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False},
    "momentum": {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    "adam": {"solver": "adam"},
}


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("hidden", NAMES)
@pytest.mark.parametrize("source", ["breast_cancer", "wine", "diabetes"])
def test_weights_equal_scikit_learn(source, hidden, optimizer, alpha):
    """Its squared error is half of ours, and it divides alpha by the number of samples: rates and penalty make up for both."""
    samples, rate, regression = 60, 0.01, source == "diabetes"
    factor = 2 if regression else 1
    rule = {"name": optimizer, "learning_rate": rate / (1 if optimizer == "adam" else factor), "epsilon": 1e-8 * factor}
    outputs = {"breast_cancer": (1, "sigmoid"), "wine": (3, "softmax"), "diabetes": (1, "linear")}[source]
    scaled = {"scaling": "standard", "target_scaling": "standard" if regression else "none"}
    ours = Trainer(
        RunConfig.from_dict(
            {
                "data": {"source": source, "samples": samples, "test_fraction": 0.0, **scaled},
                "layers": [{"units": 6, "activation": hidden}, {"units": outputs[0], "activation": outputs[1]}],
                "optimizer": rule,
                "batch_size": None,
                "penalty": {"l2": factor * alpha / (2 * samples)},
            }
        )
    )
    kind = MLPRegressor if regression else MLPClassifier
    theirs = kind(
        hidden_layer_sizes=(6,),
        activation=NAMES[hidden],
        alpha=alpha,
        learning_rate_init=rate,
        batch_size=samples,
        shuffle=False,
        **OPTIMIZERS[optimizer],
    )
    x, y = ours.dataset.train.inputs, ours.dataset.train.targets
    y = y[:, 0] if regression else y
    first = {} if regression else {"classes": np.unique(y)}
    theirs.partial_fit(x, y, **first)
    parameters = ours.parameters()
    for index, (weights, biases) in enumerate(zip(theirs.coefs_, theirs.intercepts_), 1):
        weights[...], biases[...] = parameters[f"W{index}"], parameters[f"b{index}"]
    for state in ("velocities", "ms", "vs"):
        for array in getattr(theirs._optimizer, state, []):
            array[...] = 0
    if optimizer == "adam":
        theirs._optimizer.t = 0
    for _ in range(50):
        theirs.partial_fit(x, y)
    ours.advance(50)
    parameters = ours.parameters()
    for index, (weights, biases) in enumerate(zip(theirs.coefs_, theirs.intercepts_), 1):
        np.testing.assert_allclose(parameters[f"W{index}"], weights, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(parameters[f"b{index}"], biases, rtol=1e-8, atol=1e-10)


def _adamw(p, g, t, memory, rate=0.05, b1=0.9, b2=0.999, epsilon=1e-8, decay=0.1):
    """Algorithm 2 of Loshchilov & Hutter 2019, in the form of Adam with epsilon outside the correction of the bias."""
    m, v = memory.get("m", 0), memory.get("v", 0)
    memory |= {"m": b1 * m + (1 - b1) * g, "v": b2 * v + (1 - b2) * g**2}
    p = p - rate * decay * p
    return p - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * memory["m"] / (np.sqrt(memory["v"]) + epsilon)


def _adadelta(p, g, t, memory, rate=0.5, rho=0.9, epsilon=1e-6):
    """Algorithm 1 of Zeiler 2012, its step multiplied by the learning rate."""
    memory["squares"] = rho * memory.get("squares", 0) + (1 - rho) * g**2
    step = -np.sqrt(memory.get("steps", 0) + epsilon) / np.sqrt(memory["squares"] + epsilon) * g
    memory["steps"] = rho * memory.get("steps", 0) + (1 - rho) * step**2
    return p + rate * step


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [
        ({"name": "adamw", "learning_rate": 0.05, "weight_decay": 0.1}, _adamw),
        ({"name": "adadelta", "learning_rate": 0.5, "epsilon": 1e-6}, _adadelta),
    ],
)
def test_updates_are_those_of_the_papers(rule, theirs):
    trainer, memory = trainer_for("linear", "mse", source="hills", optimizer=rule), {}
    for t in range(1, 16):  # all of them observed
        before = trainer.network.vector.copy()
        trainer.advance(1)
        wanted = theirs(before, trainer.last_gradient(), t, memory)
        np.testing.assert_allclose(trainer.network.vector, wanted, rtol=1e-6, atol=1e-9)
