"""Pages that play share the server."""

import pytest

from pages.widgets import pace


@pytest.fixture
def clock(monkeypatch):
    """Clocks that are moved by hand: [seconds, processor seconds]."""
    now = [100.0, 0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pace.time, "thread_time", lambda: now[1])
    monkeypatch.setattr(pace, "_drawn", {})
    return now


def draw(clock, page, cost):
    with pace.drawing(page):
        clock[1] += cost


def pictures(clock, pages, cost):
    """How often each page is drawn in a second of ticks, ten of each page."""
    drawn = dict.fromkeys(pages, 0)
    for _ in range(10):
        for page in pages:
            if pace.due(page):
                draw(clock, page, cost)
                drawn[page] += 1
        clock[0] += 0.1
    return drawn


def test_a_page_alone_is_drawn_at_every_tick(clock):
    assert pictures(clock, ["one"], 0.03) == {"one": 10}


def test_many_pages_are_drawn_seldomer_and_equally_often(clock):
    drawn = pictures(clock, range(4), 0.03)
    assert len(set(drawn.values())) == 1
    assert 0.03 * sum(drawn.values()) <= pace.SHARE + 4 * 0.03


def test_pages_that_are_gone_do_not_count(clock):
    for page in range(8):
        draw(clock, page, 0.05)
    assert not pace.due(0)
    clock[0] += 2 * pace.MEMORY
    assert pace.due(0)
    draw(clock, 0, 0.02)
    clock[0] += 0.1
    assert pace.due(0)


def test_what_was_done_is_seen_at_once(clock):
    for page in range(8):
        draw(clock, page, 0.05)
    pace.at_once(0)
    assert pace.due(0) and not pace.due(1)
