"""`python -m core train`: one report for one configuration, a plain error for anything else, never a traceback."""

import gc
import json
import os
import signal
import subprocess
import sys

import pytest

from core.__main__ import MAX_BYTES, main
from core.training.trainer import Trainer

LIMIT = 60  # seconds that a process may take before the test fails


def strict(text):
    """JSON without NaN and Infinity."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def start(*arguments, **options):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-m", "core", *arguments], **pipes, **options)


def run(*arguments, stdin=b""):
    """(exit status, standard output, standard error) of the command in a process of its own."""
    with start(*arguments) as process:
        out, err = process.communicate(stdin, timeout=LIMIT)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def train(tmp_path, capsys):
    """Train what these bytes hold; (exit status, lines of standard output, standard error)."""

    def trained(content, *options):
        path = tmp_path / "configuration"
        path.write_bytes(content)
        status = main(["train", str(path), *options])
        out, err = capsys.readouterr()
        return status, [strict(line) for line in out.splitlines()], err

    return trained


def test_a_configuration_gives_one_report(train):
    status, (report,), err = train(b'{"data": {"source": "circle"}}', "--steps", "300")
    assert (status, err) == (0, "")
    assert (report["status"], report["steps"]) == ("healthy", 300)
    assert all(finding["severity"] == "info" for finding in report["findings"])
    assert report["loss"]["final"] < report["loss"]["initial"]
    assert report["steps_per_second"] > 0


def test_2000_updates_unless_told_otherwise(train):
    assert train(b"{}")[1][0]["steps"] == 2000
    assert train(b"{}", "--steps", "0")[1][0]["steps"] == 0


def test_a_run_that_blows_up_is_a_report_too(train):
    status, (report,), _ = train(b'{"data": {"source": "sine"}, "optimizer": {"learning_rate": 1e6}, "batch_size": 1}')
    assert (status, report["status"]) == (0, "nonfinite")
    root, *others = report["findings"]
    assert (root["code"], root["cause"]) == ("unstable_learning_rate", "learning_rate")
    assert "nonfinite" in [finding["code"] for finding in others]
    assert report["steps"] < 2000


HOSTILE = {
    "nothing": (b"", "configuration"),
    "no json": (b"hello", "configuration"),
    "half of it": (b'{"seed": 1', "configuration"),
    "two objects": (b"{} {}", "configuration"),
    "a list": (b"[]", "configuration"),
    "null": (b"null", "configuration"),
    "not a number": (b'{"optimizer": {"learning_rate": NaN}}', "optimizer.learning_rate"),
    "infinity": (b'{"penalty": {"l2": Infinity}}', "penalty.l2"),
    "beyond float": (b'{"clip_norm": 1e999}', "clip_norm"),
    "long number": (b'{"seed": ' + b"9" * 4000 + b"}", "seed"),
    "longer number": (b'{"seed": ' + b"9" * 9000 + b"}", "configuration"),
    "deep": (b"[" * 100_000, "configuration"),
    "deep inside": (b'{"layers": [' + b"[" * 900 + b"]" * 900 + b"]}", "layers[0]"),
    "huge": (b'{"seed": "' + b"9" * MAX_BYTES + b'"}', "configuration"),
    "not utf-8": (b'{"data": {"source": "\xff"}}', "configuration"),
    "utf-16": ("{}".encode("utf-16"), "configuration"),
    "unknown field": (b'{"sed": 1}', "sed"),
    "wrong choice": (b'{"loss": "mist"}', "loss"),
    "no such file": (b'{"data": {"source": "file", "path": "/no/such/file.csv"}}', "data.path"),
    "too large": (b'{"layers": [{"units": 4096}, {"units": 4096}, {"units": 4096}, {"units": 1}]}', "layers"),
}


@pytest.mark.parametrize(("content", "field"), HOSTILE.values(), ids=HOSTILE)
def test_an_invalid_configuration_is_refused_in_one_sentence(train, content, field):
    status, (answer,), err = train(content)
    assert status == 2
    assert list(answer) == ["error"]
    assert list(answer["error"]) == ["field", "message"]
    assert answer["error"]["field"] == field
    assert 0 < len(answer["error"]["message"]) < 300
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_byte_order_mark_is_no_error(train):
    assert train(b'\xef\xbb\xbf{"seed": 1}', "--steps", "1")[0] == 0


def test_jsonl_answers_every_line_in_its_place(train):
    lines = [
        b'\xef\xbb\xbf{"seed": 1}',
        b"",
        b"   \r",
        b"nonsense",
        b'{"seed": "x" }',
        b'{"seed": "' + b"9" * (2 * MAX_BYTES) + b'"}',
        b"\xff",
        b'{"seed": 2}\r',
        b"[" * 100_000,
        b'{"data": {"source": "sine"}, "optimizer": {"learning_rate": 1e6}, "batch_size": 1}',
    ]
    status, answers, err = train(b"\n".join(lines), "--jsonl", "--steps", "50")
    assert (status, err) == (0, "")
    fields = [answer["error"]["field"] if "error" in answer else answer["status"] for answer in answers]
    assert fields == ["healthy", "configuration", "seed", "configuration", "configuration", "healthy", "configuration", "nonfinite"]


def test_jsonl_gives_the_same_report_as_a_file_of_its_own(train):
    one, other = b'{"data": {"source": "xor"}, "seed": 3}', b'{"data": {"source": "moons"}, "seed": 4}'
    together = train(one + b"\n" + other, "--jsonl")[1]
    for alone, report in zip((one, other), together):
        (expected,) = train(alone)[1]
        assert {**report, "steps_per_second": None} == {**expected, "steps_per_second": None}


def test_a_file_that_cannot_be_read_is_named(tmp_path, capsys):
    for path in (tmp_path / "missing.json", tmp_path):
        for options in ([], ["--jsonl"]):
            assert main(["train", str(path), *options]) == 2
            error = strict(capsys.readouterr().out)["error"]
            assert error["field"] == "file"
            assert str(path) in error["message"]


@pytest.mark.parametrize("steps", ["-1", "1.5", "many", "9" * 30])
def test_a_wrong_number_of_steps_is_refused(steps, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["train", "-", "--steps", steps])
    assert refused.value.code == 2
    assert "--steps" in capsys.readouterr().err


def test_standard_input():
    status, out, err = run("train", "-", "--steps", "20", stdin=b'{"seed": 5}')
    assert (status, err) == (0, "")
    assert strict(out)["steps"] == 20
    for content, field in ((b"{", "configuration"), (rb'{"\ud800": 1}', "\ufffd")):  # half a character can be neither written nor printed
        status, out, err = run("train", "-", stdin=content)
        assert status == 2
        assert strict(out)["error"]["field"] == field
        assert "Traceback" not in err


def test_help_lists_the_commands():
    status, out, _ = run("--help")
    assert status == 0
    assert "train" in out
    assert run()[0] == 2


def test_stopping_is_clean():
    with start(
        "train", "-", "--jsonl", "--steps", "1000000000", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    ) as process:
        process.stdin.write(b'{"seed": -1}\n')  # its answer shows that the loop is running
        process.stdin.flush()
        assert "error" in strict(process.stdout.readline())
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, err.decode()) == (130, b"", "Stopped.\n")


def test_a_reader_that_leaves_early_is_no_error_of_ours():
    with start("train", "-", "--jsonl", "--steps", "1") as process:
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        assert strict(process.stdout.readline())["steps"] == 1
        process.stdout.close()
        process.stdin.write(b"{}\n" * 3)
        process.stdin.close()
        assert process.wait(timeout=LIMIT) == 1
        assert process.stderr.read() == b""


def test_blas_is_pinned_to_one_thread_before_numpy_comes():
    script = (
        "import sys, core.__main__; assert 'numpy' not in sys.modules; import numpy, threadpoolctl; print(threadpoolctl.threadpool_info())"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=LIMIT, check=True)
    assert "'num_threads': 1" in done.stdout
    assert "'num_threads': 2" not in done.stdout


class TestCases:
    def test_they_are_listed_as_json(self, capsys):
        assert main(["cases"]) == 0
        listed = strict(capsys.readouterr().out)
        assert {"upscale_16_to_64", "overfit_ten_images", "xor_answer", "four_equations", "flower_boundary"} <= {
            case["name"] for case in listed
        }
        for case in listed:
            assert {"name", "title", "source", "config", "expects"} <= set(case)

    @pytest.mark.parametrize(("name", "steps"), [("four_equations", 100), ("four_equations/mended", 2500)])
    def test_one_runs_for_its_own_number_of_steps(self, capsys, name, steps):
        assert main(["train", f"case:{name}"]) == 0
        assert strict(capsys.readouterr().out)["steps"] == steps

    def test_or_for_as_many_as_are_asked_for(self, capsys):
        assert main(["train", "case:four_equations", "--steps", "3"]) == 0
        assert strict(capsys.readouterr().out)["steps"] == 3

    @pytest.mark.parametrize("name", ["nothing", "four_equations/nothing", ""])
    def test_an_unknown_one_is_refused(self, capsys, name):
        assert main(["train", f"case:{name}"]) == 2
        out, err = capsys.readouterr()
        assert strict(out)["error"]["field"] == "case" and "must" in err


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ({}, ()),
        ({"data": {"source": "xor"}, "init": {"weights": "zeros"}}, ()),
        ({"data": {"source": "circle"}, "optimizer": {"learning_rate": 300}}, ("--try-fixes",)),
        ({"data": {"source": "circle"}, "faults": ["missing_mean"]}, ()),
    ],
    ids=["healthy", "symmetric", "exploded", "faulty"],
)
def test_no_line_of_many_keeps_its_run_in_memory(train, line, options):
    def living():
        gc.collect()
        return sum(isinstance(entry, Trainer) for entry in gc.get_objects())

    before = living()
    status, reports, _ = train(2 * (json.dumps(line).encode() + b"\n"), "--jsonl", "--steps", "60", *options)
    assert (status, len(reports)) == (0, 2) and all("error" not in report for report in reports)
    assert living() <= before
