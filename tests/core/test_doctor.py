"""The gradient doctor on programs written independently of core/ (benchmarks/backprop.py), right, broken and awkward."""

import io
import itertools
import json

import numpy as np
import pytest

from benchmarks.backprop import HIDDEN, OUTPUTS, Program
from core import doctor
from core.doctor.answers import Answer, Mistake, agreed
from core.faults import FAULTS
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES

SQUARE = {"sizes": [4, 4, 4, 2], "hidden": "sigmoid", "loss": "mse", "output": "softmax", "m": 7, "summed": False, "dtype": np.float64}
BINARY = {**SQUARE, "sizes": [4, 4, 4, 1], "loss": "binary_cross_entropy", "output": "sigmoid"}


def npz(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def check(arrays):
    return doctor.check(npz(arrays))


def answer_on(program, bugs=None, **saved):
    return check(program.arrays(*program.gradients(bugs), **saved))


def codes(answer):
    return [remark.code for remark in answer.remarks]


def updated(program, gradients, sign=-1, share=1.0):
    """Parameters after an update with these gradients."""
    return tuple({i: now[i] + sign * share * program.lr * part[i] for i in now} for now, part in zip((program.W, program.b), gradients))


class TestRightPrograms:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_every_hidden_activation(self, hidden, dtype):
        for seed in range(4):
            scale = {"scale": 0.3} if hidden == "exponential" else {}  # else it overflows
            answer = answer_on(Program(seed, hidden=hidden, dtype=dtype, depth=2, **scale), form=seed)
            assert answer.verdict == "correct" and not answer.mistakes and answer.fix is None
            largest = max(np.abs(array).max() for array in answer.right.values())
            assert all(np.allclose(answer.yours[name], array, rtol=0, atol=1e-4 * largest) for name, array in answer.right.items())

    @pytest.mark.parametrize(("loss", "output"), [(loss, output) for loss in OUTPUTS for output in dict.fromkeys(OUTPUTS[loss])])
    def test_every_loss(self, loss, output):
        for seed in range(4):
            assert answer_on(Program(seed, loss=loss, output=output), form=seed).verdict == "correct"

    def test_nothing_of_the_engine_is_missing_here(self):
        assert set(HIDDEN) | {"softmax"} == set(ACTIVATIONS) and set(OUTPUTS) == set(LOSSES)

    @pytest.mark.parametrize("form", range(12))
    def test_every_orientation(self, form):
        for program in (Program(form, **SQUARE), Program(form, **{**SQUARE, "sizes": [3, 6, 2]})):
            answer = answer_on(program, form=form)
            assert answer.verdict == "correct"
            assert "7 samples" in answer.reading

    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_square_in_every_way(self, size):
        """As many samples as inputs, units and outputs: what is reproduced decides."""
        for seed in range(6):
            program = Program(seed, sizes=[size] * 4, m=size, hidden="tanh", loss="mse", output="linear")
            assert answer_on(program, form=seed).verdict == "correct"

    def test_conventions_are_recognised(self):
        words = set()
        for seed, summed in itertools.product(range(12), (False, True)):
            program = Program(seed, loss="mse", output="linear", sizes=[3, 5, 4], m=6, summed=summed)
            answer = answer_on(program, loss_value=program.loss_value())
            assert answer.verdict == "correct"
            assert ("sum over the samples" in answer.explanation) == summed
            assert ("sum over the outputs" in answer.explanation) == program.over_outputs
            assert ("halved" in answer.explanation) == program.half
            words.add((program.over_outputs, program.half))
        assert len(words) == 4

    def test_the_two_left_out_only_changes_the_learning_rate(self):
        program = Program(1, loss="mse", output="linear", sizes=[3, 5, 4], m=6, summed=False)
        program.half, program.over_outputs = False, True
        value = program.loss_value()
        program.half = True
        answer = answer_on(program, loss_value=value)
        assert answer.verdict == "correct" and "without the factor 2" in answer.explanation

    @pytest.mark.parametrize("penalty", [2.0, 1.0, 2 / 7, 1 / 7])
    def test_forms_of_the_penalty(self, penalty):
        assert answer_on(Program(2, **BINARY, l2=0.1, penalty=penalty)).verdict == "correct"
        missing = Program(2, **BINARY)
        arrays = missing.arrays(*missing.gradients()) | {"l2": np.array(0.1)}
        answer = check(arrays)
        assert answer.verdict == "correct" and codes(answer) == ["penalty_differs"]

    @pytest.mark.parametrize("above", [False, True])
    @pytest.mark.parametrize("hidden", ["relu", "leaky_relu", "selu"])
    def test_either_slope_at_a_kink(self, hidden, above):
        program = Program(3, sizes=[3, 6, 5, 1], hidden=hidden, loss="mse", output="linear", above_kink=above)
        program.X[::2] = 0
        program.b = {i: 0 * array for i, array in program.b.items()}
        assert (program.forward() is not None) and (program.z[1] == 0).any()
        assert answer_on(program).verdict == "correct"

    def test_a_pre_activation_that_is_zero_but_for_rounding(self):
        program = Program(4, sizes=[3, 6, 1], hidden="relu", loss="mse", output="linear", m=5, dtype=np.float64)
        program.b[1] = -(program.X[:1] @ program.W[1])  # 0 for the first sample, give or take
        assert answer_on(program).verdict == "correct"
        program.above_kink = True
        assert answer_on(program).verdict == "correct"

    def test_dead_layers_are_right_and_said_to_tell_little(self):
        program = Program(5, sizes=[3, 6, 4, 1], hidden="relu", loss="mse", output="relu")
        for i in program.layers:
            program.b[i] -= 1e3
        answer = answer_on(program)
        assert answer.verdict == "correct" and "all zero" in answer.explanation
        assert all(row.ratio is None and row.cosine is None for row in answer.table)

    def test_tiny_gradients(self):
        program = Program(6, sizes=[3, 6, 4, 1], hidden="tanh", loss="mse", output="linear", inputs=1e-9, dtype=np.float64)
        assert answer_on(program).verdict == "correct"
        assert answer_on(program, {"missing_mean": (1,)}).fault == "missing_mean"

    @pytest.mark.parametrize("guard", ["add", "clip"])
    @pytest.mark.parametrize("epsilon", [1e-5, 1e-8, 1e-12])
    def test_epsilons_in_logarithms(self, guard, epsilon):
        for seed in range(3):
            program = Program(seed, **{**BINARY, "guard": guard, "epsilon": epsilon, "scale": 20.0})
            assert answer_on(program).verdict == "correct"

    def test_float32_arithmetic_handed_on_in_float64(self):
        program = Program(7, **{**BINARY, "dtype": np.float32})
        arrays = {
            name: array.astype(float) if array.dtype == np.float32 else array
            for name, array in program.arrays(*program.gradients()).items()
        }
        assert check(arrays).verdict == "correct"

    def test_gradients_the_other_way_round(self):
        program = Program(8, **{**BINARY, "sizes": [3, 5, 1]})
        dW, db = program.gradients()
        arrays = program.arrays(dW, db)
        answer = check(arrays | {f"dW{i}": arrays[f"dW{i}"].T for i in program.layers})
        assert answer.verdict == "correct" and "gradients the other way round" in answer.reading

    def test_one_number_as_bias(self):
        program = Program(9, **BINARY)
        program.b = {i: np.full_like(array, 0.3) for i, array in program.b.items()}
        dW, db = program.gradients()
        arrays = program.arrays(dW, db)
        for scalar in (np.array(0.3), np.array([0.3]), np.array([[0.3]])):
            biases = {f"b{i}": scalar for i in program.layers}
            assert check(arrays | biases).verdict == "correct"
            summed = {f"db{i}": np.array(db[i].sum()) for i in program.layers}
            assert check(arrays | biases | summed).verdict == "correct"

    def test_one_sample_and_one_feature_without_a_second_axis(self):
        single = Program(10, sizes=[4, 3, 1], loss="mse", output="linear", hidden="tanh", m=1)
        assert check(single.arrays(*single.gradients()) | {"X": single.X[0], "Y": single.Y[0, 0]}).verdict == "correct"
        column = Program(10, sizes=[1, 3, 1], loss="mse", output="linear", hidden="tanh", m=6)
        assert check(column.arrays(*column.gradients()) | {"X": column.X[:, 0], "Y": column.Y[:, 0]}).verdict == "correct"

    @pytest.mark.parametrize("first", [0, 1])
    def test_class_numbers(self, first):
        program = Program(11, sizes=[4, 5, 3], loss="categorical_cross_entropy", output="softmax", hidden="tanh", m=20)
        classes = program.Y.argmax(axis=1) + first
        for shape in ((20,), (20, 1), (1, 20)):
            answer = check(program.arrays(*program.gradients()) | {"Y": classes.reshape(shape)})
            assert answer.verdict == "correct" and f"class numbers from {first}" in answer.reading

    def test_names_that_people_use(self):
        program = Program(12, **{**BINARY, "hidden": "linear"})
        arrays = program.arrays(*program.gradients())
        assert (
            check(arrays | {"activations": np.array(["Identity", "none", "logistic"]), "loss": np.array("cross-entropy")}).verdict
            == "correct"
        )


NAMED = {
    "missing_mean": BINARY,
    "missing_mean/weights": BINARY,
    "bias_not_averaged": BINARY,
    "double_mean": BINARY,
    "sign_flip": BINARY,
    "bias_gradient_missing": BINARY,
    "bias_gradient_summed_over_units": SQUARE,
    "bias_gradient_summed_over_units/spread": {**SQUARE, "output": "sigmoid"},  # below a softmax it is zero
    "no_hidden_derivative": BINARY,
    "no_output_derivative": {**BINARY, "loss": "mse"},
    "extra_output_derivative": BINARY,
    "derivative_of_activation": BINARY,
    "output_derivative_of_z": BINARY,
    "derivative_before_weights": SQUARE,
    "wrong_layer_derivative": SQUARE,
    "untransposed_weights": SQUARE,
    "wrong_layer_input": SQUARE,
    "wrong_layer_input/z": SQUARE,
    "softmax_derivative_elementwise": {**SQUARE, "sizes": [4, 4, 4, 3]},
    "labels_broadcast": BINARY,
    "weights_for_activations": BINARY,
    "bias_slope_at_bias": BINARY,
    "output_derivative_not_sent_back": {**BINARY, "loss": "mse"},
}


class TestMistakes:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("bug", NAMED)
    def test_named_with_its_layer(self, bug, dtype):
        program = Program(0, **{**NAMED[bug], "dtype": dtype})
        layers = [i for i in program.layers if program.possible(bug, i)]
        for layer in layers:
            answer = answer_on(program, {bug: (layer,)}, form=layer)
            family = bug.partition("/")[0]
            assert (answer.verdict, answer.fault, answer.layers) == ("faulty", family, (layer,))
            (mistake,) = answer.mistakes
            assert mistake.right in answer.fix and f"Layer {layer}" in answer.fix
            assert mistake.wrong in answer.explanation and mistake.title in answer.explanation

    def test_every_formula_fault_of_the_catalogue_is_among_them(self):
        # Normalization and another forward pass than the file's; a measured factor, or one number in the place of many
        elsewhere = {"batch_norm_constant_statistics", "softmax_twice", "softmax_over_samples"}
        elsewhere |= {"wrong_batch_size", "inner_product_gradient", "stray_factor"}
        families = {fault.family for fault in FAULTS.values() if fault.tensors} - elsewhere
        assert families == {bug.partition("/")[0] for bug in NAMED} | {"sum_over_outputs", "half_of_the_square"}  # both may be conventions

    def test_the_pattern_of_a_missing_mean(self):
        answer = answer_on(Program(0, **BINARY), {"missing_mean/weights": (1,)})
        rows = {row.tensor: row for row in answer.table}
        assert rows["dW1"].ratio == pytest.approx(7) and rows["db1"].ratio == pytest.approx(1)
        assert "dW1 is 7 times too large, and 7 is your batch size: 1/m is missing in layer 1." in answer.explanation

    @pytest.mark.parametrize("bugs", [{"missing_mean": (1, 2, 3)}, {"bias_not_averaged": (1, 2, 3)}, {"no_hidden_derivative": (1, 2)}])
    def test_in_all_layers(self, bugs):
        program = Program(0, **BINARY)
        (bug,) = bugs
        answer = answer_on(program, bugs, loss_value=program.loss_value())
        if bug == "missing_mean":  # a factor common to all gradients is a convention
            assert answer.verdict == "correct" and codes(answer) == ["scaled_gradients"]
        else:
            assert (answer.fault, answer.layers) == (bug, bugs[bug])

    def test_a_sum_over_the_outputs_is_a_remark_against_the_loss_value(self):
        program = Program(0, **{**SQUARE, "sizes": [4, 4, 3], "output": "sigmoid"})
        program.over_outputs = program.half = False
        bugs = {"sum_over_outputs": (2,)}
        assert answer_on(program, bugs).verdict == "correct"
        answer = answer_on(program, bugs, loss_value=program.loss_value())
        assert answer.verdict == "correct" and codes(answer) == ["scaled_gradients"]

    def test_a_turned_delta_goes_on_to_the_layers_before(self):
        answer = answer_on(Program(0, **BINARY), {"sign_flip/delta": (2,)})
        assert (answer.fault, answer.layers) == ("sign_flip", (1, 2))
        assert "A single slip in delta2" in answer.explanation

    @pytest.mark.parametrize(
        "bugs",
        [
            {"missing_mean": (1,), "no_hidden_derivative": (2,)},
            {"sign_flip": (3,), "bias_gradient_missing": (1,)},
            {"bias_not_averaged": (1, 2, 3), "derivative_of_activation": (1,)},
            {"missing_mean/weights": (2,), "wrong_layer_derivative": (2,)},
        ],
    )
    def test_two_at_once(self, bugs):
        answer = answer_on(Program(0, **BINARY), bugs)
        assert {mistake.fault: mistake.layers for mistake in answer.mistakes} == {bug.partition("/")[0]: at for bug, at in bugs.items()}
        assert answer.to_dict()["faults"] == [{"fault": mistake.fault, "layers": list(mistake.layers)} for mistake in answer.mistakes]

    def test_what_looks_the_same_is_said(self):
        """On a network of linear layers of one unit, the slope of the next layer and none at all come to the same."""
        program = Program(0, sizes=[3, 4, 1], hidden="tanh", loss="mse", output="linear", m=7, summed=False)
        answer = answer_on(program, {"no_hidden_derivative": (1,)})
        assert answer.fault == "no_hidden_derivative" and answer.also == ("wrong_layer_derivative",)
        assert "looks the same as wrong_layer_derivative" in answer.explanation

    def test_a_penalty_does_not_hide_a_mistake(self):
        program = Program(2, **BINARY, l2=0.1)
        assert answer_on(program, {"no_hidden_derivative": (1,)}).fault == "no_hidden_derivative"
        turned = tuple({i: -array for i, array in part.items()} for part in program.gradients())
        assert check(program.arrays(*turned)).fault == "sign_flip"

    @pytest.mark.parametrize("layer", [1, 2, 3])
    def test_unknown_mistakes_are_traced_to_their_layer(self, layer):
        program = Program(0, **BINARY)
        dW, db = program.gradients()
        for i in range(1, layer + 1):
            dW[i] = dW[i] + np.random.default_rng(i).normal(size=dW[i].shape)
        answer = check(program.arrays(dW, db))
        assert (answer.verdict, answer.fault, answer.layers) == ("unknown", None, (layer,))
        assert f"first wrong in layer {layer}" in answer.explanation and f"delta{layer} is right" in answer.explanation


class TestSteps:
    def test_a_plain_update(self):
        program = Program(0, **BINARY)
        gradients = program.gradients()
        assert check(program.arrays(*gradients, after=updated(program, gradients))).verdict == "correct"

    def test_y_minus_a_and_adding_is_right(self):
        program = Program(0, **BINARY)
        gradients = tuple({i: -array for i, array in part.items()} for part in program.gradients())
        alone = check(program.arrays(*gradients))
        assert (alone.fault, alone.layers) == ("sign_flip", (1, 2, 3)) and "adds them instead" in alone.explanation
        answer = check(program.arrays(*gradients, after=updated(program, gradients, sign=1)))
        assert answer.verdict == "correct" and codes(answer) == ["ascent_convention"]

    def test_adding_the_gradient(self):
        program = Program(0, **BINARY)
        gradients = program.gradients()
        answer = check(program.arrays(*gradients, after=updated(program, gradients, sign=1)))
        assert (answer.verdict, answer.fault, answer.layers) == ("faulty", "sign_flip", (1, 2, 3))
        assert "the update is not" in answer.explanation and "W[l] - learning_rate * dW[l]" in answer.fix

    def test_the_mean_taken_in_the_update(self):
        program = Program(0, **{**BINARY, "summed": True})
        gradients = program.gradients()
        after = updated(program, gradients, share=1 / program.m)
        assert check(program.arrays(*gradients, after=after)).verdict == "correct"
        value = Program(0, **BINARY).loss_value()
        assert check(program.arrays(*gradients, after=after, loss_value=value)).verdict == "correct"
        averaged = Program(0, **BINARY).gradients()
        twice = check(program.arrays(*averaged, after=updated(program, averaged, share=1 / program.m)))
        assert twice.fault == "double_mean"

    def test_frozen_biases(self):
        program = Program(0, **BINARY)
        gradients = program.gradients()
        weights, biases = updated(program, gradients)
        assert check(program.arrays(*gradients, after=(weights, program.b))).fault == "frozen_bias"
        one = check(program.arrays(*gradients, after=(weights, biases | {2: program.b[2]})))
        assert (one.fault, one.layers) == ("frozen_bias", (2,))

    def test_weights_drawn_again(self):
        program = Program(0, **{**BINARY, "sizes": [6, 8, 8, 1]})
        gradients = program.gradients()
        weights, biases = updated(program, gradients)
        drawn = {i: np.random.default_rng(i).normal(size=array.shape) / 3 - program.lr * gradients[0][i] for i, array in weights.items()}
        answer = check(program.arrays(*gradients, after=(drawn, biases)))
        assert (answer.fault, answer.layers) == ("reinitialized_weights", (1, 2, 3))

    def test_updated_before_backprop(self):
        program = Program(0, **BINARY)
        program.lr = 0.05
        gradients = program.gradients({"update_before_backprop": (3, 2)})
        arrays = program.arrays(*gradients, after=updated(program, gradients))
        answer = check(arrays)
        assert (answer.fault, answer.layers) == ("update_before_backprop", (2, 3))
        alone = {name: array for name, array in arrays.items() if not name.endswith("_next")}
        assert check(alone).fault == "update_before_backprop"

    @pytest.mark.parametrize("saved", ["sums", "fresh"])
    def test_gradients_never_reset(self, saved):
        program = Program(0, **BINARY)
        program.lr, sums = 0.3, None
        for _ in range(4):
            fresh = program.gradients()
            sums = fresh if sums is None else tuple({i: part[i] + new[i] for i in part} for part, new in zip(sums, fresh))
            before, after = (program.W, program.b), updated(program, sums)
            program.W, program.b = after
        program.W, program.b = before
        answer = check(program.arrays(*(sums if saved == "sums" else fresh), after=after))
        assert (answer.fault, answer.layers) == ("stale_gradients", (1, 2, 3))
        assert "the last 4 updates" in answer.explanation

    def test_momentum_is_no_mistake(self):
        program = Program(0, **BINARY)
        gradients = program.gradients()
        velocity = tuple(
            {i: array + 0.3 * np.random.default_rng(i).normal(size=array.shape) for i, array in part.items()} for part in gradients
        )
        answer = check(program.arrays(*gradients, after=updated(program, velocity)))
        assert answer.verdict == "correct" and not answer.mistakes
        assert "Your gradients are right" in answer.explanation and codes(answer) == ["update_not_plain_sgd"]

    def test_a_mistake_in_the_gradient_and_one_in_the_update(self):
        program = Program(0, **BINARY)
        gradients = program.gradients({"no_hidden_derivative": (1,)})
        answer = check(program.arrays(*gradients, after=(updated(program, gradients)[0], program.b)))
        assert [mistake.fault for mistake in answer.mistakes] == ["no_hidden_derivative", "frozen_bias"]


class TestAnswers:
    def test_the_contract(self):
        for bugs in (None, {"missing_mean": (1,)}):
            made = answer_on(Program(0, **BINARY), bugs).to_dict()
            assert {"verdict", "fault", "layers", "table", "explanation", "fix"} <= set(made)
            assert set(made["table"][0]) == {"tensor", "relative_error", "ratio", "cosine"}
            json.dumps(made, allow_nan=False)

    def test_both_gradients_are_there_to_be_drawn(self):
        answer = answer_on(Program(0, **BINARY), {"missing_mean": (1,)})
        np.testing.assert_allclose(answer.yours["dW1"], 7 * answer.right["dW1"])
        assert answer.yours["db1"].shape == (4, 1) and answer.right["dW3"].shape == (1, 4)

    def test_readings_that_disagree_are_asked_about(self):
        mistakes = [Mistake(name, (1,), FAULTS[name].title, "wrong", "right") for name in ("missing_mean", "sign_flip")]
        found = [Answer("faulty", (mistake,), (1,), (), "", reading=f"way {mistake.fault}") for mistake in mistakes]
        asked = agreed(found)
        assert (asked.verdict, asked.fault) == ("unknown", None)
        assert asked.explanation.endswith("would tell.") and "Which one is yours?" in asked.explanation
        assert "(1) way missing_mean: 1/m left out in layer 1." in asked.explanation
        assert agreed(found[:1]) is found[0]

    def test_gradients_that_no_right_program_has(self):
        """Cross-entropy of outputs below zero has no finite gradient."""
        program = Program(0, **{**BINARY, "output": "sigmoid"})
        arrays = program.arrays(*program.gradients()) | {"activations": np.array(["sigmoid", "sigmoid", "linear"])}
        assert check(arrays).verdict == "unknown"
