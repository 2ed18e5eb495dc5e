"""Numbers that are typed: a comma is a point; what cannot be read stays in its field, why is said beside it, and the run is left alone."""

import re

import pytest

from core.presets import OPENING
from tests.app.conftest import FRAME

RATE = "optimizer.learning_rate"
NO_NUMBER = "must be a number such as 0.01 or 1e-3; was"
NOT_WHOLE = "must be a whole number without point or comma, such as 64 or 1e3; was"


@pytest.fixture
def page(open_page):
    return open_page()


def said(page):
    return page.words.replace("\\", "")


def write(page, key, text):
    return page.set("text_input", key, text)


def test_no_page_has_the_browsers_own_field_for_numbers(page):
    page.set("selectbox", "picked layer", 1)
    for name in ("playground", "cases", "runs", "doctor"):
        page.test.switch_page(f"{name}.py")
        assert not page.run().number_input, name
    sources = [*FRAME.parent.rglob("*.py")]
    assert len(sources) > 20 and not [source.name for source in sources if "number_input" in source.read_text()]


@pytest.mark.parametrize(("text", "rate"), [("0,01", 0.01), ("1e-3", 0.001), (".5", 0.5), (" 0,001 ", 0.001), ("2", 2.0)])
def test_a_learning_rate_is_what_was_typed(page, text, rate):
    write(page.press("step"), RATE, text)
    assert page.live_run.config.optimizer.learning_rate == page.number(RATE) == float(page.query[RATE]) == rate
    assert page.text_input(key=RATE).value == text and "must be" not in said(page) and page.step == 1


@pytest.mark.parametrize("text", ["1/10", "1 000", "1_000", "nan", "1,2,3", "1.000,5", "--1", "\uff11", ""])
def test_a_learning_rate_that_cannot_be_read_is_refused_beside_its_field(page, text):
    write(page.press("step"), RATE, text)
    assert f"Learning rate {NO_NUMBER} {repr(text) if text else 'empty'}" in said(page)
    assert page.text_input(key=RATE).value == text
    assert page.live_run.config == OPENING and page.step == 1 and page.query == {}
    write(page, RATE, "0,1")
    assert page.live_run.config.optimizer.learning_rate == 0.1 and "must be" not in said(page)


def test_thousands_are_not_guessed_at(page):
    write(page, RATE, "1,000")
    assert "Learning rate must be written as 1000 or 1.000, because the comma may mean either; was '1,000'" in said(page)
    assert page.live_run.config == OPENING


@pytest.mark.parametrize("text", ["-1", "0", "2e6"])
def test_a_number_out_of_range_stays_as_it_was_typed(page, text):
    write(page, RATE, text)
    assert "Learning rate must be a number above 0 and at most 1e+06; was" in said(page)
    assert page.text_input(key=RATE).value == text and page.live_run.config == OPENING


@pytest.mark.parametrize("text", ["1,000", "64.0", "64,0", "1/10", "all"])
def test_a_batch_size_must_be_whole(page, text):
    write(page, "batch_size", text)
    assert f"Batch size {NOT_WHOLE} '{text}'" in said(page)
    assert page.text_input(key="batch_size").value == text and page.live_run.config == OPENING


def test_a_field_that_may_be_empty_means_none(page):
    write(page, "clip_norm", "0,5")
    assert page.live_run.config.clip_norm == 0.5
    write(page, "clip_norm", " ")
    write(page, "batch_size", "")
    assert page.live_run.config.clip_norm is None and page.live_run.config.batch_size is None and "must be" not in said(page)
    assert [page.text_input(key=key).placeholder for key in ("batch_size", "clip_norm")] == ["all", "off"]
    write(page, "batch_size", "1e2")
    assert page.live_run.config.batch_size == 100


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3,5", f"{NOT_WHOLE} '3,5'"),
        ("", f"{NOT_WHOLE} empty"),
        ("0", "must be a whole number from 1 to"),
        ("5000", "must be at most 4096"),
    ],
)
def test_units_that_are_refused_are_told_below_their_row(page, text, why):
    write(page, "layers.1.units", text)
    assert f"Layer 2: Units {why}" in said(page) and said(page).count("must be") == 1
    assert page.text_input(key="layers.1.units").value == text and page.live_run.config == OPENING
    write(page, "layers.1.units", "3")
    assert [layer.units for layer in page.live_run.config.layers] == [8, 3, 1]


