"""The script that breaks lines: what it breaks, and by which tests it asks."""

import ast

from benchmarks import mutants

SOURCE = '''"""Text with 1 number."""
LIMIT: "1" = 0.5


@decorated(frozen=True)
def kept(values, most=3):
    """Not 2."""
    return [-value for value in values if not value < LIMIT and value != most] or f"{most + 1} \u00e9" + "x"
'''


def broken(source):
    """{what stood there: the whole text with it broken}"""
    made = {}
    for place in mutants.breaks(source):
        raw = source.encode()
        made[place.before] = (raw[: place.begin] + place.after.encode() + raw[place.end :]).decode()
    return made


def test_each_place_is_broken_alone_and_texts_are_left():
    made = broken(SOURCE)
    assert set(made) == {
        *("0.5", "3", "-value", "not value < LIMIT", "value < LIMIT", "value != most", "not value < LIMIT and value != most"),
        '[-value for value in values if not value < LIMIT and value != most] or f"{most + 1} \u00e9" + "x"',
    }
    assert 'LIMIT: "1" = (1.0)' in made["0.5"] and "most=(4)" in made["3"]
    assert "not (value <= LIMIT) and" in made["value < LIMIT"] and "[(value) for" in made["-value"]
    assert "if (not value < LIMIT or value != most)]" in made["not value < LIMIT and value != most"]
    for text in made.values():
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(SOURCE))


def test_a_file_has_the_tests_that_bear_its_name_or_import_it():
    assert mutants.tests_of("core/training/telemetry.py")[0] == "tests/core/test_telemetry.py"
    assert mutants.tests_of("core/live/memory.py")[0] == "tests/core/test_memory.py"
    assert "tests/core/test_gradients.py" in mutants.tests_of("core/nn/losses.py")
    files = mutants.files_that_compute()
    assert len(files) >= 40 and not [file for file in files if not mutants.tests_of(file)]
    named = {f"{name}.py" for names in mutants.TESTS.values() for name in names}
    assert not [name for name in named if not (mutants.ROOT / "tests" / "core" / name).exists()]


def test_a_break_is_noticed_where_a_test_fails_that_else_passes(tmp_path, monkeypatch):
    whole, worse = b"def double(x):\n    return 2 * x\n", b"def double(x):\n    return 3 * x\n"
    (tmp_path / "double.py").write_bytes(whole)
    (tmp_path / "test_double.py").write_text("from double import double\n\n\ndef test_two():\n    assert double(2) == 4\n")
    assert mutants.noticed_by(tmp_path, "double.py", worse, ["test_double.py"]) == "test_double.py::test_two"
    assert (tmp_path / "double.py").read_bytes() == whole
    monkeypatch.setattr(mutants, "_failure", lambda tree, tests: "test_double.py::test_wrong")  # with the break and without
    assert mutants.noticed_by(tmp_path, "double.py", worse, ["test_double.py"]) is None
    monkeypatch.setattr(mutants, "_failure", lambda tree, tests: None)
    assert mutants.noticed_by(tmp_path, "double.py", worse, ["test_double.py"]) is None
