"""The page Experiments: a map is made, its cells open the runs, and what cannot be is said."""

import json
import time

import numpy as np
import pytest

from core.config import RunConfig
from core.experiments.map import Axis, Cells, Map, MapPlan, divergence_map
from core.training.trainer import Trainer
from pages.charts.map import curve_chart, map_chart
from pages.map_view.view import MapView
from tests.app.conftest import Page

PLAN = MapPlan(
    RunConfig.from_dict({"data": {"source": "circle"}}),
    Axis("optimizer.learning_rate", 0.01, 100, 6, log=True),
    Axis("layers.0.units", 1, 4, 4),
    20,
)


class Made:
    """A Making that is done."""

    def __init__(self):
        self.map, self.left, self.plans, self.known = Map(PLAN), [], [], {}
        for part in divergence_map(PLAN):
            self.map.take(part)
            if isinstance(part, Cells):
                self.known |= {(row, column): losses for row, column, losses in zip(part.rows, part.columns, part.losses)}

    def losses(self, row, column):
        return self.known[row, column]

    def look(self):
        return self.map, False, None

    def start(self, plan):
        self.plans.append(plan)


def test_the_chart_tells_each_cell_and_grows():
    found = Map(PLAN)
    charts = [map_chart(found, "light")]
    for part in divergence_map(PLAN):
        found.take(part)
        charts.append(map_chart(found, "dark"))
    assert "0 of 24" in charts[0]["alt"] and "24 of 24" in charts[-1]["alt"] and "learns" in charts[-1]["alt"]
    last = charts[-1]
    assert json.dumps(last, allow_nan=False)
    assert [len(row) for row in last["data"][0]["text"]] == [6] * 4 and "loss at the end" in last["data"][0]["text"][0][0]
    assert last["layout"]["xaxis"]["type"] == "log"


def test_a_press_picks_the_cells_run_and_a_window_is_a_new_map():
    view = MapView(Made())
    for wrong in (None, [1], [4, 0], [0, 6], [-1, 0], ["0", 0], [True, 0], {"x": 1}):
        view.command("pick", wrong)
        assert view.picked is None
    view.command("pick", [3, 0])
    assert view.picked == PLAN.cell(3, 0) and view.picked.layers[0].units == 4
    for wrong in (None, {}, {"x": [1]}, {"x": [0, 1e9], "y": ["a", 1]}, {"x": [float("nan"), 1], "y": [1, 2]}):
        view.command("zoom", wrong)
    assert view.making.plans == []
    view.command("zoom", {"x": [-1, 1], "y": [0.2, 2.9]})
    (plan,) = view.making.plans
    assert (plan.x.low, plan.x.high, plan.y.low, plan.y.high) == (pytest.approx(0.1), pytest.approx(10), 1, 2)
    assert view.making.left == [PLAN]
    view.command("zoom", {"x": [-1, 1], "y": [1.2, 1.4]})
    assert "must go from a number to a larger one" in view.refusal


def test_the_curve_of_the_cell_that_is_pointed_at_is_drawn():
    view = MapView(Made())
    _, figures = view.picture("light")
    assert list(figures) == ["map", "curve"] and figures["curve"]["data"] == [] and figures["map"]["layout"]["meta"] == "cells"
    view.command("point", [2, 5])
    _, pointed = view.picture("light")
    (curve,) = pointed["curve"]["data"]
    assert curve["x"] == [0, *PLAN.looks.tolist()] and pointed["map"] is figures["map"]
    assert "learning rate 100, layers 0 units 3" in pointed["curve"]["layout"]["title"]["text"]
    assert json.dumps(pointed, allow_nan=False)
    trainer = Trainer(PLAN.cell(2, 5))
    known = view.making.known[2, 5]
    assert known[0] == pytest.approx(trainer.loss(), rel=0.3) and len(known) == len(curve["x"])  # on some of the samples
    for wrong in (None, [9, 9], "0", {"x": 1}, [1, True]):
        view.command("point", wrong)
        assert view.picture("dark")[1]["curve"]["data"] == []
    empty = curve_chart(Map(PLAN), (0, 0), np.full(1 + len(PLAN.looks), np.nan), "dark")
    assert "not made yet" in empty["alt"] and json.dumps(empty, allow_nan=False)


def test_the_page_makes_a_map_that_a_page_loaded_again_finds(visit):
    page = visit()
    page.test.switch_page("experiments.py").run()
    page.set("selectbox", "map base", "spiral")
    for axis in "xy":
        page.set("text_input", f"map {axis} count", "9")
    page.set("text_input", "map steps", "10").press("make map")
    deadline = time.monotonic() + 60
    while page.test.session_state["tab"].view.making.look()[1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found, _, problem = page.test.session_state["tab"].view.making.look()
    assert problem is None and (found.outcomes >= 0).all() and found.limit is not None
    curve = page.test.session_state["tab"].view.making.losses(3, 3)
    assert curve[-1] == pytest.approx(found.final[3, 3]) and len(curve) == 1 + len(found.plan.looks)
    page.set("text_input", "map x count", "9999").press("make map")
    assert "must have 2 to 1024 values" in page.words
    page.set("text_input", "map x count", "1000").set("text_input", "map y count", "100").press("make map")
    assert "must have at most 16,384 runs here" in page.words
    again = visit()
    again.test.switch_page("experiments.py").run()
    assert again.test.session_state["tab"].view.making.look()[0] is found


@pytest.fixture
def visit(monkeypatch):
    """Opens the app as one visitor after the other."""
    monkeypatch.setenv("DESCENT_TRIAL_NICENESS", "1")
    pages = []

    def opened():
        pages.append(Page())
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


def test_parts_of_a_map_go_through_a_pipe():
    part = next(iter(divergence_map(PLAN)))
    assert isinstance(part, Cells) and part.losses.nbytes < 100_000
