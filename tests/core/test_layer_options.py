"""Dropout, normalization, layers without biases and with first weights of their own: the step, and what the network is outside training."""

import dataclasses

import numpy as np
import pytest

from core.config import ConfigError, RunConfig
from core.nn import program
from core.nn.curvature import Curvature, largest_eigenvalue
from core.nn.normalization import EPSILON, MOMENTUM
from core.store import archive
from core.store.store import Store
from core.store.validation import InvalidRun, validated
from core.training.trainer import Trainer
from tests.core.stored_runs import restored, saved

STEP = 1e-5
ROUNDING = 1e-9  # a bias before batch norm has a gradient of rounding alone, and Adam divides it by as little as 1e-8
SOUND = "zero_weights"  # a fault that leaves the step alone: its run makes the plain step


def layers(*options, output=None, activation="tanh", units=4):
    return [{"units": units, "activation": activation, **entry} for entry in options] + [output or {"units": 3, "activation": "softmax"}]


def trainer(layers, **settings):
    data = {"source": "wine", "scaling": "standard", "samples": 40, "test_fraction": 0.25}
    return Trainer(
        RunConfig.from_dict({"data": data, "layers": layers, "batch_size": None, "optimizer": {"learning_rate": 0.01}, **settings})
    )


NORMALIZED_OUTPUT = {"units": 3, "activation": "softmax", "normalization": "layer"}
CASES = {
    "batch": layers({"normalization": "batch"}, {"normalization": "batch"}),
    "layer": layers({"normalization": "layer"}, {"normalization": "layer"}),
    "dropout": layers({"dropout": 0.3}, {"dropout": 0.6}),
    "no biases": layers({"bias": False}, {}, output={"units": 3, "activation": "softmax", "bias": False}),
    "everything": layers({"normalization": "batch", "dropout": 0.25, "bias": False}, {"normalization": "layer", "dropout": 0.5}),
    "gelu": layers({"normalization": "batch", "dropout": 0.2}, {"normalization": "layer"}, activation="gelu"),
    "softmax inside": layers({"normalization": "batch", "dropout": 0.2}, activation="softmax"),
    "output": layers({}, output=NORMALIZED_OUTPUT),
    "tall": layers({"normalization": "batch", "bias": False, "units": 1, "dropout": 0.5}, {"bias": False}),
}


def forward(run, masks):
    """The mean loss in training, written down once more: rows are samples."""
    p, a = run.parameters(), run.batches[0][0][:-1].T
    for layer, entry in enumerate(run.config.layers, 1):
        z = a @ p[f"W{layer}"] + p[f"b{layer}"]
        if entry.normalization != "none":
            axis = 0 if entry.normalization == "batch" else 1
            z = (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + EPSILON)
            z = p[f"scale{layer}"] * z + p[f"shift{layer}"]
        a = np.empty_like(z)
        for function, arguments in run.network.activations[layer - 1].value(z.T.copy(), columns := np.empty_like(z.T)):
            function(*arguments)
        a = columns.T * masks.get(layer, np.ones_like(columns)).T
    return run.network.loss.mean(run.network.loss_values(z.T, a.T, run.batches[0][1]))


def masks_of(run):
    """The masks of the update that was made last."""
    workspace = run._steps._programs[run.batches.size][0].workspace
    return {layer: mask.copy() for layer, mask in workspace.mask_rows.items()}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_right(name):
    run = trainer(CASES[name], init={"bias": "uniform", "bias_scale": 0.3})
    before = run.network.vector.copy()
    run.advance(1)
    masks, gradient = masks_of(run), run.last_gradient()
    numerical = np.zeros_like(before)
    for coordinate in range(run.network.trained):
        sides = []
        for step in (STEP, -STEP):
            run.network.vector[:] = before
            run.network.vector[coordinate] += step
            sides.append(forward(run, masks))
        numerical[coordinate] = (sides[0] - sides[1]) / (2 * STEP)
    numerical = run.network.zero_untrained(numerical)
    assert np.linalg.norm(gradient - numerical) <= 1e-7 * np.linalg.norm(numerical)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
