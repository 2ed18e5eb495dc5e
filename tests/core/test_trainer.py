"""The run as a whole: the same bits however it is cut, edge shapes, what it records, and how it stops."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

from core.config import ConfigError, RunConfig
from core.data.sources import SOURCES
from core.nn import program
from core.nn.activations import ACTIVATIONS
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES
from core.training.live_changes import LIVE_CHANGES
from core.training.telemetry import LAYER_METRICS, SAMPLE_ROWS, Telemetry
from core.training.trainer import Trainer


def trainer(**changes):
    return Trainer(RunConfig.from_dict(changes))


def same_bits(one, other):
    return one.network.vector.tobytes() == other.network.vector.tobytes()


network_settings = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries({"source": st.sampled_from(["xor", "blobs", "hills"]), "samples": st.integers(4, 60)}),
        "init": st.fixed_dictionaries(
            {"weights": st.sampled_from(list(WEIGHT_INITIALIZERS)), "bias": st.sampled_from(list(BIAS_INITIALIZERS))}
        ),
        "optimizer": st.fixed_dictionaries(
            {
                "name": st.sampled_from(list(OPTIMIZERS)),
                "learning_rate": st.sampled_from([1e-3, 0.1]),
                "schedule": st.fixed_dictionaries({"name": st.sampled_from(list(SCHEDULES)), "steps": st.integers(1, 50)}),
            }
        ),
        "batch_size": st.one_of(st.none(), st.integers(1, 70)),
        "penalty": st.fixed_dictionaries({"l1": st.sampled_from([0.0, 1e-3]), "l2": st.sampled_from([0.0, 1e-3])}),
        "clip_norm": st.sampled_from([None, 0.5]),
        "shuffle": st.booleans(),
        "class_weight": st.sampled_from([None, "balanced"]),
        "stop": st.sampled_from([None, {"patience": 2, "min_delta": 0.01}]),
        "dtype": st.sampled_from(["float32", "float64"]),
    }
)
hidden_layers = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(list(ACTIVATIONS))), min_size=0, max_size=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(network_settings, hidden_layers, st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_how_updates_are_cut_into_calls_changes_nothing(values, hidden, cuts):
    output = RunConfig.from_dict({"data": values["data"]}).to_dict()["layers"][-1]
    layers = [{"units": units, "activation": name} for units, name in hidden] + [output]
    config = RunConfig.from_dict({**values, "layers": layers})
    whole, cut = Trainer(config).advance(sum(cuts)), Trainer(config)
    for updates in cuts:
        cut.advance(updates)
    assert same_bits(whole, cut)
    np.testing.assert_array_equal(whole.telemetry.loss, cut.telemetry.loss)


@settings(max_examples=25)
@given(network_settings, st.integers(0, 40), st.integers(1, 40))
def test_a_checkpoint_goes_on_bit_for_bit(values, before, after):
    original = Trainer(RunConfig.from_dict(values)).advance(before)
    resumed = Trainer(original.config)
    resumed.restore(original.checkpoint())
    original.advance(after), resumed.advance(after)
    assert same_bits(original, resumed)
    assert resumed.step == original.step and resumed.epoch == original.epoch
    np.testing.assert_array_equal(original.telemetry.loss, resumed.telemetry.loss)


def test_without_shuffling_batches_come_in_order():
    ordered, shuffled = (trainer(shuffle=shuffle, data={"samples": 80}).batches for shuffle in (False, True))
    assert ordered.order(2, 7) == [2, 3, 0, 1, 2, 3, 0]
    assert sorted(shuffled.order(0, 4)) == [0, 1, 2, 3] and shuffled.order(0, 40) != ordered.order(0, 40)


def test_a_run_stops_early_with_its_best_weights():
    """On few and noisy samples the test loss has its minimum before the training loss has."""
    values = {"data": {"source": "moons", "samples": 60, "noise": 2.0}, "optimizer": {"name": "adam", "learning_rate": 0.05}}
    run = trainer(**values, stop={"patience": 5}).run(5000)
    assert run.stopping.stopped and run.step < 5000 and run.step % len(run.batches) == 0
    epoch, losses, other = len(run.batches), [], trainer(**values)
    for _ in range(run.step // epoch):
        losses.append(other.advance(epoch).loss("test"))
    best = int(np.argmin(losses))
    assert run.step == (best + 1 + 5) * epoch and run.loss("test") == losses[best] < losses[-1]
    assert run.telemetry.events[-1].step == run.step and f"weights of step {(best + 1) * epoch}" in run.telemetry.events[-1].text
    stopped = run.network.vector.copy()
    assert run.run(50).step == (best + 6) * epoch and np.array_equal(stopped, run.network.vector)
    resumed = trainer(**values, stop={"patience": 5})
    resumed.restore(run.checkpoint())
    assert resumed.stopping.stopped and same_bits(resumed, run)
    run.reset()
    assert not run.stopping.stopped and same_bits(run.run(5000), resumed)


def test_a_gain_below_the_smallest_counts_for_nothing():
    run = trainer(stop={"patience": 3, "min_delta": 100.0}, data={"test_fraction": 0.0}).run(1000)
    assert run.step == 4 * len(run.batches)  # the first loss is lower than none


@pytest.mark.parametrize(
    "output", [{"units": 40, "activation": "sigmoid"}, {"units": 40, "activation": "linear"}, {"units": 40, "activation": "gelu"}]
)
@pytest.mark.parametrize("settings_", [{}, {"penalty": {"l1": 1e-3, "l2": 1e-3}}, {"optimizer": {"name": "adam"}}, {"clip_norm": 0.1}])
@pytest.mark.parametrize("hidden", [[], [6], [50, 3]])
def test_working_in_blocks_changes_only_rounding(monkeypatch, tmp_path, output, settings_, hidden):
    """Whatever outgrows the cache is worked on in blocks: forced here by a cache of 1 KiB."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "wide.npz", X=rng.normal(size=(24, 70)), y=rng.uniform(size=(24, 40)))
    layers = [{"units": units, "activation": "tanh"} for units in hidden] + [output]
    values = {"data": {"source": "file", "path": str(tmp_path / "wide.npz"), "task": "regression", "test_fraction": 0.0}, "layers": layers}
    config = RunConfig.from_dict({**values, "loss": "mse", "batch_size": 7, **settings_})
    whole = Trainer(config).advance(30)
    monkeypatch.setattr(program, "CACHE_BYTES", 1024)
    blockwise = Trainer(config).advance(30)
    for name, array in whole.parameters().items():
        np.testing.assert_allclose(blockwise.parameters()[name], array, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(blockwise.telemetry.metric("gradient_norm"), whole.telemetry.metric("gradient_norm"), rtol=1e-8)


EDGES = {
    "one unit": {"layers": [{"units": 1, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]},
    "no hidden layer": {"layers": [{"units": 1, "activation": "sigmoid"}]},
    "one sample": {"data": {"source": "hills", "samples": 1, "test_fraction": 0.0}},
    "two samples": {"data": {"samples": 2}},
    "one feature": {"data": {"features": ["x1*x2"]}},
    "batch larger than the data": {"data": {"samples": 20}, "batch_size": 100_000},
    "batch of one": {"batch_size": 1},
    "thirty-two layers": {"layers": [{"units": 3, "activation": "relu"}] * 31 + [{"units": 1, "activation": "sigmoid"}]},
    "two outputs for two classes": {"layers": [{"units": 2, "activation": "softmax"}], "loss": "categorical_cross_entropy"},
    "softmax on one unit": {"layers": [{"units": 1, "activation": "softmax"}]},
}


@pytest.mark.parametrize("name", EDGES)
def test_edge_shapes_train(name):
    run = trainer(**EDGES[name]).run(60)
    assert run.step == 60 and not run.nonfinite
    assert np.isfinite(run.loss())


@pytest.mark.parametrize("source", [name for name in SOURCES if name not in ("file", "photo_upscale")])
def test_every_source_learns_with_its_suggested_output(source):
    scaling = {"scaling": "standard"} if SOURCES[source].kind == "table" else {}
    targets = {"target_scaling": "standard"} if source == "diabetes" else {}
    run = trainer(data={"source": source, **scaling, **targets}, optimizer={"name": "adam", "learning_rate": 0.003})
    first = run.loss()
    assert run.run(400).loss() < first


def test_penalty_is_part_of_the_loss():
    free, bound = trainer(), trainer(penalty={"l1": 0.01, "l2": 0.1})
    weights = [array for name, array in free.parameters().items() if name[0] == "W"]
    expected = sum(0.01 * np.abs(w).sum() + 0.1 * (w**2).sum() for w in weights)
    assert bound.loss() - free.loss() == pytest.approx(expected)
    assert bound.loss("test") - free.loss("test") == pytest.approx(expected)


def test_metrics_are_scikit_learns(tmp_path):
    """R^2 over several outputs, one of them constant, and accuracy elementwise for multi-label targets."""
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(30, 4))
    targets[:, 2] = 5.0
    inputs = rng.normal(size=(30, 3))
    for task, y, metric in (("regression", targets, r2_score), ("classification", (targets > 0).astype(float), accuracy_by_element)):
        np.savez(tmp_path / f"{task}.npz", X=inputs, y=y)
        data = {"source": "file", "path": str(tmp_path / f"{task}.npz"), "task": task, "test_fraction": 0.3}
        run = trainer(data=data, layers=[{"units": 4, "activation": "sigmoid"}], loss="mse").run(20)
        for part in ("train", "test"):
            x, y = getattr(run.dataset, part).inputs, getattr(run.dataset, part).targets
            outputs = 1 / (1 + np.exp(-(x @ run.parameters()["W1"] + run.parameters()["b1"])))
            assert run.evaluator.metric(part) == pytest.approx(metric(y, outputs))


def accuracy_by_element(targets, outputs):
    return np.mean([accuracy_score(targets[:, k] > 0.5, outputs[:, k] > 0.5) for k in range(targets.shape[1])])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_the_first_nonfinite_value_is_found_in_its_update(dtype, optimizer):
    """Compared with a run that checks itself after every single update."""
    values = {
        "data": {"source": "hills"},
        "layers": [{"units": 8, "activation": "relu"}, {"units": 1, "activation": "linear"}],
        "optimizer": {"name": optimizer, "learning_rate": 1.7},
        "init": {"weights": "he_normal"},
        "dtype": dtype,
    }
    run = Trainer(RunConfig.from_dict(values)).advance(100_000)
    assert run.nonfinite, "the configuration was meant to explode"
    slow = Trainer(RunConfig.from_dict(values))
    with np.errstate(all="ignore"):
        while np.isfinite(slow.network.vector).all() and np.isfinite(slow.telemetry.loss).all():
            before = slow.network.vector.copy()
            slow._next_sample = slow.step  # look at every update
            slow.advance(1)
            if slow.nonfinite:
                break
    assert run.nonfinite == slow.nonfinite
    assert run.step == run.nonfinite.step - 1
    assert np.isfinite(run.network.vector).all() and run.network.vector.tobytes() == before.tobytes()
    assert not np.isfinite(run.telemetry.loss[-1]) or run.nonfinite.tensor != "loss"
    run.advance(10)
    assert run.step == run.nonfinite.step - 1


def test_sampled_rows_are_what_a_plain_calculation_gives():
    run = trainer(optimizer={"name": "adam"}, data={"source": "blobs"}).advance(5)
    before = copy.deepcopy(run.network.vector)
    run._next_sample = run.step
    run.advance(1)
    row = {name: run.telemetry.metric(name)[-1] for name in LAYER_METRICS}
    for index, (old, new, gradient) in enumerate(
        zip(*(run.network.flat_layers(v) for v in (before, run.network.vector, run.last_gradient())))
    ):
        assert row["gradient_norm"][index] == pytest.approx(np.linalg.norm(gradient))
        assert row["weight_norm"][index] == pytest.approx(np.linalg.norm(old))
        assert row["update_ratio"][index] == pytest.approx(np.linalg.norm(new - old) / np.linalg.norm(old))
    inputs = run.dataset.train.inputs[:128]
    hidden = np.tanh(inputs @ run.parameters()["W1"] + run.parameters()["b1"])
    assert row["activation_mean"][0] == pytest.approx(hidden.mean())
    assert row["activation_deviation"][0] == pytest.approx(hidden.std())
    assert row["saturated"][0] == pytest.approx((1 - hidden**2 < 0.0266).mean())


def test_dead_units_are_counted():
    run = trainer(layers=[{"units": 4, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}])
    parameters = run.parameters()
    parameters["b1"][:3] = -1e3
    run.load_parameters(parameters)
    assert run.advance(1).telemetry.metric("dead")[-1].tolist() == [0.75, 0.0]


def test_telemetry_is_bounded_and_spikes_survive():
    telemetry = Telemetry(6)
    row = np.ones((6, len(LAYER_METRICS)))
    for step in range(60_000):
        spike = step == 3_333
        telemetry.add_sample(step, 50.0 if spike else 1.0, row * (9.0 if step == 21_111 else 1.0))
    assert telemetry.nbytes < 20e6 and len(telemetry.step) <= SAMPLE_ROWS
    assert telemetry.step[telemetry.loss.argmax()] == 3_333
    assert 21_111 in telemetry.step
    assert (np.diff(telemetry.step) > 0).all()


def test_reset_gives_the_same_weights_again():
    run = trainer(optimizer={"name": "adam"})
    first = run.network.vector.copy()
    run.advance(50)
    after = run.network.vector.copy()
    run.reset()
    assert run.step == 0 and run.network.vector.tobytes() == first.tobytes()
    assert run.advance(50).network.vector.tobytes() == after.tobytes()


def test_changes_while_it_runs():
    run = trainer(optimizer={"name": "momentum"}).advance(30)
    untouched = trainer(optimizer={"name": "momentum"}).advance(30)
    run.change({})
    assert same_bits(run.advance(20), untouched.advance(20))
    run.change({"optimizer": {"learning_rate": 0.5}, "batch_size": 3, "penalty": {"l2": 0.01}, "clip_norm": 1.0})
    assert len(run.batches) == 84 and run.epoch == untouched.epoch
    assert {event.text.split(" ")[0] for event in run.telemetry.events} == {"learning", "batch", "l2", "clip"}
    assert run.config.optimizer.learning_rate == 0.5
    run.advance(84)
    assert run.epoch == pytest.approx(untouched.epoch + 1)


@pytest.mark.parametrize(
    "patch", [{"seed": 3}, {"loss": "mse"}, {"optimizer": {"name": "adam"}}, {"optimizer": {"learning_rate": -1}}, {"nonsense": 1}]
)
def test_refused_changes_change_nothing(patch):
    run = trainer().advance(10)
    config, vector = run.config, run.network.vector.copy()
    with pytest.raises(ConfigError):
        run.change(patch)
    assert run.config is config and run.network.vector.tobytes() == vector.tobytes() and not run.telemetry.events


def test_the_last_gradient_is_the_same_after_a_change():
    run = trainer().advance(1)  # plain gradient descent: the learning rate is folded into the gradient
    gradient = run.last_gradient()
    run.change({"optimizer": {"learning_rate": run.config.optimizer.learning_rate / 4}})
    np.testing.assert_array_equal(run.last_gradient(), gradient)


def test_live_changes_are_sections_of_the_configuration():
    assert set(LIVE_CHANGES) <= set(RunConfig().to_dict())


def test_edits():
    run = trainer()
    run.edit(1, 2, 0, 0.75)
    run.edit(2, 0, None, -1.5)
    assert run.parameters()["W1"][0, 2] == 0.75 and run.parameters()["b2"][0] == -1.5
    assert len(run.telemetry.events) == 2
    for wrong in [(0, 0, 0, 1.0), (3, 0, 0, 1.0), (1, 8, 0, 1.0), (1, 0, 2, 1.0), (1, -1, 0, 1.0), (1, 0, 0, np.nan)]:
        with pytest.raises(ConfigError):
            run.edit(*wrong)


@pytest.mark.parametrize(("name", "low", "high"), [("truncated_normal", -2, 2), ("uniform_0_1", 0, 1)])
def test_bounded_first_weights_fill_their_range(name, low, high):
    weights = trainer(data={"source": "digits"}, init={"weights": name, "scale": 0.5}).parameters()["W1"]
    assert 0.5 * low <= weights.min() < 0.5 * low + 0.05 and 0.5 * high - 0.05 < weights.max() <= 0.5 * high
