"""The charts as a page of their own: all are in it, nothing is fetched, and no name becomes a part of the page."""

from html.parser import HTMLParser

import pytest

from pages.charts import ViewOptions, panels
from pages.charts.document import document
from pages.charts.style import THEMES
from tests.synthetic import snapshot

HOSTILE = "</script><script>alert(1)</script><b>"


class Page(HTMLParser):
    """The tags, attributes and texts outside of scripts of a page."""

    def __init__(self, raw):
        super().__init__()
        self.tags, self.attributes, self.texts = [], set(), []
        self.feed(raw.decode())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= dict(attributes).keys()

    def handle_data(self, data):
        if self.tags and self.tags[-1] != "script":
            self.texts.append(data.strip())


@pytest.mark.parametrize("theme", THEMES)
def test_every_chart_is_there_with_its_title_and_what_it_shows(theme):
    made = panels(snapshot(), ViewOptions(theme=theme))
    raw = document("A run", made, theme)
    page = Page(raw)
    assert page.tags.count("figure") == len(made)
    texts = "\n".join(page.texts)
    assert all(panel["layout"]["title"]["text"] in page.texts and panel["alt"] in texts for panel in made.values())
    assert not page.attributes & {"src", "href"}  # Plotly's script is in it, once
    assert len(raw) < 10e6
    assert THEMES[theme].surface in raw.decode()


def test_names_do_not_become_markup():
    made = panels(snapshot(), ViewOptions())
    plain = Page(document("A run", made, "light"))
    made["loss"]["layout"]["title"]["text"] = made["loss"]["alt"] = made["loss"]["data"][0]["name"] = HOSTILE
    page = Page(document(HOSTILE, made, "light"))
    assert page.tags == plain.tags
    assert page.texts.count(HOSTILE) == 4  # the page's title and heading, the chart's title and words
