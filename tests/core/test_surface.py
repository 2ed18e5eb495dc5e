"""The loss surface: a slice whose middle is the run's loss, along directions that are what they are called, with the run's way on it."""

import dataclasses
import json

import numpy as np
import pytest

from core.__main__ import main
from core.config import RunConfig
from core.experiments import surface
from core.experiments.surface import RANDOM, SHARPEST, UPDATE, SurfaceTask, loss_surface
from core.limits import ConfigError
from core.presets import PRESETS
from core.training.recorder import FlightRecorder
from core.training.trainer import Trainer
from tests.core.test_range_test import linear


def task(config, updates=60, pieces=6, random=False):
    """(Trainer, SurfaceTask) of a run that was recorded on its way."""
    trainer = Trainer(config)
    recorder = FlightRecorder(trainer)
    for _ in range(pieces):
        trainer.advance(updates // pieces)
        recorder.record()
    return trainer, SurfaceTask.of(trainer, recorder, random)


def middle(found):
    """(row, column) of the parameters as they stand."""
    (row,), (column,) = np.flatnonzero(found.ys == 0), np.flatnonzero(found.xs == 0)
    return row, column


def second_difference(places, losses, at):
    """The second derivative at an index of a parabola through it and its neighbours."""
    return 2 * np.polyfit(places[at - 1 : at + 2], losses[at - 1 : at + 2], 2)[0]


def test_on_a_quadratic_the_sharpest_direction_curves_as_the_largest_eigenvalue(tmp_path):
    config = linear(tmp_path).patched({"optimizer": {"learning_rate": 0.02}, "penalty": {"l2": 0.01}})
    trainer, asked = task(config)
    found = loss_surface(asked)
    inputs = np.column_stack([trainer.dataset.train.inputs, np.ones(200)])
    hessian = 2 * inputs.T @ inputs / 200 + np.diag([0.02, 0.02, 0.02, 0])
    row, column = middle(found)
    assert found.names == (UPDATE, SHARPEST) and found.samples == found.of == 200
    assert found.losses[row, column] == pytest.approx(trainer.loss()) and found.loss == pytest.approx(trainer.loss())
    largest = np.linalg.eigvalsh(hessian)[-1]
    assert found.curvatures[1] == pytest.approx(largest) == second_difference(found.ys, found.losses[:, column], row)
    assert found.curvatures[0] == pytest.approx(second_difference(found.xs, found.losses[row], column), rel=1e-5)


@pytest.mark.parametrize("random", [False, True])
def test_directions_are_orthonormal_and_the_way_lies_in_the_slice(tmp_path, random):
    """Of two parameters the slice holds all: distances on it are those of the parameters, and its losses the parabola that is known."""
    inputs = np.random.default_rng(0).normal(size=(60, 2)) * [1, 3]
    np.savez(tmp_path / "data.npz", X=inputs, y=inputs @ [1.0, -1.0])
    data = {"source": "file", "path": str(tmp_path / "data.npz"), "task": "regression", "test_fraction": 0.0}
    layers = [{"units": 1, "activation": "linear", "bias": False}]
    trainer, asked = task(RunConfig.from_dict({"data": data, "layers": layers, "optimizer": {"learning_rate": 0.003}}), random=random)
    found = loss_surface(asked)
    assert found.names == ((RANDOM, RANDOM) if random else (UPDATE, SHARPEST))
    assert found.path_steps.tolist() == [0, 10, 20, 30, 40, 50, 60] and found.path_share == pytest.approx(1)
    way = np.linalg.norm(asked.vectors - asked.vectors[-1], axis=1)
    np.testing.assert_allclose(np.linalg.norm(found.path, axis=1), way, atol=1e-12)
    assert found.xs[0] <= found.path[:, 0].min() <= 0 and found.ys[0] <= found.path[:, 1].min()
    if not random:  # sharpest and flattest direction: no mixed derivative
        (row, column), (dx, dy) = middle(found), np.meshgrid(found.xs, found.ys)
        slopes = [np.polyfit(axis, line, 2)[1] for axis, line in ((found.xs, found.losses[row]), (found.ys, found.losses[:, column]))]
        parabola = found.loss + slopes[0] * dx + slopes[1] * dy + (found.curvatures[0] * dx**2 + found.curvatures[1] * dy**2) / 2
        np.testing.assert_allclose(found.losses, parabola, rtol=1e-6, atol=1e-9)
        rows = trainer.dataset.train.inputs
        assert found.curvatures[1] == pytest.approx(np.linalg.eigvalsh(2 * rows.T @ rows / 60)[-1], rel=1e-6)


def test_the_lowest_points_are_no_higher_than_the_run():
    found = loss_surface(task(PRESETS["hills"].config)[1])
    assert found.lowest[2] == np.nanmin(found.losses) <= found.loss
    x, y, loss, times = found.onward
    assert loss <= found.loss and times >= 0 and found.xs[0] <= x <= found.xs[-1] and found.ys[0] <= y <= found.ys[-1]
    assert 0 <= found.update_share <= 1 and " ".join(found.sentences).endswith(".")


def test_normalized_layers_dropout_class_weights_and_float32():
    layers = [{"units": 6, "activation": "tanh", "normalization": "batch", "dropout": 0.2}]
    layers += [{"units": 4, "activation": "relu", "normalization": "layer"}, {"units": 1, "activation": "sigmoid", "bias": False}]
    config = {"data": {"source": "circle"}, "layers": layers, "loss": "binary_cross_entropy", "optimizer": {"name": "adam"}}
    found = loss_surface(task(RunConfig.from_dict(config | {"dtype": "float32", "class_weight": "balanced"}))[1])
    row, column = middle(found)
    assert found.losses[row, column] == found.loss
    assert second_difference(found.ys, found.losses[:, column], row) == pytest.approx(found.curvatures[1], rel=0.5)


def test_an_update_without_a_direction_of_its_own_leaves_a_random_one():
    still = RunConfig.from_dict({"data": {"source": "circle"}, "init": {"weights": "zeros"}, "optimizer": {"learning_rate": 1e-9}})
    trainer = Trainer(still)
    found = loss_surface(SurfaceTask.of(trainer, FlightRecorder(trainer)))
    assert found.names[1] == SHARPEST and found.path_share is None and np.isfinite(found.losses).all()


def test_what_is_not_finite_is_drawn_around_the_last_sound_moment():
    trainer = Trainer(PRESETS["explosion"].config.patched({"optimizer": {"learning_rate": 1e5}}))
    recorder = FlightRecorder(trainer)
    while not trainer.nonfinite:
        trainer.advance(1)
        recorder.record()
    asked = SurfaceTask.of(trainer, recorder)
    assert asked.asked == trainer.step > asked.state["position"][0] and np.isfinite(asked.vectors).all()
    found = loss_surface(asked)
    assert found.step < found.asked and np.isfinite(found.loss)
    broken = dataclasses.replace(asked, state=asked.state | {"vector": np.full_like(asked.state["vector"], 1e200)})
    with pytest.raises(ConfigError, match="finite"):
        loss_surface(broken)


def test_large_networks_are_refused_or_sampled(monkeypatch):
    trainer, asked = task(PRESETS["classes"].config)
    monkeypatch.setattr(surface, "SAMPLES", 40)
    assert "40 of" in loss_surface(asked).sentences[-1]
    monkeypatch.setattr(surface, "MEASURING", 1.0)
    assert len(loss_surface(asked).xs) == surface.FEWEST_POINTS
    monkeypatch.setattr(surface, "MOST_PARAMETERS", 10)
    with pytest.raises(ConfigError, match="must have at most 10 parameters"):
        SurfaceTask.of(trainer, FlightRecorder(trainer))


def test_it_can_be_ended_between_pieces():
    def ended():
        raise ConnectionError

    with pytest.raises(ConnectionError):
        loss_surface(task(PRESETS["classes"].config)[1], ended)


def test_the_path_is_thinned_to_its_bytes():
    trainer = Trainer(PRESETS["classes"].config)
    recorder = FlightRecorder(trainer)
    for _ in range(20):
        trainer.advance(1)
        recorder.record()
    steps, vectors = recorder.path(15, 4 * trainer.network.vector.nbytes)
    assert steps.tolist() == [0, 5, 10, 15] and vectors.shape == (4, trainer.network.vector.size)


def test_the_command_prints_strict_json(tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text('{"data": {"source": "circle"}}')
    assert main(["surface", str(path), "--steps", "20", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert answer["names"] == [UPDATE, SHARPEST] and len(answer["losses"]) == len(answer["ys"]) and answer["path_steps"][-1] == 20
    assert main(["surface", str(path), "--steps", "20", "--random"]) == 0 and "random" in capsys.readouterr().out
