"""A person's own file in a browser: nothing trains but what is shown, however long the file takes to be read."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app.files import CSV, HOSTILE
from tests.browser.test_playground import button, expect_true, play, ready, settled, status, step

ROWS = 40_000  # 4 MB


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A CSV file that takes seconds to be read."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    numbers = np.random.default_rng(0).normal(size=(ROWS, 8))
    labels = np.where(numbers[:, 0] * numbers[:, 1] > 0, "yes", "no")
    table = np.column_stack([np.char.mod("%.8f", numbers), labels])
    np.savetxt(path, table, "%s", ",", header="a,b,c,d,e,f,g,h,label", comments="")
    assert path.stat().st_size > 3e6
    return path


@pytest.fixture
def own_file(open_tab):
    """A tab where a file of one's own was asked for, and none chosen yet."""
    tab = ready(open_tab())
    tab.get_by_role("radio", name="Own file").click()
    expect(tab.get_by_text("No file yet.")).to_be_visible()
    return settled(tab)


def choose(tab, path):
    tab.locator(".st-key-file input[type=file]").set_input_files(path)


def trains_the_file(tab):
    expect(tab).to_have_url(re.compile(rf"data\.source=file&.*data\.samples={ROWS}&"), timeout=60_000)
    expect(status(tab)).to_have_text("Running")
    expect_true(lambda: step(tab) > 0)


def test_play_waits_while_a_file_is_read(own_file, large):
    tab = own_file
    expect(button(tab, "Play")).to_be_disabled()
    expect(tab.get_by_text("Not applied. The run stays with: Spiral")).to_be_visible()
    choose(tab, large)
    tab.keyboard.press("p")  # to no avail
    button(tab, "Play").click(timeout=60_000)  # as soon as it can be pressed
    trains_the_file(tab)


def test_a_file_that_comes_while_another_trains_is_trained_next(own_file, large, tmp_path):
    tab = own_file
    (tmp_path / "fruit.csv").write_bytes(CSV)
    choose(tab, tmp_path / "fruit.csv")
    expect(button(tab, "Play")).to_be_enabled()
    choose(tab, large)
    play(tab)  # what is shown until the other one has been read
    trains_the_file(tab)


def test_after_a_refused_file_the_page_says_what_the_run_stays_with(own_file, tmp_path):
    tab = own_file
    (tmp_path / "ragged.csv").write_bytes(HOSTILE["ragged.csv"])
    choose(tab, tmp_path / "ragged.csv")
    expect(tab.get_by_test_id("stSidebar").get_by_text("must")).to_have_count(1)
    expect(button(tab, "Play")).to_be_disabled()
    expect(button(tab, "Step")).to_be_disabled()
    button(tab, "Undo").click()
    expect(button(tab, "Play")).to_be_enabled()
    expect(tab.get_by_role("radio", name="Spiral")).to_be_checked()
    play(tab)
    expect_true(lambda: step(tab) > 100)
    assert "data.source" not in tab.url


def test_what_was_not_applied_can_be_undone_on_a_phone(open_tab):
    tab = ready(open_tab(viewport={"width": 390, "height": 844}))
    tab.get_by_test_id("stExpandSidebarButton").click()
    field = tab.get_by_label("Any learning rate", exact=True)
    field.fill("1/10")
    field.press("Enter")
    expect(tab.get_by_text("must be a number such as 0.01 or 1e-3; was '1/10'")).to_be_visible()
    tab.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click(force=True)
    box = button(tab, "Undo").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    button(tab, "Undo").click()
    expect(button(tab, "Play")).to_be_enabled()
