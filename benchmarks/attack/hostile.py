"""Hostile values, and what can be done to JSON and to bytes. Everything is drawn from the random.Random that is handed in."""

from __future__ import annotations

import copy
import json

TEXTS = (
    "", " ", "none", "true", "NaN", "1e999", "-0", "0x10", "1_000", "٣",
    "9" * 5000, "x" * 5000, "\0", "\x1b[31m", "\u2028", "\ud800", "\u202eabc",
    "<script>alert(1)</script>", "'; drop table runs; --", "=1+1", "{0.__class__}", "%s%n", "../../etc/passwd", "/etc/passwd", "__class__",
    "a" * 200 + "~" * 50, "[" * 3000, '{"a":' * 3000,
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e-300, 1e300, -1e300,
    float("inf"), float("-inf"), float("nan"), 2**31, 2**53 + 1, 2**63, 10**5000,
    [], {}, [[]], [None], [0] * 2000, {"": 0}, {"__proto__": {}}, {"x" * 2000: 1}, *TEXTS,
)  # fmt: skip
LONG = 10**4000  # Python writes no number as long
KEYS = ("", "x", "\ud800", "\0", "__class__", "constructor", "learning rate", "x" * 5000, "data.source", "<b>")


def deep(levels):
    """A list in a list, and so on."""
    value = 0
    for _ in range(levels):
        value = [value]
    return value


def text(random):
    """One of TEXTS, or JSON that is about as deep as Python goes."""
    depth = random.randrange(900, 1000)
    return "[" * depth + "]" * depth if random.random() < 0.05 else random.choice(TEXTS)


def value(random):
    """One of VALUES, or a list of some; a copy, since it will be spoiled."""
    if random.random() < 0.15:
        return copy.deepcopy([random.choice(VALUES) for _ in range(random.randrange(4))])
    return deep(random.choice((5, 200, 400))) if random.random() < 0.03 else copy.deepcopy(random.choice(VALUES))


def spoiled_json(random, tree, values=value):
    """`tree` with one thing in it replaced by one of the values, left out, doubled or added."""
    places = list(_places(tree))
    if not places:
        return values(random)
    parent, key = random.choice(places)
    match random.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, parent[key])
        case 1:
            parent[random.choice(KEYS)] = parent[key]
        case 2 if isinstance(parent[key], (int, float)):
            parent[key] = random.choice((-1, 10, 1e6, -1e-9)) * parent[key]
        case _:
            parent[key] = values(random)
    return tree


def _places(tree):
    trees = [tree]
    while trees:  # deeper than Python calls itself
        tree = trees.pop()
        for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
            yield tree, key
            trees.append(tree[key])


def spoiled_text(random, given):
    """A text with a piece cut out, doubled, moved or overwritten."""
    start, end = sorted(random.randrange(len(given) + 1) for _ in range(2))
    match random.randrange(5):
        case 0:
            return given[:start]
        case 1:
            return given[:start] + given[end:]
        case 2:
            return given[:end] + given[start:]
        case 3:
            return given[:start] + text(random) + given[start:]
        case _:
            return given[:start] + text(random) + given[end:]


def spoiled_bytes(random, raw):
    """Bytes that are cut short, flipped, overwritten, moved about, or none of it any more."""
    if not raw:
        return random.randbytes(64)
    content = bytearray(raw)
    start, end = sorted(random.randrange(len(raw) + 1) for _ in range(2))
    match random.randrange(8):
        case 0:
            return bytes(content[:start])
        case 1:
            del content[start:end]
        case 2:
            content[start:start] = content[start : min(end, start + 4096)]
        case 3:
            content[start : start + 4] = random.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
        case 4:
            content[start:end] = bytes(end - start)
        case 5:
            content[start:start] = random.choice(TEXTS).encode("utf-8", "surrogatepass")
        case 6:
            return random.randbytes(random.choice((1, 100, 10_000)))
        case _:
            for _ in range(random.randrange(1, 40)):
                content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content)


def dumped(tree):
    """The JSON text of a tree, whatever is in it; of a number of thousands of digits, too."""
    try:
        try:
            return json.dumps(tree)
        except ValueError:  # Python writes no such number
            return json.dumps(_without_long(tree)).replace('"<long>"', "9" * 5000)
    except RecursionError:
        return "[" * 3000


def _without_long(tree):
    if isinstance(tree, dict):
        return {key: _without_long(held) for key, held in tree.items()}
    if isinstance(tree, list):
        return [_without_long(held) for held in tree]
    return "<long>" if isinstance(tree, int) and abs(tree) > LONG else tree
