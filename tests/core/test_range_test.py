"""The range test: it leaves the run alone, agrees with theory where theory is exact, and its suggestion trains."""

import json
import math

import numpy as np
import pytest

from core.__main__ import main
from core.config import RunConfig
from core.data import load
from core.experiments.range_test import range_test
from core.presets import PRESETS
from core.training.trainer import Trainer


def linear(folder, optimizer="sgd", scale=1.0):
    """A linear regression: its loss is a quadratic, whose curvature has a closed form."""
    rng = np.random.default_rng(0)
    inputs = scale * rng.normal(size=(200, 3)) * [1, 2, 0.5]
    np.savez(folder / "data.npz", X=inputs, y=inputs @ [1.0, -2.0, 0.5] / scale + rng.normal(size=200))
    data = {"source": "file", "path": str(folder / "data.npz"), "task": "regression", "test_fraction": 0.0}
    return RunConfig.from_dict(
        {"data": data, "layers": [{"units": 1, "activation": "linear"}], "optimizer": {"name": optimizer}, "batch_size": None}
    )


@pytest.mark.parametrize(("optimizer", "stability"), [("sgd", 2), ("momentum", 2 * 1.9), ("nesterov", 3.8 / 2.8)])
@pytest.mark.parametrize("scale", [1, 30])
def test_on_a_quadratic_theory_and_test_agree(tmp_path, optimizer, stability, scale):
    config = linear(tmp_path, optimizer, scale)
    found = range_test(config)
    inputs = np.column_stack([load(config.data).train.inputs, np.ones(200)])
    limit = stability / np.linalg.eigvalsh(2 * inputs.T @ inputs / 200).max()
    assert found.stability_limit == pytest.approx(limit, rel=1e-3)
    assert limit < found.diverged_at < 2.1 * limit  # what has died away needs some updates to come back
    assert np.allclose(np.diff(np.log(found.rates)), math.log(found.rates[1] / found.rates[0]))
    assert len(found.losses) == len(found.rates) and 0 < found.suggested <= found.stability_limit
    assert Trainer(config.patched({"optimizer": {"learning_rate": found.suggested}})).run(300).loss() < found.losses[0]


def test_the_first_losses_are_the_trainers_own(tmp_path):
    config = linear(tmp_path)
    found = range_test(config)
    trainer = Trainer(config.patched({"optimizer": {"learning_rate": float(found.rates[0])}})).advance(1)
    assert found.losses[0] == pytest.approx(trainer.loss(), rel=1e-9)
    trainer.change({"optimizer": {"learning_rate": float(found.rates[1])}})
    assert found.losses[1] == pytest.approx(trainer.advance(1).loss(), rel=1e-9)


@pytest.mark.parametrize("name", ["spiral", "explosion", "divergence", "dying", "features"])
def test_its_suggestion_trains(name):
    config = PRESETS[name].config
    found = range_test(config)
    assert found.suggested < found.stability_limit and found.diverged_at
    trainer = Trainer(config.patched({"optimizer": {"learning_rate": found.suggested}}))
    before = trainer.loss()
    assert trainer.run(1000).loss() < 0.95 * before


def test_adaptive_optimizers_other_losses_and_runs_that_cannot_learn():
    layers = [{"units": 8, "activation": "relu", "normalization": "batch", "dropout": 0.1}, {"units": 1, "activation": "linear"}]
    found = range_test(
        RunConfig.from_dict(
            {"data": {"source": "sine"}, "layers": layers, "loss": "huber", "optimizer": {"name": "adam"}, "dtype": "float32"}
        )
    )
    assert found.suggested and np.isfinite(found.losses[0])
    still = range_test(RunConfig.from_dict({"data": {"source": "circle"}, "init": {"weights": "zeros"}}))
    assert still.suggested is None and still.text.endswith(".")


def test_the_command_prints_strict_json(tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text('{"data": {"source": "hills"}, "optimizer": {"schedule": {"name": "cosine"}}}')
    assert main(["range", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert {"rates", "losses", "suggested", "stability_limit", "diverged_at"} <= set(answer)
    assert len(answer["rates"]) == len(answer["losses"]) > 100
    assert main(["range", str(path)]) == 0 and "Suggested" in capsys.readouterr().out
    path.write_text('{"optimizer": {"learning_rate": 0}}')
    assert main(["range", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "optimizer.learning_rate"
