"""The preflight of a watched program: passed, failed, or not known, from what its probe has told."""

import json

import numpy as np
import pytest

from core import watch
from core.watch.preflight import CHECKS
from tests.watched import descent_probe, perceptron, told, watched


def checks(run):
    return watch.examine(run).checks


def passed(run):
    return {check.name: check.passed for check in checks(run)}


def test_a_right_program_passes_all_checks_that_its_probe_tells_enough_for(tmp_path):
    report, run = told(perceptron, tmp_path / "run.probe", steps=40, say=True)
    assert list(passed(run)) == list(CHECKS) and json.dumps(report, allow_nan=False)
    assert passed(run) == dict.fromkeys(CHECKS, True)
    assert "ok     Gradients are right." in watch.told(run, watch.examine(run))


def test_what_was_not_told_is_not_known(tmp_path):
    _, run = told(perceptron, tmp_path / "run.probe", steps=40, tell=(), gradients=False)
    unknown = {name for name, state in passed(run).items() if state is None}
    assert unknown >= {"initial_loss", "input_scale", "target_scale", "outputs", "gradients", "gradient_scale"}
    assert all(check.text.endswith(".") for check in checks(run))


def tell(probe, **others):
    """Five steps of a program that is as it should be but for `others`."""
    rng = np.random.default_rng(0)
    X, W, V = rng.normal(size=(20, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 1))
    for _ in range(5):
        grads = {"W": rng.normal(size=W.shape), "V": rng.normal(size=V.shape)}
        about = {"X": X, "Y": X[:, :1], "outputs": X @ W @ V, "loss": 1.0, "loss_name": "mse", "grads": grads} | others
        probe.step(params={"W": W, "V": V}, **about)
        W, V = W - 1e-3 * about["grads"]["W"], V - 1e-3 * about["grads"]["V"]


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({"loss": 1e4}, "initial_loss"),
        ({"loss": float("nan")}, "initial_loss"),
        ({"X": np.full((20, 3), 200.0)}, "input_scale"),
        ({"X": np.full((20, 3), np.nan)}, "input_scale"),
        ({"Y": np.linspace(0, 5000, 20)[:, None]}, "target_scale"),
        ({"outputs": np.ones((20, 1))}, "outputs"),
        ({"outputs": np.full((20, 1), np.inf)}, "outputs"),
        ({"grads": {"W": np.full((3, 4), 1e-5), "V": np.ones((4, 1))}}, "gradient_scale"),
        ({"grads": {"W": np.zeros((3, 4)), "V": np.ones((4, 1))}}, "gradient_scale"),
        ({"grads": {"W": np.full((3, 4), 900.0), "V": np.full((4, 1), 900.0)}}, "update_ratio"),
        ({"grads": {"W": np.full((3, 4), 1e-6), "V": np.full((4, 1), 1e-6)}}, "update_ratio"),
    ],
)
def test_each_check_fails_where_something_is_wrong(tmp_path, others, name):
    _, right = told(tell, tmp_path / "right.probe")
    assert passed(right)[name] is True
    _, wrong = told(tell, tmp_path / "wrong.probe", **others)
    assert passed(wrong)[name] is False


@pytest.mark.parametrize("factor", [1, 20])
def test_a_check_of_the_gradients_is_told(tmp_path, factor, capsys):
    def program(probe):
        x, params = np.random.default_rng(0).normal(size=(20, 3)), {"W": np.ones((3, 1))}
        grads = {"W": factor * 2 * x.T @ (x @ params["W"]) / 20}
        probe.check(lambda: np.mean((x @ params["W"]) ** 2), params, grads)
        probe.step(loss=1.0, params=params, grads=grads)

    run = watched(program, tmp_path / "run.probe")
    (check,) = (check for check in watch.examine(run).checks if check.name == "gradients")
    assert check.passed is (factor == 1) and "relative error" in check.text and capsys.readouterr().out
    assert descent_probe.WRONG == 1e-4
