"""What fails in a finding, a forecast or a part of the picture is told, and ends neither the rest nor the training."""

from multiprocessing import Pipe

import numpy as np
import pytest

from core import diagnosis
from core.config import RunConfig
from core.diagnosis import failures
from core.diagnosis.detectors import Detector
from core.limits import ConfigError
from core.live import commands, forecaster, pictures
from core.live.start_request import StartRequest
from core.live.worker import Worker
from core.presets import PRESETS
from core.settings import Settings
from core.snapshot import maker
from core.snapshot.maker import SnapshotMaker
from core.training.trainer import Trainer


def broken(*_):
    raise ZeroDivisionError("planted")


@pytest.fixture(autouse=True)
def none_logged_yet(monkeypatch):
    monkeypatch.setattr(failures, "_logged", set())


@pytest.fixture
def worker(tmp_path):
    """A Worker in this process, with the other end of its line."""
    server, connection = Pipe()
    worker = Worker(connection, Settings(checkpoint_folder=tmp_path), tmp_path / "run.npz", StartRequest(PRESETS["explosion"].config))
    worker.server = server
    return worker


def test_a_detector_that_fails_costs_its_own_findings_alone(monkeypatch, caplog):
    trainer = Trainer(PRESETS["explosion"].config).run(200)
    found, said = diagnosis.diagnose(trainer), []
    assert found
    monkeypatch.setattr(diagnosis, "DETECTORS", {"broken": Detector((broken,)), **diagnosis.DETECTORS})
    assert diagnosis.diagnose(trainer, failures=said) == diagnosis.diagnose(trainer, failures=said) == found
    assert said == ["Some findings could not be worked out."]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]  # once, of however many looks
    with pytest.raises(ZeroDivisionError):
        diagnosis.diagnose(trainer)


@pytest.mark.parametrize("part", ["ranked", "_fix_completed"])
def test_what_comes_after_the_detectors_may_fail_too(monkeypatch, part):
    trainer, said = Trainer(PRESETS["explosion"].config).run(200), []
    codes = {finding.code for finding in diagnosis.diagnose(trainer)}
    monkeypatch.setattr(diagnosis, part, broken)
    assert {finding.code for finding in diagnosis.diagnose(trainer, failures=said)} >= codes and len(said) == 1


@pytest.mark.parametrize("error", [MemoryError, ConfigError])
def test_errors_with_a_meaning_of_their_own_are_raised(error):
    def fails():
        raise error("field", "reason")

    with pytest.raises(error):
        failures.attempt("Something", [], None, fails)


@pytest.mark.parametrize(
    ("part", "field"), [("curves", "curves"), ("frame_curves", "frames"), ("first_crossing", "first_crossing"), ("diagnose", "findings")]
)
def test_a_part_of_the_picture_that_fails_leaves_the_others(monkeypatch, caplog, part, field):
    trainer = Trainer(RunConfig()).run(50)
    made = SnapshotMaker(trainer)
    before = made.make("paused", 0.0)
    monkeypatch.setattr(maker, part, broken)
    trainer.advance(50)
    for _ in range(2):
        now = made.make("paused", 0.0)
    assert getattr(now, field) is getattr(before, field) or not getattr(now, field)
    assert now.step == 100 and now.layers is not before.layers and now.output is not before.output
    (sentence,) = now.failures
    assert sentence.endswith(" could not be worked out.") and len(caplog.records) == 1 and before.failures == ()


def test_a_past_that_fails_is_not_taken_for_the_present(monkeypatch):
    trainer, past = Trainer(RunConfig()).run(50), Trainer(RunConfig()).run(10)
    made = SnapshotMaker(trainer)
    present = made.make("paused", 0.0)
    then = made.make("paused", 0.0, past=past)
    monkeypatch.setattr(maker, "plane", broken)
    assert np.array_equal(made.make("paused", 0.0).output.values, present.output.values)
    assert not np.array_equal(then.output.values, present.output.values)


def test_a_run_trains_and_is_saved_though_its_forecast_fails(monkeypatch, worker, caplog):
    monkeypatch.setattr(forecaster, "forecast", broken)
    run = worker.run
    commands.play(run)
    while run.trainer.step < 20:
        run.train()
    run.save()
    picture = commands.snapshot(run, None)
    assert picture.failures == ("The forecast could not be worked out.",) and picture.forecast is None and not picture.forecast_due
    assert picture.step >= 20 and len(caplog.records) == 1 and run.path.exists()
    monkeypatch.undo()
    commands.pause(run)
    run.pictures.forecaster.look(between=None)
    assert commands.snapshot(run, None).failures == () and commands.snapshot(run, None).forecast is not None


def test_a_run_whose_last_healthy_step_cannot_be_found_goes_on(monkeypatch, worker):
    monkeypatch.setattr(pictures, "last_sound_step", broken)
    run = worker.run
    commands.step(run, 1000)
    while run.running:
        run.train()
    picture = commands.snapshot(run, None)
    assert picture.status == "nonfinite" and picture.findings and picture.healthy_step is None
    assert picture.failures == ("The last healthy step could not be worked out.",)


def test_a_picture_that_cannot_be_made_at_all_is_refused(monkeypatch, worker):
    monkeypatch.setattr(maker, "curves", broken)
    worker._answer("snapshot", (None,))
    kind, error, _ = worker.server.recv()
    assert kind == "refused" and isinstance(error, ConfigError) and "not affected" in str(error)
    monkeypatch.undo()
    worker._answer("snapshot", (None,))
    assert worker.server.recv()[0] == "ok"


def test_what_may_leave_a_run_half_changed_ends_its_process(worker):
    with pytest.raises(TypeError):
        worker._answer("edit", (None, None, None, None))
