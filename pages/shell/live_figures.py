"""The live figures: one component that draws every panel in a grid and updates it in place.

Plotly's script is the plotly wheel's own copy, served under its package by `declare_component`: nothing is copied, nothing is
written, and the browser loads it once.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import plotly
import streamlit as st
from streamlit.components.v1 import declare_component

_HERE = Path(__file__).parent
_WHEEL = Path(plotly.__file__).parent / "package_data"

_served = declare_component("plotly", path=_WHEEL)
_component = st.components.v2.component(
    "descent_figures",
    html='<div class="descent-figures"></div>',
    css=(_HERE / "live_figures.css").read_text(encoding="utf-8"),
    js="\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("live_figures.js", "repaint.js")),
    isolate_styles=False,  # Plotly keeps its own styles in the document's head
)
_preload = st.components.v2.component("descent_preload", html="<i hidden></i>", js=(_HERE / "preload.js").read_text(encoding="utf-8"))


def theme():
    """ "light" or "dark", as the browser shows the page now."""
    return st.context.theme.type or "light"


def preload():
    """Have the browser fetch Plotly's script while the page is still being made."""
    _preload(key="preload", data=_plotly_url().encode())  # a text would be looked at as if it were a table, for which pandas is imported


def live_figures(figures, key, on_pick=None, on_drawn=None, address=None, goes_on=False):
    """Draw `figures` (name -> figure of pages.charts) in a grid, in place from one call to the next.

    `on_pick(layer, index)` (layer from 1, index from 0) is called when a unit of the network diagram is clicked, `on_drawn()` once the
    browser has drawn these figures, after which there must be another call. `address` (name, value or None) is kept in the page's address,
    which stays one step of the browser's history by that. `goes_on` says that there will be another call soon. A browser that misses one
    asks for the page.
    """

    def picked():
        match st.session_state[key]["picked"]:
            case [int(layer), int(index)] if on_pick is not None:
                on_pick(layer, index)

    # No two messages are alike: a repeated one is sent as a reference, and a busy browser that has dropped what it refers to
    # loses its connection ("Cached ForwardMsg MISS"). Bytes, so that JSON is not packed into JSON; a line for each figure, so
    # that the browser can tell what has changed without parsing, and parses only what is in view.
    head = {"names": list(figures), "theme": theme(), "plotly": _plotly_url(), "address": address, "goes_on": goes_on}
    head |= {"tell": on_drawn is not None, "sent": time.time_ns()}
    lines = [json.dumps(part, allow_nan=False, separators=(",", ":")) for part in (head, *figures.values())]
    _component(
        key=key, data="\n".join(lines).encode(), on_picked_change=picked, on_drawn_change=on_drawn or _nothing, on_theme_change=_nothing,
        on_lost_change=st.rerun,
    )  # fmt: skip


def _nothing():
    """A trigger's callback: the rerun that comes with it is all that is wanted."""


def _plotly_url():
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"{'/' + base if base else ''}/component/{_served.name}/plotly.min.js?v={plotly.__version__}"
