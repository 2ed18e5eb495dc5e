"""Points to draw and a formula, among the controls."""

import pytest

from core.data.drawn import CLASSES, EXAMPLE
from core.data.formula import EXAMPLES
from core.link import from_query
from pages.training.own_plane import edited

POINTS = [[1.0, 2.0, 0], [-3.0, 0.5, 1], [2.5, -1.0, 0]]


@pytest.fixture
def page(open_page):
    page = open_page()
    page.test.session_state["points folded"] = True
    return page.set("segmented_control", "data.source", "drawn")


def draw(page, points):
    page.session.draft.edit("data.points", points)
    return page.run()


def test_what_is_drawn_is_trained_on_and_in_the_address(page):
    assert f"{len(EXAMPLE)} of at most 500 points" in page.words and page.live_run.config.data.points is None
    assert "data.noise" not in [slider.key for slider in page.slider]
    draw(page, POINTS)
    assert page.live_run.config.data.points == tuple(map(tuple, POINTS)) == from_query(page.query).data.points
    assert "3 of at most 500" in page.words and page.press("step").step == 1
    draw(page, [*POINTS, [0.0, 0.0, 2]])
    assert (page.session.config.layers[-1].units, page.session.config.loss) == (3, "categorical_cross_entropy")


def test_without_points_the_run_keeps_those_that_it_has(page):
    draw(page, POINTS)
    draw(page, [])
    assert "No points yet" in page.words and page.session.draft.pending
    assert len(page.live_run.config.data.points) == 3
    draw(page, [[0.0, 0.0, CLASSES]])
    assert f"a class from 0 to {CLASSES - 1}" in page.words
    assert not draw(page, POINTS[:1]).session.draft.pending


def test_a_drawing_waits_while_other_data_are_chosen(page):
    draw(page, POINTS)
    page.set("segmented_control", "data.source", "moons")
    assert page.session.config.data.points is None and "data.points" not in page.query
    page.set("segmented_control", "data.source", "drawn")
    assert len(page.session.config.data.points) == 3


def test_points_can_be_typed():
    changes = {
        "edited_rows": {0: {"x1": 4.5}, 1: {"class": 0}},
        "added_rows": [{"x1": 1, "x2": 2, "class": 1}, {"x1": 3}],
        "deleted_rows": [2],
    }
    assert edited(POINTS, changes) == [[4.5, 2.0, 0], [-3.0, 0.5, 0], [1, 2, 1]]
    assert edited(POINTS, {"edited_rows": {0: {"x2": None}}, "added_rows": [], "deleted_rows": []}) == POINTS[1:]


def test_a_formula_is_typed_or_taken_from_the_examples(open_page):
    page = open_page().set("segmented_control", "data.source", "formula")
    page.set("text_input", "data.formula", "x1^2 - x2")
    assert page.live_run.config.data.formula == from_query(page.query).data.formula == "x1^2 - x2"
    page.set("text_input", "data.formula", "x1^2 - y")
    assert "and not 'y' at character 8" in page.words.replace("\\", "") and page.text_input(key="data.formula").value == "x1^2 - y"
    assert page.live_run.config.data.formula == "x1^2 - x2"
    page.set("pills", "formula example", EXAMPLES[2])
    assert page.live_run.config.data.formula == EXAMPLES[2] == page.text_input(key="data.formula").value
    page.set("segmented_control", "data.task", "regression")
    assert (page.session.config.layers[-1].activation, page.session.config.loss) == ("linear", "mse")
    assert page.press("step").step == 1
