"""The line between the page and its run: what goes over it, and what becomes of it when the server goes or nobody looks."""

import time

from playwright.sync_api import expect

from benchmarks.app import free_port
from core.diagnosis.evidence.progress import PATIENCE
from tests.browser.test_kept import paused
from tests.browser.test_playground import button, expect_true, play, ready, settled, status, step, wait_for_steps

HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (hidden ? 'hidden' : 'visible') })
    document.dispatchEvent(new Event('visibilitychange'))
}"""


def seconds_for(tab, frames, pictures):
    """How long so many pictures take to come."""
    began, wanted = time.monotonic(), frames.pictures + pictures
    while frames.pictures < wanted:
        assert time.monotonic() < began + 30, "waited in vain"
        tab.wait_for_timeout(20)
    return time.monotonic() - began


def slowly_playing(tab, frames):
    """A run that plays, has not come far enough for anything to be said about it, and whose page asks for nothing more."""
    ready(tab).get_by_label("Speed", exact=True).select_option("10 steps/s")
    button(tab, "Play").click()
    expect_true(lambda: step(tab) > 2)
    asked = None
    while asked != frames.asked:
        asked = frames.asked
        settled(tab).wait_for_timeout(1000)
    return tab


def test_the_page_finds_a_server_again_that_was_gone(start_server, open_tab, tmp_path):
    port = free_port()
    first = start_server(data_folder=tmp_path / "kept", port=port)
    tab = ready(open_tab("/", at=first))
    play(tab)
    wait_for_steps(tab, 500)
    stood, lost = paused(tab), tab.get_by_text("Connection lost").filter(visible=True)
    expect(lost).to_have_count(0)
    first.kill()
    expect(lost).to_have_count(1)
    expect_true(lambda: not first.workers())
    second = start_server(data_folder=tmp_path / "kept", port=port)
    expect_true(second.workers)  # the page asked for its run by itself
    expect(lost).to_have_count(0)
    expect(button(tab, "Play")).to_be_enabled()
    expect_true(lambda: step(tab) == stood)
    play(tab)
    wait_for_steps(tab, 500)


def test_a_hidden_tab_goes_on_training_and_gets_a_picture_a_second(open_tab, frames):
    tab = slowly_playing(open_tab(frames=frames), frames)
    tab.evaluate(HIDE, True)
    seconds_for(tab, frames, 2)  # on their way
    seen, asked = step(tab), frames.asked
    assert seconds_for(tab, frames, 4) > 3
    assert step(tab) > seen and frames.asked == asked
    tab.evaluate(HIDE, False)
    assert seconds_for(tab, frames, 10) < 8
    expect(status(tab)).to_have_text("Running")


def test_nothing_is_asked_of_streamlit_while_a_run_plays(open_tab, frames):
    tab = slowly_playing(open_tab(frames=frames), frames)
    asked, before = frames.asked, step(tab)
    assert asked > 0
    seconds_for(tab, frames, 20)
    assert before < step(tab) < PATIENCE, "the page has more to say of a run that has gone on for this long"
    assert frames.asked == asked
