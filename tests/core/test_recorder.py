"""Going back: any moment of a run can be had again, in bounded memory."""

import numpy as np
import pytest

from core.config import RunConfig
from core.training.recorder import MOST, FlightRecorder, last_sound_step
from core.training.replay import Replay
from core.training.trainer import Trainer

ANY = 1e9  # seconds: no limit


def recorded(steps, budget=1 << 20, every=10, **values):
    """(trainer, recorder, {step: its parameters' bits}) of a run that is recorded every so many updates, each of which took a second."""
    trainer = Trainer(RunConfig.from_dict(values))
    recorder = FlightRecorder(trainer, budget)
    seen = {0: bits(trainer)}
    for _ in range(steps // every):
        trainer.advance(every)
        recorder.spent += every
        recorder.record()
        seen[trainer.step] = bits(trainer)
    return trainer, recorder, seen


def bits(trainer):
    return trainer.network.vector.tobytes()


def whole(trainer):
    """All that decides how a run goes on, as bytes."""
    return {name: array.tobytes() for name, array in trainer.state().items()}


def test_memory_is_bounded_and_the_present_is_densest():
    trainer, recorder, _ = recorded(5000, budget=60_000)
    size = sum(array.nbytes for array in trainer.state().values())
    assert 10 < len(recorder.steps) <= 60_000 // size
    gaps = np.diff(recorder.steps)
    assert recorder.steps[0] == 0 and recorder.steps[-1] == 5000
    assert sum(gaps[-3:]) < sum(gaps[:3])


def test_no_more_than_most_are_kept_of_a_small_network():
    _, recorder, _ = recorded(MOST + 50, budget=1 << 30, every=1)
    assert len(recorder.steps) == MOST
    assert recorder.steps[0] == 0 and recorder.steps[-1] == MOST + 50


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"optimizer": {"name": "adam"}},
        {"optimizer": {"name": "momentum", "schedule": {"name": "cosine", "steps": 400}}, "dtype": "float32"},
        {"optimizer": {"name": "rmsprop", "schedule": {"name": "step", "steps": 70}}, "batch_size": 33, "clip_norm": 0.5},
        {"optimizer": {"name": "nesterov"}, "batch_size": None, "penalty": {"l1": 1e-3, "l2": 1e-3}},
    ],
)
def test_every_moment_can_be_had_again(values):
    trainer, recorder, seen = recorded(600, budget=40_000, **values)
    past = Replay(trainer, recorder)
    present = whole(trainer)
    for step in (600, 590, 300, 310, 10, 0):
        past.go(step, ANY)
        assert bits(past.trainer) == seen[step] and past.trainer.step == step
    assert whole(trainer) == present


def test_looking_back_repeats_what_was_done_to_the_run():
    original = Trainer(RunConfig())
    recorder = FlightRecorder(original)
    seen, deeds = {}, {
        7: ("change", {"optimizer": {"learning_rate": 0.2}}),
        20: ("edit", 1, 3, 0, 1.5),
        33: ("change", {"batch_size": 64}),
        34: ("edit", 2, 0, None, -1.0),
    }  # fmt: skip
    for step in range(60):
        if step in deeds:
            method, *arguments = deeds[step]
            getattr(original, method)(*arguments)
            recorder.note(method, *arguments)
        seen[step] = whole(original)
        original.advance(1)
        if step % 9 == 0:
            recorder.record()
    past = Replay(original, recorder)
    for step in (59, 33, 6, 7, 8, 20, 21, 34, 19, 35):
        past.go(step, ANY)
        assert whole(past.trainer) == seen[step], step
    assert [event.step for event in past.go(20, ANY).trainer.telemetry.events] == [7, 20]


def test_a_moment_has_the_histories_up_to_it():
    trainer, recorder, _ = recorded(600)
    past = Replay(trainer, recorder)
    past.go(305, ANY)
    told, lived = past.trainer.telemetry, trainer.telemetry
    assert np.array_equal(told.step, lived.step[lived.step <= 305])
    assert np.array_equal(told.loss, lived.loss[lived.step <= 305])
    assert lived.step[-1] > 305


@pytest.mark.parametrize("step", [0, 1, 100, 305, 600])
def test_a_moment_has_the_gradient_that_was_shown_then(step):
    original, recorder, _ = recorded(600, optimizer={"name": "adam"})
    shown = Trainer(original.config).advance(step).last_gradient()
    assert np.array_equal(Replay(original, recorder).go(step, ANY).trainer.last_gradient(), shown)


