"""The plane and the picture to draw on, in a browser."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.test_playground import ready

LEVELS = "pad => [...pad.getContext('2d').getImageData(0, 0, 8, 8).data].filter((_, at) => at % 4 === 3)"  # how opaque its pixels are


def test_points_are_drawn_erased_and_had_back(open_tab):
    tab = ready(open_tab("/?data.source=drawn"))
    plane, brush = tab.locator(".descent-plane"), lambda label: tab.get_by_role("button", name=f"Brush: class {label}")
    tab.get_by_role("button", name="Clear", exact=True).click()
    expect(tab.get_by_text("No points yet")).to_be_visible()
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()

    def stroke(*places):
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
        tab.mouse.move(*at[0])
        tab.mouse.down()
        for place in at[1:]:
            tab.mouse.move(*place, steps=20)
        tab.mouse.up()

    brush(1).click()
    stroke((0.5, 0.25))
    expect(tab).to_have_url(re.compile(r"data\.points=%5B%5B0\.\d*%2C(2\.9|3\.0)\d*%2C1%5D%5D"), timeout=30_000)
    brush(0).click()
    stroke((0.1, 0.8), (0.9, 0.8))
    expect(tab).to_have_url(re.compile("%2C0%5D"), timeout=30_000)
    drawn = plane.locator("path[transform]")
    many = drawn.count()
    assert 8 < many < 25
    tab.get_by_role("button", name="Erase", exact=True).click()
    stroke((0.5, 0.25))
    expect(drawn).to_have_count(many - 1)
    tab.get_by_role("button", name="Undo", exact=True).click()
    expect(drawn).to_have_count(many)
    expect(plane).to_have_attribute("aria-label", re.compile(f"with {many} points"))


def test_a_digit_is_drawn_with_the_pointer_or_by_keyboard(open_tab):
    tab = ready(open_tab("/?data.source=digits&data.scaling=minmax&layers=10-softmax"))
    tab.get_by_role("button", name="Predict", exact=True).click()
    pad, said = tab.locator(".descent-digit"), tab.locator(".chances .said dt")
    expect(tab.get_by_text("Draw a digit")).to_be_visible()
    box = pad.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 5)
    tab.mouse.up()
    expect(said).to_have_count(1)
    levels = pad.evaluate(LEVELS)
    assert sum(levels[3::8]) > 8 * 100 > 0 == sum(levels[0::8]) == sum(levels[7::8])  # a line down the middle
    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()
    tab.get_by_role("button", name="Clear", exact=True).click()
    expect(tab.get_by_text("Draw a digit")).to_be_visible()
    pad.focus()
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Space")
    expect(said).to_have_count(1)
    assert pad.evaluate(LEVELS)[8 * 3 + 4] == 255
