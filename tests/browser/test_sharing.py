"""What is taken out of the page by a press: its link, and a chart as a picture; and the page in a frame of another site's."""

import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_playground import button, expect_true, play, ready, step


def test_the_link_and_a_chart_are_copied(open_tab, tmp_path):
    allowed = ["clipboard-read", "clipboard-write"]
    tab = ready(open_tab("/?data.source=circle&layers=4-relu_1-sigmoid", color_scheme="dark", permissions=allowed))
    button(tab, "Step").click()
    expect_true(lambda: "run=" in tab.evaluate("location.search"))
    tab.get_by_role("button", name="Export").click()
    button(tab, "Copy link").click()
    expect(button(tab, "Link copied")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == tab.evaluate("location.href")
    expect(button(tab, "Copy link")).to_be_visible()
    tab.keyboard.press("Escape")
    panel = tab.locator("[data-name=loss]")
    panel.locator(".descent-plot").hover()
    with tab.expect_download() as download:
        panel.locator("[data-title='Save as PNG']").click()
    assert download.value.suggested_filename == "descent_loss.png"
    download.value.save_as(tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert picture.mode == "RGB" or picture.getchannel("A").getextrema() == (255, 255)
        assert max(picture.convert("RGB").getpixel((2, 2))) < 60  # dark, as the page is
    panel.locator(".descent-plot").hover()
    panel.locator("[data-title='Copy picture']").click()
    expect(panel.get_by_text("Picture copied")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.read().then(items => items[0].types)") == ["image/png"]
    small = panel.locator(".main-svg").first.bounding_box()
    panel.locator("[data-title^='Full screen']").click()
    chart = "(box => [box.width, box.height, innerHeight])(document.querySelector('[data-name=loss] .main-svg').getBoundingClientRect())"
    expect_true(lambda: tab.evaluate(chart)[0] > 1.3 * small["width"])
    expect_true(lambda: tab.evaluate(chart)[1] > 0.8 * tab.evaluate(chart)[2])
    tab.evaluate("document.exitFullscreen()")  # as Escape does, which the browser itself takes
    expect_true(lambda: panel.locator(".main-svg").first.bounding_box() == small)


class _Frame(BaseHTTPRequestHandler):
    """A page that shows another one in a frame."""

    def __init__(self, shown, *arguments):
        self._shown = shown
        super().__init__(*arguments)

    def do_GET(self):
        framed = f"<iframe src='{self._shown[0]}' width=1200 height=850></iframe>"
        page = f"<!doctype html><title>A course</title><link rel=icon href=data:,>{framed}"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    """(address of another site's page, the list whose one address that page shows in a frame)."""
    shown = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Frame, shown))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}", shown  # another site than 127.0.0.1: no cookie of the app's goes there
    server.shutdown()
    server.server_close()


def test_the_page_works_in_a_frame_of_a_site_that_may_show_it(start_server, open_tab, site):
    address, shown = site
    server = start_server(shared=1, frame_ancestors=f"'self' {address}")
    shown.append(f"{server.url}/?embed=true")
    page = open_tab(at=SimpleNamespace(url=address))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_test_id("stAppDeployButton")).to_have_count(0)
    expect(frame.locator(".descent-plot .main-svg").first).to_be_visible()
    play(frame)
    expect_true(lambda: step(frame) > 10)
    button(frame, "Pause").click()
    inside = next(one for one in page.frames if one.url.startswith(server.url))
    expect_true(lambda: "run=" in inside.evaluate("location.search"))
    assert not page.context.cookies(server.url)
    frame.get_by_role("link", name="Runs").click()
    expect(frame.get_by_text("1 run", exact=True)).to_be_visible()  # identity lasts for the visit
    page.reload()
    expect(frame.locator(".descent-plot .main-svg").first).to_be_visible()
    frame.get_by_role("link", name="Runs").click()
    expect(frame.get_by_text("No runs yet.")).to_be_visible()  # and no longer
