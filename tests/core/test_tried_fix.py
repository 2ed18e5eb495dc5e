"""The fix of a root is one that the run learns with, tried on the run's own data; what people's programs get wrong is found as its kind."""

import sys

import numpy as np
import pytest

from core.config import RunConfig
from core.data import load
from core.diagnosis import diagnose
from core.diagnosis.evidence import Evidence
from core.diagnosis.remedies import first_weights, fresh_init, recommended_rate, rounded_down
from core.diagnosis.tried_fix import tried_fix, with_suited_rate
from core.training.trainer import Trainer

SIGMOID, SOFTMAX = {"units": 1, "activation": "sigmoid"}, "categorical_cross_entropy"


def file_run(folder, inputs, targets, hidden=(16,), output=SIGMOID, activation="relu", task="classification", rate=0.01, **more):
    """A configuration of these arrays, trained by Adam."""
    np.savez(folder / "data.npz", X=inputs, y=targets)
    data = {"source": "file", "path": str(folder / "data.npz"), "task": task, "test_fraction": 0.2, "scaling": more.pop("scaling", "none")}
    layers = [*({"units": units, "activation": activation} for units in hidden), output]
    return RunConfig.from_dict({"data": data, "layers": layers, "optimizer": {"name": "adam", "learning_rate": rate}, **more})


def clouds(classes, samples=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=samples)
    angles = 2 * np.pi * labels / classes
    return np.column_stack([np.cos(angles), np.sin(angles)]) * 3 + rng.normal(size=(samples, 2)) * 0.3, labels


def alarms(trainer):
    return [finding for finding in diagnose(trainer) if finding.severity != "info"]


def accuracy(trainer):
    return trainer.evaluator.metric()


def test_a_fix_of_the_first_weights_brings_a_rate_that_suits_the_mended_network():
    config = RunConfig.from_dict(
        {
            "data": {"source": "iris", "scaling": "standard"},
            "layers": [{"units": 8, "activation": "sigmoid"}, {"units": 3, "activation": "softmax"}],
            "loss": SOFTMAX,
            "init": {"weights": "normal", "scale": 1e-3},
            "optimizer": {"name": "sgd", "learning_rate": 1e-4},
        }
    )
    trainer = Trainer(config).run(1000)
    root = alarms(trainer)[0]
    mended = Trainer(config.patched(root.fix)).run(1000)
    assert root.fix["optimizer"]["learning_rate"] > 1e-4 and accuracy(mended) > 0.9 > accuracy(trainer)


def test_where_the_first_form_of_a_fix_does_not_learn_another_is_given():
    config = RunConfig.from_dict(
        {
            "data": {"source": "spiral", "noise": 0.0},
            "layers": [{"units": 4, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}],
            "optimizer": {"name": "sgd", "learning_rate": 0.01},
        }
    )
    trainer = Trainer(config).run(3000)
    untried = {"optimizer": {"learning_rate": 0.03}}
    fix = tried_fix(Evidence(trainer), untried, 2048)
    assert tried_fix(Evidence(trainer), untried, 2048, cost=0) == tried_fix(Evidence(trainer), untried, 0) == untried != fix
    plain, given = (Trainer(config.patched(patch)).run(3000) for patch in (untried, fix))
    assert accuracy(given) > accuracy(plain) + 0.2


def test_the_rate_of_a_fix_is_stable_where_it_is_used():
    config = RunConfig.from_dict(
        {
            "data": {"source": "hills", "target_scaling": "standard"},
            "layers": [{"units": 16, "activation": "relu"}] * 6 + [{"units": 1, "activation": "linear"}],
            "init": {"weights": "normal", "scale": 1.5},
            "optimizer": {"name": "sgd", "learning_rate": 0.1},
        }
    )
    fix = with_suited_rate(Evidence(Trainer(config)), {"init": {"weights": "normal", "scale": 1.0, "bias": "zeros"}})
    assert fix["optimizer"]["learning_rate"] < 0.1
    assert not Trainer(config.patched(fix)).run(300).nonfinite


