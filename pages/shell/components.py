"""What the page mounts of the browser's side (the folder browser/): parts of what a live line shows and takes, and charts that stand still.

Plotly's script is the plotly wheel's own copy: nothing is copied, nothing is written, and the browser loads it once.
"""

from __future__ import annotations

import json
from pathlib import Path

import plotly
import streamlit as st
from starlette.responses import FileResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from pages.shell.identity import is_page, with_header
from pages.shell.live_line import PATH, live_line
from pages.shell.tab import digest, tab

BROWSER = Path(__file__).with_name("browser")
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
SCRIPTS, PLOTLY_PATH = "/descent/scripts", "/descent/plotly.js"
PLOTLY_ADDRESS = f"{PLOTLY_PATH}?v={plotly.__version__}"

# The modules are fetched by their addresses, so that all components share one of each; Streamlit would send them with every page
LOADER = """
const modules = new Map()
export default function (component) {
  const [head] = new TextDecoder().decode(component.data).split("\\n", 1)
  const address = new URL(JSON.parse(head).module, location.href).href
  if (!modules.has(address)) modules.set(address, import(address))
  const mounted = modules.get(address).then(({ mount }) => mount(component))
  return () => mounted.then((unmount) => unmount())
}
"""
_component = st.components.v2.component(
    "descent_part",
    html='<div class="descent-part"></div>',
    css=(BROWSER / "live.css").read_text(encoding="utf-8"),
    js=LOADER,
    isolate_styles=False,  # Plotly keeps its own styles in the document's head
)


class Preload:
    """Middleware that has the browser fetch what each page needs while Streamlit's own scripts are still on their way."""

    def __init__(self, app):
        scripts = [f"<{served(f'{SCRIPTS}/{path.name}')}>; rel=modulepreload" for path in sorted(BROWSER.glob("*.js"))]
        self._app, self._links = app, ", ".join([f"<{served(PLOTLY_ADDRESS)}>; rel=preload; as=script", *scripts])

    async def __call__(self, scope, receive, send):
        await self._app(scope, receive, with_header(send, "link", self._links) if is_page(scope) else send)


class _Scripts(StaticFiles):
    """The browser asks each time whether a script has changed: one of yesterday would not understand today's server."""

    def file_response(self, *arguments, **settings):
        response = super().file_response(*arguments, **settings)
        response.headers["Cache-Control"] = "no-cache"
        return response


def routes():
    """What the server offers beside Streamlit's page."""

    def plotly_script(request):
        return FileResponse(PLOTLY, media_type="text/javascript", headers={"Cache-Control": "public, max-age=31536000, immutable"})

    return [
        WebSocketRoute(served(PATH), live_line),
        Mount(served(SCRIPTS), _Scripts(directory=BROWSER)),
        Route(served(PLOTLY_PATH), plotly_script),
    ]


def theme():
    """ "light" or "dark", as the browser shows the page now."""
    return st.context.theme.type or "light"


def figures(shown, key):
    """Draw figures (name -> figure of pages.charts) that stand still, in a grid, in place from one call to the next."""
    _mount(key, {"part": "board", "names": list(shown), "theme": theme()}, [_json(figure) for figure in shown.values()])


def live(part, key, **options):
    """Mount a part that the tab's view fills: "board" (its figures; `waiting` is said until they come), "buttons" (`buttons`, `choices`),
    "slider" and "text" (`name`)."""
    _mount(key, {"part": part, **_line(), **options})


def listener(key, outline):
    """Have the browser ask for this part of the page again once the view's outline is not `outline` any more. It stands at the end of what
    is drawn."""
    _mount(key, {"part": "listener", **_line(), "outline": digest(outline), "drawing": tab().drawing})


def copy_link(key, label, help):
    """Mount a button that copies the page's address."""
    _mount(key, {"part": "copy", "label": label, "help": help})


def tour(key, steps):
    """Mount a button that shows the page's parts one after another (`steps`: see browser/tour.js); it begins by itself at a first visit."""
    _mount(key, {"part": "tour", "steps": steps})


def pad(key, drawn, **options):
    """Mount the plane to draw on (`points`, `colors`, `classes`, `half`, `most`: see browser/pad.js). `drawn` is called when points were
    drawn; they are in the session's state under `key`, as its `drawn`."""
    _mount(key, {"part": "pad", **options}, on_drawn_change=drawn)


def digit_pad(key, drawn, side):
    """Mount a picture of `side` pixels a side to draw; `drawn` is called at each stroke, with the pixels, 0 to 16 row by row, in the
    session's state under `key`, as its `drawn`."""
    _mount(key, {"part": "digit", "side": side}, on_drawn_change=drawn)


def _line():
    return {"line": {"url": served(PATH), "key": tab().key}, "view": tab().view.name}


def _mount(key, options, lines=(), **triggers):
    options |= {"module": served(f"{SCRIPTS}/live.js"), "plotly": served(PLOTLY_ADDRESS)}
    # Bytes, so that JSON is not packed into JSON; of a text Streamlit finds out first whether it is a table, for which pandas is imported
    data = "\n".join([_json(options), *lines]).encode()
    _component(key=key, data=data, on_theme_change=_nothing, on_lost_change=_nothing, on_outdated_change=_nothing, **triggers)


def _nothing():
    """A trigger's callback: the run of the script that comes with it is all that is wanted."""


def _json(value):
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def served(path):
    """The path as the browser asks for it: Streamlit's own stand below the option for the base path, too."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"{'/' + base if base else ''}{path}"
