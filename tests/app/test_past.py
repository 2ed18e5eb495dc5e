"""The gauge, the bar over the run's past, and going on from there."""

import time

import pytest

from core.config import RunConfig
from core.presets import OPENING, PRESETS
from pages.training import timebar


@pytest.fixture
def page(open_page):
    return open_page()


def settled(page):
    """The page once its run stands still and its forecast is there; no browser asks again here."""
    deadline = time.monotonic() + 30
    while page.live_run.snapshot().status == "running" or page.live_run.snapshot().forecast_due:
        assert time.monotonic() < deadline, "it did not come to rest"
        time.sleep(0.02)
    return page.run()


def steps(page, *keys):
    for key in keys:
        settled(page.press(key))
    return page


def exploded(open_page):
    return settled(open_page(**{"data.source": "hills", "layers": "8-tanh_8-tanh_1-linear", "optimizer.learning_rate": "1"}).press("play"))


# Gauge


def test_a_calm_run_has_a_calm_gauge(page):
    assert "Rate / limit" in page.words
    told = settled(page).session.last_snapshot.forecast
    assert told.verdict == "stable" and 'class="reading gauge stable"' in page.words
    assert not page.has("use_stable_rate")


def test_an_unstable_rate_is_told_before_play_and_replaced_by_one_that_holds(page):
    settled(page.set("selectbox", "preset", "explosion"))
    assert "unstable" in page.words
    offered = float(page.head["buttons"]["use_stable_rate"]["label"].removeprefix("Use "))
    settled(page.press("use_stable_rate"))
    assert page.live_run.config.optimizer.learning_rate == offered < 1
    assert page.query["optimizer.learning_rate"] == f"{offered:g}"
    assert page.number("optimizer.learning_rate") == offered
    assert page.session.last_snapshot.forecast.verdict != "unstable"
    page.live_run.step(2000)
    assert settled(page).session.last_snapshot.nonfinite is None


# The past


def test_a_slow_replay_goes_from_before_the_trouble_to_after_it(open_page, monkeypatch):
    page = exploded(open_page)
    monkeypatch.setattr(timebar, "SECONDS_A_STEP", 1e9)
    page.press("replay")
    began = timebar.trouble(page.session.last_snapshot)
    assert page.head["buttons"]["replay"]["label"] == "Stop the replay" and page.session.needs_updates
    assert page.session.moment == max(0, began - timebar.AROUND)
    monkeypatch.setattr(timebar, "SECONDS_A_STEP", 1e-9)
    timebar.go_on_replaying(page.session)  # not a picture: on a busy machine that shows the nearest moment that can be had
    assert page.session.replay is None and page.session.moment == began + timebar.AROUND


def test_a_replay_ends_when_something_else_is_looked_at(open_page, monkeypatch):
    page = exploded(open_page)
    monkeypatch.setattr(timebar, "SECONDS_A_STEP", 1e9)
    page.press("replay").press("now")
    assert page.head["buttons"]["replay"]["label"] == "Replay slowly"
    assert page.session.replay is None and page.session.moment is None


def test_a_run_without_trouble_has_nothing_to_replay(page):
    assert not steps(page, "step").has("replay")


def test_the_slider_shows_a_moment_and_comes_back(page):
    settled(page.press("step").press("epoch").press("epoch"))
    now = page.session.now
    options, shown = page.moments
    assert options[:2] == ["0", "1"] and options[-1] == shown == "now" and now == 50
    page.press("look", "1")
    assert page.session.last_snapshot.moment == page.session.last_snapshot.step == 1
    assert "Step 1 of 50" in page.words and "Looking back at step 1" in page.words
    assert page.step == 50  # the run itself has not moved
    page.press("now")
    assert page.session.moment is None and page.session.last_snapshot.step == 50


@pytest.mark.parametrize("key", ["step", "reset", "play"])
def test_to_move_the_run_is_to_look_at_it(page, key):
    steps(page, "step", "epoch").press("look", "1")
    page.press(key)
    assert page.session.moment is None


