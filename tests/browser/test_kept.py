"""Runs that last, in a browser: a refresh, a second tab, a server that was killed."""

import re

from playwright.sync_api import expect

from tests.browser.test_playground import button, expect_true, play, reading, ready, status, step, wait_for_steps

KEPT = re.compile(r"[?&]run=[\w-]{16}(&|$)")


def paused(tab):
    """The step at which a playing run now stands, once the address names it."""
    button(tab, "Pause").click()
    expect(status(tab)).to_have_text("Paused")
    expect(tab).to_have_url(KEPT)
    return step(tab)


def test_a_refresh_brings_the_run_back_and_it_goes_on(open_tab):
    tab = ready(open_tab("?data.source=circle&layers=4-relu_1-sigmoid"))
    play(tab)
    wait_for_steps(tab, 2000)
    stood, history = paused(tab), tab.evaluate("history.length")
    tab.reload()
    ready(tab)
    expect(reading(tab, "Step")).to_have_text(f"{stood:,}")
    expect(status(tab)).to_have_text("Paused")
    expect(tab.get_by_role("slider", name="Time")).to_be_enabled()
    assert tab.evaluate("history.length") == history  # the run's id is no step for the Back button
    button(tab, "Step").click()
    expect(reading(tab, "Step")).to_have_text(f"{stood + 1:,}")


def test_a_refresh_while_it_plays_loses_nothing(open_tab):
    tab = ready(open_tab())
    play(tab)
    expect(tab).to_have_url(KEPT)
    seen = step(tab)
    tab.reload()
    ready(tab)
    assert step(tab) >= seen
    expect(status(tab)).to_have_text("Paused")


def test_a_second_tab_looks_and_takes_over(open_tab):
    tab = ready(open_tab())
    play(tab)
    wait_for_steps(tab, 500)
    paused(tab)
    other = ready(open_tab(tab.url[tab.url.index("?") :]))
    expect(other.get_by_text("another tab drives")).to_be_visible()
    play(tab)
    seen = step(other)
    expect_true(lambda: step(other) > seen)
    other.get_by_role("button", name="Drive it here").click()
    expect(tab.get_by_text("another tab drives")).to_be_visible()
    other.close()
    expect(button(tab, "Pause").or_(button(tab, "Play"))).to_be_visible()  # nobody else drives it any more


def test_another_server_goes_on_after_one_was_killed(start_server, open_tab, tmp_path):
    first = start_server(data_folder=tmp_path / "kept", checkpoint_every=0.5)
    tab = ready(open_tab("/", at=first))
    play(tab)
    expect(tab).to_have_url(KEPT)
    wait_for_steps(tab, 1000)
    seen, query = step(tab), tab.url[tab.url.index("?") :]
    first.kill()
    expect_true(lambda: not first.workers())
    tab.context.close()
    again = ready(open_tab("/" + query, at=start_server(data_folder=tmp_path / "kept")))
    expect_true(lambda: step(again) >= seen)  # a busy machine may show the page before its run
    stood = step(again)
    button(again, "Step").click()
    expect(reading(again, "Step")).to_have_text(f"{stood + 1:,}")


def test_the_back_button_takes_a_changed_setting_back_and_the_run_goes_on(open_tab):
    tab = ready(open_tab())
    play(tab)
    expect(tab).to_have_url(KEPT)
    rate = tab.get_by_label("Any learning rate", exact=True)
    rate.fill("0.2")
    rate.press("Enter")
    expect(tab).to_have_url(re.compile(r"optimizer\.learning_rate=0\.2&run="))
    seen, query = step(tab), tab.url
    tab.go_back()
    expect(rate).to_have_value("0.03")
    expect(status(tab)).to_have_text("Running")
    expect_true(lambda: step(tab) > seen)
    tab.go_forward()
    expect(rate).to_have_value("0.2")
    expect(tab).to_have_url(query)
