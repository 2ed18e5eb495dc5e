"""What is said of watched programs: nothing of right ones, and of wrong ones the mistake, the tensor and the step."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from core import watch
from core.config import RunConfig
from core.limits import ConfigError
from core.training.trainer import Trainer
from core.watch.rebuilt import rebuilt
from core.watch.twin import find_twin
from tests.watched import PROBE, descent_probe, perceptron, told, watched

ROOT = PROBE.parents[1]
EXAMPLES = ROOT / "examples"
CLASSES = {"task": "classes", "sizes": (4, 10, 3)}
RIGHT = {
    "plain": {},
    "after the update": {"after": True},
    "adam": {"optimizer": "adam", "rate": 0.01},
    "adam, after": {"optimizer": "adam", "rate": 0.01, "after": True},
    "momentum": {"optimizer": "momentum", "rate": 0.02},
    "nesterov, one sample a column": {"optimizer": "nesterov", "rate": 0.02, "features_first": True},
    "weight decay": {"optimizer": "weight decay"},
    "rmsprop in pairs": {"optimizer": "rmsprop", "rate": 0.005, "form": "pairs"},
    "adagrad, float32": {"optimizer": "adagrad", "rate": 0.05, "dtype": np.float32},
    "float32 classes": {"dtype": np.float32, "hidden": "relu", **CLASSES},
    "a flat list": {"form": "flat"},
    "weights, then biases": {"form": "weights first"},
    "layer objects": {"form": "objects"},
    "no biases": {"biases": False},
    "class numbers": {"labels": "numbers", **CLASSES},
    "regression": {"task": "regression", "sizes": (3, 16, 16, 2), "hidden": "relu", "rate": 0.05},
    "square": {"sizes": (5, 5, 5), "task": "classes"},
    "L2 that was not told": {"decay": 0.01},
    "clipped": {"clip": 0.05},
    "dropout": {"dropout": 0.3, "sizes": (2, 16, 1)},
    "a schedule": {"schedule": lambda step: min(1, step / 10)},
    "a summed loss": {"summed": True, "rate": 0.002},
    "no outputs, full batch": {"tell": ("X", "Y", "learning_rate"), "batch": None},
    "the loss and the tensors only": {"tell": ()},
    "no gradients": {"gradients": False},
    "no gradients, Adam": {"gradients": False, "optimizer": "adam", "rate": 0.01},
    "deep and slow": {"sizes": (2, 8, 8, 8, 1), "hidden": "sigmoid"},
    "names told": {"say": True, "hidden": "leaky_relu"},
    "logistic regression": {"sizes": (4, 1)},
}
WRONG = {
    "no_slope": ({}, "gradient_fault", "W1", "no_hidden_derivative"),
    "sign": ({"features_first": True}, "gradient_fault", "W1", "sign_flip"),
    "missing_mean": ({"optimizer": "adam", "rate": 0.01}, "gradient_fault", "W1", "missing_mean"),
    "scalar_bias": (CLASSES, "gradient_shape_broadcasts", "b1", "bias_gradient_summed_over_units"),
    "stale": ({"after": True}, "stale_gradients", "W2", "stale_gradients"),
    "added_update": ({"dtype": np.float32}, "update_fault", "W2", "added_update"),
    "frozen_bias": ({}, "weights_not_updated", "b1", "frozen_bias"),
    "not_updated": ({"after": True}, "weights_not_updated", "W1", None),
    "symmetric": ({}, "symmetric_init", "W1", None),
    "softmax_over_samples": (CLASSES, "softmax_over_samples", "W2", None),
}


@pytest.mark.parametrize("settings", RIGHT.values(), ids=RIGHT)
def test_right_programs_are_left_in_peace(settings, tmp_path):
    report, run = told(perceptron, tmp_path / "run.probe", steps=120, **settings)
    assert report["findings"] == [] and report["twin"] is None and report["status"] == "healthy"
    assert (report["doctor"] or {"verdict": "correct"})["verdict"] == "correct"
    assert run.steps == 120 and report["loss"]["initial"] > report["loss"]["final"]


@pytest.mark.parametrize("bug", WRONG)
def test_wrong_programs_are_told_by_tensor_and_name(bug, tmp_path):
    settings, code, tensor, fault = WRONG[bug]
    report, _ = told(perceptron, tmp_path / "run.probe", steps=120, bug=bug, **settings)
    found = {finding["code"]: finding for finding in report["findings"]}
    assert found[code]["tensor"] == tensor and found[code]["severity"] == "critical"
    assert (report["twin"] and report["twin"]["fault"]) == fault
    if fault:
        assert report["twin"]["step"] == (2 if settings.get("after") or bug == "stale" else 1)
        assert report["twin"]["tensor"] in report["twin"]["text"] and "Read as" not in report["twin"]["text"]


STARTS = ("plain", "after the update", "adam", "weight decay", "nesterov, one sample a column", "L2 that was not told", "no gradients")


@pytest.mark.parametrize("name", STARTS)
def test_a_right_program_is_right_from_any_step(name, tmp_path):
    run = watched(perceptron, tmp_path / "run.probe", steps=8, **RIGHT[name])
    twin = find_twin(run, 5)
    assert twin.fault is None and twin.start == 5 and "started from the weights of step 5" in twin.text
    assert len(twin.steps) == twin.compared or "no further than its first step" in twin.text
    np.testing.assert_allclose(twin.yours, twin.twins, rtol=0.02)  # without the penalty that was not told


@pytest.mark.parametrize(("bug", "step"), [("sign", 5), ("scalar_bias", 5), ("stale", 6), ("added_update", 5), ("frozen_bias", 5)])
def test_the_twin_starts_from_any_step_that_was_kept(bug, step, tmp_path):
    settings, _, _, fault = WRONG[bug]
    run = watched(perceptron, tmp_path / "run.probe", steps=8, bug=bug, **settings)
    examined = watch.examine(run, start=5)
    assert (examined.twin.fault, examined.twin.step, examined.twin.steps[0]) == (fault, step, step if bug == "stale" else 5)
    assert "step 5" in watch.report(run, examined)["twin"]["text"]
    with pytest.raises(ConfigError, match="kept whole"):
        watch.examine(run, start=9)


@pytest.mark.parametrize("features_first", [False, True])
def test_lines_say_how_their_samples_lie_where_yours_lie_otherwise(features_first, tmp_path):
    run = watched(perceptron, tmp_path / "run.probe", bug="scalar_bias", features_first=features_first, **CLASSES)
    advice = next(finding.advice for finding in watch.examine(run).findings if "axis=1" in finding.advice)
    assert ("yours are rows" in advice) != features_first


def test_the_twin_of_a_right_program_has_its_losses(tmp_path):
    run = watched(perceptron, tmp_path / "run.probe", optimizer="momentum", rate=0.02, sizes=(2, 6, 1))
    twin = watch.examine(run).twin
    assert twin.rule == "momentum" and twin.perceptron.plan.sizes == (2, 6, 1) and len(twin.steps) >= 4
    np.testing.assert_allclose(twin.yours, twin.twins, rtol=1e-6)


def test_the_twin_of_a_wrong_one_goes_its_own_way(tmp_path):
    run = watched(perceptron, tmp_path / "run.probe", rate=1.0, bug="sign", batch=None)
    twin = watch.examine(run).twin
    assert twin.yours[0] == pytest.approx(twin.twins[0]) and twin.twins[-1] < twin.yours[-1] * 0.999


# Programs of which only numbers are known


def _batch_norm(probe, steps=120):
    """Batch norm with its own scale and shift, and a frozen running mean among the parameters."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 3))
    y = np.sin(X[:, :1])
    P = {"W1": rng.normal(size=(3, 12)), "gamma": np.ones(12), "beta": np.zeros(12), "W2": rng.normal(size=(12, 1)), "b2": np.zeros(1)}
    for _ in range(steps):
        z = X @ P["W1"]
        deviation = np.sqrt(z.var(axis=0) + 1e-5)
        n = (z - z.mean(axis=0)) / deviation
        h = np.maximum(n * P["gamma"] + P["beta"], 0)
        out = h @ P["W2"] + P["b2"]
        d = 2 * (out - y) / len(X)
        G = {"W2": h.T @ d, "b2": d.sum(axis=0)}
        dn = (d @ P["W2"].T) * (h > 0)
        G |= {"gamma": (dn * n).sum(axis=0), "beta": dn.sum(axis=0)}
        dn = dn * P["gamma"]
        G["W1"] = X.T @ ((dn - dn.mean(axis=0) - n * (dn * n).mean(axis=0)) / deviation)
        probe.step(loss=((out - y) ** 2).mean(), params=P, grads=G, X=X, Y=y, outputs=out, learning_rate=0.05)
        for name in P:
            P[name] -= 0.05 * G[name]


