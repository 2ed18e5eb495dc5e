"""Samples whose class or value is a formula of the two coordinates, read here and never run as Python.

sum     = product (("+" | "-") product)*
product = signed (("*" | "/") signed)*
signed  = ("+" | "-")* power
power   = value ("^" signed)?
value   = number | x1 | x2 | pi | e | function "(" sum ("," sum)* ")" | "(" sum ")"
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from core.data.dataset import Samples
from core.data.planar import RADIUS
from core.limits import ConfigError, plain_text, shown

if TYPE_CHECKING:
    from core.config import DataConfig

USUAL = "x2 - 2*sin(x1)"
EXAMPLES = (USUAL, "x1^2 + x2^2 - 9", "x1 * x2", "abs(x1) + abs(x2) - 4", "sin(x1) * cos(x2)", "max(x1, x2) - 1", "exp(-(x1^2 + x2^2) / 8)")
LENGTH = 200  # characters
DEPTH = 24  # of what stands inside of something else
LARGEST = 1e12  # values beyond it, as beside a pole, count as none: their squares still fit into float32
TRIES = 10  # a formula that has a value on a tenth of the square gets its samples

OPERATORS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}
FUNCTIONS = {
    **{name: (getattr(np, name), 1) for name in ("sin", "cos", "tan", "tanh", "exp", "log", "sqrt", "abs", "sign", "floor")},
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
}
CONSTANTS = {"pi": np.pi, "e": np.e}
NUMBER, NAME, SIGN, END = "number", "name", "sign", "end"
TOKEN = re.compile(rf"(?P<{NUMBER}>(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)|(?P<{NAME}>[a-z_]\w*)|(?P<{SIGN}>\*\*|[-+*/^(),])", re.ASCII | re.I)


def checked(field: str, value: object) -> str:
    """The text of a formula that can be read, of at most LENGTH characters. Raises ConfigError(field)."""
    text = plain_text(field, value, LENGTH)
    evaluated(text, np.zeros(1), np.zeros(1), field)
    return text


def evaluated(text: str, x1: np.ndarray, x2: np.ndarray, field: str = "formula") -> np.ndarray:
    """The value (m,) of a formula at the coordinates `x1` and `x2` (m,) float64; NaN or infinite where it has none. Raises
    ConfigError(field), which says what is wrong with the text and where."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(_Reader(text, {"x1": x1, "x2": x2} | CONSTANTS, field).whole(), np.shape(x1)).astype(float)


def formula(data: DataConfig, rng: np.random.Generator) -> Samples:
    """Samples uniform in the square, moved by the noise. For classification a point is of class 1 where the formula is above 0, and of
    class 0 elsewhere; for regression its value is the target. There are no samples where it has no value. Raises ConfigError."""
    points, values = np.empty((0, 2)), np.empty(0)
    for _ in range(TRIES):
        more = rng.uniform(-RADIUS, RADIUS, (data.samples, 2))
        found = evaluated(data.formula, more[:, 0], more[:, 1], "data.formula")
        there = np.abs(found) <= LARGEST
        points, values = np.vstack([points, more[there]]), np.append(values, found[there])
        if len(points) >= data.samples:
            break
    else:
        wanted = f"must have a value on most of the square from -{RADIUS:g} to {RADIUS:g}, and none beyond {LARGEST:g}"
        raise ConfigError("data.formula", f"{wanted}; was {shown(data.formula)}")
    points, values = points[: data.samples], values[: data.samples]
    points = points + data.noise * rng.standard_normal(points.shape)
    if data.task == "classification":
        return Samples(points, (values > 0).astype(int), ("x1", "x2"), ("0", "1"))
    return Samples(points, values[:, None], ("x1", "x2"), ("value",))


def outputs(data: DataConfig) -> int:
    """Classes, or target columns."""
    return 2 if data.task == "classification" else 1


