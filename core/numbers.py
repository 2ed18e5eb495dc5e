"""Numbers as people type them, and as they are shown to be typed again."""

from __future__ import annotations

import math
import re

from core.limits import ConfigError, shown

MOST = 40  # characters; the longest that repr writes has 24
EXPONENT = "(?:[eE][+-]?[0-9]+)?"
NUMBER = re.compile(rf"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+){EXPONENT}")
WHOLE = re.compile(r"[+-]?[0-9]+(?:[eE]\+?[0-9]+)?")  # 1.000 may be meant for a thousand
THOUSANDS = re.compile(rf"[+-]?[1-9][0-9]{{0,2}},[0-9]{{3}}{EXPONENT}")


def parse_number(text: str, whole: bool = False) -> float:
    """The number that a text stands for: a float, its decimals after a point or a comma, or with `whole` an int, which has neither.

    Blanks around it do not count, and the minus may be the typographic one. Raises ConfigError, without a field, on all else.
    """
    if len(text) > MOST:
        raise ConfigError("", f"must be a number of at most {MOST} characters; was {shown(text)}")
    plain, was = text.strip().replace("\u2212", "-"), shown(text) if text.strip() else "empty"
    if whole and not WHOLE.fullmatch(plain):
        raise ConfigError("", f"must be a whole number without point or comma, such as 64 or 1e3; was {was}")
    if not NUMBER.fullmatch(plain):
        raise ConfigError("", f"must be a number such as 0.01 or 1e-3; was {was}")
    if THOUSANDS.fullmatch(plain):
        either = f"{plain.replace(',', '')} or {plain.replace(',', '.')}"
        raise ConfigError("", f"must be written as {either}, because the comma may mean either; was {was}")
    number = float(plain.replace(",", "."))
    if not math.isfinite(number):
        raise ConfigError("", f"must be a number of at most 1.7e308 in size; was {was}")
    if whole:
        return int(number if "e" in plain.lower() else plain)
    return number


def write_number(number: float) -> str:
    """The shortest text that `parse_number` makes the very same number of; of None, which is none, an empty one."""
    return "" if number is None else repr(number).removesuffix(".0")
