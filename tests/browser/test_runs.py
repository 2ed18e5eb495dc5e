"""The page of kept runs in a browser: found cold, ticked, compared, handed on; quick with thousands."""

import dataclasses
import re

import pytest
from playwright.sync_api import expect

from core.store import archive
from core.store.record import record_of
from core.store.store import Store
from pages.run_list.table import ROW_HEIGHT
from tests.browser.test_pages import drawn
from tests.browser.test_playground import expect_true, settled
from tests.core.stored_runs import saved, trained

SCRIPT = "<img src=x onerror=broken=1>"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def open_runs(start_server, open_tab, store):
    """Opens the page on a server of its own that keeps its runs in `store`."""

    def opened(**settings):
        return open_tab("/runs", at=start_server(data_folder=store.path.parent), **settings)

    return opened


def tick(tab, *rows):
    """Tick rows of the list, counted from 0."""
    table = tab.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas").first).to_be_visible()
    settled(tab)
    for row in rows:
        table.click(position={"x": 18, "y": 36 + ROW_HEIGHT * row + ROW_HEIGHT // 2})
    return settled(tab)


def titles(tab):
    return tab.locator(".descent-title").all_inner_texts()


def test_a_newcomer_finds_the_page_and_the_way_to_the_playground(open_runs):
    tab = open_runs()
    expect(tab.get_by_text("No runs yet.")).to_be_visible()
    expect(tab.get_by_role("link", name="Runs")).to_be_visible()
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(0)
    tab.get_by_role("link", name="Train one in the playground").click()
    expect(tab.get_by_text("Build a small network")).to_be_visible()


def test_runs_are_ticked_and_compared(store, open_runs):
    for rate in (0.03, 0.3, 3.0):
        saved(store, trained(200, optimizer={"learning_rate": rate}))
    tab = open_runs(viewport={"width": 1280, "height": 2200})
    tick(tab, 0)
    expect(tab.get_by_role("link", name="Open in playground")).to_be_visible()
    tick(tab, 2)
    expect(tab.get_by_text("2 runs chosen")).to_be_visible()
    expect(tab.get_by_text("1 and 2 begin with the same weights")).to_be_visible()
    expect(tab.get_by_role("link", name="Open in playground")).to_have_count(0)
    drawn(tab)
    assert titles(tab) == ["Loss", "Gradient norm", "1 · Circle 3-1", "2 · Circle 3-1", "Settings and results"]
    expect(tab.locator("[data-name=whole_settings] canvas").first).to_be_attached()
    tab.get_by_text("Epoch", exact=True).click()
    expect(tab.locator("[data-name=half_losses] .xtitle")).to_have_text("epoch")


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_in_both_themes(store, open_runs, width, scheme):
    for steps in (1, 300):
        saved(store, trained(steps))
    tab = open_runs(viewport={"width": width, "height": 1600}, color_scheme=scheme)
    drawn(tick(tab, 0, 1))
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_names_with_markup_stay_text(store, open_runs):
    id = saved(store, trained(20))
    store.rename(id, SCRIPT)
    tab = drawn(tick(open_runs(), 0))
    expect(tab.locator(".descent-title").filter(has_text=SCRIPT)).to_have_count(1)
    tab.get_by_role("button", name="Name and note").click()
    expect(tab.get_by_label("Name", exact=True)).to_have_value(SCRIPT)
    tab.get_by_label("Name", exact=True).fill("<b>bold</b>")
    tab.get_by_label("Name", exact=True).press("Enter")
    expect_true(lambda: store.load(id).name == "<b>bold</b>")
    assert tab.evaluate("window.broken") is None and tab.locator("img[src=x]").count() == 0


def test_a_deleted_run_is_had_back_as_it_was(store, open_runs):
    for steps in (10, 20):
        saved(store, trained(steps))
    tab = tick(open_runs(), 1)
    tab.get_by_role("button", name="Delete").click()
    expect(tab.get_by_text("1 run deleted.")).to_be_visible()
    assert store.table()["step"].tolist() == [20]
    tab.get_by_role("button", name="Undo").click()
    expect(tab.get_by_text("1 run deleted.")).to_have_count(0)
    assert sorted(store.table()["step"]) == [10, 20]
    expect(tab.get_by_role("link", name="Open in playground")).to_be_visible()


def test_a_run_goes_out_as_a_file_and_comes_in_again(store, open_runs, tmp_path):
    id = saved(store, trained(120))
    tab = tick(open_runs(), 0)
    tab.get_by_role("button", name="Export").click()
    with tab.expect_download() as file:
        tab.get_by_role("button", name="Whole run").click()
    assert file.value.suggested_filename == "circle-3-1.descent"
    raw = file.value.path().read_bytes()
    assert archive.read(raw).step == 120 and raw == archive.export(store.load(id))
    with tab.expect_download() as file:
        tab.get_by_role("button", name="History as CSV").click()
    assert file.value.path().read_text().startswith("step,train_loss,test_loss")
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Import").click()
    tab.locator("input[type=file]").set_input_files({"name": "again.descent", "mimeType": "application/zip", "buffer": raw})
    expect_true(lambda: len(store.table()) == 2)
    assert set(store.table()["step"]) == {120}


def test_a_row_that_cannot_be_read_is_ticked_told_and_deleted(store, open_runs):
    good, bad = (saved(store, trained(steps)) for steps in (20, 10))
    with store._database.writing() as connection:
        broken = "config = '{', findings = NULL, status = x'80', step = 'many', final = 'low', name = CAST(x'EDA080' AS TEXT)"
        connection.execute(f"UPDATE runs SET {broken} WHERE id = ?", (bad,))
    tab = tick(open_runs(), 0)
    expect(tab.get_by_text("cannot be used")).to_be_visible()
    expect(tab.get_by_text("2 runs", exact=True)).to_be_visible()
    tab.get_by_role("button", name="Delete").click()
    expect(tab.get_by_text("1 run deleted.")).to_be_visible()
    expect(tab.get_by_test_id("stException")).to_have_count(0)
    assert store.table()["id"].tolist() == [good]


def test_the_charts_go_out_as_a_page_that_needs_no_server(store, open_runs, tmp_path):
    for steps in (20, 120):
        saved(store, trained(steps))
    tab = drawn(tick(open_runs(viewport={"width": 1280, "height": 2200}), 0, 1))
    expect(tab.locator(".descent-title").filter(has_text="2 · Circle")).to_be_visible()
    shown = titles(tab)
    with tab.expect_download() as file:
        tab.get_by_role("button", name="Charts as HTML").click()
    file.value.save_as(tmp_path / "charts.html")
    tab.context.set_offline(True)
    page, problems = tab.context.new_page(), []
    page.on("pageerror", lambda problem: problems.append(problem))
    page.goto(f"file://{tmp_path / 'charts.html'}")
    expect(page.locator("figure .main-svg").first).to_be_visible()
    assert page.locator("h2").all_inner_texts() == shown
    assert page.locator("figure").filter(has=page.locator(".main-svg")).count() == len(shown)
    assert problems == []


def test_a_run_opens_in_the_playground_where_it_stood(store, open_runs):
    id = saved(store, trained(345))
    tab = tick(open_runs(), 0)
    tab.get_by_role("link", name="Open in playground").click()
    expect(tab).to_have_url(re.compile(f"run={id}"))
    expect(tab.locator(".reading", has=tab.get_by_text("Step", exact=True)).locator("b")).to_have_text("345")


def test_thousands_of_runs_are_listed_a_page_at_a_time(store, open_runs):
    record = record_of(trained(30), "", status="paused", seconds=1.0)
    for number in range(3000):
        store.save(dataclasses.replace(record, id=f"run{number}", moments=()))
    tab = tick(open_runs(), 0)
    expect(tab.get_by_text("1 to 100 of 3,000 runs")).to_be_visible()
    settled(tab).get_by_role("button", name="Older").click()
    expect(tab.get_by_text("101 to 200 of 3,000 runs")).to_be_visible()
    expect(tab.get_by_role("link", name="Open in playground")).to_be_visible()
