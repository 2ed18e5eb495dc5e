"""When there is no run: the page says why and what to press."""

import dataclasses
import gc
import os
import signal

from core.live import checkpoint
from pages.training import launch
from tests.app.conftest import Page
from tests.core.live_runs import until


def kill(page):
    """Kill the worker as a system out of memory would."""
    process = page.live_run._worker._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_worker_is_told_and_goes_on(open_page):
    page = open_page().press("epoch")
    kill(page)
    page.run()
    assert "killed" in page.error[0].value
    label = page.button(key="recover").label
    page.press("recover")
    assert not page.error
    assert label == f"Go on from step {page.step:,}"


def test_a_killed_worker_can_be_replaced_by_a_new_run(open_page):
    page = open_page().set("text_input", "seed", 7).press("step")
    kill(page)
    page.run().press("start again")
    assert not page.error and page.step == 0 and page.live_run.config.seed == 7


def test_a_change_to_a_dead_run_is_no_traceback(open_page):
    page = open_page()
    kill(page)
    page.set("text_input", "optimizer.learning_rate", 0.5)
    assert page.error
    page.press("start again")
    assert page.live_run.config.optimizer.learning_rate == 0.5


def test_one_run_too_many_is_told_so_and_may_try_again(open_page, monkeypatch):
    monkeypatch.setenv("DESCENT_MAX_RUNS", "1")
    first, second = open_page(), open_page()
    assert "which is its limit" in second.warning[0].value.replace("\\", "")
    second.set("slider", "data.noise", 0.3)
    assert second.warning
    first.close()
    second.press("try again")
    assert second.live_run.config.data.noise == 0.3 and not second.warning


def test_a_run_whose_tab_is_gone_makes_room_unless_it_plays(open_page, monkeypatch):
    monkeypatch.setenv("DESCENT_MAX_RUNS", "1")
    monkeypatch.setattr(launch, "is_open", lambda tab: False)
    first = open_page().press("play")
    assert "which is its limit" in open_page().warning[0].value.replace("\\", "")
    first.press("pause")
    second = open_page()
    assert not second.warning and second.press("step").step == 1
    assert "closed to make room" in first.run().error[0].value


def test_a_session_that_is_over_takes_its_process_with_it():
    page = Page()
    process = page.live_run._worker._process
    assert process.poll() is None
    del page
    gc.collect()
    assert process.wait(10) is not None


def test_a_dead_run_that_finds_no_room_keeps_its_offer(open_page, monkeypatch):
    page = open_page().press("epoch")
    until(lambda: checkpoint.saved(page.live_run._path) and checkpoint.saved(page.live_run._path)[0] == 25)
    kill(page)
    page.run()
    monkeypatch.setattr(page.live_run, "_settings", dataclasses.replace(page.live_run._settings, max_runs=1))
    other = open_page()
    page.press("recover")
    assert "which is its limit" in page.warning[0].value and page.button(key="recover")
    other.close()
    page.press("recover")
    assert not page.error and page.step == 25
