"""The forms in which people save one step, on programs of several shapes, orientations and precisions: right ones stay right."""

import numpy as np
import pytest

from benchmarks.backprop import Program
from core.doctor import check
from core.limits import ConfigError
from tests.core.test_doctor import codes, npz, updated

SHAPES = (
    {"sizes": [3, 6, 1], "hidden": "tanh", "loss": "binary_cross_entropy", "output": "sigmoid", "m": 9},
    {"sizes": [4, 5, 7, 3], "hidden": "sigmoid", "loss": "categorical_cross_entropy", "output": "softmax", "m": 11},
    {"sizes": [2, 5, 2], "hidden": "relu", "loss": "mse", "output": "linear", "m": 13, "dtype": np.float32},
)


def without_biases(program):
    program.b = {i: 0 * array for i, array in program.b.items()}
    return {name: array for name, array in saved(program).items() if name.lstrip("d")[0] != "b"}


def biases_inside(program):
    program.m, program.X, program.Y = 17, np.repeat(program.X, 2, axis=0)[:17], np.repeat(program.Y, 2, axis=0)[:17]
    dW, db = program.gradients()
    arrays = {name: array for name, array in saved(program).items() if name.lstrip("d")[0] not in "Wb"}
    for i in program.layers:
        arrays |= {f"W{i}": np.vstack([program.W[i], program.b[i]]), f"dW{i}": np.vstack([dW[i], db[i]])}
    return arrays


def from_zero(program):
    return {
        name.replace(digits, str(int(digits) - 1)) if (digits := name.lstrip("dWb")).isdigit() else name: array
        for name, array in saved(program).items()
    }


def lower_case(program):
    return {name.lower(): array for name, array in saved(program).items()}


def update_alone(program):
    gradients = program.gradients()
    arrays = program.arrays(*gradients, after=updated(program, gradients), form=1)
    return {name: array for name, array in arrays.items() if not name.startswith("d")}


def after_the_update(program):
    program.summed = False
    gradients, value = program.gradients(), program.loss_value()
    program.W, program.b = updated(program, gradients)
    return program.arrays(*gradients, loss_value=value, form=1) | {"learning_rate": np.array(program.lr)}


def penalised_in_silence(program):
    program.l2 = 0.1
    arrays = saved(program)
    return {name: array for name, array in arrays.items() if name != "l2"}


def five_times(program):
    dW, db = program.gradients()
    times = [{i: 5 * array for i, array in part.items()} for part in (dW, db)]
    return program.arrays(*times, loss_value=program.loss_value(), form=1)


def infinite_loss(program):
    return saved(program) | {"loss_value": np.array(np.inf)}


def uphill(program):
    gradients = [{i: -array for i, array in part.items()} for part in program.gradients()]
    return program.arrays(*gradients, after=updated(program, gradients, sign=1), form=1)


def other_steps(program):
    gradients = program.gradients()
    rng = np.random.default_rng(0)
    moved = [{i: array * rng.uniform(0.5, 2, array.shape) for i, array in part.items()} for part in gradients]
    return program.arrays(*gradients, after=updated(program, moved), form=1)


def saved(program):
    return program.arrays(*program.gradients(), form=1)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize(
    ("form", "remarks"),
    [
        (without_biases, {"no_bias"}),
        (biases_inside, set()),
        (from_zero, set()),
        (lower_case, set()),
        (update_alone, {"gradients_from_update"}),
        (after_the_update, {"saved_after_update"}),
        (penalised_in_silence, {"undeclared_l2"}),
        (five_times, {"scaled_gradients"}),
        (infinite_loss, {"loss_not_finite"}),
        (uphill, {"ascent_convention"}),
        (other_steps, {"update_not_plain_sgd"}),
    ],
)
def test_a_right_program_is_right_in_every_form(form, remarks, shape):
    answer = check(npz(form(Program(3 + shape, summed=False, **SHAPES[shape]))))
    assert answer.verdict == "correct" and not answer.mistakes, answer.explanation
    assert remarks <= set(codes(answer))


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_another_forward_pass_is_not_judged(shape):
    program = Program(3 + shape, summed=False, **SHAPES[shape])
    arrays = saved(program) | {"loss_value": np.array(program.loss_value())}
    hidden = "gelu" if arrays["activations"][0] != "gelu" else "tanh"
    arrays["activations"] = np.array([*[hidden] * (len(program.sizes) - 2), program.acts[-1]])
    answer = check(npz(arrays))
    assert answer.verdict == "not_reproduced" and "check_gradients" in answer.explanation


def test_the_loss_value_does_not_make_an_answer_worse():
    for seed in range(12):
        program = Program(seed, depth=2)
        arrays = saved(program)
        alone, told = check(npz(arrays)), check(npz(arrays | {"loss_value": np.array(program.loss_value())}))
        assert alone.verdict == told.verdict == "correct"


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
    arrays = saved(program) | {"X": np.zeros((9, 2_000_000)), "W1": np.zeros((2_000_000, 6)), "dW1": np.zeros((2_000_000, 6))}
    with pytest.raises(ConfigError, match="200 rows"):
        check(npz(arrays))
