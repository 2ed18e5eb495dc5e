"""The playground in a browser: it plays, pauses, restores and recovers, and its charts stay where they are."""

import os
import re
import signal
import time

import pytest
from playwright.sync_api import expect

from core.presets import PRESETS
from tests.app.files import HOSTILE

# What waits for a string of JavaScript would `eval` it, which the page's policy forbids
DRAWN = "(plots => plots.length > 0 && plots.every(plot => plot.data))([...document.querySelectorAll('.js-plotly-plot')])"
DOTTED = "?data.source=circle&layers=4-relu_3-tanh_1-sigmoid&optimizer.learning_rate=0.07"


def button(tab, name):
    """A button of the bar or of a message."""
    return tab.get_by_role("button", name=name, exact=True)


def reading(tab, name):
    """The value that the bar shows under this name."""
    return tab.locator(".reading", has=tab.get_by_text(name, exact=True)).locator("b")


def step(tab):
    return int(reading(tab, "Step").inner_text().replace(",", ""))


def status(tab):
    return tab.locator(".reading.state b")


def ready(tab):
    """Wait until the charts in view and the little pictures of the sources are drawn."""
    expect_true(lambda: tab.evaluate(DRAWN))
    tab.wait_for_selector(".st-key-data-source button", state="attached")  # charts may come before it
    picture = "getComputedStyle(document.querySelector('.st-key-data-source button'), '::before').backgroundImage"
    expect_true(lambda: tab.evaluate(f"{picture}.startsWith('url(')"))
    return settled(tab)


def settled(tab):
    """Wait until the server has nothing more to say to a page that stands still."""
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    return tab


def play(tab):
    """Have it train as fast as it can."""
    tab.get_by_label("Speed", exact=True).select_option("Full speed")
    button(tab, "Play").click()
    expect(button(tab, "Pause")).to_be_visible()


def wait_for_steps(tab, more):
    """Wait until the bar shows this many steps more."""
    begun = step(tab)
    expect_true(lambda: step(tab) >= begun + more)


