"""Going back: any moment of a run can be had again, in bounded memory."""

import pytest

from core.config import RunConfig
from core.training.recorder import FlightRecorder
from core.training.trainer import Trainer


def recorded(steps, budget, every=10, **values):
    trainer = Trainer(RunConfig.from_dict(values))
    recorder = FlightRecorder(trainer, budget)
    seen = {0: trainer.network.vector.tobytes()}
    for _ in range(steps // every):
        trainer.advance(every)
        recorder.record()
        seen[trainer.step] = trainer.network.vector.tobytes()
    return trainer, recorder, seen


def test_memory_is_bounded_and_the_present_is_densest():
    trainer, recorder, _ = recorded(5000, budget=60_000)
    size = sum(array.nbytes for array in trainer.state().values())
    assert len(recorder.steps) * size <= 60_000
    gaps = [later - earlier for earlier, later in zip(recorder.steps, recorder.steps[1:])]
    assert recorder.steps[0] == 0 and recorder.steps[-1] == 5000
    assert sum(gaps[-3:]) < sum(gaps[:3])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_every_moment_can_be_had_again(optimizer):
    trainer, recorder, seen = recorded(600, budget=30_000, optimizer={"name": optimizer})
    again = Trainer(trainer.config)
    for step in (600, 590, 300, 10, 0):
        again.restore(recorder.at(step))
        again.advance(step - again.step)
        assert again.network.vector.tobytes() == seen[step]


def test_a_pinned_state_stays():
    trainer, recorder, _ = recorded(100, budget=1)
    recorder.pin()
    for _ in range(50):
        trainer.advance(10)
        recorder.record()
    assert 100 in recorder.steps and 0 in recorder.steps


def test_a_changed_run_goes_back_with_its_old_settings():
    trainer, recorder, seen = recorded(100, budget=1 << 20)
    trainer.change({"optimizer": {"learning_rate": 1.0}})
    trainer.advance(50)
    recorder.record()
    trainer.restore(recorder.at(100))
    recorder.forget_after(100)
    assert trainer.config.optimizer.learning_rate == 0.03 and not trainer.telemetry.events
    assert trainer.network.vector.tobytes() == seen[100] and recorder.steps[-1] == 100
