"""Which samples carry a mini-batch's gradient: against the gradient of each sample alone."""

import numpy as np
import pytest

from core.config import RunConfig
from core.snapshot.gradient_share import SHOWN, gradient_norms, influence, shares
from core.training.trainer import Trainer


def trained(hidden, output, loss, units=1, source="circle", **values):
    layers = [{"units": 4, "activation": hidden}, {"units": 3, "activation": hidden}, {"units": units, "activation": output}]
    values = {"data": {"source": source, "samples": 60}, "layers": layers, "loss": loss, "batch_size": 7, **values}
    return Trainer(RunConfig.from_dict(values)).advance(20)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tanh", "sigmoid", "binary_cross_entropy"),
        ("softplus", "linear", "mse", 1, "hills"),
        ("gelu", "softmax", "categorical_cross_entropy", 3, "blobs"),
        ("elu", "softmax", "mse", 3, "blobs"),
        ("leaky_relu", "tanh", "hinge"),
    ],
)
def test_norms_are_those_of_each_samples_own_gradient(arguments):
    trainer = trained(*arguments)
    network, (x, y) = trainer.network, trainer.batches[0]
    vector = network.vector

    def losses():
        z, a = network.forward(x)[-1]
        return network.loss_values(z, a, y).sum(axis=0) / network.loss.divisor(len(a))

    gradients, h = [], 1e-6
    for index in range(vector.size):
        value = vector[index]
        vector[index] = value + h
        above = losses()
        vector[index] = value - h
        gradients.append((above - losses()) / (2 * h))
        vector[index] = value
    assert np.allclose(gradient_norms(network, x, y).astype(float), np.linalg.norm(gradients, axis=0), rtol=1e-5, atol=1e-8)


def test_the_samples_are_those_of_the_next_update():
    trainer = trained("tanh", "sigmoid", "binary_cross_entropy")
    seen = influence(trainer)
    (number,) = trainer.batches.order(trainer.step, 1)
    rows = trainer.batches.rows(number)
    assert sorted(seen.samples) == list(range(rows.start, rows.stop))
    assert seen.batch == len(seen.samples)
    assert np.all(np.diff(seen.share) <= 0) and seen.share.sum() == pytest.approx(1)
    assert np.allclose(seen.xy, trainer.dataset.train.points[seen.samples])


def test_only_those_that_carry_most_are_told():
    trainer = trained("tanh", "sigmoid", "binary_cross_entropy", data={"source": "circle", "samples": 1000}, batch_size=None)
    seen = influence(trainer)
    assert len(seen.samples) == SHOWN and seen.batch == 500
    assert seen.share.sum() > SHOWN / 500


def test_tables_have_no_places():
    assert influence(trained("tanh", "softmax", "categorical_cross_entropy", 3, "iris", data={"source": "iris"})).xy is None


def test_what_is_not_finite_carries_everything():
    assert shares(np.array([1.0, np.nan, 3.0, np.inf])).tolist() == [0, 0.5, 0, 0.5]
    assert shares(np.zeros(3)).tolist() == [0, 0, 0]


def test_gradients_beyond_the_range_of_floats_are_compared():
    trainer = trained("linear", "linear", "mse", 1, "plane", optimizer={"learning_rate": 1e-3})
    trainer.network.vector *= 1e45
    norms = gradient_norms(trainer.network, *trainer.batches[0])
    assert np.isfinite(norms).all() and norms.max() > 1e200
    assert shares(norms).sum() == pytest.approx(1)
