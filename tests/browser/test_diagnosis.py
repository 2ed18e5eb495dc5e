"""What goes wrong, in a browser: the gauge, the past without new charts, and fixes that are tried and taken over."""

import re

import pytest
from playwright.sync_api import expect

from core.presets import PRESETS
from tests.browser.test_playground import button, expect_true, play, reading, ready, settled, status, step, wait_for_steps

EXPLOSION = "/?" + PRESETS["explosion"].link
KEEP = "(window.charts = [...document.querySelectorAll('.js-plotly-plot')]).length"
LOST = "window.charts.filter(chart => !chart.isConnected).length"


@pytest.fixture
def broken(open_tab):
    """A tab whose run overflowed."""
    tab = ready(open_tab(EXPLOSION))
    button(tab, "Play").click()
    expect(status(tab)).to_have_text("✕ Not a number at step 210")
    return tab


def moment(tab):
    return tab.get_by_role("slider", name="Time")


def test_the_gauge_warns_before_play_and_its_button_calms_it(open_tab):
    tab = ready(open_tab(EXPLOSION))
    gauge = tab.locator(".reading.gauge b")
    expect(gauge).to_contain_text("unstable")
    bar = tab.locator(".st-key-transport").bounding_box()
    tab.get_by_role("button", name="Use 0.1").click()
    expect(gauge).to_contain_text("stable")
    expect(gauge).not_to_contain_text("unstable")
    expect(tab.get_by_label("Any learning rate", exact=True)).to_have_value("0.1")
    assert tab.locator(".st-key-transport").bounding_box() == bar
    play(tab)
    expect_true(lambda: step(tab) > 1000)
    expect(status(tab)).to_have_text("Running")


def test_the_slider_replays_all_panels_in_place(broken):
    tab = broken
    expect_true(lambda: tab.evaluate(KEEP) > 1)
    output, note = tab.locator("[data-name=output]"), "Not finite any more"
    expect(output).to_contain_text(note)
    tab.get_by_role("button", name="Last healthy step").click()
    expect(status(tab)).to_contain_text("of 209")
    healthy = step(tab)
    expect(output).not_to_contain_text(note)
    expect(output.locator(".descent-legend")).to_contain_text("carries the gradient")
    moment(tab).focus()
    tab.keyboard.press("ArrowRight")
    expect_true(lambda: step(tab) > healthy)
    button(tab, "Now").click()
    expect(status(tab)).to_have_text("✕ Not a number at step 210")
    expect(output).to_contain_text(note)
    assert tab.evaluate(LOST) == 0


def test_one_goes_on_from_the_last_healthy_step_with_another_learning_rate(broken):
    tab = broken
    tab.get_by_role("button", name="Last healthy step").click()
    expect(status(tab)).to_contain_text("of 209")
    settled(tab).get_by_label("Any learning rate", exact=True).fill("0.05")
    tab.get_by_label("Any learning rate", exact=True).press("Enter")
    tab.get_by_role("button", name="Continue with the new settings").click()
    expect(tab).to_have_url(re.compile(r"learning_rate=0\.05"))
    expect(tab.locator(".finding")).to_have_count(0)
    play(tab)
    expect_true(lambda: step(tab) > 1000)
    expect(status(tab)).to_have_text("Running")


def test_one_continues_at_the_step_that_was_chosen_and_that_is_now(broken):
    tab = broken
    for _ in range(2):
        shown = status(tab).inner_text()
        moment(tab).focus()
        tab.keyboard.press("ArrowLeft")
        expect(status(tab)).not_to_have_text(shown)
        expect(status(tab)).to_contain_text("of 209")
    chosen = step(settled(tab))
    assert 0 < chosen < 209
    button(tab, "Continue from here").click()
    expect(status(tab)).to_have_text("Paused")
    settled(tab).wait_for_timeout(1000)  # the browser would have moved the slider by itself within that time
    assert step(tab) == chosen and status(tab).inner_text() == "Paused"
    expect(moment(tab)).to_have_attribute("aria-valuetext", "now")
    expect(button(tab, "Continue from here")).to_be_disabled()


def test_trying_the_fixes_ends_in_a_table_and_the_winner_mends_the_run(broken):
    tab = broken
    expect_true(lambda: tab.evaluate(KEEP) > 1)
    tab.get_by_role("button", name="Try the fixes").click()
    expect(tab.locator(".trial").first).to_contain_text("✓", timeout=120_000)  # trials give way to all else
    expect(tab.locator(".trial", has_text="As it is")).to_contain_text("✕")
    expect(tab.locator(".evidence .curve")).not_to_have_count(0)
    tab.locator(".st-key-trial-0").get_by_role("button", name="Apply").click()
    expect(tab.locator(".trial")).to_have_count(0)
    expect(tab).not_to_have_url(re.compile(r"learning_rate=1(&|$)"))
    expect(status(tab)).to_have_text("Running")
    wait_for_steps(tab, 1000)
    expect(tab.locator(".finding")).to_have_count(0)
    assert tab.evaluate(LOST) == 0


def test_a_page_at_rest_asks_for_nothing(open_tab, frames):
    tab = ready(open_tab(EXPLOSION, frames=frames))
    expect(tab.locator(".finding")).to_be_visible()  # the forecast is made
    settled(tab).wait_for_timeout(500)
    tab.evaluate("""window.drawn = 0; new MutationObserver(() => window.drawn++)
        .observe(document.querySelector('.st-key-transport'), {subtree: true, childList: true, characterData: true})""")
    before = frames.asked, frames.pictures
    tab.wait_for_timeout(1500)
    assert tab.evaluate("window.drawn") == 0
    assert (frames.asked, frames.pictures) == before and min(before) > 0


def test_a_unit_is_picked_by_keyboard(open_tab):
    tab = ready(open_tab())
    layer = tab.get_by_role("combobox", name="Layer", exact=True)
    layer.focus()
    layer.press_sequentially("Layer 2")
    layer.press("Enter")
    expect(tab.get_by_text("Unit 1 of layer 2", exact=True)).to_be_visible()
    unit = tab.get_by_label("Unit", exact=True)
    unit.fill("4")
    unit.press("Enter")
    expect(tab.get_by_text("Unit 4 of layer 2", exact=True)).to_be_visible()
    expect(tab.locator("[data-name=unit_map]")).to_be_visible()
    expect(reading(tab, "Step")).to_have_text("0")
