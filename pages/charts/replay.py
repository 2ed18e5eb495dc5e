"""A run as one HTML page with a time slider that needs neither a server nor a network: Plotly's script is in it, compressed."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from pages.charts.document import STYLE, standing
from pages.charts.style import THEMES

if TYPE_CHECKING:
    from pages.charts.style import Figure

MOST_BYTES = 5_000_000  # of the page
MOMENTS = 24  # that the slider offers, unless fewer fit
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"  # the browser fetches nothing
SLIDER_STYLE = """
.time { position: sticky; top: 0; z-index: 9; display: flex; gap: 1rem; align-items: center; padding: .6rem 0; background: inherit }
.time input { flex: 1; min-width: 0; height: 1.5rem } .time output { min-width: 9rem; font-variant-numeric: tabular-nums }
"""
SCRIPT = """
const inflated = async (id) => {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0))
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text()
}
const made = (tag, parent) => parent.appendChild(document.createElement(tag))
const [slider, told, main] = ["#time", "output", "main"].map((name) => document.querySelector(name))
const places = new Map()
const place = (name) => {
  if (places.has(name)) return places.get(name)
  const figure = made("figure", main)
  places.set(name, { figure, title: made("h2", figure), plot: made("div", figure), words: made("p", figure) })
  return places.get(name)
}
const start = async () => {
  const script = document.createElement("script")
  script.textContent = await inflated("plotly")
  document.head.append(script)
  const pictures = JSON.parse(await inflated("pictures"))
  const draw = () => {
    const [label, figures] = pictures[slider.value]
    told.textContent = label
    slider.setAttribute("aria-valuetext", label)
    for (const [name, there] of places) there.figure.hidden = !(name in figures)
    for (const [name, [title, data, layout, words]] of Object.entries(figures)) {
      const there = place(name)
      there.title.textContent = title
      there.words.textContent = words
      there.plot.style.height = `${layout.height}px`
      Plotly.react(there.plot, data, layout, { displaylogo: false, responsive: true })
    }
  }
  slider.max = slider.value = pictures.length - 1
  slider.addEventListener("input", draw)
  draw()
}
start().catch((error) => (told.textContent = `This browser cannot show the run: ${error.message}`))
"""


def evenly(steps: Sequence[int], most: int = MOMENTS - 1) -> list[int]:
    """At most so many of these steps, evenly spread over the list, the first and the last among them."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def replay(title: str, pictures: Sequence[tuple[str, dict[str, Figure]]], theme: str) -> bytes:
    """The bytes of the page. `pictures` are (label, {name: figure}), the slider's moments in their order; where all of them together would
    make the page larger than MOST_BYTES, every other one is left out, the last stays. `theme` is light or dark."""
    shown = [(label, {name: _plain(figure) for name, figure in panels.items()}) for label, panels in pictures]
    page = _page(title, shown, theme)
    while len(page) > MOST_BYTES and len(shown) > 1:
        shown = shown[::-2][::-1]
        page = _page(title, shown, theme)
    return page


def _plain(figure):
    title, layout, words = standing(figure)
    return title, figure["data"], layout, words


def _page(title, pictures, theme):
    style = STYLE.format(**vars(THEMES[theme])) + SLIDER_STYLE
    shown = _packed(json.dumps(pictures, allow_nan=False, separators=(",", ":")))
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{style}</style></head>
<body><h1>{escape(title)}</h1>
<div class="time"><input id="time" type="range" min="0" step="1" aria-label="Time"><output>Loading</output></div>
<main></main>
<script type="text/plain" id="plotly">{_plotly()}</script>
<script type="text/plain" id="pictures">{shown}</script>
<script>{SCRIPT}</script></body>
</html>
""".encode()


@cache
def _plotly():
    return _packed(get_plotlyjs())


def _packed(text):
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode("ascii")
