"""A change and a press right after it go to the server on two ways, so that either may come first: both count, and once."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import expect

from benchmarks.tab import Tab
from core.store.store import Store
from tests.browser.test_playground import button, ready, status

DELAYS = (0.0, 0.002, 0.005, 0.01, 0.02)  # seconds from a change to the press that follows
RATE, UNIT = "optimizer.learning_rate", "value None of unit 1 of layer 2"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def host(start_server, folder):
    return start_server(data_folder=folder, checkpoint_every=0.2).url.removeprefix("http://")


def run(coroutine):
    """Run it beside Playwright, which has a loop of its own in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


@asynccontextmanager
async def opened(host):
    tab = Tab(host, "")
    await tab.connect()
    try:
        assert await tab.until(lambda: tab.can_press("play") and tab.widget(RATE), 60)
        yield tab
    finally:
        await tab.close()


async def change_and_press(tab, key, text, delay, name):
    await tab.enter(key, text)
    await asyncio.sleep(delay)
    await tab.press(name)


async def shows(tab, words, **readings):
    """Wait until the address has these words, and the bar these readings."""
    wanted = {name.capitalize(): value for name, value in readings.items()}
    assert await tab.until(lambda: words in tab.query and tab.readings.items() >= wanted.items(), 30), (words, tab.query, tab.readings)


async def told(tab, folder, method, count):
    """The arguments of all such changes that were made to the run, once there are so many."""
    run_id = re.search(r"run=([\w-]{16})", tab.query)[1]
    for _ in range(300):
        arguments = [arguments for _, name, arguments in Store(folder).load(run_id).interventions if name == method]
        if len(arguments) >= count:
            break
        await asyncio.sleep(0.1)
    return arguments


def test_a_setting_and_a_press_of_play_or_pause(host, folder):
    async def hurry():
        async with opened(host) as tab:
            rates = [0.0105 + number / 1000 for number in range(10)]
            for number, rate in enumerate(rates):
                name, state = [("play", "Running"), ("pause", "Paused")][number % 2]
                await change_and_press(tab, RATE, f"{rate:g}", DELAYS[number // 2], name)
                await shows(tab, f"learning_rate={rate:g}", status=state)
            assert await tab.until(lambda: "run=" in tab.query, 30)
            made = []
            for _ in range(300):  # the first may have come before the first step
                made = [patch["optimizer"]["learning_rate"] for (patch,) in await told(tab, folder, "change", 9)]
                if made[-1] == pytest.approx(rates[-1]):
                    break
                await asyncio.sleep(0.1)
            assert made[-9:] == pytest.approx(rates[1:]) and len(made) <= 10

    run(hurry())


def test_a_setting_and_a_single_step(host):
    async def hurry():
        async with opened(host) as tab:
            for number in range(10):
                rate = f"{0.0105 + number / 1000:g}"
                await change_and_press(tab, RATE, rate, DELAYS[number % 5], "step")
                await shows(tab, f"learning_rate={rate}", step=f"{number + 1}", status="Paused")

    run(hurry())


def test_another_network_and_a_press_of_play(host, folder):
    async def hurry():
        async with opened(host) as tab:
            for units, delay in enumerate(DELAYS, 2):
                await change_and_press(tab, "layers.1.units", f"{units}", delay, "play")
                await shows(tab, f"{units}-tanh", status="Running")
                assert await tab.until(lambda: int(tab.readings["Step"].replace(",", "")) > 100, 30)
                await tab.press("pause")
                await shows(tab, f"{units}-tanh", status="Paused")
            assert await tab.until(lambda: "run=" in tab.query, 30)
            [stored] = [row for row in Store(folder).table().to_dict("records") if row["id"] in tab.query]
            assert units in [layer["units"] for layer in json.loads(stored["config"])["layers"]]

    run(hurry())


def test_a_weight_and_the_button_that_sets_it(host, folder):
    async def hurry():
        async with opened(host) as tab:
            await tab.press("step")
            await shows(tab, "", step="1")
            await tab.enter("picked layer", "Layer 2")
            assert await tab.until(lambda: tab.widget(UNIT), 30)
            values = []
            for delay in DELAYS:
                values.append(len(values) + 0.5)
                await change_and_press(tab, UNIT, f"{values[-1]}", delay, "set")
                assert await tab.until(lambda: "run=" in tab.query, 30)
                made = await told(tab, folder, "edit", len(values))
                assert [arguments[-1] for arguments in made] == values

    run(hurry())


def test_a_field_that_is_left_by_a_click_on_play(open_tab):
    tab = ready(open_tab())
    tab.get_by_label("Any learning rate", exact=True).fill("0.2")
    button(tab, "Play").click()
    expect(tab).to_have_url(re.compile(r"optimizer\.learning_rate=0\.2"))
    expect(status(tab)).to_have_text("Running")
