"""The charts of the doctor and of the cases: what they show, and that a browser can read them."""

import json

import numpy as np
import pytest

from core.config import RunConfig
from core.doctor import check
from core.doctor.examples import EXAMPLES, example
from core.snapshot.maker import SnapshotMaker
from core.training.trainer import Trainer
from pages.charts.cases import pair_panels
from pages.charts.doctor import doctor_panels
from pages.charts.style import THEMES
from tests.figures import unpacked


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("faults", EXAMPLES.values(), ids=EXAMPLES)
def test_the_doctors_charts_show_where_it_is_wrong(faults, theme):
    answer = check(example(faults))
    panels = doctor_panels(answer, theme)
    json.dumps(panels, allow_nan=False)
    (heat,), (_, *tensors) = panels["half_errors"]["data"], panels["half_scatter"]["data"]
    marks = {f"{kind}{layer}": heat["text"][row][layer - 1][0] for row, kind in enumerate(heat["y"]) for layer in (1, 2, 3)}
    assert {name for name, mark in marks.items() if mark == "✕"} == {row.tensor for row in answer.table if row.relative_error > 1e-4}
    assert [trace["name"] for trace in tensors] == list(answer.right)
    for trace in tensors:
        x, y = unpacked(trace["x"]), unpacked(trace["y"])
        assert np.abs(x).max() == pytest.approx(1)
        assert np.allclose(x, y) == (marks[trace["name"]] == "✓")


def test_gradients_of_zero_are_drawn():
    answer = check(example())
    blank = {name: np.zeros_like(array) for name, array in answer.right.items()}
    panels = doctor_panels(type(answer)(**{**vars(answer), "yours": blank, "right": blank}), "light")
    json.dumps(panels, allow_nan=False)


def test_two_runs_have_one_scale_and_each_its_whole_length():
    def snapshot(rate, steps):
        trainer = Trainer(RunConfig.from_dict({"data": {"source": "circle"}, "optimizer": {"learning_rate": rate}})).run(steps)
        return SnapshotMaker(trainer).make("paused", 0.0)

    panels = pair_panels([("Slow", 40, snapshot(0.001, 40)), ("Fast", 400, snapshot(1.0, 200))], "dark")
    json.dumps(panels, allow_nan=False)
    left, right = panels["half_loss_0"]["layout"], panels["half_loss_1"]["layout"]
    assert left["yaxis"]["range"] == right["yaxis"]["range"]
    assert (left["xaxis"]["range"], right["xaxis"]["range"]) == ([0, 40], [0, 400])
    exploded = RunConfig.from_dict({"data": {"source": "hills"}, "optimizer": {"learning_rate": 30.0}})
    broken = SnapshotMaker(Trainer(exploded).run(200)).make("nonfinite", 0.0)
    apart = pair_panels([("Slow", 40, snapshot(0.001, 40)), ("Broken", 200, broken)], "dark")
    assert apart["half_loss_0"]["layout"]["yaxis"]["range"] != apart["half_loss_1"]["layout"]["yaxis"]["range"]
    assert left["title"]["text"] == "Slow: loss" and panels["half_output_1"]["alt"].startswith("Fast. ")
    assert [name[-1] for name in panels] == ["0", "1"] * (len(panels) // 2)