@pytest.mark.parametrize(("rate", "down"), [(0.264, 0.2), (0.3, 0.3), (0.0999, 0.09), (7.0, 7.0), (1.9e-5, 1e-5)])
def test_a_rate_that_is_recommended_is_within_its_limit(rate, down):
    assert rounded_down(rate) == pytest.approx(down) and rounded_down(rate) <= rate * (1 + 1e-9)


def test_header_card_and_trials_recommend_one_rate():
    trainer = Trainer(RunConfig.from_dict({"data": {"source": "circle"}, "optimizer": {"learning_rate": 50.0}}))
    evidence = Evidence(trainer, lambda trainer: FORECAST)
    assert recommended_rate(trainer.config, FORECAST) == 0.06
    from core.diagnosis.remedies import stable_learning_rate
    from core.diagnosis.trials import candidates

    assert stable_learning_rate(evidence)["fix"]["optimizer"]["learning_rate"] == 0.06
    assert {"optimizer": {"learning_rate": 0.06}} in [tried.patch for tried in candidates(trainer.config, [], FORECAST)]


class FORECAST:
    largest_stable_rate = 0.069


# What files hold


def test_one_hot_rows_are_class_labels(tmp_path):
    inputs, labels = clouds(10)
    output = {"units": 10, "activation": "softmax"}
    by_rows = Trainer(file_run(tmp_path, inputs, np.eye(10)[labels], output=output, loss=SOFTMAX))
    by_number = Trainer(file_run(tmp_path, inputs, labels, output=output, loss=SOFTMAX))
    chances = [Evidence(trainer).data.baseline.metric for trainer in (by_rows, by_number)]
    assert chances[0] == chances[1] < 0.2 and by_rows.dataset.labels
    many = np.eye(10)[labels] + np.eye(10)[(labels + 1) % 10]
    assert not Trainer(file_run(tmp_path, inputs, many, output={"units": 10, "activation": "sigmoid"})).dataset.labels


def test_targets_beyond_a_sigmoid_get_an_output_for_each_class(tmp_path):
    for values, classes in (([-1.0, 1.0], 2), ([0.0, 1.0, 2.0, 3.0, 4.0], 5)):
        inputs, labels = clouds(classes)
        config = file_run(tmp_path, inputs, np.array(values)[labels][:, None])
        root = alarms(Trainer(config).run(400))[0]
        assert root.code == "unreachable_target" and "sigmoid outputs" not in root.advice
        mended = Trainer(config.patched(root.fix)).run(800)
        assert mended.dataset.labels and accuracy(mended) > 0.95


def test_targets_that_are_amounts_get_a_linear_output(tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 2))
    config = file_run(tmp_path, inputs, 3 * inputs[:, 0] - inputs[:, 1], task="regression", loss="mse")
    root = alarms(Trainer(config).run(600))[0]
    assert root.code == "unreachable_target" and root.fix["layers"][-1]["activation"] == "linear" and root.fix["loss"] == "mse"


def test_rows_that_do_not_add_up_to_one_are_out_of_softmax_reach(tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 3))
    config = file_run(tmp_path, inputs, (inputs > 0).astype(float), output={"units": 3, "activation": "softmax"}, loss=SOFTMAX)
    trainer = Trainer(config).run(600)
    assert "unreachable_target" in [finding.code for finding in diagnose(trainer)]
    mended = Trainer(config.patched(alarms(trainer)[0].fix)).run(800)
    assert mended.config.layers[-1].activation == "sigmoid" and accuracy(mended) > 0.9


@pytest.mark.parametrize("targets", [np.full(60, 3), np.full(60, "cat"), np.full((60, 2), 0.5)])
def test_labels_of_one_class_load_and_are_told(tmp_path, targets):
    inputs = np.random.default_rng(0).normal(size=(60, 2))
    output = SIGMOID if targets.ndim == 1 else {"units": 2, "activation": "sigmoid"}
    for steps in (0, 600):
        findings = diagnose(Trainer(file_run(tmp_path, inputs, targets, output=output)).run(steps))
        assert "constant_labels" in [finding.code for finding in findings]


# Majorities


