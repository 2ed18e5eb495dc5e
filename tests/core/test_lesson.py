"""What a link for a class asks for: every part of it is checked, and a goal is reached when all of its parts hold at once."""

from dataclasses import replace

import numpy as np
import pytest

from core.lesson import LONGEST, QUANTITIES, Lesson, lesson_of, split
from core.limits import ConfigError
from pages.charts import ViewOptions, panels
from pages.charts.playground import PANELS
from pages.training.control_names import control_names
from pages.training.lesson_card import goal, hidden_panels, restricted
from tests.synthetic import snapshot

NAMES = ("data.source", "data.noise", "loss", "layers", "seed", "play", "panel.loss", "panel.network")


def lesson(**query):
    made, problems = lesson_of(query, NAMES)
    assert not problems, problems
    return made


def trained(accuracy=(0.5, 0.96, 0.7), steps=(0, 1500, 3000)):
    run = snapshot()
    accuracy = np.array(accuracy)
    frames = replace(run.frames, step=np.array(steps), **{name: accuracy for name in vars(run.frames) if name != "step"})
    config = {"layers": [{"units": 8}, {"units": 8}, {"units": 1}], "faults": []}
    return replace(run, frames=frames, metric="accuracy", config=config)


def test_a_name_stands_for_all_below_it_and_a_panel_needs_no_prefix_where_no_control_has_its_name():
    made = lesson(hide="network~loss", lock="data,seed")
    assert made.hidden == ("panel.network", "loss") and made.locked == ("data", "seed")
    assert made.hides("loss") and not made.hides("panel.loss") and not made.hides("data.noise")
    assert made.fixes("data.noise") and made.fixes("loss") and not made.fixes("layers")
    assert lesson(lock="layers").fixes("layers.0.units") and not lesson(lock="seed").fixes("seeds")


@pytest.mark.parametrize(
    ("query", "said", "kept"),
    [
        ({"hide": "loss~nonsense"}, "hide: must be names of controls and panels, joined by ~; had 'nonsense'", {"hidden": ("loss",)}),
        ({"lock": "x" * (LONGEST["lock"] + 1)}, "lock: must be at most", {}),
        ({"text": "y" * (LONGEST["text"] + 1)}, "text: must be at most", {}),
        ({"text": "\x00"}, "text: must be plain text", {}),
        ({"goal": "test.accuracy>=much"}, "goal: must be a number such as", {}),
        ({"goal": "fame>=1"}, "goal: must compare train.loss", {}),
        ({"goal": "steps<=1;fame>=1"}, "goal: must compare", {}),
        ({"goal": "steps=>9"}, "goal: ", {}),
        ({"goal": "steps<=1e999"}, "goal: must be a number of at most", {}),
        ({"goal": ";"}, "goal: must have 1 to", {}),
        ({"goal": "steps<=1;" * 40}, "goal: must have 1 to", {}),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence_for_each_parameter_and_the_rest_is_kept(query, said, kept):
    made, problems = lesson_of(query | ({} if "text" in query else {"text": "Hello"}), NAMES)
    assert len(problems) == 1 and str(problems[0]).startswith(said)
    assert made == Lesson(query=made.query, text="" if "text" in query else "Hello", **kept)


def test_the_settings_of_a_link_and_what_is_for_a_class_are_told_apart():
    assert split({"loss": "mse", "goal": "steps<=1", "run": "3"}) == ({"loss": "mse", "run": "3"}, {"goal": "steps<=1"})


def test_a_goal_is_reached_when_all_of_it_holds_at_once_and_stays_reached():
    made = lesson(goal="test.accuracy >= 0.95; steps<=2000; units<=16")
    assert [part.text for part in made.goal] == ["Test accuracy at least 0.95", "Steps at most 2,000", "Hidden units at most 16"]
    assert made.reached(trained()) == ([True, True, True], 1500)
    assert made.reached(trained(steps=(0, 2500, 3000))) == ([False, False, True], None)
    assert made.reached(trained(accuracy=(0.5, 0.6, 0.97))) == ([True, False, True], None)
    assert lesson(goal="units<=15").reached(trained()) == ([False], None)


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_can_be_compared_with_what_a_run_has(name):
    run = trained(accuracy=(0.5, np.nan, 0.7))
    unknown = name in ("train.r2", "test.r2")  # of a run of classes
    below, above = (lesson(goal=f"{name}{relation}1e6").reached(run)[0] for relation in ("<", ">="))
    assert (below, above) == (([False], [False]) if unknown else ([True], [False]))


def test_the_goals_html_ticks_what_holds_and_escapes_nothing_in():
    made = lesson(goal="test.accuracy>=0.95;steps<=2000")
    assert "Goal reached at step 1,500" in goal(made, trained())
    open_still = goal(made, trained(steps=(0, 2500, 3000)))
    assert open_still.count("○") == 2 and "reached" not in open_still
    assert goal(Lesson(), trained()) == ""


def test_what_is_fixed_may_not_change():
    made = lesson(hide="loss", lock="data")
    before = {"loss": "mse", "data.noise": 0.1, "seed": 0}
    made.check(before, before | {"seed": 1})
    for change in ({"loss": "mae"}, {"data.noise": 0.2}):
        with pytest.raises(ConfigError, match="must stay as it is"):
            made.check(before, before | change)


@pytest.mark.parametrize("unit", [None, (1, 0)])
def test_every_panel_can_be_hidden_a_new_one_too(monkeypatch, unit):
    monkeypatch.setitem(PANELS, "added", PANELS["loss"])
    run = snapshot(unit=unit)
    every = list(panels(run, ViewOptions()))
    assert "added" in every and {f"panel.{name}" for name in every} <= set(control_names())
    for name in every:
        made, problems = lesson_of({"hide": f"panel.{name}"}, control_names())
        assert not problems
        assert list(panels(run, ViewOptions(), hidden_panels(made))) == [other for other in every if other != name]
    assert panels(run, ViewOptions(), hidden_panels(lesson(hide="panel"))) == {}


def test_buttons_are_hidden_or_disabled_and_those_that_change_what_is_locked():
    head = {"buttons": {"speed": {"value": "fast"}}, "slider": {"options": [], "index": 0, "disabled": False}}
    made, _ = lesson_of({"hide": "reset", "lock": "speed~look~seed"}, control_names())
    states = restricted(head, made)
    assert states["buttons"] == {"reset": {"hidden": True}, "speed": {"value": "fast", "disabled": True}, "new_seed": {"disabled": True}}
    assert states["slider"]["disabled"]
    assert restricted(head, Lesson()) == head