def _convolution(probe, steps=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 16))
    y = (X[:, 3:8].sum(axis=1, keepdims=True) > 0).astype(float)
    K, W, b = rng.normal(size=(4, 1, 5)) * 0.4, rng.normal(size=(48, 1)) * 0.1, np.zeros(1)
    windows = np.lib.stride_tricks.sliding_window_view(X, 5, axis=1)
    for _ in range(steps):
        maps = np.tanh(np.einsum("mtk,cok->mct", windows, K)).reshape(40, 48)
        p = 1 / (1 + np.exp(-(maps @ W + b)))
        d = (p - y) / 40
        back = ((d @ W.T) * (1 - maps**2)).reshape(40, 4, 12)
        grads = [np.einsum("mct,mtk->ck", back, windows)[:, None], maps.T @ d, d.sum(axis=0)]
        loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        probe.step(loss=loss, params=[K, W, b], grads=grads, X=X, Y=y, outputs=p, loss_name="bce")
        for array, gradient in zip((K, W, b), grads):
            array -= 0.5 * gradient


@pytest.mark.parametrize("program", [_batch_norm, _convolution])
def test_other_networks_are_left_in_peace_and_have_no_twin(program, tmp_path):
    report, run = told(program, tmp_path / "run.probe")
    assert (report["findings"], report["twin"], report["doctor"]) == ([], None, None) and len(run.norm_steps) > 2