@pytest.mark.parametrize("name", CASES)
def test_the_plain_step_is_the_compiled_one(name, optimizer):
    settings = {
        "batch_size": 7,
        "penalty": {"l2": 0.01},
        "class_weight": "balanced",
        "optimizer": {"name": optimizer, "learning_rate": 0.01},
    }
    compiled, plain = trainer(CASES[name], **settings), trainer(CASES[name], faults=[SOUND], **settings)
    plain.load_parameters(compiled.parameters())
    compiled.advance(9), plain.advance(9)
    for key, values in compiled.parameters().items():
        np.testing.assert_allclose(plain.parameters()[key], values, rtol=1e-7, atol=ROUNDING, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_working_in_blocks_changes_only_rounding(name, monkeypatch):
    whole = trainer(CASES[name], batch_size=7).advance(9)
    monkeypatch.setattr(program, "CACHE_BYTES", 256)
    for key, values in trainer(CASES[name], batch_size=7).advance(9).parameters().items():
        np.testing.assert_allclose(values, whole.parameters()[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_bit_for_bit(name):
    settings = {"batch_size": 7, "optimizer": {"name": "adam"}, "clip_norm": 1.0}
    whole = trainer(CASES[name], **settings).advance(25)
    first = trainer(CASES[name], **settings).advance(11)
    resumed = trainer(CASES[name], **settings)
    resumed.restore(first.checkpoint())
    resumed.advance(14)
    assert resumed.network.vector.tobytes() == whole.network.vector.tobytes()
    np.testing.assert_array_equal(resumed.telemetry.loss, whole.telemetry.loss)


def test_masks_depend_on_seed_and_step_alone():
    def masks(steps, **settings):
        return masks_of(trainer(CASES["dropout"], **settings).advance(steps))

    assert all((one == other).all() for one, other in zip(masks(3).values(), masks(3, init={"weights": "normal"}).values()))
    assert any((one != other).any() for one, other in zip(masks(3).values(), masks(4).values()))
    assert any((one != other).any() for one, other in zip(masks(3).values(), masks(3, seed=1).values()))


def test_dropout_leaves_out_its_share_and_makes_up_for_it():
    run = trainer(layers({"dropout": 0.3}, units=2000))
    values = masks_of(run.advance(1))[1]
    assert set(np.unique(values)) == {0.0, values.max()} and values.max() == pytest.approx(1 / 0.7, rel=1e-4)
    assert values.mean() == pytest.approx(1, abs=0.01) and (values == 0).mean() == pytest.approx(0.3, abs=0.01)


def test_outside_training_nothing_is_left_out_and_statistics_are_the_running_ones():
    run = trainer(CASES["everything"], batch_size=7).advance(40)
    p, a = run.parameters(), run.dataset.test.inputs
    z = a @ p["W1"]
    z = p["scale1"] * (z - p["mean1"]) / np.sqrt(p["variance1"] + EPSILON) + p["shift1"]
    x = np.vstack([a.T, np.ones(len(a))])
    np.testing.assert_allclose(run.network.forward(x)[0][1], np.tanh(z).T, rtol=1e-10)
    assert not p["b1"].any()
    straight = trainer(CASES["dropout"], batch_size=None)
    assert straight.advance(1).telemetry.loss[0] == pytest.approx(straight.telemetry.frames("train_loss")[0], rel=1e-12)


def test_running_statistics_follow_the_batches():
    run = trainer(CASES["batch"])
    sums = run.parameters()["W1"].T @ run.batches[0][0][:-1]
    run.advance(1)
    np.testing.assert_allclose(run.parameters()["mean1"], MOMENTUM * sums.mean(axis=1))
    np.testing.assert_allclose(run.parameters()["variance1"], 1 - MOMENTUM + MOMENTUM * sums.var(axis=1))


def test_a_layer_without_biases_has_none_to_edit():
    run = trainer(CASES["no biases"])
    with pytest.raises(ConfigError, match="must be a weight; layer 1 has no biases"):
        run.edit(1, 0, None, 0.5)


def test_a_layer_may_begin_in_its_own_way():
    own = {"weights": "uniform_0_1", "scale": 0.5, "bias": "constant", "bias_scale": 0.25}
    run, plain = trainer(layers({"init": own}, {})), trainer(layers({}, {}))
    first, second = run.parameters(), plain.parameters()
    assert first["W1"].min() >= 0 and first["W1"].max() <= 0.5 and (first["b1"] == 0.25).all()
    np.testing.assert_array_equal(first["W2"], second["W2"])


def test_the_output_layer_drops_nothing():
    with pytest.raises(ConfigError, match=r"layers\[1\]\.dropout: must be 0 in the output layer"):
        trainer(layers({}, output={"units": 3, "activation": "softmax", "dropout": 0.1}))


@pytest.mark.parametrize("name", ["batch", "everything", "no biases", "softmax inside"])
def test_sharpness_is_that_of_the_numerical_hessian(name):
    run = trainer([{**layer, "dropout": 0.0} for layer in CASES[name]])
    network, (x, y) = run.network, run.batches[0]
    here, columns = network.vector.copy(), []
    for coordinate in range(network.trained):
        sides = []
        for step in (1e-4, -1e-4):
            network.vector[:] = here
            network.vector[coordinate] += step
            sides.append(Curvature(network, x, y, 0.1).gradient())
        columns.append(network.zero_untrained((sides[0] - sides[1]) / 2e-4)[: network.trained])
    network.vector[:] = here
    free = network.zero_untrained(np.ones_like(here))[: network.trained] > 0
    hessian = np.array(columns)[np.ix_(free, free)]
    largest = np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]
    found = largest_eigenvalue(Curvature(network, x, y, 0.1).product, here.size, here.dtype, 64, 1e-8)
    assert found.value == pytest.approx(largest, rel=1e-4)


def test_a_run_with_all_of_it_is_stored_and_comes_back(tmp_path):
    """Also as a file, with its best weights where it stopped early; moments without these are refused."""
    store = Store(tmp_path)
    run = trainer(CASES["everything"], stop={"patience": 3, "min_delta": 0.01}, batch_size=7).run(2000)
    stored = store.load(saved(store, run))
    again = store.load(archive.import_run(store, archive.read(archive.export(stored))))
    for found in map(restored, (stored, again)):
        assert found.stopping.stopped and found.network.vector.tobytes() == run.network.vector.tobytes()
    moment = stored.moments[-1]
    for lost in ("best", "stopping"):
        broken = moment._replace(state={name: array for name, array in moment.state.items() if name != lost})
        with pytest.raises(InvalidRun, match="best weights"):
            validated(dataclasses.replace(stored, moments=[broken]))
