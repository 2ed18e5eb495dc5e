"""Stability limits against optimizers that do or do not leave a quadratic, verdicts against runs that do or do not diverge."""

import math

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis.forecast import LIVE, SETTLED, forecast, has_diverged
from core.nn.buffers import aligned_like
from core.nn.curvature import Curvature
from core.nn.optimizers import OPTIMIZERS
from core.nn.program import Program, Workspace
from core.nn.updater import Updater
from core.training.rehearsal import Rehearsal
from core.training.trainer import Trainer

ADAPTIVE = [name for name, optimizer in OPTIMIZERS.items() if optimizer.preconditioner]


def trainer_for(optimizer="sgd", rate=0.03, rule=None, **settings):
    config = {
        "data": {"source": "moons", "samples": 60, "scaling": "standard"},
        "layers": [{"units": 5, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}],
        "optimizer": {"name": optimizer, "learning_rate": rate, **(rule or {})},
        "batch_size": None,
    }
    return Trainer(RunConfig.from_dict(config | settings))


@pytest.fixture
def quadratic(tmp_path):
    """A linear network with squared error: its Hessian is the same everywhere. The targets are so small that an epsilon of 1 is
    all that is left of a preconditioner."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((40, 3)) * (3, 1, 0.5)
    np.savez(tmp_path / "quadratic.npz", X=inputs, y=1e-6 * inputs.sum(axis=1, keepdims=True))

    def make(optimizer, rate):
        return trainer_for(
            data={"source": "file", "path": str(tmp_path / "quadratic.npz"), "task": "regression", "test_fraction": 0.0},
            layers=[{"units": 1, "activation": "linear"}],
            init={"weights": "normal", "scale": 1e-6},
            loss="mse",
            optimizer=optimizer,
            rate=rate,
            rule={"epsilon": 1.0, "beta2": 0.5},
        )

    return make


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_quadratic_is_left_just_above_the_limit_and_not_below(quadratic, optimizer):
    """After updates that go nowhere: the first ones of Adam, whose mean is still young, are larger than its limit is meant for."""
    runs = {times: quadratic(optimizer, 1e-6).advance(100) for times in (0.95, 1.05)}
    for times, trainer in runs.items():
        trainer.change({"optimizer": {"learning_rate": times * forecast(trainer).stability_limit}})
    before = runs[0.95].loss()
    assert forecast(runs[0.95]).verdict == "stable"
    assert forecast(runs[1.05]).verdict == "unstable"
    assert runs[0.95].advance(120).loss() < 0.1 * before
    assert runs[1.05].advance(120).loss() > 10 * before


def test_limits_as_published():
    h = RunConfig().optimizer  # momentum and beta1 0.9
    limits = {name: optimizer.stability(h) for name, optimizer in OPTIMIZERS.items()}
    assert limits["sgd"] == limits["rmsprop"] == limits["adagrad"] == 2
    assert limits["momentum"] == pytest.approx(3.8)
    assert limits["nesterov"] == pytest.approx(3.8 / 2.8)
    assert limits["adam"] == pytest.approx(38)


@pytest.mark.parametrize("optimizer", [name for name in ADAPTIVE if name != "adadelta"])  # which divides by what it was before
def test_the_preconditioner_is_what_the_update_divides_by(optimizer):
    trainer = trainer_for(optimizer, 0.01, rule={"epsilon": 1e-4, "weight_decay": 0.0})
    before = trainer.network.vector.copy()
    trainer.advance(1)
    preconditioner = OPTIMIZERS[optimizer].preconditioner(trainer.updater.slots, trainer.config.optimizer, 1)
    np.testing.assert_allclose(0.01 * trainer.last_gradient() / preconditioner, before - trainer.network.vector, rtol=1e-9)


def hessian(trainer):
    """All of it, over the whole training part, column by column."""
    curvature = Curvature(trainer.network, *trainer.batches[0], trainer.config.penalty.l2)
    return np.array([curvature.product(column) for column in np.eye(trainer.network.vector.size)])


def largest(matrix):
    return np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]


@pytest.mark.parametrize("penalty", [{}, {"l2": 0.3}, {"l1": 0.3}])
@pytest.mark.parametrize("steps", [0, 100])
def test_sharpness_is_the_largest_eigenvalue_of_the_objective(steps, penalty):
    trainer = trainer_for(rate=0.5, penalty=penalty).advance(steps)
    seen = forecast(trainer)
    assert seen.sharpness == pytest.approx(largest(hessian(trainer)), rel=1e-6)
    assert seen.stability_limit == pytest.approx(2 / seen.sharpness)
    assert seen.ratio == pytest.approx(0.5 * seen.sharpness / 2)
    assert seen.samples == len(trainer.dataset.train)
    assert seen.to_dict() == {"sharpness": seen.sharpness, "stability_limit": seen.stability_limit, "verdict": seen.verdict}


def test_adams_curvature_is_preconditioned_by_its_squares():
    trainer = trainer_for("adam", 0.01).advance(60)
    correction = np.sqrt(1 - 0.999**60)
    scale = ((np.sqrt(trainer.checkpoint()["slot1"] * (1 - 0.999)) + 1e-8) / correction) ** -0.5
    seen = forecast(trainer)
    assert seen.preconditioned_sharpness == pytest.approx(largest(scale[:, None] * hessian(trainer) * scale), rel=1e-6)
    assert seen.stability_limit == pytest.approx(38 / seen.preconditioned_sharpness)
    assert seen.sharpness == pytest.approx(largest(hessian(trainer)), rel=1e-6)


def test_before_the_first_step_adam_is_preconditioned_by_the_gradient_there():
    trainer = trainer_for("adam", 0.01)
    network, gradient = trainer.network, aligned_like(trainer.network.vector)
    start = network.vector.copy()
    program = Program(network, Updater(network, trainer.config), Workspace(network, trainer.batches.size), gradient)
    for function, arguments in program.bind(*trainer.batches[0]):
        function(*arguments)
    network.vector[:] = start
    scale = (np.abs(gradient) + 1e-8 / np.sqrt(1 - 0.999**SETTLED)) ** -0.5
    assert forecast(trainer).preconditioned_sharpness == pytest.approx(largest(scale[:, None] * hessian(trainer) * scale), rel=1e-6)


@pytest.mark.parametrize("optimizer", ADAPTIVE)
def test_the_gauge_does_not_jump_when_the_preconditioner_settles(optimizer):
    trainer = trainer_for(optimizer, 1e-5).advance(SETTLED - 1)
    before = forecast(trainer).ratio
    assert forecast(trainer.advance(1)).ratio == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rehearsal_is_what_then_happens(optimizer):
    trainer = trainer_for(optimizer, 0.01, batch_size=7).advance(9)
    trainer.change({"batch_size": 8, "optimizer": {"schedule": {"name": "exponential", "steps": 20}}})
    trainer.advance(5)
    rehearsal = Rehearsal(trainer).advance(30).advance(11)
    np.testing.assert_array_equal(rehearsal.network.vector, trainer.advance(41).network.vector)


def test_a_rehearsal_has_the_faults_of_the_run():
    trainer = trainer_for("momentum", 0.01, batch_size=7, faults=["missing_mean"])
    rehearsal = Rehearsal(trainer).advance(20)
    np.testing.assert_array_equal(rehearsal.network.vector, trainer.advance(20).network.vector)
    assert not np.array_equal(rehearsal.network.vector, trainer_for("momentum", 0.01, batch_size=7).advance(20).network.vector)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 50])
def test_a_forecast_leaves_the_run_alone_and_can_be_had_again(optimizer, steps):
    seen, unseen = (trainer_for(optimizer, 0.01, batch_size=7).advance(steps) for _ in range(2))
    assert forecast(seen) == forecast(seen)
    seen.advance(50), unseen.advance(50)
    np.testing.assert_array_equal(seen.network.vector, unseen.network.vector)
    np.testing.assert_array_equal(seen.telemetry.loss, unseen.telemetry.loss)


def test_a_forecast_can_be_given_up_between_its_pieces():
    trainer, pieces = trainer_for("adam", 0.01, batch_size=7).advance(20), []
    told = forecast(trainer, between=lambda: pieces.append(trainer.step))
    assert len(pieces) > 20 and told == forecast(trainer)

    def enough():
        if len(pieces) > 5:
            raise InterruptedError
        pieces.append(1)

    pieces.clear()
    with pytest.raises(InterruptedError):
        forecast(trainer, between=enough)
    assert told == forecast(trainer)


def test_an_untrainable_rate_is_unstable_and_the_largest_stable_one_trains():
    trainer = trainer_for(rate=300.0, layers=[{"units": 8, "activation": "tanh"}] * 2 + [{"units": 1, "activation": "sigmoid"}])
    seen = forecast(trainer)
    assert seen.verdict == "unstable" and seen.ratio > 10
    assert seen.largest_stable_rate <= seen.stability_limit
    trainer.change({"optimizer": {"learning_rate": seen.largest_stable_rate}})
    assert forecast(trainer).verdict == "stable"
    assert trainer.advance(500).loss() < 0.5 * trainer.telemetry.frames("train_loss")[0]


def test_above_the_limit_but_thrown_into_a_flatter_place_is_the_edge():
    """Lewkowycz et al. 2020: deep linear and ReLU networks recover from rates that a quadratic would not."""
    data = {"source": "plane", "samples": 100, "scaling": "standard", "target_scaling": "standard", "noise": 0.0}
    layers = [{"units": 64, "activation": "relu"}, {"units": 1, "activation": "linear"}]
    settings = {"data": data, "layers": layers, "loss": "mse", "init": {"weights": "he_normal"}}
    limit = forecast(trainer_for(**settings)).stability_limit
    trainer = trainer_for(rate=1.3 * limit, **settings)
    assert forecast(trainer).verdict == "edge"
    trainer.run(1000)
    losses = trainer.telemetry.frames("train_loss")
    assert losses[-1] < 0.1 * losses[0]


def test_mini_batches_are_seen_by_the_look_ahead(tmp_path):
    """One sample far larger than the rest: taken alone, it is too much for a rate that the full batch's curvature allows."""
    inputs = np.random.default_rng(0).standard_normal((20, 3))
    inputs[7] *= 30
    np.savez(tmp_path / "outlier.npz", X=inputs, y=inputs.sum(axis=1, keepdims=True))
    settings = {
        "data": {"source": "file", "path": str(tmp_path / "outlier.npz"), "task": "regression", "test_fraction": 0.0},
        "layers": [{"units": 1, "activation": "linear"}],
        "loss": "mse",
    }
    rate = 0.9 * forecast(trainer_for(**settings)).stability_limit
    assert forecast(trainer_for(rate=rate, **settings)).verdict == "stable"
    settings["batch_size"] = 1
    seen = forecast(trainer_for(rate=rate, **settings))
    assert seen.verdict == "unstable"
    assert 0 < seen.largest_stable_rate < 0.1 * seen.stability_limit
    assert forecast(trainer_for(rate=seen.largest_stable_rate, **settings)).verdict == "stable"