def _numbers(probe, losses, W, gradient):
    """A program of which the numbers are made up."""
    for step, loss in enumerate(losses, 1):
        params = {"encoder.W": W(step), "head.W": SOME * (1 + step / 1e6)}
        probe.step(loss=loss, params=params, grads={"encoder.W": gradient(step), "head.W": SOME})


SOME = np.random.default_rng(0).normal(size=(3, 3))
NUMBERS = {
    "nonfinite": (
        "encoder.W",
        {"losses": [1.0] * 5 + [np.nan] * 5, "W": lambda s: SOME * s, "gradient": lambda s: SOME * (1 if s < 6 else np.nan)},
    ),
    "diverged": (None, {"losses": [1.0 * 1.2**s for s in range(100)], "W": lambda s: SOME * s, "gradient": lambda s: SOME}),
    "exploding_gradients": (
        "encoder.W",
        {"losses": [1.005**s for s in range(3000)], "W": lambda s: SOME * (1 + s / 1000), "gradient": lambda s: SOME * 1.01**s},
    ),
    "plateau": (None, {"losses": [0.7] * 600, "W": lambda s: SOME * s, "gradient": lambda s: SOME}),
    "oscillation": (None, {"losses": [1.0, 4.0] * 40, "W": lambda s: SOME * s, "gradient": lambda s: SOME}),
    "vanishing_gradients": ("encoder.W", {"losses": [0.7] * 60, "W": lambda s: SOME + s * 1e-9, "gradient": lambda s: SOME * 1e-9}),
    "dead_units": ("encoder.W", {"losses": [0.7] * 60, "W": lambda s: SOME, "gradient": lambda s: SOME * (s < 4)}),
    "update_too_large": ("encoder.W", {"losses": [0.7] * 60, "W": lambda s: SOME * 1.5**s, "gradient": lambda s: SOME}),
}  # fmt: skip


