"""Who may import whom: core computes, charts draw, pages put together."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"core": {"streamlit", "plotly", "pages"}, "pages/charts": {"streamlit"}}


def imported(path):
    """Top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_walls_hold(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    broken = {str(path.relative_to(ROOT)): found for path in files if (found := FORBIDDEN[folder] & set(imported(path)))}
    assert not broken


def test_files_stay_readable():
    long = {}
    for folder in ("core", "pages", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if (lines := len(path.read_text().splitlines())) > 420:
                long[str(path.relative_to(ROOT))] = lines
    assert not long
