"""The cases' page: every case opens, runs side by side and leads to the playground; links to it are checked."""

import html
import re
import time
from urllib.parse import parse_qsl

import pytest

from core.cases import CASES
from core.link import from_query

PATIENCE = 120


@pytest.fixture(autouse=True)
def _few_stops(monkeypatch):
    monkeypatch.setattr("pages.shell.pair.SHARES", 6)


class Cases:
    """A visitor on the cases' page."""

    def __init__(self, page, wait, **query):
        self.page = page
        page.test.switch_page("cases.py")
        for name, value in query.items():
            page.test.query_params[name] = value
        page.run()
        if wait:
            self.wait(lambda: not self.pair.needs_updates)

    @property
    def pair(self):
        return self.page.test.session_state["pair"]

    def wait(self, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.05)
            assert self.page.head  # the line moves both on
        self.page.run()

    @property
    def steps(self):
        return [side.snapshot.step for side in self.pair.sides]


@pytest.fixture
def open_cases(open_page):
    opened = []

    def go(wait=True, **query):
        opened.append(Cases(open_page(), wait, **query))
        return opened[-1]

    yield go
    for cases in opened:
        cases.pair.close()


@pytest.mark.parametrize("name", ["xor_answer", "four_equations", "flower_boundary"])
def test_both_run_to_the_end_of_their_steps(open_cases, name):
    cases = open_cases(case=name)
    assert cases.steps == [0, 0]
    words = html.unescape(cases.page.words)
    assert CASES[name].complaint in words and CASES[name].answer in words and CASES[name].slips[0].effect in words
    cases.page.press("play")
    cases.wait(lambda: not cases.pair.playing)
    assert cases.steps == [variant.steps for variant in CASES[name].opening]
    cases.page.press("reset")
    cases.wait(lambda: not cases.pair.needs_updates)
    assert cases.steps == [0, 0]


def test_the_pictures_are_measured_and_the_broken_run_stops(open_cases):
    cases = open_cases(case="upscale_16_to_64")
    cases.page.set("selectbox", "upscale_16_to_64 right", "weights_kept")
    cases.wait(lambda: not cases.pair.needs_updates)
    cases.page.press("play")
    cases.wait(lambda: not cases.pair.playing)
    assert all(side.snapshot.nonfinite for side in cases.pair.sides)
    cases.wait(lambda: len(cases.page.run().dataframe) > 0)
    table = cases.page.dataframe[0].value
    assert (
        table.loc["bicubic", "As posted"] > table.loc["best the hidden units allow (5)", "As posted"] > table.loc["mean image", "As posted"]
    )
    assert "exploded" in cases.page.words


def test_a_variant_of_ones_own_choice_stands_on_either_side(open_cases):
    cases = open_cases(case="four_equations")
    cases.page.set("selectbox", "four_equations left", "large_inputs")
    cases.wait(lambda: not cases.pair.needs_updates)
    cases.page.press("play")
    cases.wait(lambda: cases.pair.sides[0].snapshot.nonfinite is not None)
    assert cases.pair.sides[0].variant.name == "large_inputs"


def test_four_equations_in_numbers_follow_layer_and_sample(open_cases):
    cases = open_cases(case="four_equations")
    assert "BP1" in cases.page.words and "BP3" in cases.page.words
    cases.page.set("segmented_control", "equations.layer", 1).set("text_input", "equations.sample", 7)
    assert "BP2" in cases.page.words and "sample 7" in cases.page.words and "10 × 2" in cases.page.words


def test_a_sample_that_there_is_not_is_refused_beside_its_field(open_cases):
    cases = open_cases(case="four_equations")
    cases.page.set("text_input", "equations.sample", "7")
    for text in ("0", "1e6", "1/2", "1,5", ""):
        cases.page.set("text_input", "equations.sample", text)
        said = cases.page.words.replace("\\", "")
        assert re.search(rf"Sample must be a whole number .*; was {repr(text) if text else 'empty'}\]$", said, re.MULTILINE)
        assert cases.page.text_input(key="equations.sample").value == text and "sample 7" in said
    cases.page.set("text_input", "equations.sample", "8")
    assert "must be" not in cases.page.words and "sample 8" in cases.page.words


def test_the_tour_has_seven_steps(open_cases):
    cases = open_cases(case="flower_boundary")
    seen = {cases.page.words}
    for step in range(2, 8):
        cases.page.set("segmented_control", "tour.step", step)
        seen.add(cases.page.words)
    assert len(seen) == 7 and "accuracy" in cases.page.words
    cases.page.press("play")
    cases.wait(lambda: not cases.pair.playing)
    printed = re.findall(r"<td>(0\.\d{6})</td>", cases.page.words)
    left, right = (side.variant.config for side in cases.pair.sides)
    assert len(printed) == 11 and printed[0].startswith("0.693") and left != right


def test_the_address_names_the_case(open_cases):
    cases = open_cases(case="xor_answer")
    assert cases.page.pills(key="case").value == "xor_answer"
    cases.page.set("pills", "case", "four_equations")
    assert cases.page.query == {"case": "four_equations"}


def test_a_choice_stays_while_the_address_is_behind(open_cases):
    cases = open_cases(wait=False, case="xor_answer")
    with cases.page.lagging():
        cases.page.set("pills", "case", "four_equations")
        cases.page.test.query_params["case"] = "xor_answer"
        assert cases.page.run().query == {"case": "four_equations"}
    assert cases.page.navigate({"case": "flower_boundary"}).pills(key="case").value == "flower_boundary"
    assert cases.page.query == {"case": "flower_boundary"}


@pytest.mark.parametrize("name", ["nothing", "<script>alert(1)</script>", "x" * 5000])
def test_an_unknown_case_is_said_so(open_cases, name):
    cases = open_cases(wait=False, case=name)
    assert "no case" in cases.page.warning[0].value and "<script>" not in cases.page.warning[0].value


def test_links_open_just_this_in_the_playground(open_cases):
    cases = open_cases(case="four_equations")
    links = [dict(parse_qsl(link.proto.query_string)) for link in cases.page.test.get("page_link")]
    assert [from_query(link) for link in links] == [
        CASES["four_equations"].variant("as_posted").config,
        CASES["four_equations"].variant("mended").config,
    ]


def test_the_playground_is_as_it_was_on_coming_back(open_page):
    page = open_page()
    page.press("step").set("text_input", "optimizer.learning_rate", 0.25)
    run, query = page.live_run, page.query
    query.pop("run", None)  # it may have been kept only now
    for name in ("doctor", "playground"):
        page.test.switch_page(f"{name}.py")
        page.test.query_params.clear()
        page.run()
    back = page.query
    back.pop("run", None)
    assert page.live_run is run and page.step == 1 and back == query
