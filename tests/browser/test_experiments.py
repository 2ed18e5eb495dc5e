"""Before a run, in a browser: the preflight names what is wrong, and the range test's learning rate is used."""

import re

from playwright.sync_api import expect

from core.presets import PRESETS
from tests.browser.test_playground import button, ready

EXPLOSION = "/?" + PRESETS["explosion"].link


def begin(tab, name):
    tab.get_by_role("button", name="Check").click()
    tab.get_by_role("button", name=name).click()
    tab.keyboard.press("Escape")


def test_preflight_and_range_test_find_a_learning_rate_that_is_used(open_tab):
    tab = ready(open_tab(EXPLOSION))
    begin(tab, "Preflight")
    card = tab.locator(".st-key-experiment")
    expect(card).to_contain_text("1 of 10 checks failed")
    expect(card.locator(".check")).to_have_count(10)
    expect(card).to_contain_text("3.78 times its stability limit")
    begin(tab, "Range test")
    expect(card.locator(".js-plotly-plot")).to_have_count(1)
    expect(card.locator(".check")).to_have_count(0)
    card.get_by_role("button", name="Use").click()
    expect(tab).to_have_url(re.compile(r"learning_rate=0\.\d+"))
    expect(tab.locator(".reading.gauge b")).not_to_contain_text("unstable")
    expect(card).to_contain_text("for the settings before your last change")
    card.get_by_role("button", name="Close").click()
    expect(card).to_have_count(0)
    expect(button(tab, "Play")).to_be_enabled()
