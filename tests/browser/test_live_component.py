"""The live line's parts in a real browser: a small app of its own shows made-up runs over the real line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import plotly
import pytest
from playwright.sync_api import expect

from benchmarks.app import free_port
from pages.charts import ViewOptions, panels
from pages.charts.style import THEMES
from tests.synthetic import snapshot

ROOT = Path(__file__).parents[2]
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

APP = """
import streamlit as st
from pages.shell.components import routes

app = st.App("page.py", routes=routes())
"""

PAGE = """
import time
import streamlit as st
from pages.charts import ViewOptions, panels
from pages.shell.components import listener, live
from pages.shell.tab import tab
from tests.synthetic import snapshot

BUTTONS = [{"name": "play", "label": "Play", "icon": "play"}, {"name": "pause", "label": "Pause", "icon": "pause"}]

class MadeUp:
    name, commands = "made up", ("play", "pause", "pick")

    def __init__(self):
        self.step, self.playing, self.picked = 21_000, False, None

    def picture(self, theme):
        self.step += 10 * self.playing
        one = snapshot(step=self.step, unit=self.picked)
        head = {"buttons": {}, "text": {"state": f"<p>step {self.step} picked {self.picked}</p>"}}
        return head, panels(one, ViewOptions(theme=theme, picked=self.picked))

    def command(self, name, value):
        if name == "pick":
            self.picked = tuple(value)
        else:
            self.playing = name == "play"

    @property
    def needs_updates(self):
        return self.playing

    @property
    def outline(self):
        return self.picked

st.set_page_config(layout="wide")
st.sidebar.text("Controls")
tab().view = tab().view or MadeUp()

@st.fragment
def cards():
    tab().begin()
    outline = tab().view.outline
    st.text(f"drawing {tab().drawing} of {outline}")
    listener("cards", outline)

live("buttons", "buttons", buttons=BUTTONS)
live("text", "state", name="state")
live("board", "figures")
if "late" in st.query_params:
    time.sleep(2)
cards()
"""

expect.set_options(timeout=30_000)

PANELS = ("network", "output", "loss", "gradients", "cause", "gauge", "histograms", "ratio", "units")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    for name, text in {"app.py": APP, "page.py": PAGE}.items():
        (folder / name).write_text(text)
    command = f"-m streamlit run app.py --server.port {port} --server.headless true --browser.gatherUsageStats false".split()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/_stcore/health", server)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(address, server, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=1).close()
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("The server did not start")


@pytest.fixture
def page(browser):
    """A page tall enough for all panels; a script error on it fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 2100}, color_scheme="light")
    page.set_default_timeout(30_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors


def opened(page, url):
    page.goto(url)
    page.wait_for_function("document.querySelectorAll('.descent-plot .main-svg').length === 27")
    return page


def chart(page, name):
    return page.locator(f"[data-name={name}] .descent-plot")


def play(page):
    """Press Play and wait until every panel has moved three times."""
    page.evaluate("""() => {
        window.drawn = {}
        document.addEventListener('drawn', ({ target }) => {
            const name = target.parentElement.dataset.name
            window.drawn[name] = (window.drawn[name] ?? 0) + 1
        })
    }""")
    page.get_by_role("button", name="Play", exact=True).click()
    moved(page)


def moved(page, times=3, names=PANELS):
    page.evaluate("() => (window.before = { ...window.drawn })")
    page.wait_for_function(
        "([names, times]) => names.every((name) => (window.drawn[name] ?? 0) >= (window.before[name] ?? 0) + times)", arg=[names, times]
    )


def ranges(page, name="loss"):
    return page.evaluate(f"""() => {{
        const {{ xaxis, yaxis }} = document.querySelector('[data-name={name}] .descent-plot')._fullLayout
        return [...xaxis.range, ...yaxis.range]
    }}""")


def drag(page, name):
    box = chart(page, name).bounding_box()
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 100, steps=3)
    page.mouse.move(box["x"] + 260, box["y"] + 150, steps=3)
    page.mouse.up()


