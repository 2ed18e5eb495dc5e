"""The preflight: sound set-ups pass, each mistake fails its own check, and the remedy that is given mends it."""

import io
import json

import numpy as np
import pytest

from core.__main__ import main
from core.config import RunConfig
from core.experiments.checks import CHECKS
from core.experiments.preflight import preflight
from core.presets import PRESETS

NAMES = "initial_loss input_scale target_scale uses_input gradients overfits_one_batch shuffled parts_disjoint learning_rate signal_scale"


def layers(activation, *units, output="sigmoid", outputs=1, **more):
    return [*({"units": count, "activation": activation, **more} for count in units), {"units": outputs, "activation": output}]


SOFTMAX = {"layers": layers("relu", 16, output="softmax", outputs=3), "loss": "categorical_cross_entropy"}
SOUND = {
    "a planar source": {"data": {"source": "spiral"}, "layers": layers("tanh", 8, 8)},
    "classes": {"data": {"source": "iris", "scaling": "standard"}} | SOFTMAX,
    "a regression": {
        "data": {"source": "diabetes", "scaling": "standard", "target_scaling": "standard"},
        "layers": layers("relu", 16, output="linear"),
        "loss": "mae",
    },
    "signs": {"data": {"source": "moons"}, "layers": layers("elu", 8, output="linear"), "loss": "hinge"},
    "batch normalization and dropout": {
        "data": {"source": "sine"},
        "layers": layers("relu", 16, output="linear", normalization="batch", dropout=0.1),
        "loss": "mse",
        "dtype": "float32",
    },
    "full batches, Adam": {
        "data": {"source": "moons"},
        "layers": layers("gelu", 8),
        "batch_size": None,
        "optimizer": {"name": "adam", "learning_rate": 0.01},
    },
    "no layer but the output": {"data": {"source": "gaussian"}, "layers": layers("tanh")},
}
# What is wrong -> (the configuration, checks that fail with it, the one whose remedy mends all of them; None: no setting does)
BROKEN = {
    "inputs as they came": (
        {"data": {"source": "wine"}} | SOFTMAX,
        {"initial_loss", "input_scale", "learning_rate", "signal_scale"},
        "input_scale",
    ),
    "one column far larger": (
        {"data": {"source": "digits"}, "layers": layers("sigmoid", 16, outputs=10), "loss": "mse"},
        {"input_scale"},
        "input_scale",
    ),
    "targets as they came": (
        {"data": {"source": "diabetes", "scaling": "standard"}, "layers": layers("relu", 16, output="linear"), "loss": "mse"},
        {"target_scale", "learning_rate"},
        "target_scale",
    ),
    "targets out of reach": (
        {"data": {"source": "hills"}, "layers": layers("tanh", 16, output="relu"), "loss": "mse"},
        {"initial_loss", "target_scale", "overfits_one_batch"},
        "target_scale",
    ),
    "a loss for values on classes": (
        {"data": {"source": "moons"}, "layers": layers("tanh", 8, output="softmax")},
        {"initial_loss", "target_scale", "uses_input", "gradients"},
        "initial_loss",
    ),
    "weights of zero": (
        {"data": {"source": "circle"}, "layers": layers("tanh", 8), "init": {"weights": "zeros"}},
        {"uses_input", "overfits_one_batch", "signal_scale"},
        "signal_scale",
    ),
    "weights of size one": (
        {"data": {"source": "breast_cancer", "scaling": "standard"}, "layers": layers("relu", 64, 64), "init": {"weights": "normal"}},
        {"initial_loss", "learning_rate"},
        "initial_loss",
    ),
    "a straight line for a cross": (
        {"data": {"source": "xor"}, "layers": layers("tanh")},
        {"uses_input", "overfits_one_batch"},
        "uses_input",
    ),
    "sigmoids eight deep": (
        {"data": {"source": "circle"}, "layers": layers("sigmoid", *[8] * 7)},
        {"signal_scale"},
        "signal_scale",
    ),
    "steps too long": (
        {"data": {"source": "hills"}, "layers": layers("tanh", 8, 8, output="linear"), "loss": "mse", "optimizer": {"learning_rate": 1.0}},
        {"learning_rate"},
        "learning_rate",
    ),
    "steps too short": (
        {"data": {"source": "moons"}, "layers": layers("tanh", 8), "optimizer": {"learning_rate": 1e-7}},
        {"learning_rate"},
        "learning_rate",
    ),
    "not shuffled": ({"data": {"source": "moons"}, "layers": layers("tanh", 8), "shuffle": False}, {"shuffled"}, "shuffled"),
    "a wrong gradient": (
        {"data": {"source": "moons"}, "layers": layers("tanh", 8, 8), "faults": ["no_hidden_derivative"]},
        {"gradients"},
        "gradients",
    ),
    "biases not updated": (
        {"data": {"source": "moons"}, "layers": layers("tanh", 8), "faults": ["frozen_bias"]},
        {"gradients"},
        "gradients",
    ),
}


