"""What a live run says of its future. Everything here runs real processes."""

from multiprocessing import Pipe

import numpy as np
import pytest

from core.config import RunConfig
from core.diagnosis.forecast import BEFORE, forecast
from core.live import forecaster
from core.live.start_request import StartRequest
from core.live.worker import Worker
from core.settings import Settings
from core.training.trainer import Trainer
from tests.core import live_runs
from tests.core.live_runs import ADAM, MODEST, TOO_FAST, blown_up, restored, same_bits, stand, until

settings = pytest.fixture(live_runs.settings)
start = pytest.fixture(live_runs.start)


def foreseen(run):
    """The snapshot of a run that stands still once its forecast is there."""
    return until(lambda: not (now := run.snapshot()).forecast_due and now)


@pytest.mark.parametrize("config", [RunConfig(), ADAM, MODEST], ids=["default", "adam", "regression"])
def test_the_first_picture_does_not_wait_for_the_forecast_that_follows(start, config):
    run = start(config)
    first = run.snapshot()
    assert first.forecast is None and first.forecast_due
    now = foreseen(run)
    assert now.forecast == forecast(Trainer(config), BEFORE)
    assert now.forecast_history.step.tolist() == [0]
    assert now.forecast_history.ratio[0] == np.float32(now.forecast.ratio)


def test_a_change_makes_a_new_forecast(start):
    run = start(MODEST)
    before = foreseen(run).forecast
    run.change({"optimizer": {"learning_rate": 0.5}})
    assert run.snapshot().forecast is None
    after = foreseen(run)
    assert after.forecast.learning_rate == 0.5 and after.forecast.ratio > before.ratio
    assert len(after.forecast_history.step) == 1  # one reading a step
    run.edit(1, 0, None, 3.0)
    assert foreseen(run).forecast.sharpness != after.forecast.sharpness


def test_it_goes_on_forecasting_while_it_plays(start):
    run = start(MODEST)
    run.play()
    until(lambda: len(run.snapshot().forecast_history.step) >= 3)
    history = run.snapshot().forecast_history
    assert (np.diff(history.step) > 0).all() and np.isfinite(history.ratio).all()
    assert run.snapshot().status == "running"
    run.pause()
    stood = foreseen(run)
    assert stood.forecast_history.step[-1] == stood.step


@pytest.mark.parametrize("config", [RunConfig(), ADAM], ids=["sgd", "adam"])
def test_forecasts_leave_the_run_alone(start, settings, config):
    run = start(config)
    foreseen(run)
    for step in (1, 20, 300):
        stand(run, step)
        foreseen(run)
    run.play()
    until(lambda: len(run.snapshot().forecast_history.step) >= 5)
    run.pause()
    step = run.snapshot().step
    same_bits(restored(settings, config, step).parameters(), Trainer(config).run(step).parameters())


def test_the_past_has_the_forecast_of_then(start):
    run = start(MODEST)
    broken = blown_up(run)
    assert not broken.forecast_due
    past = run.snapshot(at=1000)
    assert past.forecast.verdict == "stable" and past.forecast.learning_rate == MODEST.optimizer.learning_rate
    run.change(TOO_FAST)
    assert run.fork(1000) == MODEST
    now = foreseen(run)
    assert now.forecast_history.step[-1] == 1000 and now.forecast.verdict == "stable"


def test_the_history_is_bounded_and_keeps_its_spikes(monkeypatch):
    trainer, rows = Trainer(RunConfig()), 64
    monkeypatch.setattr(forecaster, "ROWS", rows)
    monkeypatch.setattr(forecaster, "SHOWN", 20)
    told = forecast(trainer, BEFORE)
    ahead = forecaster.Forecaster(trainer)
    for step in range(500):
        trainer.step = step
        rate = 100.0 if step == 137 else told.learning_rate
        monkeypatch.setattr(forecaster, "forecast", lambda *_, rate=rate: type(told)(**vars(told) | {"learning_rate": rate}))
        ahead.look(between=None)
    history = ahead.history()
    assert len(history.step) <= 20 and history.step[0] == 0 and history.ratio.argmax() == history.step.tolist().index(137)
    ahead.forget_after(100)
    assert ahead.history().step[-1] <= 100 and ahead.forecast is None


def test_whoever_looks_or_asks_does_not_wait_for_a_forecast(monkeypatch, tmp_path):
    replies, began = [], []

    def slow(trainer, budget, between):
        """Somebody looks in upon it; then the first is interrupted by a command, and in the second the server goes."""
        began.append(float(trainer.network.matrices[0][0, -1]))
        replies.append(server.recv())
        server.send(("snapshot", (None,)))
        between()
        replies.append(server.recv())
        server.send(("edit", (1, 0, None, 0.5))) if len(began) == 1 else server.close()
        between()
        raise AssertionError("what was asked must come first")

    monkeypatch.setattr(forecaster, "forecast", slow)
    server, connection = Pipe()
    worker = Worker(connection, Settings(checkpoint_folder=tmp_path, exit_after=5.0), tmp_path / "run.npz", StartRequest(RunConfig()))
    server.send(("snapshot", (None,)))
    worker.serve()
    assert began == [0.0, 0.5]
    first, looked, edited, looked_again = (value for _, value, _ in replies)
    assert first.forecast is looked.forecast is looked_again.forecast is edited is None
    assert looked.forecast_due and looked_again.forecast_due
    assert (looked.layers[0].biases[0], looked_again.layers[0].biases[0]) == (0.0, 0.5)