def test_without_an_observed_update_the_next_ones_gradient_is_shown():
    original, recorder, _ = recorded(600, every=200)
    assert np.diff(original.telemetry.step).max() > 1
    gradient = Replay(original, recorder).go(400, 0).trainer.last_gradient()
    plain = Trainer(original.config).advance(400)
    plain.change({"optimizer": {"learning_rate": 1.0}})  # its update is the gradient itself
    before = plain.network.vector.copy()
    plain.advance(1)
    assert np.allclose(gradient, before - plain.network.vector, rtol=1e-12, atol=1e-15)


def test_what_would_take_too_long_snaps_to_the_nearest_kept_moment():
    trainer, recorder, seen = recorded(600, every=100)
    past = Replay(trainer, recorder)
    for asked, given in ((249, 200), (251, 300), (210, 210), (599, 600)):
        past.go(asked, 10)
        assert past.trainer.step == given
        if given in seen:
            assert bits(past.trainer) == seen[given]


def test_a_pinned_state_stays():
    trainer, recorder, _ = recorded(100, budget=1)
    recorder.pin(95)
    for _ in range(50):
        trainer.advance(10)
        recorder.record()
    assert recorder.steps == [0, recorder.at(95).step, 600]


def test_pins_never_crowd_out_the_present():
    trainer, recorder, _ = recorded(100, budget=60_000)
    for _ in range(100):
        trainer.advance(10)
        recorder.record()
        recorder.pin(trainer.step)
    steps = recorder.steps
    assert steps[-1] == trainer.step and steps[-2] >= trainer.step - 100


def test_the_run_goes_on_from_a_moment_as_if_nothing_had_happened():
    trainer, recorder, seen = recorded(100)
    end = whole(trainer)
    trainer.change({"optimizer": {"learning_rate": 1.0}})
    recorder.note("change", {"optimizer": {"learning_rate": 1.0}})
    trainer.advance(50)
    recorder.record()
    past = Replay(trainer, recorder).go(45, ANY)
    recorder.forget_after(45)
    trainer.restore(past.trainer.checkpoint())
    assert trainer.config == RunConfig() and not trainer.telemetry.events
    assert recorder.steps[-1] == 40 and not recorder.interventions and recorder.spent == 45
    trainer.advance(5)
    assert bits(trainer) == seen[50]
    trainer.advance(50)
    assert whole(trainer) == end


@pytest.mark.parametrize(("before", "found"), [(401, 400), (95, 90), (11, 10), (5, 0), (0, 0)])
def test_the_newest_state_before_a_step_is_found_where_all_are_sound(before, found):
    _, recorder, _ = recorded(400)
    assert recorder.newest_sound(before, lambda state: True) == found


def test_the_newest_sound_state_is_found_with_few_questions():
    _, recorder, _ = recorded(400)
    asked = []

    def sound(state):
        asked.append(state["position"][0])
        return asked[-1] <= 130

    assert recorder.newest_sound(395, sound) == 130 and len(asked) < 15
    assert recorder.newest_sound(395, lambda state: False) == 0


def test_the_loss_of_a_kept_state_is_that_of_then_and_the_run_goes_on_untouched():
    trainer, recorder, seen = recorded(100)
    then = recorder.at(50).state
    past = Trainer(trainer.config)
    past.restore(then)
    assert trainer.evaluator.loss_of(then["vector"]) == past.loss() != trainer.loss()
    assert bits(trainer) == seen[100]


def test_a_sound_loss_is_near_its_lowest_and_no_higher_than_at_the_start():
    trainer, recorder, _ = recorded(400)
    kept = {recorder.at(step).state["vector"].tobytes(): step for step in recorder.steps}
    trainer.telemetry._frames.rows[:, 1] = np.linspace(1.0, 0.2, len(trainer.telemetry.frames("step")))
    lowest = trainer.telemetry.frames("train_loss")[trainer.telemetry.frames("step") < 300].min()
    for losses, found in (({290: 1.9 * lowest}, 290), ({290: 2.1 * lowest, 280: lowest}, 280), ({290: np.nan, 280: lowest}, 280)):
        trainer.evaluator.loss_of = lambda vector, losses=losses: losses.get(kept[vector.tobytes()], lowest)
        assert last_sound_step(trainer, recorder, 300) == found
    trainer.telemetry._frames.rows[:, 1] = 1.0  # nothing was learned: twice the lowest is above the start
    for loss, found in ((1.04, 290), (1.06, 280)):
        trainer.evaluator.loss_of = lambda vector, loss=loss: loss if kept[vector.tobytes()] == 290 else 1.0
        assert last_sound_step(trainer, recorder, 300) == found
