"""A run as one page with a slider: all moments are in it, it fetches nothing, and it is small."""

import base64
import gzip
import json
import re

import pytest

from pages.charts import ViewOptions, panels, replay
from pages.charts.style import THEMES
from tests.core.test_chart_document import HOSTILE, Page
from tests.synthetic import snapshot


def pictures(count, **options):
    return [(f"Step {step:,}", panels(snapshot(step=step), ViewOptions(**options))) for step in range(100, 100 + count)]


def unpacked(raw, name):
    packed = re.search(rf'id="{name}">([A-Za-z0-9+/=]+)<', raw.decode())[1]
    return gzip.decompress(base64.b64decode(packed)).decode()


@pytest.mark.parametrize("theme", THEMES)
def test_all_moments_are_there_and_nothing_is_fetched(theme):
    made = pictures(3, theme=theme)
    raw = replay.replay(HOSTILE, made, theme)
    page, text = Page(raw), raw.decode()
    assert page.texts.count(HOSTILE) == 2 and page.tags.count("script") == 3 and page.tags.count("input") == 1
    written = re.sub('id="(plotly|pictures)">[^<]+', "", text)
    assert not page.attributes & {"src", "href"} and not re.search("https?:|//", written) and "default-src 'none'" in written
    assert THEMES[theme].surface in text
    shown = json.loads(unpacked(raw, "pictures"))
    assert [label for label, _ in shown] == ["Step 100", "Step 101", "Step 102"]
    assert all(set(figures) == set(drawn) for (_, figures), (_, drawn) in zip(shown, made))
    assert "plotly.js v" in unpacked(raw, "plotly")[:500]


def test_a_whole_run_keeps_below_five_megabytes(monkeypatch):
    one = pictures(1)[0]
    whole = replay.replay("A run", [one] * replay.MOMENTS, "light")
    assert len(whole) < replay.MOST_BYTES
    monkeypatch.setattr(replay, "MOST_BYTES", len(replay.replay("A run", [one], "light")) + 1000)
    many = [(str(at), {"loss": {**one[1]["loss"], "alt": str(hash(str(at)))}} | one[1]) for at in range(9)]
    fewer = json.loads(unpacked(replay.replay("A run", many, "light"), "pictures"))
    assert len(fewer) < 9 and fewer[-1][0] == "8"


def test_moments_are_spread_evenly_with_both_ends():
    assert replay.evenly([1, 2, 3]) == [1, 2, 3]
    kept = replay.evenly(list(range(200)))
    assert len(kept) == replay.MOMENTS - 1 and kept[0] == 0 and kept[-1] == 199 and kept == sorted(set(kept))
