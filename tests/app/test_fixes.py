"""Fixes: read on the card, tried beside the run, taken over."""

import time

import pytest

from core.presets import PRESETS
from tests.app.test_past import exploded, settled


def tried(page):
    deadline = time.monotonic() + 60
    while page.live_run.trials.running:
        assert time.monotonic() < deadline, "the trials do not end"
        time.sleep(0.05)
    return page.run()


def test_the_card_says_what_its_fix_changes_and_takes_it_over(open_page):
    page = exploded(open_page)
    finding = page.session.last_snapshot.findings[0]
    rate = finding.fix["optimizer"]["learning_rate"]
    assert f"learning rate 1 → {rate:g}" in page.words
    page.press(f"apply {finding.code}")
    assert page.live_run.config.optimizer.learning_rate == rate
    assert page.query["optimizer.learning_rate"] == f"{rate:g}"
    assert page.number("optimizer.learning_rate") == rate
    assert page.live_run.snapshot().status == "running"
    page.press("pause").live_run.step(2000)
    assert settled(page).session.last_snapshot.nonfinite is None


def test_fixes_are_tried_ranked_and_the_winner_mends_the_run(open_page):
    page = exploded(open_page).press("try")
    assert page.button(key="try").disabled and page.button(key="cancel trials")
    trials = tried(page).live_run.trials
    assert "All began at step 0" in page.words
    assert [row in page.words for row in ("As it is", trials.trials[0].title)] == [True, True]
    assert page.words.index(trials.trials[0].title) < page.words.index(trials.trials[-1].title)
    page.press("apply trial 0")
    assert page.live_run.config == PRESETS["explosion"].config.patched(trials.trials[0].patch)
    assert "apply trial 0" not in {button.key for button in page.button}
    page.press("pause").live_run.step(2000)
    now = settled(page).session.last_snapshot
    assert now.nonfinite is None and not [finding for finding in now.findings if finding.severity != "info"]


def test_fixes_tried_from_the_last_healthy_step_go_on_there(open_page):
    page = open_page(**{"data.source": "hills", "layers": "8-tanh_8-tanh_1-linear"})
    page.live_run.step(1000)
    settled(page).set("text_input", "optimizer.learning_rate", 3)
    settled(page.press("play"))
    healthy = page.session.last_snapshot.healthy_step
    assert healthy >= 900
    page.press("try from healthy")
    trials = tried(page).live_run.trials.trials
    assert f"step {healthy:,}, or step 0 where it must" in page.words
    number = next(
        number for number, trial in enumerate(trials) if list(trial.patch) == ["optimizer"] and len(trial.patch["optimizer"]) == 1
    )
    page.press(f"apply trial {number}").press("pause")
    assert page.live_run.config.optimizer.learning_rate == trials[number].patch["optimizer"]["learning_rate"]
    assert {event.step for event in page.live_run.snapshot().events} == {healthy}


def test_trials_can_be_cancelled_and_their_table_closed(open_page):
    page = exploded(open_page).press("try").press("cancel trials")
    assert not page.live_run.trials.running and "cancel trials" not in {button.key for button in page.button}
    tried(page.press("try")).press("close trials")
    assert "close trials" not in {button.key for button in page.button}


def test_without_room_for_trials_the_page_says_so(open_page, monkeypatch):
    monkeypatch.setenv("DESCENT_MAX_RUNS", "1")
    page = exploded(open_page).press("try")
    assert "which is its limit" in page.words.replace("\\", "") and not page.live_run.trials.running


@pytest.mark.parametrize("name", ["dying", "vanishing", "divergence"])
def test_what_a_preset_shows_has_a_card_with_its_curve(open_page, name):
    page = open_page().set("selectbox", "preset", name)
    page.live_run.step(3000)
    settled(page)
    assert PRESETS[name].shows in {finding.code for finding in page.session.last_snapshot.findings}
    assert "clip-path: polygon(" in page.words and "try" in {button.key for button in page.button}
