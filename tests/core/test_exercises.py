"""Every exercise can be solved, is not solved already, and its solution keeps to what is locked."""

from types import SimpleNamespace

import pytest

from core.exercises import EXERCISES
from core.lesson import lesson_of, split
from core.link import flat, from_query
from core.snapshot.maker import frame_curves
from core.training.trainer import Trainer
from pages.training.control_names import control_names


def taught(exercise):
    settings, query = split(exercise.query)
    lesson, problems = lesson_of(query, control_names())
    assert not problems and from_query(settings) == exercise.config()
    return lesson


def reached(lesson, config):
    """The step at which a run of this configuration reaches the goal, None where it does not as long as it may take."""
    last = max(int(part.value) for part in lesson.goal if part.quantity == "steps" and part.relation == "<=")
    trainer = Trainer(config).run(last)
    curves = frame_curves(trainer.telemetry)
    return lesson.reached(SimpleNamespace(config=config.to_dict(), metric=trainer.evaluator.metric_name, frames=curves))[1]


@pytest.mark.parametrize("name", EXERCISES)
def test_its_start_does_not_reach_the_goal_and_its_solution_does(name):
    exercise = EXERCISES[name]
    lesson, start, solution = taught(exercise), exercise.config(), exercise.config(solved=True)
    lesson.check(flat(start), flat(solution))
    assert reached(lesson, start) is None
    assert reached(lesson, solution) is not None


def test_there_are_ten_and_each_says_what_to_do_and_what_to_see():
    assert len(EXERCISES) == 10
    for exercise in EXERCISES.values():
        lesson = taught(exercise)
        assert lesson.text == exercise.question and exercise.see and lesson.goal
