"""What a timer brings along and its own request overtakes, as it happens in a browser that is busy: nothing is lost, nothing done twice."""

import asyncio
from contextlib import asynccontextmanager

from benchmarks.tab import Tab

AHEAD = (0.0, 0.002, 0.005, 0.01, 0.02)  # seconds


@asynccontextmanager
async def playing_tab(server):
    """A tab whose run plays and is kept."""
    tab = Tab(server.url.removeprefix("http://"), "", lambda: None, lambda run: None)
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
            for number in range(20):
                rate = f"{0.0105 + number / 1000:g}"
                await tab.enter("optimizer.learning_rate", float(rate), ahead=AHEAD[number % len(AHEAD)])
                await asyncio.sleep(0.2)  # only a page that stands is overtaken
                assert await tab.until(lambda: f"learning_rate={rate}&" in tab.query, 10), tab.query  # noqa: B023

    asyncio.run(changes())


def test_a_press_is_obeyed_once(server):
    async def presses():
        async with playing_tab(server) as tab:
            for number in range(10):
                for key, status in ("pause", "Paused"), ("play", "Running"):
                    await tab.press(key, ahead=AHEAD[number % len(AHEAD)])
                    assert await tab.until(lambda: tab.readings["Status"] == status, 10), (key, tab.readings)  # noqa: B023
                    await asyncio.sleep(0.1)
            await tab.press("pause")
            assert await tab.until(lambda: tab.readings["Status"] == "Paused", 10)

    asyncio.run(presses())
