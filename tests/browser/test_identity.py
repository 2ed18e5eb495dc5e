"""Who a browser is, on a server that others use, too: it finds its own runs again, and nobody else's."""

import time

from playwright.sync_api import expect

from pages.shell.identity import COOKIE
from tests.browser.test_kept import paused
from tests.browser.test_playground import play, ready

DAY = 86400  # seconds


def lists_its_run(tab):
    expect(tab.get_by_text("1 run", exact=True)).to_be_visible()
    expect(tab.get_by_test_id("stDataFrame")).to_be_visible()


def test_a_browser_finds_its_runs_again_and_another_one_does_not(start_server, open_tab):
    server = start_server(shared=1)
    tab = ready(open_tab(at=server))
    play(tab)
    paused(tab)
    [cookie] = [cookie for cookie in tab.context.cookies() if cookie["name"] == COOKIE]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["expires"] > time.time() + 300 * DAY
    assert COOKIE not in tab.evaluate("document.cookie")
    tab.goto(server.url + "/runs")
    lists_its_run(tab)
    tab.reload()
    lists_its_run(tab)
    kept = tab.context.storage_state()
    tab.context.close()
    again = open_tab("/runs", at=server, storage_state=kept)
    lists_its_run(again)
    assert again.context.cookies(server.url)[0]["value"] in [cookie["value"] for cookie in kept["cookies"]]
    other = open_tab("/runs", at=server)
    expect(other.get_by_text("No runs yet.")).to_be_visible()
    expect(other.get_by_test_id("stDataFrame")).to_have_count(0)
