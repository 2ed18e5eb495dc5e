"""Beside a run: the preflight's list and its remedies, the range test and its learning rate, the loss surface."""

import json
import time

import numpy as np
import pytest

from core.experiments.checks import CHECKS
from core.experiments.range_test import range_test
from core.experiments.surface import Surface
from core.presets import PRESETS
from pages.charts.range_test import range_chart
from pages.charts.surface import surface_chart
from pages.training import surface


def ended(page):
    """The page once the experiment is over."""
    deadline = time.monotonic() + 60
    while page.session.run.experiment.look().running:
        assert time.monotonic() < deadline, "the experiment does not end"
        time.sleep(0.05)
    return page.run()


def experiment(page):
    return page.session.run.experiment.look()


def test_the_preflight_lists_its_checks_and_a_remedy_is_taken_over(open_page):
    page = open_page().set("selectbox", "preset", "explosion").press("preflight")
    assert experiment(page).kind == "preflight"
    ended(page)
    assert [result.name for result in experiment(page).results] == list(CHECKS)
    assert "1 of 10 checks failed" in page.words and "3.78 times its stability limit" in page.words
    page.press("apply check learning_rate")
    assert page.live_run.config.optimizer.learning_rate == page.number("optimizer.learning_rate") < 0.27
    assert "for the settings before your last change" in page.words
    assert "Ready to train" in ended(page.press("preflight")).words
    page.press("end experiment")
    assert experiment(page).kind is None and "Ready to train" not in page.words


def test_the_range_test_draws_its_sweep_and_its_rate_is_used(open_page):
    page = ended(open_page().set("selectbox", "preset", "explosion").press("range"))
    (found,) = experiment(page).results
    page.press("use suggested")
    assert page.live_run.config.optimizer.learning_rate == found.suggested < found.stability_limit


def test_an_experiment_is_cancelled_and_needs_a_place(open_page, monkeypatch):
    page = open_page().press("range").press("end experiment")
    assert experiment(page).kind is None
    page.close()
    monkeypatch.setenv("DESCENT_MAX_RUNS", "1")
    page = open_page().press("preflight")
    assert experiment(page).kind is None and "which is its limit" in page.words.replace("\\", "")


def test_the_chart_marks_limit_suggestion_and_blow_up():
    found = range_test(PRESETS["explosion"].config)
    chart = range_chart(found, "dark")
    assert json.dumps(chart, allow_nan=False)
    assert [trace["name"].split(" ")[0] for trace in chart["data"]] == ["loss", "steepest", "stability", "blow-up"]
    assert chart["layout"]["xaxis"]["type"] == chart["layout"]["yaxis"]["type"] == "log"


def test_the_loss_surface_is_drawn_and_follows_its_run(open_page):
    page = ended(open_page().set("selectbox", "preset", "classes").press("surface"))
    (found,) = experiment(page).results
    assert found.step == found.asked == 0 and "Training loss around the parameters at step 0" in page.words
    assert not surface.due(page.session)
    ended(page.press("step"))  # the page that this brings begins it again
    assert [result.step for result in experiment(page).results] == [0, 1] and "at step 1;" in page.words
    assert "goes along the sharpest direction" in page.words
    ended(page.set("segmented_control", "surface directions", True))
    assert experiment(page).results[-1].names == ("random direction",) * 2 and "Both directions are random" in page.words
    page.press("end experiment")
    assert experiment(page).kind is None and not surface.due(page.session)


def test_a_surface_too_large_to_be_drawn_is_refused_in_a_sentence(open_page):
    page = open_page(layers="1100-relu_1000-relu_1-sigmoid")
    page.press("surface")
    assert experiment(page).kind is None and "parameters for its loss surface to be drawn" in page.words.replace("\\", "")


def surface_with(losses, **others):
    losses = np.asarray(losses, float)
    place = np.linspace(-1, 1, len(losses))
    about = {
        "step": 3, "asked": 3, "names": ("update's direction", "sharpest direction"), "xs": place, "ys": place, "losses": losses,
        "loss": float(losses[1, 1]), "curvatures": (1.0, 2.0), "path": np.array([[-1.0, 0.5], [0, 0]]), "path_steps": np.array([0, 3]),
        "path_share": 0.5, "lowest": (0.0, 0.0, float(np.nanmin(losses))), "onward": (0.5, 0.5, 0.1, 2.0), "update_share": 0.2,
        "samples": 5, "of": 5,
    }  # fmt: skip
    return Surface(**about | others)


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([[1, 2, 3], [2, 1, 2], [3, 2, 4]], "even"),
        ([[1, 1e3, np.nan], [2, 1, 2], [3, 1e-3, 0]], "log"),
        (np.full((3, 3), 0.5), "even"),
        (np.zeros((3, 3)), "even"),
        (np.full((3, 3), 1e300), "even"),
    ],
)
def test_the_surface_has_logarithmic_colours_where_losses_span_decades(losses, scale):
    chart = surface_chart(surface_with(losses), "dark")
    assert json.dumps(chart, allow_nan=False)
    contours = chart["data"][0]
    assert contours["zmin"] < contours["zmax"] and contours["contours"]["size"] > 0
    assert ("ticktext" in contours["colorbar"]) == (scale == "log")
    assert [trace["name"] for trace in chart["data"] if "name" in trace and trace.get("showlegend", True)] == [
        "the run's way",
        "lowest in the slice",
        "lowest along the update",
        "now",
    ]
    assert "distance" in chart["layout"]["xaxis"]["title"]["text"] and "now" in chart["alt"]
    assert len(surface_chart(surface_with(losses, onward=None, path=np.zeros((0, 2))), "light")["data"]) == 3
