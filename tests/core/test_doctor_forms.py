"""The forms in which people save one step, on programs of several shapes, orientations and precisions: right ones stay right."""

import numpy as np
import pytest

from benchmarks.backprop import Program
from benchmarks.forms import FORMS, saved, updated
from core.doctor import check
from core.limits import ConfigError
from tests.core.test_doctor import codes, npz

SHAPES = (
    {"sizes": [3, 6, 1], "hidden": "tanh", "loss": "binary_cross_entropy", "output": "sigmoid", "m": 9},
    {"sizes": [4, 5, 7, 3], "hidden": "sigmoid", "loss": "categorical_cross_entropy", "output": "softmax", "m": 11},
    {"sizes": [2, 5, 2], "hidden": "relu", "loss": "mse", "output": "linear", "m": 13, "dtype": np.float32},
)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize("form", FORMS)
def test_a_right_program_is_right_in_every_form(form, shape):
    answer = check(npz(form(Program(3 + shape, summed=False, **SHAPES[shape]), shape)))
    assert answer.verdict == "correct" and not answer.mistakes, answer.explanation
    assert FORMS[form] <= set(codes(answer))


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_another_forward_pass_is_not_judged(shape):
    program = Program(3 + shape, summed=False, **SHAPES[shape])
    arrays = saved(program, 1) | {"loss_value": np.array(program.loss_value())}
    hidden = "gelu" if arrays["activations"][0] != "gelu" else "tanh"
    arrays["activations"] = np.array([*[hidden] * (len(program.sizes) - 2), program.acts[-1]])
    answer = check(npz(arrays))
    assert answer.verdict == "not_reproduced" and "check_gradients" in answer.explanation


def test_the_loss_value_does_not_make_an_answer_worse():
    for seed in range(12):
        program = Program(seed, depth=2)
        arrays = saved(program, 1)
        alone, told = check(npz(arrays)), check(npz(arrays | {"loss_value": np.array(program.loss_value())}))
        assert alone.verdict == told.verdict == "correct"


def test_a_loss_value_of_something_else_is_left_aside():
    answer = check(npz(saved(Program(1, **SHAPES[0]), 1) | {"loss_value": np.array(123.0)}))
    assert answer.verdict == "correct" and codes(answer) == ["loss_line_wrong"] and "123" in answer.remarks[0].text


def test_gradients_that_are_never_reset_show_in_a_second_step():
    program = Program(3, summed=False, **SHAPES[0])
    first = program.gradients()
    arrays = program.arrays(*first, after=updated(program, first), form=1)
    columns = arrays["X"].shape[0] == program.sizes[0]
    program.W, program.b = updated(program, first)
    second = program.gradients()
    assert check(npz(arrays)).verdict == "correct"
    added = [{i: one[i] + two[i] for i in one} for one, two in zip(first, second)]
    for gradients, verdict in ((second, "correct"), (added, "faulty")):
        later = program.arrays(*gradients, form=1)
        assert (later["X"].shape[0] == program.sizes[0]) == columns
        answer = check(npz(arrays | {f"{name}_2": array for name, array in later.items() if name[:2] in ("X", "Y", "dW", "db")}))
        assert answer.verdict == verdict and answer.fault == (None if verdict == "correct" else "stale_gradients")


def test_what_is_too_large_is_told_what_is_enough():
    program = Program(0, **SHAPES[0])
    arrays = saved(program, 1) | {"X": np.zeros((9, 2_000_000)), "W1": np.zeros((2_000_000, 6)), "dW1": np.zeros((2_000_000, 6))}
    with pytest.raises(ConfigError, match="200 rows"):
        check(npz(arrays))


@pytest.mark.parametrize("layer", [1, 2])
def test_a_factor_in_one_layer_is_measured(layer):
    program = Program(0, summed=False, **{**SHAPES[0], "sizes": [5, 4, 1]})
    answer = check(npz(program.arrays(*program.gradients({"stray_factor": (layer,)}))))
    assert (answer.verdict, answer.fault, answer.layers) == ("faulty", "stray_factor", (layer,))
    assert f"dW{layer} is 2 times the right one" in answer.explanation


@pytest.mark.parametrize(("outputs", "times"), [(1, 4), (1, 7), (5, 5), (5, 25), (5, 0.03)])
def test_a_factor_common_to_all_gradients_is_a_remark_even_if_two_mistakes_would_make_it(outputs, times):
    program = Program(2, sizes=[3, 6, outputs], hidden="tanh", loss="mse", output="linear", m=8, summed=False)
    dW, db = ({i: times * array for i, array in part.items()} for part in program.gradients())
    answer = check(npz(program.arrays(dW, db, loss_value=program.loss_value())))
    assert answer.verdict == "correct" and codes(answer) == ["scaled_gradients"], answer.explanation


def test_gradients_too_small_to_move_anything_may_have_either_sign():
    program = Program(3, summed=False, dtype=np.float64, **SHAPES[1])
    program.Y, program.b[3] = np.tile([1.0, 0.0, 0.0], (program.m, 1)), np.array([[200.0, 1.0, 1.0]])
    gradients = [{i: -array for i, array in part.items()} for part in program.gradients()]
    arrays = program.arrays(*gradients, after=updated(program, gradients, sign=1), form=1)
    answer = check(npz(arrays))
    assert answer.verdict == "correct" and "next_equals_current" not in codes(answer) and np.array_equal(arrays["W1"], arrays["W1_next"])
    program.b[3] = np.zeros((1, 3))
    arrays = program.arrays(*program.gradients(), after=(program.W, program.b), form=1)
    assert "next_equals_current" in codes(check(npz(arrays)))


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("ones", [False, True])
def test_biases_inside_the_weights_are_found_wherever_they_lie(ones, turned, first, shape):
    program = Program(3 + shape, summed=False, **SHAPES[shape])

    def joined(matrix, row):
        both = np.vstack([row, matrix] if first else [matrix, row])
        return both.T if turned else both

    def answer(bugs):
        dW, db = program.gradients(bugs)
        arrays = {name: array for name, array in program.arrays(dW, db).items() if name.lstrip("d")[0] not in "Wb"}
        column = np.ones((program.m, 1), program.dtype)
        arrays |= {"X": np.hstack([column, program.X] if first else [program.X, column]) if ones else program.X, "Y": program.Y}
        for i in program.layers:
            arrays |= {f"W{i}": joined(program.W[i], program.b[i]), f"dW{i}": joined(dW[i], db[i])}
        return check(npz(arrays))

    assert answer({}).verdict == "correct"
    wrong = answer({"no_hidden_derivative": (1,)})
    assert (wrong.verdict, wrong.fault, wrong.layers) == ("faulty", "no_hidden_derivative", (1,))
