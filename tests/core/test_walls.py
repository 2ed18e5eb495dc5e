"""How the house is built: who may import whom, what a library keeps to itself, and how much one file or class may hold."""

import ast
import re

import pytest

from benchmarks.architecture import FLOORS, PICTURE, ROOT, imports, modules, picture, purpose, room

STARTS_PROCESSES = {"subprocess", "multiprocessing", "socket"}
NAMED_TUPLE = {"_replace", "_asdict", "_fields", "_make"}  # public all the same, says Python
# Streamlit's own, without which nothing of ours was once thought possible
STREAMLIT_OWN = {
    "_yield_callback",
    "request_rerun",
    "RerunData",
    "fragment_storage",
    "is_history_navigation",
    "get_instance",
    "script_requests",
}
# Plotly's elements are repainted between its full draws: a Plotly.react of every panel ten times a second takes more than a core
PRIVATE_IN_BROWSER = {"_fullLayout", "__data__", "_imgSrc", "_offset"}
LINES = 420
MEMBERS = 24
LARGE_CLASSES = {
    "core.live.client.LiveRun": "what a run can be asked: one method for each command that checks something",
    "core.nn.program.Program": "the compiler of a step: one function for each part of what it compiles",
}


def floors(root):
    """A room imports from the floors below its own, and from nowhere else."""
    level = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    for name in sorted({room(module) for module in modules(root)} - set(level)):
        yield f"{name} has no floor: add it to FLOORS in benchmarks/architecture.py, below all that import it and above all it imports"
    for module, target, line in imports(root):
        above, below = room(module), room(target)
        if below not in (None, above) and level.get(below, -1) <= level.get(above, -1):
            yield f"{module}:{line} imports {target}, which is not below it: move what it needs to a lower floor, or pass it as an argument"


def purposes(root):
    """A room says in a sentence what it is for, which stands in the picture."""
    house = modules(root)
    for name in sorted({room(module) for module in house}):
        if name not in house:
            yield f"{name} is nothing that can be imported: give its folder an __init__.py with a sentence that says what it is for"
        elif not purpose(house[name]):
            yield f"{name} has no docstring: a sentence that says what it is for"


def libraries(root):
    """core computes without Streamlit and Plotly; charts are figures, whoever shows them."""
    for module, target, line in imports(root):
        library = target.partition(".")[0]
        if (module.startswith("core") and library in ("streamlit", "plotly")) or (
            room(module) == "pages.charts" and library == "streamlit"
        ):
            yield f"{module}:{line} imports {library}"


def processes(root):
    """Only core.live starts processes."""
    for module, target, line in imports(root):
        if room(module) != "core.live" and (target.partition(".")[0] in STARTS_PROCESSES or target.endswith(".ProcessPoolExecutor")):
            yield f"{module}:{line} imports {target}: what needs a process of its own belongs to core.live"


def private_names(root):
    """What a library does not offer is not used: it changes without a word."""
    for module, target, line in imports(root):
        if room(target) is None and (
            target.startswith(("streamlit.runtime", "streamlit.components.v1")) or _has_private(target.split("."))
        ):
            yield f"{module}:{line} imports {target}"
    for module, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = _private_use(node)
            if name:
                yield f"{module}:{node.lineno} uses {name}"
    for path in (root / "pages").rglob("*.js"):
        for name in re.findall(r"(?<!\bthis)\.(_\w+)", path.read_text(encoding="utf-8")):
            if name not in PRIVATE_IN_BROWSER:
                yield f"{path.relative_to(root)} uses {name}"


def _has_private(names):
    return any(name.startswith("_") and not name.endswith("__") for name in names)


