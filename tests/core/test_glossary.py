"""The glossary says all of each term, once, and the charts take their words from it."""

import pytest

from core.glossary import GLOSSARY, explained
from pages.charts import ViewOptions, panels
from tests.synthetic import snapshot

SHOWN = {"gauge": ["stability_limit"], "gradients": ["gradient"], "ratio": ["update_ratio"], "units": ["dead", "saturated"]}


def test_every_term_says_what_it_is_why_it_matters_and_what_is_normal():
    for term in GLOSSARY.values():
        parts = (term.what, term.why, term.normal)
        assert len(set(parts)) == 3 and all(
            (part[0].isupper() or part[0].isdigit()) and part.endswith(".") and 20 < len(part) < 300 for part in parts
        ), term
    assert len({term.anchor for term in GLOSSARY.values()}) == len(GLOSSARY)


@pytest.mark.parametrize("name", SHOWN)
def test_a_charts_help_is_the_glossarys(name):
    assert explained(*SHOWN[name]) in panels(snapshot(), ViewOptions())[name]["help"]
