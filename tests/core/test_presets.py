"""Every preset does what its sentence says."""

import numpy as np
import pytest

from core.diagnosis import diagnose
from core.presets import OPENING, PRESETS
from core.training.trainer import Trainer


def found(trainer):
    return {finding.code for finding in diagnose(trainer)}


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.shows])
def test_what_goes_wrong_is_found_within_a_thousand_steps(name):
    trainer = Trainer(PRESETS[name].config).run(1000)
    assert PRESETS[name].shows in found(trainer)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if not preset.shows])
def test_what_goes_well_raises_no_alarm_and_learns(name):
    trainer = Trainer(PRESETS[name].config)
    begun = trainer.loss()
    for _ in range(10):
        trainer.run(20 if name == "photo" else 1000)
        assert {finding.severity for finding in diagnose(trainer)} <= {"info"}
    assert trainer.loss() < 0.7 * begun


def test_the_opening_run_learns_in_a_second_of_training_and_stays_there():
    trainer = Trainer(OPENING).run(40_000)
    assert trainer.evaluator.metric() > 0.95 and trainer.evaluator.metric("test") > 0.9
    trainer.run(60_000)
    assert trainer.evaluator.metric() > 0.95 and not found(trainer)


def test_the_sines_learn_the_spiral_in_a_third_of_the_steps():
    plain, sines = (_steps_to_learn(PRESETS[name].config) for name in ("spiral", "features"))
    assert 3 * sines <= plain


def _steps_to_learn(config):
    trainer = Trainer(config)
    while trainer.evaluator.metric() < 0.95:
        trainer.advance(250)
    return trainer.step


def test_divergence_stays_finite():
    trainer = Trainer(PRESETS["divergence"].config)
    begun = trainer.loss()
    for _ in range(8):
        trainer.advance(5000).frame()  # as a page looks at it
        assert "diverged" in found(trainer) and trainer.nonfinite is None
    assert trainer.loss() > 100 * begun


def test_overfitting_raises_the_test_loss_again():
    trainer = Trainer(PRESETS["overfitting"].config).run(20_000)
    test_loss = trainer.telemetry.frames("test_loss")
    assert trainer.evaluator.metric() > 0.98 and test_loss[-1] > 2 * np.min(test_loss)
    assert "overfitting" in found(trainer)