@pytest.mark.parametrize("distance", [6.0, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_majority_of_95_in_100_is_no_alarm_where_the_rest_is_learned_or_overlaps(tmp_path, distance, seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random(600) < 0.05).astype(int)
    inputs = rng.normal(size=(600, 2)) + distance * labels[:, None] / np.sqrt(2)
    assert alarms(Trainer(file_run(tmp_path, inputs, labels)).run(1500)) == []


def test_a_majority_that_hides_that_nothing_is_learned_is_told(tmp_path):
    rng = np.random.default_rng(0)
    labels = (rng.random(600) < 0.05).astype(int)
    root = alarms(Trainer(file_run(tmp_path, rng.normal(size=(600, 2)), labels, rate=1e-5)).run(1500))[0]
    assert root.cause == "labels"


# First weights and inputs


def test_small_first_weights_are_blamed_for_no_blow_up_and_of_no_network_without_hidden_layers():
    small = {"weights": "normal", "scale": 1e-3, "bias": "zeros"}
    straight = {"data": {"source": "gaussian"}, "layers": [SIGMOID], "init": small, "optimizer": {"learning_rate": 1e-6}}
    codes = [finding.code for finding in diagnose(Trainer(RunConfig.from_dict(straight)).run(600))]
    assert "bad_init_scale" not in codes and codes
    hidden = [{"units": 16, "activation": "relu"}] * 2
    blown = {"data": {"source": "diabetes"}, "layers": [*hidden, {"units": 1, "activation": "linear"}], "init": small, "loss": "mse"}
    trainer = Trainer(RunConfig.from_dict(blown | {"optimizer": {"learning_rate": 30.0}})).run(600)
    findings = diagnose(trainer)
    assert {"nonfinite", "diverged"} & {finding.code for finding in findings} and "bad_init_scale" not in [f.code for f in findings]
    assert findings[0].severity == "critical" and "exploded at step" in findings[0].title


def test_inputs_far_below_one_are_unscaled_too(tmp_path):
    inputs, labels = clouds(2)
    config = file_run(tmp_path, inputs / 1000, labels, rate=1e-4)
    root = alarms(Trainer(config).run(600))[0]
    assert (root.code, root.cause) == ("unscaled_inputs", "data_scaling")
    assert accuracy(Trainer(config.patched(root.fix)).run(600)) > 0.95


def test_certainties_are_notes_on_a_run_that_learns():
    same = {"weights": "constant", "scale": 0.1}
    layers = [{"units": 4, "activation": "tanh"}, SIGMOID]
    config = RunConfig.from_dict({"data": {"source": "gaussian"}, "layers": layers, "init": same, "optimizer": {"learning_rate": 0.1}})
    found = {finding.code: finding.severity for finding in diagnose(Trainer(config).run(1500))}
    assert found == {"symmetric_init": "info"}


def test_data_are_loaded_once_for_all_forms_of_a_fix(tmp_path, monkeypatch):
    inputs, labels = clouds(2)
    config = file_run(tmp_path, 1000 * inputs, labels)
    evidence, loads = Evidence(Trainer(config).run(300)), []
    tried_fix_module = sys.modules["core.diagnosis.tried_fix"]
    monkeypatch.setattr(tried_fix_module, "load", lambda data: loads.append(data) or load(data))
    monkeypatch.setattr(tried_fix_module, "WELL", 10)  # so that all forms are tried
    tried_fix(evidence, {"data": {"scaling": "standard"}}, 64)
    assert len(loads) == 1
    tried_fix(evidence, {"init": {"weights": "he_normal"}}, 64)
    assert len(loads) == 1


def test_first_weights_reach_layers_that_have_an_initialization_of_their_own():
    own = {"units": 8, "activation": "tanh", "init": {"weights": "zeros"}}
    config = RunConfig.from_dict({"data": {"source": "circle"}, "layers": [own, own, SIGMOID], "optimizer": {"learning_rate": 0.1}})
    evidence = Evidence(Trainer(config).run(300))
    fix = fresh_init(evidence)["fix"]
    patched = config.patched(fix)
    assert [layer.init for layer in patched.layers] == [None, None, None] and patched.init.weights == "glorot_uniform"
    assert first_weights(RunConfig().to_dict()["layers"], "zeros").keys() == {"init"}
