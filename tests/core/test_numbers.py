"""A number that is typed is exactly that number, or it is refused: nothing is guessed and nothing dropped."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits import ConfigError
from core.numbers import MOST, parse_number, write_number

texts = st.text(max_size=50) | st.text("0123456789.,+-\u2212eE_/ x", max_size=50)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_shown_of_a_number_reads_as_the_very_same(number):
    for text in (write_number(number), repr(number), repr(number).replace("-", "\u2212")):
        assert repr(parse_number(text)) == repr(number)


@given(st.integers(-(10**38), 10**38))
def test_whole_numbers_are_exact(number):
    read = parse_number(write_number(number), whole=True)
    assert type(read) is int and read == number


@given(texts, st.booleans())
def test_any_text_is_the_number_it_says_or_is_refused(text, whole):
    try:
        number = parse_number(text, whole)
    except ConfigError as refused:
        assert refused.field == "" and "must be" in refused.message and "; was " in refused.message and len(refused.message) < 200
    else:
        said = text.replace(",", ".").replace("\u2212", "-")
        assert (
            (number == int(said) if whole and "e" not in said.lower() else number == float(said))
            and math.isfinite(number)
            and len(text) <= MOST
        )
        assert type(number) is (int if whole else float)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.01", 0.01), ("0,01", 0.01), ("0,001", 0.001), ("1e-3", 0.001), ("1,5E-3", 0.0015), (".5", 0.5), (",5", 0.5), ("5.", 5.0),
        ("5,", 5.0), (" 7 ", 7.0), ("+2", 2.0), ("-2", -2.0), ("\u22122e\u22121", -0.2), ("1234,567", 1234.567), ("1.000", 1.0),
    ],
)  # fmt: skip
def test_ways_to_write_a_number(text, number):
    assert parse_number(text) == number and type(parse_number(text)) is float


@pytest.mark.parametrize(("text", "number"), [("64", 64), (" 64 ", 64), ("1e3", 1000), ("2E+2", 200), ("-0", 0), ("0e999999999", 0)])
def test_ways_to_write_a_whole_number(text, number):
    assert parse_number(text, whole=True) == number and type(parse_number(text, whole=True)) is int


REFUSED = [
    "", "  ", "1/10", "1 000", "1\u00a0000", "1_000", "0x10", "nan", "inf", "-inf", "Infinity", "1,2,3", "1.000,5", "1,000.5", "--1", "+-1",
    "\uff11", "\u0661", "\u00b2", "1e", "e5", "1e1.5", ".", ",", "-", "1e999", "-1e999", "1" * (MOST + 1), "9" * 100_000, "1\0", "0.1%",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_no_number_is_refused(text, whole):
    with pytest.raises(ConfigError, match=r"must be .*; was ") as refused:
        parse_number(text, whole)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("text", ["1,000", "12,345", "-999,999", "1,000e2"])
def test_a_comma_that_may_stand_for_thousands_is_not_guessed_at(text):
    either = f"{text.replace(',', '')} or {text.replace(',', '.')},"
    with pytest.raises(ConfigError, match=f"must be written as {either}"):
        parse_number(text)


@pytest.mark.parametrize("text", ["1,000", "1.000", "64.0", "64,0", "64.", "1e-3", "10e-1", "0.5"])
def test_a_whole_number_has_neither_point_nor_comma(text):
    with pytest.raises(ConfigError, match="must be a whole number without point or comma, such as 64 or 1e3; was "):
        parse_number(text, whole=True)


def test_a_refusal_names_what_was_typed():
    for text, was in (("1/10", "'1/10'"), ("", "empty")):
        with pytest.raises(ConfigError, match=f"^must be a number such as 0.01 or 1e-3; was {was}$"):
            parse_number(text)
