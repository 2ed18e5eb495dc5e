"""The playground as a link for a class opens it."""

import pytest

from core.link import SETTINGS, from_query, to_query
from core.presets import OPENING, PRESETS
from pages.training.control_names import MENUS, live_controls

WIDGETS = ("selectbox", "text_input", "slider", "select_slider", "toggle", "pills", "segmented_control", "button", "multiselect")
LINK = {"data.source": "circle", "layers": "2-relu_1-sigmoid"}


def controls(page):
    """{key: element} of the controls of settings, and of the learning rate's slider."""
    made = {element.key: element for kind in WIDGETS for element in getattr(page.test, kind) if element.key}
    first = {name.partition(".")[0] for name in SETTINGS} | {"learning rate slider", "fault", "preset", "add layer", "remove layer 1"}
    return {key: element for key, element in made.items() if key.partition(".")[0] in first}


def test_every_control_is_hidden(open_page):
    page = open_page(**LINK, hide="~".join((*SETTINGS, *MENUS, *live_controls(), "panel")))
    assert not controls(page) and page.figures == {}
    assert not any(page.has(name) for name in live_controls())
    assert page.live_run.config == from_query(LINK)


def test_every_control_is_locked(open_page):
    page = open_page(**LINK, lock="~".join((*SETTINGS, *MENUS, *live_controls(), "look")))
    shown = controls(page)
    assert {"data.source", "layers.0.units", "optimizer.learning_rate", "learning rate slider", "loss", "preset"} <= set(shown)
    assert [key for key, element in shown.items() if not element.disabled] == []
    assert not any(page.can(name) for name in live_controls()) and page.head["slider"]["disabled"]
    page.send("step")
    assert page.step == 0


def test_text_and_goal_stand_above_the_charts_and_the_goal_is_ticked_over_the_line(open_page):
    page = open_page(**LINK, text="Reach <b>it</b>.\nNow.", goal="steps>=1;units<=2")
    assert "Reach &lt;b&gt;it&lt;/b&gt;.\nNow." in page.words
    assert "Steps at least 1" in page.head["text"]["goal"] and "reached" not in page.head["text"]["goal"]
    page.send("step")
    assert "Goal reached at step 1" in page.head["text"]["goal"]


def test_what_is_locked_stays_whatever_would_change_it(open_page):
    page = open_page(**LINK, lock="data~seed", hide="loss")
    page.session.apply({"data": {"noise": 0.4}})
    assert page.live_run.config == from_query(LINK) and "must stay as it is" in page.session.notice
    page.set("selectbox", "preset", "hills")
    assert page.live_run.config == from_query(LINK)
    page.press("new_seed")
    assert page.live_run.config.seed == 0


def test_a_link_that_is_wrong_in_parts_opens_and_says_what(open_page):
    page = open_page(**LINK, hide="nonsense", goal="fame>1", text="Hello")
    assert page.live_run.config == from_query(LINK) and "Hello" in page.words
    said = page.warning[0].value.replace("\\", "")
    assert "Hide must be names of controls and panels" in said and "Goal must compare" in said


@pytest.mark.parametrize("other", [{}, to_query(PRESETS["dying"].config)])
def test_the_address_keeps_it_until_another_one_is_opened(open_page, other):
    page = open_page(**LINK, lock="data", text="Hello")
    page.set("selectbox", "layers.0.activation", "tanh")
    assert page.query["lock"] == "data" and page.query["text"] == "Hello" and "2-tanh" in page.query["layers"]
    again = open_page(**page.query)
    assert again.session.lesson == page.session.lesson
    page.navigate(other)
    assert "Hello" not in page.words and "lock" not in page.query
    assert page.live_run.config == (from_query(other) if other else OPENING)