def test_while_it_plays_the_slider_rests(page):
    page.press("play")
    assert page.head["slider"]["disabled"] and page.moments == (["start", "now"], "now")
    assert not any(page.can(name) for name in ("healthy", "now", "continue", "continue_changed"))
    page.press("look", "start")
    assert page.session.moment is None and page.live_run.snapshot().status == "running"


def test_to_continue_with_nothing_changed_is_the_run_again(page):
    steps(page, "step", "epoch", "epoch")
    before = page.live_run.snapshot()
    page.press("look", "1").press("continue")
    assert page.step == 1 and page.session.moment is None and page.session.config == OPENING
    steps(page, "epoch", "epoch")
    again = page.live_run.snapshot()
    assert again.step == before.step and again.train_loss == before.train_loss


def test_one_continues_with_the_settings_of_then_or_with_those_of_now(page):
    for wanted, rate in (("continue", 0.03), ("continue_changed", 0.5)):
        settled(page.press("reset").set("text_input", "optimizer.learning_rate", 0.03))
        steps(page, "step", "epoch").press("look", "1")
        assert not page.has("continue_changed")
        page.set("text_input", "optimizer.learning_rate", 0.5)
        assert page.session.moment == 1 and "learning rate 0.03 → 0.5" in page.words.replace("\\", "")
        page.press(wanted)
        assert page.step == 1
        assert page.live_run.config.optimizer.learning_rate == page.session.config.optimizer.learning_rate == rate
        assert page.number("optimizer.learning_rate") == rate
        assert page.query.get("optimizer.learning_rate", "0.03") == f"{rate:g}"


def test_the_last_healthy_step_of_a_broken_run_is_one_press_away(open_page):
    page = exploded(open_page)
    healthy = page.session.last_snapshot.healthy_step
    assert page.session.last_snapshot.first_crossing and "It began in" in page.words
    assert page.head["buttons"]["healthy"]["label"] == f"Last healthy step {healthy:,}"
    page.press("healthy")
    assert page.session.moment == healthy and page.session.last_snapshot.influence is not None
    assert "mini-batch" in page.words.replace("\\", "")
    page.set("text_input", "optimizer.learning_rate", 0.05).press("continue_changed")
    page.live_run.step(3000)
    assert settled(page).session.last_snapshot.nonfinite is None


def test_another_network_begins_in_the_present(page):
    steps(page, "step", "epoch").press("look", "1").set("text_input", "layers.0.units", 5)
    assert page.session.moment is None and page.step == 0


def test_the_past_cannot_be_edited(page):
    steps(page, "step", "epoch")
    page.set("selectbox", "picked layer", 2).set("text_input", "picked unit", 3)
    assert page.session.picked == (2, 2) and not page.button(key="set").disabled
    page.press("look", "1")
    assert page.button(key="set").disabled and page.session.last_snapshot.unit.layer == 2


# A link to a moment


def test_a_link_opens_the_run_just_before_the_failure(open_page):
    page = exploded(open_page)
    shown = min(finding.step for finding in page.session.last_snapshot.findings if not finding.mistake)
    assert f"at={shown - 1}" in page.words
    query = dict(item.split("=") for item in PRESETS["explosion"].link.split("&"))
    other = settled(open_page(**query, at=str(shown - 1)))
    assert other.step == shown - 1 and other.session.last_snapshot.nonfinite is None
    assert other.session.config == PRESETS["explosion"].config
    other.live_run.step(300)
    assert settled(other).session.last_snapshot.nonfinite == page.session.last_snapshot.nonfinite


@pytest.mark.parametrize("at", ["-1", "1e3", "99999999999", "10000001", "٣", ""])
def test_a_link_to_no_step_is_refused(open_page, at):
    page = open_page(**{"data.source": "circle", "at": at})
    assert "This link could not be opened" in page.words and page.session.config == OPENING


def test_a_link_of_settings_alone_stands_at_the_start(open_page):
    page = open_page(**{"data.source": "circle", "at": "0"})
    assert page.step == 0 and page.session.config == RunConfig.from_dict({"data": {"source": "circle"}})
