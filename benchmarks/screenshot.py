"""Makes the README's picture and film: the playground while a spiral is learnt. `make screenshot`."""

from __future__ import annotations

import io
import time

from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.app import ROOT, chromium, serve, toured

PICTURE, FILM = ROOT / "docs" / "playground.png", ROOT / "docs" / "first_minute.webp"
SIZE = {"width": 1280, "height": 900}
SECONDS, FRAME = 14, 0.5  # of the film, and of one of its frames
WIDTH = 960  # pixels of the film
QUALITY = 60


def main():
    """Film the opening configuration as it plays, pause, and take the picture."""
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium())
        page = browser.new_page(viewport=SIZE, storage_state=toured(url))
        page.goto(url)
        page.wait_for_selector(".descent-plot .main-svg", timeout=60_000)
        page.wait_for_timeout(3000)
        frames = [frame(page)]
        page.get_by_role("button", name="Play", exact=False).first.click()
        began = time.monotonic()
        while (now := time.monotonic()) < began + SECONDS:
            frames.append(frame(page))
            page.wait_for_timeout(max(0, 1000 * (FRAME - (time.monotonic() - now))))
        page.get_by_role("button", name="Pause").first.click()
        page.get_by_role("button", name="Play", exact=True).first.wait_for()
        page.mouse.move(1000, 20)
        page.set_viewport_size(SIZE | {"height": 1180})
        page.wait_for_timeout(2000)
        page.screenshot(path=PICTURE)
        browser.close()
    first, *others = frames
    first.save(FILM, save_all=True, append_images=others, duration=int(1000 * FRAME), loop=0, quality=QUALITY, method=6)


def frame(page):
    """The page as it is now, in the film's size."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return image.resize((WIDTH, WIDTH * image.height // image.width))


if __name__ == "__main__":
    main()
