"""What happens in a browser that is busy: a timer brings a change along, and its own request overtakes it; widgets are made late."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from benchmarks.tab import Tab

VALUES = {"moment": ["now"], "optimizer.learning_rate": "0.25", "layers.1.units": "8"}  # key -> what the widget must show
AHEAD = (0.0, 0.002, 0.005, 0.01, 0.02)  # seconds


def run(coroutine):
    """Run it beside Playwright, which has a loop of its own in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


class SlowTab(Tab):
    """A tab whose widgets are never made in time: it says nothing of them."""

    async def _ask(self, *arguments, **more):
        self._states = {}
        await super()._ask(*arguments, **more)


def opened(kind, server, query=""):
    return kind(server.url.removeprefix("http://"), query, lambda: None, lambda run: None)


def shown(tab):
    """What each widget of VALUES is told to show. None: nothing, so that one made late would show its first choice."""
    widgets = {key: tab.widget(key) for key in VALUES}
    return {key: (getattr(it, "raw_value", None) or it.value) if it.set_value else None for key, it in widgets.items()}


@asynccontextmanager
async def playing_tab(server):
    """A tab whose run plays and is kept."""
    tab = opened(Tab, server)
    await tab.connect()
    try:
        assert await tab.until(lambda: tab.can_press("play"), 60)
        await tab.press("play")
        assert await tab.until(lambda: "run=" in tab.query and tab.can_press("pause"), 60)
        yield tab
    finally:
        await tab.close()


def test_a_changed_setting_reaches_the_run_and_the_address(server):
    async def changes():
        async with playing_tab(server) as tab:
            for number in range(10):
                rate = f"{0.0105 + number / 1000:g}"
                await tab.enter("optimizer.learning_rate", rate, ahead=AHEAD[number % len(AHEAD)])
                await asyncio.sleep(0.2)  # only a page that stands is overtaken
                assert await tab.until(lambda: f"learning_rate={rate}&" in tab.query, 10), tab.query  # noqa: B023

    run(changes())


def test_a_press_is_obeyed_once(server):
    async def presses():
        async with playing_tab(server) as tab:
            for number in range(5):
                for key, status in ("pause", "Paused"), ("play", "Running"):
                    await tab.press(key, ahead=AHEAD[number % len(AHEAD)])
                    assert await tab.until(lambda: tab.readings["Status"] == status, 10), (key, tab.readings)  # noqa: B023
                    await asyncio.sleep(0.1)
            await tab.press("pause")
            assert await tab.until(lambda: tab.readings["Status"] == "Paused", 10)

    run(presses())


def test_a_widget_that_is_made_late_shows_what_it_must(server):
    async def looks():
        async with playing_tab(server) as tab:
            await tab.enter("optimizer.learning_rate", "0.25")
            await tab.press("pause")
            assert await tab.until(lambda: tab.readings["Status"] == "Paused" and "=0.25" in tab.query, 10)
        slow = opened(SlowTab, server, tab.query)
        await slow.connect()
        try:
            for time in range(1, 4):
                assert await slow.until(lambda: slow.pages == time and slow.widget("moment"), 60)  # noqa: B023
                await asyncio.sleep(0.5)  # it tells that it is drawn, and hears an answer
                assert await slow.until(lambda: shown(slow) == VALUES, 10), (time, shown(slow), slow.query)
                await slow._ask()
        finally:
            await slow.close()

    run(looks())
