"""The floors of the house, and a picture of them that is drawn from the code's own imports. `make architecture`.

`tests/core/test_walls.py` holds the imports to these floors, and the committed picture to the imports.
"""

from __future__ import annotations

import ast
import html
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"

# From the top. A room is a folder or a module of core/ or pages/, or app.py. It imports from floors below its own, and from nowhere else.
FLOORS = (
    ("app",),
    ("pages.frame",),
    (
        "pages.runs",
        "pages.playground",
        "pages.doctor",
        "pages.cases",
        "pages.watch",
        "pages.experiments",
        "pages.exercises",
        "pages.glossary",
    ),
    ("pages.map_view",),
    ("pages.run_list", "pages.training", "pages.case_view", "pages.watching"),
    ("pages.charts", "pages.shell"),
    ("pages.wording", "core.live", "core.__main__"),
    ("core.experiments",),
    ("core.store", "core.export", "core.cases", "core.watch"),
    ("core.snapshot", "core.report", "core.prediction", "core.doctor", "core"),
    ("core.diagnosis",),
    ("core.presets", "core.exercises", "core.training", "core.command_line"),
    ("core.settings", "core.link", "core.lesson", "core.proposal"),
    ("core.config",),
    ("core.fit",),
    ("core.data", "core.faults", "core.numbers"),
    ("core.nn", "core.limits", "core.glossary"),
)

