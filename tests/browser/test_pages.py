"""The pages beside the playground in a browser: cold deep links, an upload, two runs side by side."""

import re

import pytest
from playwright.sync_api import expect

from core.doctor.examples import example
from core.faults import FAULTS
from tests.browser.test_playground import DRAWN, expect_true, settled


def drawn(tab):
    """Wait until there are charts, and all that are in view are drawn."""
    expect_true(lambda: tab.evaluate(DRAWN))
    return tab


@pytest.mark.parametrize(("address", "words"), [
    ("/cases?case=flower_boundary", "A NameError before the first step"),
    ("/cases", "Programs that people posted"),
    ("/doctor", "Is your own backprop right?"),
])  # fmt: skip
def test_a_cold_deep_link_opens_on_a_server_that_nobody_visited(start_server, open_tab, address, words):
    server = start_server()
    tab = open_tab(address, at=server)
    expect(tab.get_by_text(words).first).to_be_visible()
    expect(tab.get_by_text("Page not found")).to_have_count(0)
    expect(tab.get_by_role("link", name="Doctor")).to_be_visible()
    expect(tab.get_by_text("Getting ready")).to_have_count(0)
    assert "Traceback" not in server.log


def test_the_sidebar_is_as_wide_as_its_controls_need_and_can_be_closed(start_server, open_tab):
    tab = open_tab(at=start_server())  # nobody visited: Streamlit opens the sidebar before it knows how wide it is to be
    play, sidebar = tab.get_by_role("button", name=re.compile("^Play")), tab.get_by_test_id("stSidebar")
    expect(play).to_be_enabled()
    drawn(settled(tab))
    assert sidebar.bounding_box()["width"] == 340
    sidebar.hover()
    tab.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    expand = tab.get_by_test_id("stExpandSidebarButton")
    expect(expand).to_be_visible()
    expect_true(lambda: expand.bounding_box()["x"] + expand.bounding_box()["width"] <= play.bounding_box()["x"])
    expand.click()
    expect(tab.get_by_label("Preset", exact=True)).to_be_in_viewport()


def test_an_upload_to_the_doctor_is_answered(open_tab):
    tab = open_tab("/doctor")
    file = {"name": "RUN.npz", "mimeType": "application/octet-stream", "buffer": example(("missing_mean:1",))}
    tab.locator("input[type=file]").set_input_files(file)
    expect(tab.locator(".verdict.faulty")).to_contain_text("1/m left out in layer 1")
    expect(tab.locator(".lines .right")).to_contain_text("dW1, db1 = delta1 @ X.T / m")
    settled(drawn(tab))
    expect(tab.locator(".descent-panel")).to_have_count(2)
    bad = {"name": "bad.npz", "mimeType": "application/octet-stream", "buffer": b"PK\x03\x04 and nothing else"}
    tab.locator("input[type=file]").set_input_files(bad)
    expect(tab.get_by_text("cannot be used")).to_be_visible()
    expect(tab.locator(".verdict")).to_have_count(0)


def test_two_runs_move_side_by_side_and_keep_their_charts(open_tab):
    tab = drawn(open_tab("/cases?case=four_equations"))
    tab.evaluate("window.charts = [...document.querySelectorAll('.js-plotly-plot')]")
    tab.get_by_role("button", name="Run both").click()
    expect(tab.get_by_text("Step 100 ·")).to_be_visible()
    expect(tab.get_by_text("Step 2,500 ·")).to_be_visible()
    expect(tab.get_by_role("button", name="Run both")).to_be_visible()
    assert tab.evaluate("window.charts.every(chart => chart.isConnected)")


def test_a_variant_opens_in_the_playground(open_tab):
    tab = drawn(open_tab("/cases?case=four_equations"))
    tab.get_by_role("link", name="Open in the playground").first.click()
    expect(tab).to_have_url(re.compile("faults=half_of_the_square"))
    expect(tab.get_by_text(re.compile(f"On: .*{FAULTS['half_of_the_square'].title}"))).to_be_visible()