def failed(config):
    return {result.name: result for result in preflight(config) if result.passed is False}


@pytest.mark.parametrize("config", SOUND.values(), ids=SOUND)
def test_sound_set_ups_pass(config):
    results = list(preflight(RunConfig.from_dict(config)))
    assert [result.name for result in results] == NAMES.split() == list(CHECKS)
    assert {result.name: result.text for result in results if result.passed is not True} == {}
    assert all(result.value is not None and result.expected is not None and result.advice is None for result in results)


@pytest.mark.parametrize(("config", "fails", "mends"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_fails_its_checks_and_the_remedy_mends_it(config, fails, mends):
    config = RunConfig.from_dict(config)
    found = failed(config)
    assert set(found) == fails
    assert all(result.text.endswith(".") and result.advice for result in found.values())
    assert mends not in failed(config.patched(found[mends].fix))


def test_rows_in_both_parts_sorted_rows_and_targets_without_inputs_are_told(tmp_path):
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(300, 2)), rng.integers(2, size=300)
    order = np.argsort(labels, kind="stable")
    for name, X, y in (("twice", np.tile(inputs, (2, 1)), np.tile(labels, 2)), ("sorted", inputs[order], labels[order])):
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)

    def of(name, **data):
        source = {"source": "file", "path": str(tmp_path / f"{name}.npz"), **data}
        return failed(RunConfig.from_dict({"data": source, "layers": layers("tanh", 2)}))

    assert of("twice")["parts_disjoint"].value > 0.3
    assert "shuffled" not in of("sorted")
    sorted_classes = RunConfig.from_dict({"data": {"source": "moons"}, "layers": layers("tanh", 8), "faults": ["unshuffled_classes"]})
    assert failed(sorted_classes)["shuffled"].value > 4


def test_constant_targets_and_what_cannot_be_checked_are_said(tmp_path):
    np.savez(tmp_path / "same.npz", X=np.random.default_rng(0).normal(size=(40, 3)), y=np.ones(40))
    data = {"source": "file", "path": str(tmp_path / "same.npz"), "task": "regression", "test_fraction": 0.0}
    results = {
        result.name: result for result in preflight(RunConfig.from_dict({"data": data, "layers": layers("tanh", 4, output="linear")}))
    }
    assert results["initial_loss"].passed is False and "nothing to learn" in results["initial_loss"].text
    assert {name for name, result in results.items() if result.passed is None} == {"uses_input", "overfits_one_batch", "parts_disjoint"}


def test_the_same_configuration_gives_the_same_results_and_can_be_cancelled():
    config = PRESETS["dying"].config
    assert list(preflight(config)) == list(preflight(config))

    class Cancelled(Exception):
        pass

    def between():
        raise Cancelled

    with pytest.raises(Cancelled):
        list(preflight(config, between=between))


@pytest.fixture
def command(monkeypatch, capsys):
    """(exit status, standard output, standard error) of `preflight - ...` on these bytes."""

    def run(raw, *options):
        stdin = io.TextIOWrapper(io.BytesIO(raw))
        monkeypatch.setattr("core.command_line.opened", lambda name: stdin.buffer)
        status = main(["preflight", "-", *options])
        return status, *capsys.readouterr()

    return run


def test_the_command_prints_strict_json_or_lines(command):
    status, out, err = command(b'{"data": {"source": "hills"}, "optimizer": {"learning_rate": 1e5}}', "--json")
    answer = json.loads(out, parse_constant=pytest.fail)
    assert (status, err) == (0, "") and [check["name"] for check in answer["checks"]] == NAMES.split()
    assert all({"name", "passed", "value", "expected", "text"} <= set(check) for check in answer["checks"])
    status, out, err = command(b"{}")
    assert status == 0 and out.count("\n") == len(CHECKS) and out.startswith("ok ")


@pytest.mark.parametrize(
    ("raw", "field"),
    [(b"{", "configuration"), (b'{"loss": "mist"}', "loss"), (b"[" * 99999, "configuration"), (b'{"faults": ["x"]}', "faults")],
)
def test_a_bad_configuration_is_refused_in_one_sentence(command, raw, field):
    status, out, err = command(raw, "--json")
    assert status == 2 and json.loads(out)["error"]["field"] == field and err.count("\n") == 1
