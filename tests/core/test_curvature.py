"""Hessian-vector products against the full Hessian, column by column, and its largest eigenvalue against LAPACK's."""

import numpy as np
import pytest

from core.config import RunConfig
from core.nn.activations import ACTIVATIONS
from core.nn.buffers import aligned_like
from core.nn.curvature import Curvature, largest_eigenvalue
from core.nn.losses import LOSSES
from core.nn.program import Program, Workspace
from core.nn.updater import Updater
from core.training.trainer import Trainer

STEP = 1e-5  # of the differences: the rounding of a gradient then shows up at 1e-11


def trainer_for(output="linear", loss="mse", hidden="tanh", units=1, source="xor", layers=None, **settings):
    hidden_layers = [{"units": 4, "activation": hidden}, {"units": 3, "activation": hidden}]
    config = {
        "data": {"source": source, "samples": 7, "test_fraction": 0.0, "scaling": "standard"},
        "layers": layers or [*hidden_layers, {"units": units, "activation": output}],
        "init": {"weights": "glorot_normal", "bias": "uniform", "bias_scale": 0.4},
        "loss": loss,
        "batch_size": None,
        **settings,
    }
    return Trainer(RunConfig.from_dict(config))


def curvature_of(trainer):
    return Curvature(trainer.network, *trainer.batches[0], trainer.config.penalty.l2)


def gradient_function(trainer):
    """Flat gradient of the compiled step at a given vector of parameters."""
    network = trainer.network
    gradient, first = aligned_like(network.vector), network.vector.copy()
    program = Program(network, Updater(network, trainer.config), Workspace(network, trainer.batches.size), gradient)
    tape = program.bind(*trainer.batches[0])

    def gradient_at(vector):
        network.vector[:] = vector
        with np.errstate(all="ignore"):
            for function, arguments in tape:
                function(*arguments)
        network.vector[:] = first
        return gradient / program.gradient_scale

    return gradient_at


def full_hessian(trainer):
    """Five-point differences of the gradient along every parameter."""
    gradient_at, at = gradient_function(trainer), trainer.network.vector.copy()
    columns = []
    for direction in STEP * np.eye(len(at)):
        near, far = ((gradient_at(at + times * direction) - gradient_at(at - times * direction)) for times in (1, 2))
        columns.append((8 * near - far) / (12 * STEP))
    return np.array(columns).T


def assert_hessian_is_right(trainer):
    curvature, expected = curvature_of(trainer), full_hessian(trainer)
    scale = max(np.abs(expected).max(), 1e-3)
    found = np.array([curvature.product(direction) for direction in np.eye(len(expected))]).T
    assert np.abs(found - expected).max() <= 1e-6 * scale
    values = np.linalg.eigvalsh((expected + expected.T) / 2)
    largest = largest_eigenvalue(curvature.product, len(expected), float, products=len(expected), tolerance=1e-9)
    assert abs(largest.value - values[-1]) <= 1e-6 * scale
    return values


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_every_output_activation_with_every_loss(output, loss):
    units = 3 if output == "softmax" or loss == "categorical_cross_entropy" else 1
    assert_hessian_is_right(trainer_for(output, loss, units=units, source="blobs" if units == 3 else "xor"))


@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_every_hidden_activation(hidden, loss):
    assert_hessian_is_right(trainer_for("linear", loss, hidden=hidden, source="hills"))


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear"])
def test_probabilities_at_the_clip_are_flat(output):
    """Outputs far outside: most samples sit where the clipped loss has neither slope nor curvature."""
    trainer = trainer_for(output, "categorical_cross_entropy", units=3, source="blobs", init={"weights": "normal", "scale": 6.0})
    assert_hessian_is_right(trainer)


@pytest.mark.parametrize("penalty", [{"l1": 0.03}, {"l2": 0.05}, {"l1": 0.02, "l2": 0.01}])
def test_penalties(penalty):
    assert_hessian_is_right(trainer_for("sigmoid", "binary_cross_entropy", penalty=penalty))


def test_mixed_activations_tall_matrices_and_no_hidden_layer():
    names = ("tanh", "tanh", "gelu", "linear", "relu", "silu", "selu")
    layers = [*({"units": 3, "activation": name} for name in names), {"units": 1, "activation": "tanh"}]
    assert_hessian_is_right(trainer_for(layers=layers))
    assert_hessian_is_right(trainer_for(layers=[{"units": 30, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]))
    assert_hessian_is_right(trainer_for(layers=[{"units": 1, "activation": "sigmoid"}], loss="binary_cross_entropy"))


def test_float32_agrees_with_float64():
    single, double = (trainer_for("linear", "huber", hidden="gelu", source="hills", dtype=dtype) for dtype in ("float32", "float64"))
    v = np.random.default_rng(0).standard_normal(double.network.vector.size)
    products = [curvature_of(trainer).product(v.astype(trainer.network.dtype)) for trainer in (single, double)]
    assert products[0].dtype == np.float32
    np.testing.assert_allclose(products[0], products[1], rtol=1e-4, atol=1e-5)
    values = [
        largest_eigenvalue(curvature_of(trainer).product, len(v), trainer.network.dtype, products=20, tolerance=1e-4).value
        for trainer in (single, double)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def symmetric(values, seed=1):
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    return (q * values) @ q.T


def test_the_largest_eigenvalue_is_not_the_largest_in_size():
    matrix = symmetric(np.array([-50.0, *np.linspace(-1, 1, 60), 3.0]))
    found = largest_eigenvalue(matrix.dot, len(matrix), float, products=30, tolerance=1e-6)
    assert found.value == pytest.approx(3.0, rel=1e-9)
    assert found.residual <= 3e-6 and found.products < 30


def test_the_residual_bounds_the_error():
    values = np.linspace(0, 1, 200)
    found = largest_eigenvalue(symmetric(values).dot, 200, float, products=8, tolerance=1e-12)
    assert found.products == 8 and found.residual > 1e-3
    assert np.abs(values - found.value).min() <= found.residual


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_matrix_of_low_rank_ends_early(rank):
    matrix = symmetric(np.array([2.0, 1.0][:rank] + [0.0] * (40 - rank)))
    found = largest_eigenvalue(matrix.dot, 40, float, products=40, tolerance=1e-12)
    assert found.products <= rank + 1
    assert found.value == pytest.approx([0.0, 2.0, 2.0][rank], abs=1e-12)


def test_products_that_overflow_give_nan():
    found = largest_eigenvalue(lambda v: v * np.inf, 5, float, products=5, tolerance=1e-3)
    assert np.isnan(found.value) and found.products == 1