def test_charts_move_and_no_node_is_made_anew(page, url):
    scripts = []
    page.on("request", lambda request: scripts.append(request.url) if "/descent/plotly.js" in request.url else None)
    opened(page, url)
    page.evaluate("() => document.querySelectorAll('.descent-plot, .descent-plot .main-svg').forEach((node) => (node.kept = true))")
    outlines = "() => [...document.querySelectorAll('.js-line, .hm image, .shapelayer path')].map((node) => node.outerHTML)"
    before = page.evaluate(outlines)
    play(page)
    after = page.evaluate(outlines)
    assert len(after) == len(before) and sum(old != new for old, new in zip(before, after)) > len(before) / 2
    nodes = page.evaluate("() => [...document.querySelectorAll('.descent-plot, .descent-plot .main-svg')].map((node) => !!node.kept)")
    assert len(nodes) == 36 and all(nodes)
    assert len(scripts) == 1


def test_plotly_is_the_wheels_own_copy(page, url):
    with page.expect_response(lambda response: "/descent/plotly.js" in response.url) as response:
        page.goto(url)
    assert response.value.body() == PLOTLY.read_bytes()


def test_a_chart_that_stands_still_shows_the_newest_figure_in_full(page, url):
    play(opened(page, url))
    page.get_by_role("button", name="Pause").click()
    last = "document.querySelector('[data-name=loss] .descent-plot')?._fullData?.find(({ name }) => name === 'train').x.at(-1)"
    page.wait_for_function(f"() => document.body.innerText.includes(`step ${{{last}}} picked`)")


def test_zoom_survives_and_a_double_click_ends_it(page, url):
    play(opened(page, url))
    whole = ranges(page)
    drag(page, "loss")
    moved(page)
    zoomed = ranges(page)
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1] and whole[2] < zoomed[2] < zoomed[3] < whole[3]
    page.mouse.move(5, 5)
    moved(page)
    assert ranges(page) == zoomed
    chart(page, "loss").dblclick(position={"x": 200, "y": 100})
    moved(page)
    assert ranges(page)[0] == 0 and ranges(page)[1] >= whole[1]


def test_a_double_click_ends_the_zoom_of_a_chart_that_stands_still(page, url):
    whole = ranges(opened(page, url))
    left = "() => document.querySelector('[data-name=loss] .descent-plot')._fullLayout.xaxis.range[0]"
    drag(page, "loss")
    page.wait_for_function(f"{left} > {whole[0]}")
    chart(page, "loss").dblclick(position={"x": 200, "y": 100})
    page.wait_for_function(f"{left} === {whole[0]}")
    assert ranges(page) == whole


def test_hover_survives(page, url):
    play(opened(page, url))
    box = chart(page, "loss").bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 80)
    label = chart(page, "loss").locator(".hoverlayer .legendtext").first
    expect(label).to_be_visible()
    for _ in range(3):
        moved(page, times=1)
        expect(label).to_be_visible()
    assert "step " in chart(page, "loss").locator(".hoverlayer").text_content()


def place_of_a_unit(page):
    return page.evaluate("""() => {
        const plot = document.querySelector('[data-name=network] .descent-plot')
        const { x, y, customdata } = plot._fullData[0]
        const at = [...customdata].findIndex(([layer, index]) => layer === 2 && index === 5)
        const { left, top } = plot.getBoundingClientRect()
        return [left + plot._fullLayout.xaxis.c2p(x[at]), top + plot._fullLayout.yaxis.c2p(y[at])]
    }""")