def test_all_that_is_refused_is_told(page):
    write(page, "layers.0.units", "x")
    write(page, "layers.1.units", "y")
    write(page, RATE, "z")
    assert all(f"was '{text}'" in said(page) for text in "xyz")
    assert page.live_run.config == OPENING
    for key, text in (("layers.0.units", "4"), ("layers.1.units", "3"), (RATE, "0,5")):
        write(page, key, text)
    config = page.live_run.config
    assert ([layer.units for layer in config.layers], config.optimizer.learning_rate) == ([4, 3, 1], 0.5)


def test_a_field_shows_the_exact_number_and_follows_the_run(open_page):
    page = open_page(**{RATE: repr(0.1 + 0.2), "optimizer.name": "adam", "penalty.l2": "1e-5"})
    assert [page.text_input(key=key).value for key in (RATE, "penalty.l2", "optimizer.epsilon", "batch_size", "layers.0.units")] == [
        "0.30000000000000004", "1e-05", "1e-08", "10", "8",
    ]  # fmt: skip
    write(page, RATE, "1/10")
    page.set("select_slider", "learning rate slider", 0.5)
    assert page.text_input(key=RATE).value == "0.5" and "must be" not in said(page)
    write(page, "seed", "x")
    page.set("selectbox", "preset", "explosion")
    assert page.text_input(key="seed").value == str(page.live_run.config.seed) and "must be" not in said(page)
    page.navigate({RATE: "0,25", "seed": "3"})
    assert [page.text_input(key=key).value for key in (RATE, "seed")] == ["0.25", "3"]


def test_the_slider_stands_at_the_runs_learning_rate_while_the_field_is_refused(page):
    for text in ("1/10", "-3", "0"):
        write(page, RATE, text)
        assert page.select_slider(key="learning rate slider").value == 0.03


def test_a_refused_number_goes_with_its_field(page):
    page.set("selectbox", "optimizer.name", "momentum")
    write(page, "optimizer.momentum", "1/10")
    page.set("selectbox", "optimizer.name", "sgd")
    assert page.live_run.config.optimizer.name == "sgd" and "must be" not in said(page)


class TestAPickedUnit:
    @pytest.fixture
    def picked(self, page):
        return page.set("selectbox", "picked layer", 2)

    @pytest.mark.parametrize("text", ["9", "0", "1/2", "2.0", ""])
    def test_stays_when_another_is_refused(self, picked, text):
        write(picked, "picked unit", "3")
        write(picked, "picked unit", text)
        assert re.search(rf"Unit must be a whole number .*; was {repr(text) if text else 'empty'}\]$", said(picked), re.MULTILINE)
        assert picked.session.picked == (2, 2) and picked.text_input(key="picked unit").value == text
        picked.session.picked = (2, 4)  # by a click
        assert picked.run().text_input(key="picked unit").value == "5" and "must be" not in said(picked)

    def test_stays_within_its_layer(self, picked):
        write(picked, "picked unit", "8")
        picked.set("selectbox", "picked layer", 3)
        assert picked.session.picked == (3, 0) and picked.text_input(key="picked unit").value == "1"

    def test_shows_the_exact_weight(self, picked):
        unit = picked.live_run.snapshot((2, 0)).unit
        picked.set("selectbox", "source of unit 1 of layer 2", 1)
        weight = dict(zip(unit.sources.tolist(), unit.weights))[1]
        assert unit.weights.dtype.type(picked.number("value 1 of unit 1 of layer 2")) == weight

    @pytest.mark.parametrize(
        ("text", "why"),
        [("1/10", f"{NO_NUMBER} '1/10'"), ("1,000", "must be written as 1000 or 1.000"), ("", f"{NO_NUMBER} empty")],
    )
    def test_takes_no_weight_that_cannot_be_read(self, picked, text, why):
        key = "value None of unit 1 of layer 2"
        before = picked.live_run.snapshot((2, 0)).unit.bias
        write(picked, key, text).press("set")
        assert f"New value {why}" in said(picked) and picked.text_input(key=key).value == text
        assert picked.live_run.snapshot((2, 0)).unit.bias == before and not picked.live_run.snapshot().events
        write(picked, key, "\u22120,25").press("set")
        assert picked.live_run.snapshot((2, 0)).unit.bias == -0.25 and "must be" not in said(picked)

    def test_takes_no_weight_that_its_precision_cannot_hold(self, open_page):
        page = open_page(dtype="float32").set("selectbox", "picked layer", 1)
        write(page, "value None of unit 1 of layer 1", "1e300").press("set")
        assert "New value must be a finite number; was 1e+300" in said(page) and not page.live_run.snapshot().events