BOX, HEIGHT, GAP = 272, 82, 40  # pixels: a box, and the room below it
PAD, WIDTH, LANE = 24, 1280, 10
LINE, LINES, LETTERS = 16, 3, 39  # pixels from line to line, and how many lines and letters fit into a box
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #3d4852 } .name { font-weight: 600; font-size: 14px; fill: #1f2933 }
.ground { fill: #ffffff } .core { fill: #e8f1fa; stroke: #1d5c9f } .pages { fill: #fdf1e3; stroke: #b4610e }
.arrow { fill: none; stroke: #7b8794; stroke-width: 1.2 } .head { fill: #7b8794 }
@media (prefers-color-scheme: dark) {
text { fill: #c3ccd5 } .name { fill: #f0f4f8 } .ground { fill: #12161b } .core { fill: #16283a; stroke: #62b3f2 }
.pages { fill: #35260f; stroke: #f0a850 } .arrow { stroke: #8a97a5 } .head { fill: #8a97a5 } }
"""


class Import(NamedTuple):
    """That `module` imports `target`, a module of the house or a dotted name of a library, in this line of its file."""

    module: str
    target: str
    line: int


def modules(root=ROOT):
    """The modules of the house: dotted name -> Path."""
    paths = [*root.glob("core/**/*.py"), *root.glob("pages/**/*.py"), *root.glob("app.py")]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in sorted(paths)}


def imports(root=ROOT):
    """All that the modules import, wherever in a file. A text that is a module's dotted name counts too, since a process is started and a
    public name loaded by one; so does a script that is handed to `st.App` or `st.Page`. What only annotations name does not."""
    house = modules(root)
    for module, path in house.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        scripts = any(isinstance(node, ast.Attribute) and node.attr in ("App", "Page") for node in ast.walk(tree))
        annotations = {id(node) for block in tree.body if _for_annotations(block) for node in ast.walk(block)}
        for node in ast.walk(tree):
            if id(node) in annotations:
                continue
            for name in _names(node, package):
                yield Import(module, _longest(name, house), node.lineno)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                script = node.value.removesuffix(".py").replace("/", ".")
                nearby = f"{package}.{script}".removeprefix(".")
                if "." in node.value and node.value in house:
                    yield Import(module, node.value, node.lineno)
                elif scripts and node.value.endswith(".py"):
                    yield Import(module, nearby if nearby in house else script, node.lineno)


def _for_annotations(node):
    """Whether a statement is read by type checkers alone."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _names(node, package):
    """Dotted names that an import statement brings in, down to what is taken out of a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    return [".".join([*parents, *filter(None, [node.module]), alias.name]) for alias in node.names]


def _longest(name, house):
    """The module of the house that a dotted name lies in; the name itself where it is a library's."""
    parts = name.split(".")
    return next((part for end in range(len(parts), 0, -1) if (part := ".".join(parts[:end])) in house), name)


def room(module):
    """The room that a module of the house lies in: "core.nn.losses" in "core.nn". None for a library's."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in ("core", "pages") else module if module == "app" else None


def arrows(root=ROOT):
    """{room: the rooms that it imports from, itself left out}."""
    found = {room(module): set() for module in modules(root)}
    for module, target, _ in imports(root):
        if room(target) not in (None, room(module)):
            found[room(module)].add(room(target))
    return found


def purpose(path):
    """The first sentence of the docstring in a room's file; empty where there is none."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return " ".join((said or "").split("\n\n")[0].split()).split(". ")[0].removesuffix(".")


def picture(root=ROOT):
    """The SVG. An arrow that follows from two others is left out, or nothing could be told apart."""
    places = {}
    for floor, names in enumerate(FLOORS):
        space = (WIDTH - len(names) * BOX) / (len(names) + 1)
        for index, name in enumerate(names):
            places[name] = space + index * (BOX + space), PAD + floor * (HEIGHT + GAP), floor
    house, found = modules(root), arrows(root)
    drawn = [(above, below) for above in places for below in sorted(found.get(above, ())) if below not in _beyond(found, above)]
    height = 2 * PAD + len(FLOORS) * (HEIGHT + GAP) - GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="The rooms of Descent on their floors">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="10"/>',
        *_paths(drawn, places),
        *(_box(house[name], root, *places[name]) for name in places),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _beyond(found, name):
    """The rooms below those that `name` imports from."""
    reached, ahead = set(), [below for next_ in found[name] for below in found[next_]]
    while ahead:
        if (one := ahead.pop()) not in reached:
            reached.add(one)
            ahead.extend(found[one])
    return reached


def _paths(drawn, places):
    """One curve for each arrow, which passes floors on its way through the gaps between their boxes."""
    used = {}  # (floor, gap) -> how many arrows pass there
    starts, ends = _spread(drawn, places, 0), _spread(drawn, places, 1)
    for arrow in drawn:
        (x, top), (end, bottom) = starts[arrow], ends[arrow]
        first, last = places[arrow[0]][2], places[arrow[1]][2]
        path = f"M{x:.0f} {top:.0f}"
        for floor in range(first + 1, last):
            edges = [(places[name][0], places[name][0] + BOX) for name in FLOORS[floor]]
            gaps = list(zip([0, *(right for _, right in edges)], [*(left for left, _ in edges), WIDTH]))
            aim = x + (end - x) / (last - floor + 1)
            left, right = min(gaps, key=lambda gap: max(gap[0] - aim, aim - gap[1], 0))
            lane = used[floor, left] = used.get((floor, left), 0) + 1
            spot = min(max(aim, left + LANE), right - LANE)
            aside = LANE * (lane // 2) * (-1) ** lane  # so that arrows in one gap do not cover each other
            spot += aside if left < spot + aside < right else -aside
            level = PAD + floor * (HEIGHT + GAP)
            path += _curve(x, top, spot, level) + f"V{level + HEIGHT}"
            x, top = spot, level + HEIGHT
        yield f'<path class="arrow" marker-end="url(#head)" d="{path}{_curve(x, top, end, bottom)}"/>'


def _spread(drawn, places, side):
    """Where each arrow leaves its upper box (side 0) or meets its lower one (side 1): evenly, in the order of the other ends."""
    spots = {}
    for name in places:
        mine = sorted((arrow for arrow in drawn if arrow[side] == name), key=lambda arrow: (places[arrow[1 - side]][0], arrow))
        for index, arrow in enumerate(mine, 1):
            left, level, _ = places[name]
            spots[arrow] = left + BOX * index / (len(mine) + 1), level + (0 if side else HEIGHT)
    return spots


def _curve(x, top, end, bottom):
    middle = (top + bottom) / 2
    return f"C{x:.0f} {middle:.0f} {end:.0f} {middle:.0f} {end:.0f} {bottom:.0f}"


def _box(path, root, left, top, _):
    where = path.parent if path.stem == "__init__" else path
    title = where.relative_to(root).as_posix() + "/" * (where != path)
    lines = [("name", title), *(("", line) for line in textwrap.wrap(purpose(path), LETTERS, max_lines=LINES, placeholder=" ..."))]
    texts = (
        f'<text class="{kind}" x="{left + 10:.0f}" y="{top + 20 + LINE * index:.0f}">{html.escape(line)}</text>'
        for index, (kind, line) in enumerate(lines)
    )
    kind = title.partition("/")[0] if title.startswith("core") else "pages"
    return f'<rect class="{kind}" x="{left:.0f}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="6"/>' + "".join(texts)


def main():
    """Write the picture."""
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