def expect_true(condition, seconds=30):
    """Wait until a condition holds that is not on the page."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("address", ["/playground", "/playground" + DOTTED, "/" + DOTTED])
def test_a_cold_deep_link_opens_on_a_server_that_nobody_visited(start_server, open_tab, address):
    tab = ready(open_tab(address, at=start_server()))
    expect(tab.get_by_text("Build a small network")).to_be_visible()
    expect(tab.get_by_text("Page not found")).to_have_count(0)
    if DOTTED in address:
        expect(tab.get_by_label("Units of layer 2", exact=True)).to_have_value("3")
        expect(tab.get_by_label("Any learning rate", exact=True)).to_have_value("0.07")


def test_play_moves_the_charts_and_keeps_their_nodes(open_tab):
    tab = ready(open_tab())
    tab.evaluate("window.charts = [...document.querySelectorAll('.js-plotly-plot')]")
    traces = (
        "document.querySelectorAll('.js-plotly-plot').length && JSON.stringify(window.charts.map(c => c.data.map(t => [t.x, t.y, t.z])))"
    )
    before = tab.evaluate(traces)
    play(tab)
    wait_for_steps(tab, 5000)
    assert tab.evaluate(traces) != before
    button(tab, "Pause").click()
    button(tab, "Reset").click()
    expect(reading(tab, "Step")).to_have_text("0")
    tab.get_by_label("Units of layer 2", exact=True).fill("6")
    tab.get_by_label("Units of layer 2", exact=True).press("Enter")
    expect(tab).to_have_url(re.compile("8-tanh_6-tanh_1-sigmoid"))
    assert tab.evaluate("window.charts.length > 2 && window.charts.every(chart => chart.isConnected)")


def test_the_opening_run_learns(open_tab):
    tab = ready(open_tab())
    play(tab)
    expect_true(lambda: float(reading(tab, "Train accuracy").inner_text()) > 0.95)
    expect(tab.locator(".finding")).to_have_count(0)
    expect(status(tab)).to_have_text("Running")


def test_pause_stands_still_and_step_epoch_and_reset_move(open_tab):
    tab = ready(open_tab())
    play(tab)
    wait_for_steps(tab, 100)
    button(tab, "Pause").click()
    expect(status(tab)).to_have_text("Paused")
    stood = step(tab)
    button(tab, "Step").click()
    expect(reading(tab, "Step")).to_have_text(f"{stood + 1:,}")
    button(tab, "Reset").click()
    expect(reading(tab, "Step")).to_have_text("0")
    button(tab, "Epoch").click()
    expect(reading(tab, "Step")).to_have_text("25")
    expect(status(tab)).to_have_text("Paused")


def test_keys_play_and_pause(open_tab):
    tab = ready(open_tab())
    tab.keyboard.press("p")
    expect(status(tab)).to_have_text("Running")
    tab.keyboard.press("p")
    expect(status(tab)).to_have_text("Paused")
    button(tab, "Reset").focus()
    tab.keyboard.press("Enter")
    expect(reading(tab, "Step")).to_have_text("0")


def test_a_click_on_a_unit_opens_it_and_its_bias_can_be_set(open_tab):
    tab = ready(open_tab())
    place = tab.evaluate("""() => {
        const plot = document.querySelector('[data-name=network] .descent-plot')
        const { x, y, customdata } = plot._fullData[0]
        const at = [...customdata].findIndex(([layer, index]) => layer === 2 && index === 3)
        const { left, top } = plot.getBoundingClientRect()
        return [left + plot._fullLayout.xaxis.c2p(x[at]), top + plot._fullLayout.yaxis.c2p(y[at])]
    }""")
    tab.mouse.move(*place)
    expect(tab.locator("[data-name=network] .hoverlayer")).to_contain_text("bias")  # Plotly takes a click for what it hovers over
    tab.mouse.click(*place)
    expect(tab.get_by_text("Unit 4 of layer 2", exact=True)).to_be_visible()
    expect(tab.locator("[data-name=unit_map]")).to_be_visible()
    tab.get_by_label("New value", exact=True).fill("2.5")
    tab.get_by_label("New value", exact=True).press("Enter")
    button(tab, "Set").click()
    tab.mouse.move(*place)
    expect(tab.locator("[data-name=network] .hoverlayer")).to_contain_text("bias 2.5")
    button(tab, "Close").click()
    expect(tab.locator("[data-name=unit_map]")).to_have_count(0)


def test_a_learning_rate_changes_while_it_runs(open_tab):
    tab = ready(open_tab())
    play(tab)
    wait_for_steps(tab, 100)
    tab.get_by_label("Any learning rate", exact=True).fill("0.2")
    tab.get_by_label("Any learning rate", exact=True).press("Enter")
    expect(tab).to_have_url(re.compile(r"optimizer\.learning_rate=0\.2"))
    expect(status(tab)).to_have_text("Running")
    assert step(tab) >= 100


def test_a_comma_is_a_point_and_what_is_no_number_is_refused_beside_its_field(open_tab):
    tab = ready(open_tab())
    field = tab.get_by_label("Any learning rate", exact=True)

    def typed(text):
        field.click()
        tab.keyboard.press("Control+A")
        tab.keyboard.type(text)
        tab.keyboard.press("Enter")

    typed("0,01")
    expect(tab).to_have_url(re.compile(r"optimizer\.learning_rate=0\.01(&|$)"))
    typed("1/10")
    expect(tab.get_by_text("Learning rate must be a number such as 0.01 or 1e-3; was '1/10'")).to_be_visible()
    expect(field).to_have_value("1/10")
    expect(tab).to_have_url(re.compile(r"optimizer\.learning_rate=0\.01(&|$)"))


def test_a_copied_address_restores_the_run(open_tab):
    tab = ready(open_tab(viewport={"width": 1280, "height": 1800}))  # scrolling to a list would close it
    tab.get_by_role("radio", name="Moons").click()
    expect(tab).to_have_url(re.compile("moons"))
    expect(tab.get_by_label("Preset", exact=True)).to_have_value("")  # drawn again, which closes a list
    settled(tab).get_by_text("Training settings", exact=True).click()
    tab.get_by_label("Loss", exact=True).fill("Hinge")
    tab.get_by_role("option", name="Hinge").click()
    expect(tab).to_have_url(re.compile("hinge"))
    copy = ready(open_tab("/?" + tab.url.partition("?")[2]))
    expect(copy.get_by_role("radio", name="Moons")).to_be_checked()
    expect(copy.get_by_text("Loss hinge, optimizer SGD")).to_be_visible()
    assert copy.url.partition("?")[2] == tab.url.partition("?")[2]


def test_the_back_button_goes_to_the_configuration_before(open_tab):
    tab = ready(open_tab("/?data.source=circle"))
    tab.get_by_role("radio", name="Moons").click()
    expect(tab).to_have_url(re.compile("moons"))
    tab.go_back()
    expect(tab.get_by_role("radio", name="Circle")).to_be_checked()
    expect(tab).to_have_url(re.compile("circle"))


@pytest.mark.parametrize("query", ["data.source=nowhere", "optimizer.learning_rate=-1", "data.source=file&data.path=%2Fetc%2Fpasswd"])
def test_a_broken_link_gives_a_message_and_the_default(open_tab, query):
    tab = ready(open_tab("/?" + query))
    expect(tab.get_by_text("This link could not be opened")).to_be_visible()
    expect(tab.get_by_label("Preset", exact=True)).to_have_value(next(iter(PRESETS.values())).title)
    expect(tab.get_by_text("root:")).to_have_count(0)
    button(tab, "OK").click()
    expect(tab.get_by_text("This link could not be opened")).to_have_count(0)


def test_overflow_pauses_the_run_and_says_what_to_press(open_tab):
    tab = ready(open_tab("/?" + PRESETS["explosion"].link))
    button(tab, "Play").click()
    expect(status(tab)).to_have_text("✕ Not a number at step 210")
    expect(tab.locator(".finding.critical")).to_be_visible()
    expect(button(tab, "Play")).to_be_disabled()
    button(tab, "Reset").click()
    expect(button(tab, "Play")).to_be_enabled()
    expect(tab.locator(".finding.critical")).to_have_count(0)  # the forecast still warns


def test_a_killed_worker_is_told_and_goes_on(start_server, open_tab):
    server = start_server(checkpoint_every=0.2)
    tab = ready(open_tab(at=server))
    play(tab)
    wait_for_steps(tab, 20_000)
    os.kill(server.workers()[0], signal.SIGKILL)
    resume = tab.get_by_role("button", name=re.compile("Go on from step"))
    expect(resume).to_be_visible()
    saved = int(re.sub(r"\D", "", resume.inner_text()))
    assert saved > 0
    resume.click()
    expect(reading(tab, "Step")).to_have_text(f"{saved:,}")
    play(tab)
    wait_for_steps(tab, 100)


@pytest.mark.parametrize("name", ["pickle.npz", "bomb.npz", "script.csv", "noise.csv"])
def test_a_hostile_upload_is_refused(open_tab, name):
    tab = ready(open_tab())
    tab.get_by_role("radio", name="Own file").click()
    expect(tab.get_by_text("No file yet")).to_be_visible()
    tab.locator("input[type=file]").set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": HOSTILE[name]})
    expect(tab.get_by_text("Your file must")).to_be_visible()
    expect(button(tab, "Step")).to_be_disabled()
    button(tab, "Undo").click()
    button(tab, "Step").click()
    expect(reading(tab, "Step")).to_have_text("1")


def test_a_closed_tab_leaves_no_process_once_its_leases_are_over(start_server, open_tab):
    server = start_server(pause_after=4, exit_after=8)
    tab = ready(open_tab(at=server))
    play(tab)
    assert len(server.workers()) == 1
    tab.close()
    expect_true(lambda: not server.workers())


def test_it_can_be_used_at_800_pixels(open_tab):
    tab = ready(open_tab(viewport={"width": 800, "height": 800}))
    play(tab)
    wait_for_steps(tab, 100)
    assert tab.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollWidth <= document.querySelector('[data-testid=stMain]').clientWidth"
    )
    tab.mouse.move(600, 600)
    tab.mouse.wheel(0, 2700)
    expect(tab.get_by_text("Update : weight ratio")).to_be_in_viewport()
    expect(button(tab, "Pause")).to_be_in_viewport()
    button(tab, "Pause").click()
    expect(status(tab)).to_have_text("Paused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(open_tab, scheme):
    tab = ready(open_tab(color_scheme=scheme))
    light = "c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number); return 0.2126 * r + 0.7152 * g + 0.0722 * b }"
    colour, behind = tab.evaluate(f"""() => {{
        const light = {light}, bar = document.querySelector('.st-key-transport').parentElement
        return [light(getComputedStyle(document.querySelector('.reading b')).color), light(getComputedStyle(bar).backgroundColor)]
    }}""")
    assert abs(colour - behind) > 150 and (behind > 128) == (scheme == "light")