@pytest.mark.parametrize("code", NUMBERS)
def test_trouble_that_numbers_alone_show(code, tmp_path):
    tensor, numbers = NUMBERS[code]
    report, _ = told(_numbers, tmp_path / "run.probe", **numbers)
    found = {finding["code"]: finding for finding in report["findings"]}
    assert code in found and found[code]["tensor"] == tensor
    assert report["status"] == {"nonfinite": "nonfinite", "diverged": "diverged", "exploding_gradients": "diverged"}.get(code, "warning")
    if code == "nonfinite":
        assert found[code]["step"] == 6 and "gradient of encoder.W" in found[code]["title"]


# The command line and the examples

SAID = {
    "numpy_functions": ("gradient_fault", "no_hidden_derivative"),
    "layer_classes": (None, None),
    "features_first": ("gradient_shape_broadcasts", "bias_gradient_summed_over_units"),
    "minibatch_adam": (None, None),
    "recurrent": (None, None),
    "sklearn_partial_fit": (None, None),
}


@pytest.mark.parametrize("script", SAID)
def test_examples(script, tmp_path):
    """Each runs as it is, without a server, and what is said of it is what its first line says."""
    copy = tmp_path / f"{script}.py"
    copy.write_text((EXAMPLES / copy.name).read_text().replace(f'Probe("{script}")', f'Probe("{script}", url="http://127.0.0.1:9")'))
    done = subprocess.run(
        [sys.executable, copy], env=os.environ | {"PYTHONPATH": str(PROBE.parent)}, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert done.returncode == 0 and "no answer from http://127.0.0.1:9" in done.stderr
    report = watch.report(watch.read((tmp_path / f"{script}.probe").read_bytes()))
    code, fault = SAID[script]
    assert (report["twin"] and report["twin"]["fault"]) == fault
    assert (code is None and report["findings"] == []) or code in [finding["code"] for finding in report["findings"]]


def test_every_example_is_described():
    text = (EXAMPLES / "README.md").read_text()
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(name for name in os.listdir(EXAMPLES) if f"`{name}`" in text)


def test_command_line(tmp_path, capsys):
    from core.__main__ import main

    watched(perceptron, tmp_path / "run.probe", name="mine", bug="sign")
    assert main(["watch", str(tmp_path / "run.probe"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["name", "steps", "status", "loss", "findings", "doctor", "twin"]
    assert report["name"] == "mine" and report["twin"] == {**report["twin"], "step": 1, "tensor": "W1", "fault": "sign_flip"}
    assert {"code", "severity", "step", "layer", "tensor", "cause", "title", "advice"} <= set(report["findings"][0])
    assert main(["watch", str(tmp_path / "run.probe")]) == 0 and "parts from a right copy" in capsys.readouterr().out
    Path(tmp_path / "other").write_bytes(b"\x80\x04pickle")
    assert main(["watch", str(tmp_path / "other"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "probe"


def test_a_loss_only(tmp_path):
    def program(probe):
        for step in range(50):
            probe.step(loss=1 / (step + 1), test_loss=2 / (step + 1) if step % 10 == 9 else None)

    report, run = told(program, tmp_path / "run.probe")
    assert report["loss"] == {"initial": 1.0, "final": 0.02, "best": 0.02, "test": 0.04} and report["status"] == "healthy"
    assert run.names == () and report["twin"] is None


def _line(probe, gradient=lambda p, y: p - y):
    """Linear regression with numbers as parameters."""
    x, w, b = np.linspace(-1, 1, 40), 0.0, 0.0
    y = 3 * x + 1
    for _ in range(40):
        p = w * x + b
        error = 2 * gradient(p, y)
        grads = {"w": (error * x).mean(), "b": error.mean()}
        probe.step(((p - y) ** 2).mean(), {"w": w, "b": b}, grads, x, y, p, learning_rate=0.1)
        w, b = w - 0.1 * grads["w"], b - 0.1 * grads["b"]


def test_numbers_as_parameters_have_a_twin(tmp_path):
    report, run = told(_line, tmp_path / "right.probe")
    twin = find_twin(run)
    assert not report["findings"] and twin.fault is None and twin.rule == "sgd" and twin.compared > 3
    report, _ = told(lambda probe: _line(probe, lambda p, y: y - p), tmp_path / "wrong.probe")
    assert report["twin"]["fault"] == "sign_flip" and report["twin"]["step"] == 1


class _Network:
    """One object that holds all of its arrays in lists, as many are written."""

    def __init__(self):
        rng = np.random.default_rng(6)
        self.params = [rng.normal(0, 0.5, (3, 10)), np.zeros(10), rng.normal(0, 0.3, (10, 1)), np.zeros(1)]
        self.grads = None


def _lists_in_an_object(probe):
    rng, net = np.random.default_rng(7), _Network()
    X = rng.normal(size=(60, 3))
    Y = np.sin(X.sum(axis=1, keepdims=True))
    for _ in range(40):
        hidden = np.tanh(X @ net.params[0] + net.params[1])
        outputs = hidden @ net.params[2] + net.params[3]
        delta = 2 * (outputs - Y) / len(X)
        back = delta @ net.params[2].T * (1 - hidden**2)
        net.grads = [X.T @ back, back.sum(axis=0), hidden.T @ delta, delta.sum(axis=0)]
        probe.step(((outputs - Y) ** 2).mean(), net, X=X, Y=Y, outputs=outputs, learning_rate=0.1)
        for parameter, gradient in zip(net.params, net.grads):
            parameter -= 0.1 * gradient


def test_lists_in_one_object_get_the_usual_names(tmp_path):
    report, run = told(_lists_in_an_object, tmp_path / "run.probe")
    assert run.names == ("W1", "b1", "W2", "b2") and not report["findings"]
    assert find_twin(run).fault is None


def test_a_loss_that_is_nan_from_the_first_step_is_told(tmp_path):
    def program(probe):
        W = np.ones((3, 1))
        for _ in range(5):
            probe.step(loss=np.float64(np.nan), params={"W": W}, grads={"W": 0.1 * W})
            W = 0.9 * W

    report, _ = told(program, tmp_path / "run.probe")
    finding = report["findings"][0]
    assert (finding["code"], finding["step"]) == ("nonfinite", 1) and "the loss is not finite" in finding["title"]


def test_scalars_are_thinned_with_their_peaks(tmp_path):
    def program(probe):
        for step in range(30_000):
            probe.step(loss=5000.0 if step == 12_345 else 1.0)

    run = watched(program, tmp_path / "run.probe")
    assert run.steps == 30_000 and len(run.scalars) <= watch.history.SCALARS and 5000.0 in run.scalars[:, 1]


def test_what_comes_while_a_batch_is_on_its_way_is_sent_before_the_end(tmp_path, monkeypatch):
    entered, go, send = threading.Event(), threading.Event(), descent_probe._Sink.send

    def slow(sink, records):
        entered.set()
        go.wait(10)
        send(sink, records)

    monkeypatch.setattr(descent_probe._Sink, "send", slow)
    probe = descent_probe.Probe("test", file=tmp_path / "run.probe")
    probe.step(loss=1.0)
    assert entered.wait(10)
    probe.step(loss=2.0)
    ending = threading.Thread(target=probe.close)
    ending.start()
    ending.join(0.3)  # it waits for the batch
    go.set()
    ending.join(10)
    assert watch.read((tmp_path / "run.probe").read_bytes()).steps == 2


@pytest.mark.parametrize("name", ["no outputs, full batch", "class numbers", "no biases", "regression", "nesterov, one sample a column"])
def test_a_watched_perceptron_is_rebuilt_with_its_rows_and_weights(name, tmp_path):
    run = watched(perceptron, tmp_path / "run.probe", steps=8, **{**RIGHT[name], "batch": None})
    made = rebuilt(run, find_twin(run, 3))
    (tmp_path / "rows.npz").write_bytes(made.table)
    config = RunConfig.from_dict({**made.config, "data": {**made.config["data"], "path": str(tmp_path / "rows.npz")}})
    trainer = Trainer(config)
    trainer.load_parameters(made.parameters)
    assert trainer.loss() == pytest.approx(run.whole[3].loss, rel=1e-6)
    trainer.run(1)
