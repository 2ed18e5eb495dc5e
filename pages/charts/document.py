"""The charts as one HTML document that needs neither a server nor a network: Plotly's own script is in it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from plotly.io import to_html

from pages.charts.style import THEMES

if TYPE_CHECKING:
    from pages.charts.style import Figure

LEGEND = {"yanchor": "bottom", "y": 1.02, "x": 0}  # above the plot: below it would lie on the axis
LEGEND_HEIGHT = 26  # pixels
STROKES = {"solid": "solid", "dash": "dashed", "dot": "dotted"}
STYLE = """
body {{ margin: 2rem; background: {surface}; color: {ink}; font: 15px/1.5 system-ui, sans-serif }}
main {{ display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr)) }}
figure {{ margin: 0; min-width: 0 }}
h1 {{ font-size: 1.4rem }} h2 {{ font-size: 1rem; margin: 0 }} p {{ color: {muted}; font-size: .85rem; margin: .25rem 0 }}
"""


def document(title: str, panels: dict[str, Figure], theme: str) -> bytes:
    """The bytes of a page with every figure of `panels` (name -> figure), its title above and what it shows in words below; `theme` is
    light or dark. About 5 MB: what Plotly needs to draw them is in it."""
    title, look = escape(title), STYLE.format(**vars(THEMES[theme]))
    figures = "\n".join(_figure(figure, with_script=place == 0) for place, figure in enumerate(panels.values()))
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{look}</style></head>
<body><h1>{title}</h1><main>
{figures}
</main></body>
</html>
""".encode()


def standing(figure: dict[str, Any]) -> tuple[str, Figure, str]:
    """(title, layout, caption) of a figure in a page of its own: what the layout has of the title stands above, and the caption says in
    words what is drawn."""
    layout = {name: value for name, value in figure["layout"].items() if name != "title"}
    layout |= {"legend": layout["legend"] | LEGEND, "height": layout["height"] + LEGEND_HEIGHT * layout["showlegend"]}
    strokes = "".join(f" {name.capitalize()}: {STROKES[dash]}." for name, dash in figure["keys"])
    return figure["layout"]["title"]["text"], layout, figure["alt"] + strokes


def _figure(figure, with_script):
    title, layout, caption = standing(figure)
    plot = to_html(
        {"data": figure["data"], "layout": layout}, {"displaylogo": False}, include_plotlyjs=with_script, full_html=False,
        default_height=f"{layout['height']}px", validate=False,
    )  # fmt: skip
    return f"<figure><h2>{escape(title)}</h2>{plot}<p>{escape(caption)}</p></figure>"