class _Reader:
    """Reads a formula from left to right, and works it out on the way. `names` are what it may use beside FUNCTIONS."""

    def __init__(self, text, names, field):
        self._text, self._names, self._field = text, names, field
        self._at = self._depth = 0
        self._next()

    def _next(self):
        """Go on to the next token: its kind, text and place in the formula, from 0."""
        self._at += len(self._text[self._at :]) - len(self._text[self._at :].lstrip())
        found = TOKEN.match(self._text, self._at)
        self._place = self._at
        if found:
            self._kind, self._token = found.lastgroup, found[0].lower()
            self._at = found.end()
        elif self._at == len(self._text):
            self._kind, self._token = END, ""
        else:
            raise self._wrong(f"there is no use for {shown(self._text[self._at])}")

    def _wrong(self, what, place=None):
        place = self._place if place is None else place
        where = "at the end" if place >= len(self._text) else f"at character {place + 1}"
        return ConfigError(self._field, f"must be a formula of x1 and x2; was {shown(self._text)}: {what} {where}")

    def _is(self, *signs):
        return self._kind == SIGN and self._token in signs

    def whole(self):
        """The value of the text, from its beginning to its end."""
        value = self._sum()
        if self._kind != END:
            raise self._misplaced()
        return value

    def _misplaced(self):
        """The error of a token that cannot follow a value."""
        if self._is(")"):
            return self._wrong("a closing parenthesis has no opening one")
        if self._is(","):
            return self._wrong("only between the values of min and max is there a comma (decimals have a point), and there is one")
        return self._wrong(f"an operator such as + or * is missing before {self._token}")

    def _sum(self):
        return self._chain("+-", lambda: self._chain("*/", self._signed))

    def _chain(self, signs, operand):
        value = operand()
        while self._is(*signs):
            operator = OPERATORS[self._token]
            self._next()
            value = operator(value, operand())
        return value

    def _signed(self):
        negative = False
        while self._is("+", "-"):
            negative ^= self._token == "-"
            self._next()
        value = self._power()
        return np.negative(value) if negative else value

    def _power(self):
        value = self._value()
        if not self._is("^", "**"):
            return value
        self._next()
        return np.power(value, self._inside(self._signed))

    def _inside(self, part):
        """The value of a part that stands inside of another."""
        self._depth += 1
        if self._depth > DEPTH:
            raise self._wrong(f"parts are nested more than {DEPTH} deep")
        value = part()
        self._depth -= 1
        return value

    def _value(self):
        kind, token, place = self._kind, self._token, self._place
        if kind == NUMBER:
            self._next()
            if not np.isfinite(number := np.float64(token)):
                raise self._wrong("a number is too large", place)
            return number
        if self._is("("):
            return self._parentheses(1)[0]
        if kind == NAME and token in FUNCTIONS:
            self._next()
            function, count = FUNCTIONS[token]
            if not self._is("("):
                raise self._wrong(f"{token} needs parentheses after it, as in {token}({', '.join(('x1', 'x2')[:count])})", place)
            return function(*self._parentheses(count, token))
        if kind == NAME and token in self._names:
            self._next()
            return self._names[token]
        if kind == NAME:
            raise self._wrong(f"only {', '.join([*self._names, *FUNCTIONS])} are known, and not {shown(token)}")
        raise self._wrong("a number, x1, x2 or a function is missing")

    def _parentheses(self, count, function=""):
        """The values of what stands between parentheses: as many as a function takes."""
        opening = self._place
        self._next()
        values = [self._inside(self._sum)]
        while function and self._is(","):
            self._next()
            values.append(self._inside(self._sum))
        if self._kind == END:
            raise self._wrong("a parenthesis is never closed that opens", opening)
        if not self._is(")"):
            raise self._misplaced()
        self._next()
        if len(values) != count:
            raise self._wrong(f"{function} takes {count} value{'s' * (count > 1)} and has {len(values)}", opening)
        return values
