"""The doctor's page: a file in, an answer out; a bad file is one sentence."""

import io

import numpy as np
import pytest

from benchmarks.backprop import Program
from core.doctor.examples import EXAMPLES, example
from tests.app.files import HOSTILE


@pytest.fixture
def page(open_page):
    page = open_page()
    page.test.switch_page("doctor.py")
    return page.run()


def upload(page, name, raw):
    page.test.file_uploader(key="doctor upload").set_value((name, raw, "application/octet-stream"))
    return page.run()


def test_it_says_how_to_write_the_file(page):
    code = [element.value for element in page.code]
    assert len(code) == 4 and all("np.savez" in lines and "dW" in lines and "before the update" in lines for lines in code)
    assert "one sample a column" in code[0] and "one sample a row" in code[1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_answered(page, name):
    page.press(f"example {name}")
    faults = EXAMPLES[name]
    assert ("Faulty" in page.words) == bool(faults) and ("Correct" in page.words) != bool(faults)
    if faults:
        assert "As if yours said" in page.words and "Right" in page.words
    assert list(page.dataframe[0].value["tensor"]) == ["dW1", "db1", "dW2", "db2", "dW3", "db3"]


def test_the_lines_shown_write_a_file_that_is_understood(page, tmp_path, monkeypatch):
    """What a person would do: run the lines on arrays of their own."""
    arrays = dict(np.load(io.BytesIO(example(("missing_mean:1",)))))
    monkeypatch.chdir(tmp_path)
    names = {name: {layer: arrays[f"{name}{layer}"] for layer in (1, 2, 3)} for name in ("W", "b", "dW", "db")}
    known = {**names, "L": 3, "X": arrays["X"], "Y": arrays["Y"], "cost": arrays["loss_value"], "learning_rate": arrays["learning_rate"]}
    lines = page.code[0].value.replace('["relu", "sigmoid"]', '["tanh", "sigmoid", "sigmoid"]')
    exec(lines, known)
    upload(page, "RUN.npz", (tmp_path / "RUN.npz").read_bytes())
    assert "1/m left out in layer 1" in page.words


def test_an_answer_is_worked_out_once_and_forgotten_with_the_file(page):
    upload(page, "mine.npz", example())
    first = page.test.session_state["doctor answer"]
    assert page.run().test.session_state["doctor answer"] is first
    upload(page, "other.npz", example(("sign_flip:1",)))
    assert page.test.session_state["doctor answer"] is not first and "Sign turned round" in page.words


def test_gradients_of_another_network_are_not_held_against_it(page):
    program = Program(3, sizes=[3, 6, 1], hidden="tanh", loss="binary_cross_entropy", output="sigmoid", m=9, summed=False)
    arrays = program.arrays(*program.gradients(), loss_value=program.loss_value()) | {"activations": np.array(["gelu", "sigmoid"])}
    file = io.BytesIO()
    np.savez(file, **arrays)
    upload(page, "RUN.npz", file.getvalue())
    assert "Not reproduced" in page.words and "core.check_gradients" in page.words
    assert not page.dataframe and "right, as a share" not in page.words


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_file_is_one_sentence(page, case):
    upload(page, "RUN.npz", HOSTILE[case] if isinstance(HOSTILE, dict) else case)
    assert len(page.error) == 1 and "cannot be used" in page.error[0].value and not page.dataframe


def test_it_counts_among_what_a_visitor_may_upload(page, monkeypatch):
    monkeypatch.setenv("DESCENT_SHARED", "1")
    monkeypatch.setenv("DESCENT_VISITOR_UPLOAD_BYTES", "100")
    upload(page, "mine.npz", example())
    assert "the limit for each visitor" in page.words and "Right" not in page.words