def _private_use(node):
    """The private name that an expression takes from something else than its own object or class; None for most expressions."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)) if name in STREAMLIT_OWN:
            return name
        case ast.Attribute(value=ast.Name(id="st" | "streamlit"), attr="runtime"):
            return "streamlit.runtime"
        case ast.Attribute(value=ast.Attribute(attr="components"), attr="v1"):
            return "streamlit.components.v1"
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return None
        case ast.Attribute(attr=name) | ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return name if _has_private([name]) and name not in NAMED_TUPLE else None
    return None


def import_order(root):
    """Imports stand at the top: what has to be done before them belongs to a module of its own."""
    for path in _files(root, "py"):
        if "noqa: " + "E402" in path.read_text(encoding="utf-8"):
            yield f"{path.relative_to(root)} imports after its first statement"


def sizes(root):
    """A file can be read at a sitting, a class be kept in mind."""
    for path in [*_files(root, "py"), *_files(root, "js"), *_files(root, "css")]:
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > LINES:
            yield f"{path.relative_to(root)} has {lines} lines, and may have {LINES}"
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            if isinstance(node, ast.ClassDef):
                name = ".".join([*path.relative_to(root).with_suffix("").parts, node.name])
                members = len({member.name for member in node.body if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)})
                if members > MEMBERS and name not in LARGE_CLASSES:
                    yield f"{name} has {members} methods and properties, and may have {MEMBERS}"


def _files(root, ending):
    return [path for folder in ("core", "pages", "tests", "benchmarks") for path in (root / folder).rglob(f"*.{ending}")]


RULES = (floors, purposes, libraries, processes, private_names, import_order, sizes)
# What breaks a rule -> (the file it is put into, its text, the beginning of what is said)
BROKEN = {
    "a room without a floor": ("core/attic/chest.py", "", "core.attic has no floor: add it to FLOORS in benchmarks/architecture.py"),
    "a room without a door": ("core/cases/b.py", "", "core.cases is nothing that can be imported: give its folder an __init__.py"),
    "a room without a purpose": ("core/limits.py", "# Limits", "core.limits has no docstring: a sentence"),
    "upwards": ("core/data/x.py", "import core.training.y", "core.data.x:1 imports core.training.y, which is not below it"),
    "upwards, lazily": ("core/data/x.py", "def f():\n    from core import training", "core.data.x:2 imports core.training,"),
    "upwards, relatively": ("core/data/x.py", "from ..training import y", "core.data.x:1 imports core.training.y,"),
    "upwards, to a public name": ("core/data/x.py", "from core import RunConfig", "core.data.x:1 imports core,"),
    "upwards, by name": ("core/data/x.py", 'HOME = "core.training.y"', "core.data.x:1 imports core.training.y,"),
    "sideways": ("core/data/x.py", "from core.faults import fault", "core.data.x:1 imports core.faults,"),
    "a script upwards": ("pages/shell/x.py", 'st.Page("pages/frame.py")', "pages.shell.x:1 imports pages.frame,"),
    "pages in core": ("core/data/x.py", "from pages import frame", "core.data.x:1 imports pages.frame,"),
    "Streamlit in core": ("core/data/x.py", "import streamlit.errors as e", "core.data.x:1 imports streamlit"),
    "Plotly in core": ("core/data/x.py", "from plotly import graph_objects", "core.data.x:1 imports plotly"),
    "Streamlit in charts": ("pages/charts/x.py", "import streamlit", "pages.charts.x:1 imports streamlit"),
    "a process": ("core/data/x.py", "def f():\n    import subprocess", "core.data.x:2 imports subprocess"),
    "a pool": ("pages/shell/x.py", "from concurrent.futures import ProcessPoolExecutor", "pages.shell.x:1 imports concurrent.fu"),
    "Streamlit's runtime": ("pages/shell/x.py", "from streamlit import runtime", "pages.shell.x:1 imports streamlit.runtime"),
    "its runtime, in use": ("pages/shell/x.py", "st.runtime.get()", "pages.shell.x:1 uses streamlit.runtime"),
    "old components": ("pages/shell/x.py", "import streamlit.components.v1", "pages.shell.x:1 imports streamlit.components.v1"),
    "old components, in use": ("pages/shell/x.py", "st.components.v1.html('')", "pages.shell.x:1 uses streamlit.components.v1"),
    "a private import": ("core/data/x.py", "from numpy import _core", "core.data.x:1 imports numpy._core"),
    "a private module": ("core/data/x.py", "import sklearn._loss.link", "core.data.x:1 imports sklearn._loss.link"),
    "a private attribute": ("core/data/x.py", "np.random._bit", "core.data.x:1 uses _bit"),
    "a private name as text": ("core/data/x.py", "getattr(np, '_bit', 0)", "core.data.x:1 uses _bit"),
    "a name of Streamlit's own": ("pages/shell/x.py", "context.script_requests", "pages.shell.x:1 uses script_requests"),
    "a private name in the browser": ("pages/shell/x.js", "plot._private.x", "pages/shell/x.js uses _private"),
    "an import below": ("tests/x.py", "import os  # noqa: " + "E402", "tests/x.py imports after its first statement"),
    "a long file": ("tests/x.py", "\n" * 421, "tests/x.py has 421 lines"),
    "a large class": (
        "core/data/x.py",
        "class A:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(25)),
        "core.data.x.A has 25 methods and properties",
    ),
}  # fmt: skip
SOUND = """
from __future__ import annotations
from core import data
from core.data import v
from .y import Trainer, _ours
import numpy as np
MESSAGE = "core training"
class Small(Trainer):
    def grow(self, other):
        return self._size, other._replace(a=1), np.__version__
"""


def built(root, file="core/training/w.py", text=SOUND):
    """A little house, with this file in it."""
    rooms = (
        "core/__init__.py",
        "core/data/__init__.py",
        "core/training/__init__.py",
        "pages/shell/__init__.py",
        "pages/charts/__init__.py",
    )
    for path in (*rooms, "core/data/v.py", "core/training/y.py", "core/faults.py", "pages/frame.py", file):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text('"""What it is for."""')
    (root / file).write_text(text)
    return root


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule):
    assert len(modules()) > 100
    assert not sorted(rule(ROOT))


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_is_told(name, tmp_path):
    file, text, said = BROKEN[name]
    built(tmp_path, file, text)
    assert [line for rule in RULES for line in rule(tmp_path) if line.startswith(said)]


def test_what_breaks_none_is_let_be(tmp_path):
    assert not [line for rule in RULES for line in rule(built(tmp_path))]


def test_large_classes_that_were_split_leave_the_list():
    for name in LARGE_CLASSES:
        module, _, large = name.rpartition(".")
        tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
        (found,) = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == large]
        assert sum(isinstance(member, ast.FunctionDef) for member in found.body) > MEMBERS, name


def test_no_floor_without_its_room_and_no_room_on_two():
    named = [name for names in FLOORS for name in names]
    assert sorted(named) == sorted({room(module) for module in modules()})


def test_the_picture_shows_the_house_as_it_is():
    assert PICTURE.read_text(encoding="utf-8") == picture(), "docs/architecture.svg is not what the code gives: run `make architecture`"


def test_the_picture_follows_the_imports(tmp_path):
    for name in (name for names in FLOORS for name in names):
        path = tmp_path / ("app.py" if name == "app" else f"{name.replace('.', '/')}/__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""The room {name}. More of it."""')
    before = picture(tmp_path)
    assert ">The room core.link<" in before and 'class="arrow"' not in before
    (tmp_path / "core/link/__init__.py").write_text("from core.config import a\nfrom core import limits\nimport core.nn")
    (tmp_path / "core/config/__init__.py").write_text("import core.nn")
    assert picture(tmp_path).count('class="arrow"') == 3  # from link to nn one goes by way of config
