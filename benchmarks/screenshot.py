"""Makes the README's picture: the playground after some seconds of training. `make screenshot`."""

from __future__ import annotations

from playwright.sync_api import sync_playwright

from benchmarks.app import ROOT, chromium, serve

PICTURE = ROOT / "docs" / "playground.png"
SECONDS = 12


def main():
    """Play the opening configuration for a while, pause, and take the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium())
        page = browser.new_page(viewport={"width": 1280, "height": 1180})
        page.goto(url)
        page.wait_for_selector(".descent-plot .main-svg", timeout=60_000)
        page.get_by_role("button", name="Play", exact=False).first.click()
        page.wait_for_timeout(1000 * SECONDS)
        page.get_by_role("button", name="Pause").first.click()
        page.get_by_role("button", name="Play").first.wait_for()
        page.mouse.move(640, 640)
        page.wait_for_timeout(2000)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
