"""Pages that play share the server."""

import pytest

from pages.shell import pace as module
from pages.shell.pace import LONGEST, MEMORY, SHARE, SHORTEST, Pace


@pytest.fixture
def clock(monkeypatch):
    """Clocks that are moved by hand: [seconds, processor seconds]."""
    now = [100.0, 0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "thread_time", lambda: now[1])
    return now


def play(pace, clock, pages, cost, rounds=20):
    """All pages are drawn again and again; their intervals in the end."""
    intervals = {page: pace.interval(page) for page in pages}
    for _ in range(rounds):
        for page in pages:
            with pace.drawing(page):
                clock[1] += cost
            if not pace.suits(page):
                intervals[page] = pace.interval(page)
        clock[0] += 0.1
    return intervals


def test_a_page_alone_is_drawn_as_often_as_it_goes(clock):
    assert play(Pace(), clock, ["one"], 0.03) == {"one": SHORTEST}


@pytest.mark.parametrize("count", [4, 8])
def test_many_pages_are_drawn_seldomer_so_that_there_is_time_for_clicks(clock, count):
    intervals = play(Pace(), clock, range(count), 0.03)
    assert len(set(intervals.values())) == 1
    assert count * 0.03 / intervals[0] <= SHARE
    assert intervals[0] < 2 * count * 0.03 / SHARE


def test_the_interval_has_an_end_and_comes_back(clock):
    pace = Pace()
    assert play(pace, clock, range(40), 0.1)[0] == LONGEST
    clock[0] += 2 * MEMORY
    assert play(pace, clock, [0], 0.02) == {0: SHORTEST}


def test_an_interval_that_suits_stays(clock):
    pace = Pace()
    interval = play(pace, clock, range(4), 0.03)[0]
    for cost in (0.02, 0.032, 0.025):
        assert play(pace, clock, range(4), cost)[0] == interval


def test_a_page_that_finds_its_pace_too_fast_is_drawn_once_more(open_page, monkeypatch):
    page = open_page()
    page.session.awake = True
    answers = iter([False])
    monkeypatch.setattr(Pace, "suits", lambda pace, page: next(answers, True))
    page.press("play")
    assert next(answers, None) is None and page.button(key="pause").label == "Pause" and not page.button(key="pause").disabled
