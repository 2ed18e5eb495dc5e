"""Before a run: the preflight's list and its remedies, the range test and its learning rate."""

import json
import time

from core.experiments.checks import CHECKS
from core.experiments.range_test import range_test
from core.presets import PRESETS
from pages.charts.range_test import range_chart


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