def test_without_upward_curvature_there_is_no_limit():
    layers = [{"units": 1, "activation": "linear"}]
    seen = forecast(trainer_for(data={"source": "plane", "samples": 40}, layers=layers, loss="mae"))
    assert seen.sharpness == 0 and seen.stability_limit == math.inf and seen.ratio == 0
    assert seen.largest_stable_rate == 0.03


def test_a_schedule_is_judged_by_the_largest_rate_in_store():
    schedules = {"warmup": {"factor": 0.1, "steps": 100}, "exponential": {"factor": 0.1, "steps": 100}}
    for name, rates in (("warmup", (0.03, 0.03)), ("exponential", (0.03, 0.003))):
        trainer = trainer_for(rule={"schedule": {"name": name, **schedules[name]}})
        assert forecast(trainer).learning_rate == pytest.approx(rates[0])
        assert forecast(trainer.advance(100)).learning_rate == pytest.approx(rates[1])


def test_much_data_is_sampled_once_and_for_all():
    trainer = trainer_for(data={"source": "spiral", "samples": 20_000, "test_fraction": 0.0}, batch_size=100)
    whole, some = forecast(trainer), forecast(trainer, LIVE / 4)
    assert some.samples < whole.samples == 20_000
    assert some.sharpness == pytest.approx(whole.sharpness, rel=0.2)
    assert some == forecast(trainer, LIVE / 4)


def test_a_run_that_broke_is_unstable():
    trainer = trainer_for(rate=1e5, loss="mse", layers=[{"units": 4, "activation": "relu"}, {"units": 1, "activation": "linear"}]).advance(
        200
    )
    assert trainer.nonfinite
    assert forecast(trainer).verdict == "unstable"


STEPS = np.arange(1, 101)


@pytest.mark.parametrize(
    "losses, expected",
    [
        (np.geomspace(1, 0.01, 100), False),
        (np.where(STEPS < 20, 40.0, 0.3), False),  # thrown, and better off for it
        (np.where(STEPS < 20, 40.0, 0.69), True),  # thrown, and never better than a constant again
        (np.where(STEPS < 20, 1.1, 0.69), False),  # stuck, not thrown
        (np.linspace(1, 3, 100), True),
        (np.where(STEPS > 99, math.inf, 0.1), True),
        (np.where(STEPS == 90, 50.0, 0.1), False),  # one spike, and back
        (np.where(STEPS < 50, 0.05, 0.6), True),  # what was won is lost again
    ],
)
def test_what_counts_as_diverged(losses, expected):
    assert has_diverged(STEPS, losses, first=1.0, best=min(losses.min(), 1.0), chance=0.69) is expected
