"""The documents name what is there: files, tables, make targets and commands, which a renaming would leave behind."""

import re
from dataclasses import fields

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.architecture import ROOT
from core.settings import Settings

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SNIPPET = re.compile(r"```python\n(.*?)```", re.S)
NAME = re.compile(r"`(\w+_\w+|[A-Z]{4,}|[A-Z][a-z]+[A-Z]\w+)`")
TABLE = re.compile(r"(?:row of|name in|or) `([A-Z_]+)`")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/deploying.md", "SECURITY.md"])
def test_what_a_document_names_is_there(name):
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    named = [ROOT / found for found in re.findall(r"`((?:app|core|pages|tests|benchmarks|docs)[/.][\w./]*)`", text)]
    linked = [path.parent / found for found in re.findall(r"\]\(([\w./]+)\)", text)]
    assert linked and not [str(found) for found in (*named, *linked) if not found.exists()]
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    assert not set(re.findall(r"(?:^|`)make ([\w-]+)", text, re.M)) - set(targets)
    parsers = "".join((ROOT / file).read_text(encoding="utf-8") for file in ("core/__main__.py", "core/experiments/commands.py"))
    commands = re.findall(r'add_parser\(\s*"(\w+)"', parsers)
    assert not set(re.findall(r"python -m core (\w+)", text)) - set(commands)
    code = [
        path.read_text(encoding="utf-8") for folder in ("core", "pages", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]
    words = set(re.findall(r"\w+", "".join(code))) | {f"DESCENT_{field.name.upper()}" for field in fields(Settings)}
    assert not set(NAME.findall(text)) - words


def test_each_thing_is_added_where_contributing_says():
    rows = re.findall(r"^\| an? [^|]+\|([^|]+)\|([^|]+)\|$", CONTRIBUTING, re.M)
    assert len(rows) > 15
    for what, where in rows:
        home = (ROOT / re.search(r"`([\w/.]+)`", where)[1]).read_text(encoding="utf-8")
        missing = [table for table in TABLE.findall(what.partition(";")[0]) if not re.search(rf"^{table} = ", home, re.M)]
        assert not missing, where


def test_the_readmes_program_finds_what_is_wrong(capsys):
    (program,) = SNIPPET.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    exec(compile(program, "README.md", "exec"), {})
    assert "learning rate" in capsys.readouterr().out


def test_contributings_activation_is_complete():
    (program,) = SNIPPET.findall(CONTRIBUTING)
    scope = {}
    exec("from core.nn.activations import *\nfrom core.nn.buffers import aligned_like\nimport numpy as np", scope)
    exec(compile(program, "CONTRIBUTING.md", "exec"), scope)
    row, z = scope["SOFTSIGN"], scope["np"].linspace(-3, 3, 13)
    a, slope, later = z.copy(), z.copy(), z + 1e-6
    scope["replay"](row.value(z, a))
    scope["replay"](row.slope(z, a, slope))
    scope["replay"](row.value(later, b := later.copy()))
    assert slope == pytest.approx((b - a) / 1e-6, abs=1e-5)


def test_the_lock_has_what_the_requirements_ask_for():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", locked, re.M)}
    for asked in (Requirement(line.partition("#")[0]) for line in lines if not line.startswith("#")):
        assert asked.specifier.contains(pinned[canonicalize_name(asked.name)]), asked
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", locked)) >= len(pinned) and "://" not in locked
