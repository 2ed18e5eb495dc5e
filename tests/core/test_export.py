"""Scripts to take home: they run as they are, hold nothing that the run does not need, and reach the run's own losses."""

import ast
import re
import subprocess
import sys

import numpy as np
import pytest

from core.__main__ import INVALID, main
from core.config import RunConfig
from core.export import EXPORTS, exported, pieces
from core.faults import FAULTS
from core.limits import ConfigError
from core.training.trainer import Trainer
from tests.core.exports import CASES, FLOAT32, LAYERED

STEPS = 60
SCRIPTS = [name for name, export in EXPORTS.items() if export.trains]
ALL = CASES | FLOAT32 | LAYERED
TOGETHER = "import runpy, sys\nfor path in sys.argv[1:]:\n    print('@', path, flush=True)\n    runpy.run_path(path, run_name='__main__')"
LOSSES = re.compile(r"(training|test) loss (\S+)")


def script(name, config, steps=STEPS):
    return exported(name, Trainer(RunConfig.from_dict(config)), steps)


def printed(paths, folder):
    """What each script prints, all in one process."""
    command = [sys.executable, "-c", TOGETHER, *map(str, paths)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2000:]
    return [block.splitlines()[1:] for block in done.stdout.split("@ ")[1:]]


def losses(line):
    return {part: float(value) for part, value in LOSSES.findall(line)}


def agree(line, trainer, tolerance=1e-6):
    """Whether the losses in a script's line are the Trainer's."""
    ours = {"training": trainer.loss(), "test": trainer.loss("test")}
    ours = {part: value for part, value in ours.items() if value is not None}
    return losses(line) == pytest.approx(ours, rel=tolerance, abs=1e-12)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What the NumPy script of each configuration prints."""
    folder = tmp_path_factory.mktemp("scripts")
    for index, config in enumerate(ALL.values()):
        (folder / f"{index}.py").write_bytes(script("numpy", config))
    return dict(zip(ALL, printed([f"{index}.py" for index in range(len(ALL))], folder)))


@pytest.mark.parametrize("name", ALL)
def test_the_numpy_script_reaches_the_same_losses(outputs, name):
    trainer = Trainer(RunConfig.from_dict(ALL[name]))
    first, *_, last = outputs[name]
    assert first.startswith("step 0 ") and agree(first, trainer)
    trainer.run(STEPS)
    assert last.startswith(f"step {trainer.step} ") and agree(last, trainer)


def test_it_is_one_file_that_runs_as_it_is(tmp_path):
    (tmp_path / "descent_run.py").write_bytes(script("numpy", {}, steps=500))
    done = subprocess.run([sys.executable, "-I", "descent_run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert agree(done.stdout.splitlines()[-1], Trainer(RunConfig()).run(500))
    assert [path.name for path in tmp_path.iterdir()] == ["descent_run.py"]


@pytest.mark.parametrize("format", SCRIPTS)
def test_nothing_in_a_script_is_left_over(format):
    for name, config in ALL.items():
        tree = ast.parse(script(format, config))
        named = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
        methods = [entry for node in tree.body if isinstance(node, ast.ClassDef) for entry in node.body]
        made = [node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node not in methods]
        made += [target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        assert not set(made) - set(named), name
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node not in methods):
            inside = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
            assert {argument.arg for argument in function.args.args} <= inside, (name, function.name)


def test_the_numpy_script_imports_numpy_alone():
    for config in ALL.values():
        imports = [node for node in ast.walk(ast.parse(script("numpy", config))) if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert [ast.unparse(node) for node in imports] == ["import numpy as np"]


@pytest.mark.parametrize("format", SCRIPTS)
def test_data_too_long_for_a_text_are_read_from_the_file_beside_it(tmp_path, monkeypatch, format):
    config = {"data": {"source": "breast_cancer"}, "dtype": "float32"}
    short = script(format, config)
    monkeypatch.setattr(pieces, "EMBEDDED", 1000)
    text = script(format, config)
    assert b"descent_data.npz" in text and b"descent_data.npz" not in short and len(text) < 10_000 < len(short)
    if format == "numpy":
        (tmp_path / "descent_run.py").write_bytes(text)
        (tmp_path / EXPORTS["data"].file_name).write_bytes(script("data", config))
        (lines,) = printed(["descent_run.py"], tmp_path)
        assert agree(lines[-1], Trainer(RunConfig.from_dict(config)).run(STEPS))


@pytest.mark.parametrize("format", SCRIPTS)
def test_names_in_a_persons_file_cannot_become_code(tmp_path, format):
    header = 'a,"b"""""";import os;os.abort()#",c\\'
    path = tmp_path / 'x""" + boom.csv'
    path.write_text(header + "\n" + "\n".join(f"{i},{i * i % 7},{'yes' if i % 3 else 'no'}" for i in range(30)))
    text = script(format, {"data": {"source": "file", "path": str(path)}}).decode()
    assert "abort" not in text and "boom" not in text and str(tmp_path) not in text
    compile(text, "script", "exec")


@pytest.mark.parametrize("format", EXPORTS)
def test_broken_code_is_not_handed_on(format):
    trainer = Trainer(RunConfig.from_dict({"faults": [next(iter(FAULTS))]}))
    if EXPORTS[format].trains:
        with pytest.raises(ConfigError, match="faults: must be empty") as refused:
            exported(format, trainer)
        assert str(refused.value) == str(EXPORTS[format].refusal(trainer.config))
    else:
        assert exported(format, trainer)


@pytest.mark.parametrize("format", EXPORTS)
def test_the_command_line_writes_every_format(tmp_path, capfdbinary, format):
    path = tmp_path / "run.json"
    path.write_text('{"data": {"source": "moons"}}')
    trainer = Trainer(RunConfig.from_dict({"data": {"source": "moons"}})).run(0 if EXPORTS[format].trains else 30)
    assert main(["export", str(path), "--as", format, "--steps", "30"]) == 0
    assert capfdbinary.readouterr() == (exported(format, trainer, 30), b"")


@pytest.mark.parametrize(("text", "format", "said"), [
    ('{"seed": -1}', "numpy", b"seed: must be"),
    ("{", "numpy", b"configuration: must be JSON"),
    ("{}", "matlab", b"format: must be one of"),
    ('{"faults": ["missing_mean"]}', "keras", b"faults: must be empty"),
])  # fmt: skip
def test_the_command_line_refuses_in_one_sentence(tmp_path, capfdbinary, text, format, said):
    path = tmp_path / "run.json"
    path.write_text(text)
    assert main(["export", str(path), "--as", format]) == INVALID
    out, error = capfdbinary.readouterr()
    assert out == b"" and error.startswith(said) and error.count(b"\n") == 1


def test_an_unknown_format_is_refused():
    with pytest.raises(ConfigError, match=r"format: must be one of numpy, .*was 'matlab'"):
        exported("matlab", Trainer(RunConfig()))


def test_data_are_what_the_network_is_fed(tmp_path):
    trainer = Trainer(RunConfig.from_dict({"data": {"source": "iris", "scaling": "standard"}, "dtype": "float32"}))
    (tmp_path / "data.npz").write_bytes(exported("data", trainer))
    with np.load(tmp_path / "data.npz") as file:
        assert sorted(file) == ["X_test", "X_train", "y_test", "y_train"]
        assert np.array_equal(file["X_test"], trainer.dataset.test.inputs.astype("float32"))
        assert np.array_equal(file["y_train"], np.eye(3)[trainer.dataset.train.targets])
