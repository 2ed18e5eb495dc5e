"""The map of divergence in a browser: made while one looks, zoomed into, and a press on a cell opens that very run."""

import re

from playwright.sync_api import expect


def test_a_map_is_made_and_a_press_on_a_cell_opens_its_run(open_tab):
    tab = open_tab("/experiments")
    expect(tab.get_by_text("No map yet")).to_be_visible()
    tab.get_by_label("Steps of each run").fill("10")
    tab.get_by_label("Steps of each run").press("Enter")
    tab.get_by_role("button", name="Make the map").click()
    expect(tab.get_by_text("All 1,024 runs.")).to_be_visible()
    chart, curve = (tab.locator(f'.descent-panel[data-name="{name}"]') for name in ("map", "curve"))
    expect(curve).to_contain_text("Point at a cell of the map.")
    expect(chart.locator(".main-svg").first).to_have_attribute("aria-label", re.compile("1024 of 1024 runs"))
    tab.reload()
    expect(tab.get_by_text("All 1,024 runs.")).to_be_visible()
    box = chart.locator(".nsewdrag").bounding_box()
    corner = {"x": box["width"] / 64, "y": box["height"] - box["height"] / 64}  # the first cell of both
    chart.locator(".nsewdrag").hover(position=corner)
    expect(chart.locator(".hovertext")).to_contain_text("loss at the end")
    expect(curve).to_contain_text("optimizer learning rate 0.0003, init scale 0.01")
    expect(curve.locator(".scatterlayer .trace")).to_have_count(1)
    chart.locator(".nsewdrag").click(position=corner)
    expect(tab).to_have_url(re.compile(r"optimizer\.learning_rate=0\.0003.*"))
    expect(tab).to_have_url(re.compile(r"init\.scale=0\.01"))
    expect(tab.get_by_role("button", name="Play", exact=True)).to_be_enabled()