def test_a_click_picks_a_unit_and_leaves_the_other_panels_alone(page, url):
    play(opened(page, url))
    place = place_of_a_unit(page)
    page.evaluate("() => document.querySelectorAll('.descent-plot').forEach((node) => (node.kept = true))")
    page.mouse.click(*place)
    expect(page.get_by_text("picked (2, 5)")).to_be_visible()
    expect(page.locator(".descent-panel")).to_have_count(12)
    names = page.evaluate("() => [...document.querySelectorAll('.descent-panel')].map((panel) => panel.dataset.name)")
    assert names == [*PANELS[:2], "unit_map", "unit_weights", "unit_activations", *PANELS[2:]]
    assert page.evaluate("() => [...document.querySelectorAll('.descent-plot')].filter((node) => node.kept).length") == 9


def test_the_rest_of_the_page_is_drawn_again_once_when_its_outline_changes(page, url):
    play(opened(page, url))
    expect(page.get_by_text("drawing 1 of None")).to_be_visible()  # whatever moved since
    page.mouse.click(*place_of_a_unit(page))
    expect(page.get_by_text("drawing 2 of (2, 5)")).to_be_visible()
    moved(page, times=5)
    expect(page.get_by_text("drawing 2 of (2, 5)")).to_be_visible()


def test_a_part_that_comes_after_the_first_picture_does_not_cut_the_line(page, url):
    lines = []
    page.on("websocket", lambda socket: lines.append(socket) if "/descent/line" in socket.url else None)
    opened(page, f"{url}/?late")
    expect(page.get_by_text("drawing 1 of None")).to_be_visible()
    play(page)
    assert len(lines) == 1


def test_the_theme_changes_while_the_run_stands(page, url):
    opened(page, url)
    color = "() => document.querySelector('[data-name=loss] .descent-plot').layout?.font.color"
    page.wait_for_function(f"() => ({color})() === '{THEMES['light'].muted}'")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => ({color})() === '{THEMES['dark'].muted}'")


def test_panels_out_of_view_wait(page, url):
    page.set_viewport_size({"width": 1280, "height": 420})
    page.goto(url)
    expect(chart(page, "network").locator(".main-svg").first).to_be_visible()
    play_button = page.get_by_role("button", name="Play", exact=True)
    page.evaluate(
        "() => { window.drawn = {}; document.addEventListener('drawn', ({ target: { parentElement: { dataset } } }) =>"
        " (window.drawn[dataset.name] = (window.drawn[dataset.name] ?? 0) + 1)) }"
    )
    play_button.click()
    moved(page, times=5, names=["network"])
    assert "units" not in page.evaluate("() => window.drawn")
    expect(page.locator("[data-name=units] .descent-title")).to_have_text("Dead and saturated units")
    chart(page, "units").scroll_into_view_if_needed()
    moved(page, names=["units"])
    assert chart(page, "units").locator(".js-line").count() == 6


def test_a_layer_can_be_switched_off(page, url):
    play(opened(page, url))
    key = page.locator("[data-name=gradients]").get_by_role("button", name="2")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    expect(chart(page, "gradients").locator(".js-line")).to_have_count(2)
    moved(page)
    expect(chart(page, "gradients").locator(".js-line")).to_have_count(2)
    key.press("Enter")
    expect(chart(page, "gradients").locator(".js-line")).to_have_count(3)


def test_charts_speak_and_do_not_trap_the_keyboard(page, url):
    opened(page, url)
    figures = panels(snapshot(step=21_000), ViewOptions())
    for name in PANELS:
        expect(chart(page, name).get_by_role("img", name=figures[name]["alt"], exact=True)).to_have_count(1)
        expect(chart(page, name).locator(".main-svg:not([role=img], [aria-hidden=true])")).to_have_count(0)
    page.locator("[data-name=loss]").get_by_role("button").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('.descent-panel').dataset.name") == "gradients"


@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (800, 1)])
def test_panels_fit_the_width(page, url, width, columns):
    page.set_viewport_size({"width": width, "height": 2100})
    page.goto(url)
    expect(chart(page, "loss").locator(".main-svg").first).to_be_visible()
    boxes = [page.locator(f"[data-name={name}]").bounding_box() for name in ("network", "output")]
    assert (boxes[0]["y"] == boxes[1]["y"]) is (columns == 2)
    assert all(box["x"] + box["width"] <= width for box in boxes)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    svg, plot = chart(page, "network").locator(".main-svg").first.bounding_box(), chart(page, "network").bounding_box()
    assert svg["width"] == pytest.approx(plot["width"], abs=1) and svg["height"] == plot["height"]


