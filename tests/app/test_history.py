"""Settings are undone and done again."""

import pytest


@pytest.fixture
def page(open_page):
    return open_page()


def rate(page):
    return page.live_run.config.optimizer.learning_rate


def test_settings_are_undone_and_done_again_whatever_changed_them(page):
    first = page.live_run.config
    assert page.button(key="undo").disabled and page.button(key="redo").disabled
    page.set("text_input", "optimizer.learning_rate", 0.5).press("new_seed")
    second = page.live_run.config
    page.press("undo")
    assert page.live_run.config.seed == first.seed and rate(page) == 0.5 == page.number("optimizer.learning_rate")
    assert "learning rate 0\\.5 → " in page.button(key="undo").help
    page.press("undo")
    assert page.live_run.config == first and page.button(key="undo").disabled
    page.press("redo").press("redo")
    assert page.live_run.config == second and page.button(key="redo").disabled
    page.press("undo").set("text_input", "optimizer.learning_rate", 0.1)
    assert page.button(key="redo").disabled  # what was undone belongs to another path
    assert page.press("undo").live_run.config.seed == first.seed and rate(page) == 0.5


def test_what_cannot_be_used_again_is_told_and_the_history_stays(open_page):
    page = open_page(lock="optimizer")
    page.press("new_seed")
    history = page.test.session_state["history"]
    history.done.append(page.session.config.patched({"optimizer": {"learning_rate": 0.7}}))
    page.run().press("undo")
    assert "must stay as it is" in page.words and rate(page) == page.session.config.optimizer.learning_rate != 0.7
    assert len(history.done) == 2 and not history.undone