# Repainting

REPAINTED = """
async ([early, late]) => {
  const plot = document.body.appendChild(document.createElement('div'))
  const full = (text) => {
    const { data, layout } = JSON.parse(text)
    return Plotly.react(plot, data, { ...layout, width: 500, showlegend: false })
  }
  const look = async () => ({
    paths: [...plot.querySelectorAll('.js-line, .js-fill, .shapelayer path')].map((node) => node.getAttribute('d')),
    images: [...plot.querySelectorAll('.imagelayer image')].map((node) => node.href.baseVal),
    heatmaps: await Promise.all([...plot.querySelectorAll('.hm image')].map((node) => pixels(node.href.baseVal))),
  })
  const pixels = async (source) => {
    const image = new Image()
    image.src = source
    await image.decode()
    const canvas = new OffscreenCanvas(image.width, image.height)
    canvas.getContext('2d').drawImage(image, 0, 0)
    return [...canvas.getContext('2d').getImageData(0, 0, image.width, image.height).data]
  }
  await full(early)
  const same = frame(JSON.parse(early)) === frame(JSON.parse(late))
  const done = repaint(plot, JSON.parse(late))
  const mine = await look()
  await full(late)
  return { same, done, mine, plotlys: await look() }
}
"""


@pytest.fixture(scope="module")
def canvas(browser):
    page = browser.new_page()
    page.add_script_tag(path=str(PLOTLY))
    script = (ROOT / "pages" / "shell" / "browser" / "repaint.js").read_text()
    page.add_script_tag(type="module", content=f"{script}\nObject.assign(window, {{ frame, repaint }})")
    page.wait_for_function("() => !!window.repaint")
    yield page
    page.close()


def points(path):
    return [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("kind", ["two_classes", "surface"])
def test_repainting_draws_what_plotly_draws(canvas, name, kind):
    sizes = (2, 8, 8, 1)
    early, late = (
        json.dumps(panels(snapshot(step=step, sizes=sizes, output=kind), ViewOptions(histogram_layer=2))[name]) for step in (21_000, 22_000)
    )
    seen = canvas.evaluate(REPAINTED, [early, late])
    assert seen["same"] and seen["done"]
    mine, plotlys = seen["mine"], seen["plotlys"]
    assert len(mine["paths"]) == len(plotlys["paths"]) and mine["images"] == plotlys["images"]
    for path, wanted in zip(mine["paths"], plotlys["paths"]):
        mine_points, wanted_points = points(path), points(wanted)
        assert len(wanted_points) > 1 or path == wanted
        # Plotly leaves out points that make no visible difference, and every one it keeps must be among mine
        for x, y in wanted_points[:: max(1, len(wanted_points) // 60)]:
            assert min(abs(x - other_x) + abs(y - other_y) for other_x, other_y in mine_points) < 1
    for picture, wanted in zip(mine["heatmaps"], plotlys["heatmaps"], strict=True):
        assert len(picture) == len(wanted)
        assert max(abs(one - other) for one, other in zip(picture, wanted)) <= 3


def test_repainting_leaves_to_plotly_what_it_cannot_do(canvas):
    options = ViewOptions()
    small, large = (panels(snapshot(step=step), options)["loss"] for step in (900, 1100))
    assert canvas.evaluate("([early, late]) => frame(early) === frame(late)", [small, large]) is False  # the axis has grown
    confusion = [panels(snapshot(output="confusion", sizes=(4, 4, 10)), ViewOptions(show_test=shown))["output"] for shown in (True, False)]
    assert canvas.evaluate("([early, late]) => frame(early) === frame(late)", confusion) is False
