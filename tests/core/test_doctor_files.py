"""RUN.npz files that cannot be used, each refused in one sentence, and `python -m core check`."""

import io
import json
import pickle
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.backprop import Program
from core.__main__ import main
from core.doctor import check
from core.limits import LIMITS, ConfigError

PROGRAM = Program(0, sizes=[3, 4, 2], loss="mse", output="linear", hidden="tanh", m=6, dtype=np.float64, summed=False)
GOOD = PROGRAM.arrays(*PROGRAM.gradients(), form=0)
LAYERS = LIMITS["layers"] + 1
SOFTMAX = {"sizes": [4, 4, 4, 2], "hidden": "sigmoid", "output": "softmax", "m": 7, "summed": False, "dtype": np.float64}


def npz(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy(shape, body=b"", descr="<f8"):
    """An array file that claims this shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + body


def with_member(name, content, method=zipfile.ZIP_STORED):
    """The good file with one array's bytes replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for other, array in GOOD.items():
            if other != name:
                buffer = io.BytesIO()
                np.save(buffer, array)
                archive.writestr(f"{other}.npy", buffer.getvalue())
        archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def without(*names):
    return npz({name: array for name, array in GOOD.items() if name not in names})


def changed(**arrays):
    return npz(GOOD | arrays)


def spoiled(name, value):
    array = GOOD[name].copy()
    array.flat[0] = value
    return changed(**{name: array})


NEXT = {f"{name}_next": GOOD[name] for name in ("W1", "b1", "W2", "b2")}
DEEP = {f"{kind}{layer}": np.ones((2, 2)) for layer in range(1, LAYERS + 1) for kind in ("W", "b", "dW", "db")}
REFUSED = {
    "empty": (b"", "file", "this is not one"),
    "text": (b"X, Y, W1", "file", "this is not one"),
    "pickle": (pickle.dumps({"X": 1}), "file", "a Python pickle, which is never opened"),
    "one array": (npy((2,), bytes(16)), "file", "a single array"),
    "cut short": (npz(GOOD)[:-50], "file", "damaged or cut short"),
    "zip of nothing": (b"PK\5\6" + bytes(18), "file", "1 to 32 layers of weights; holds 0"),
    "no X": (without("X"), "X", "'X' missing"),
    "no gradient": (without("dW2", "db2"), "dW2", "'dW2', 'db2' missing"),
    "a gap": (without("W1", "b1", "dW1", "db1"), "W1", "missing"),
    "surplus": (changed(Q=GOOD["X"]), "file", "also holds 'Q'"),
    "activations missing": (without("activations"), "activations", "missing"),
    "half a step": (changed(W1_next=GOOD["W1"]), "learning_rate" if "learning_rate" not in GOOD else "b1_next", "missing"),
    "step without a rate": (npz({**{n: a for n, a in GOOD.items() if n != "learning_rate"}, **NEXT}), "learning_rate", "missing"),
    "too many layers": (changed(**DEEP), "file", "1 to 32 layers of weights; holds 33"),
    "layer 99": (changed(W99=GOOD["W1"]), "file", "holds 99"),
    "layer 0": (changed(W0=GOOD["W1"]), "dW1", "missing"),
    "thousand arrays": (changed(**{f"a{i}": np.ones(1) for i in range(1000)}), "file", "many more"),
    "objects": (changed(X=GOOD["X"].astype(object)), "file", "X; its type is 'object'"),
    "objects for text": (changed(activations=np.array(["tanh", "linear"], object)), "file", "plain text in activations"),
    "complex": (changed(dW1=GOOD["dW1"] * 1j), "file", "dW1; its type is 'complex128'"),
    "text for numbers": (changed(W1=GOOD["W1"].astype(str)), "file", "plain numbers in W1"),
    "numbers for text": (changed(loss=np.array(1.0)), "file", "plain text in loss"),
    "records": (changed(X=np.zeros((6, 3), "f4,f8")), "file", "plain numbers in X"),
    "NaN": (spoiled("dW1", np.nan), "dW1", "1 are NaN or infinite"),
    "infinite": (spoiled("X", np.inf), "X", "finite numbers"),
    "enormous": (spoiled("W2", 1e200), "W2", "at most 1e+100"),
    "nothing in it": (changed(X=GOOD["X"][:0]), "X", "must hold numbers"),
    "three axes": (changed(W1=GOOD["W1"][None]), "W1", "at most two axes"),
    "flat weights": (changed(W1=GOOD["W1"].ravel()), "W1", "must"),
    "weights that do not connect": (changed(W2=np.ones((5, 7)), dW2=np.ones((5, 7))), "W2", "must connect to W1"),
    "gradient of another shape": (changed(dW1=np.ones((3, 5))), "dW1", "must have the shape of W1"),
    "bias of another layer": (changed(b1=np.ones(5)), "b1", "one number for each of the units"),
    "bias matrix": (changed(b1=np.ones((2, 2))), "b1", "one number for each of the units"),
    "inputs that fit nothing": (changed(X=np.ones((6, 7))), "X", "features along one axis"),
    "labels that fit nothing": (changed(Y=np.ones((6, 3))), "Y", "must hold labels for 6 samples and 2 outputs"),
    "labels of other samples": (changed(Y=np.ones(5)), "Y", "must hold labels for 6 samples"),
    "class numbers too large": (changed(Y=np.arange(6)), "Y", "must hold labels"),
    "next of another shape": (npz({**GOOD, **NEXT, "learning_rate": np.array(0.1), "W1_next": np.ones((2, 2))}), "W1_next", "shape of W1"),
    "rate of zero": (changed(learning_rate=np.array(0.0)), "learning_rate", "above 0"),
    "rate below zero": (changed(learning_rate=np.array(-0.1)), "learning_rate", "above 0"),
    "several rates": (changed(learning_rate=np.ones(3)), "learning_rate", "must be one number"),
    "penalty below zero": (changed(l2=np.array(-1.0)), "l2", "at least 0"),
    "unknown activation": (changed(activations=np.array(["tanhh", "linear"])), "activations", "for layer 1; was 'tanhh'"),
    "one activation": (changed(activations=np.array("tanh")), "activations", "each of the 2 layers; holds 1"),
    "many activations": (changed(activations=np.array(["tanh"] * 1000)), "activations", "holds 1,000"),
    "unknown loss": (changed(loss=np.array("guess")), "loss", "must be one of mse"),
    "two losses": (changed(loss=np.array(["mse", "mae"])), "loss", "one text; holds 2"),
    "claims a gigabyte": (with_member("X", npy((1000, 125_000))), "file", "16,777,216 numbers"),
    "claims endless text": (with_member("loss", npy((), descr="<U99999999")), "file", "16,777,216 numbers"),
    "claims more than it holds": (with_member("X", npy((6, 3), bytes(80))), "file", "X is shorter"),
    "holds more than it claims": (with_member("X", npy((6, 3), bytes(160))), "file", "X is longer"),
    "negative sizes": (with_member("X", npy((-6, -3), bytes(144))), "file", "negative"),
    "not an array": (with_member("X", b"hello"), "file", "X is not an array"),
    "bzip2": (with_member("X", npy((6, 3), bytes(144)), zipfile.ZIP_BZIP2), "file", "compressed in another way"),
    "together too much": (
        npz({**GOOD, "X": np.zeros((9_000_000, 1), "i1"), "Y": np.zeros((9_000_000, 1), "i1")}, np.savez_compressed),
        "file",
        "16,777,216 numbers in all",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_its_own_words(case):
    content, field, words = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        check(content)
    assert caught.value.field == field
    assert words in caught.value.message and "\n" not in caught.value.message


def test_the_good_file_is_good():
    assert check(npz(GOOD)).verdict == "correct"
    assert check(npz(GOOD, np.savez_compressed)).verdict == "correct"
    assert check(changed(activations=np.array([b"tanh", b"linear"]), loss=np.array(b"mse"))).verdict == "correct"


def test_work_is_bounded():
    wide = {"W1": np.zeros((4, 1000)), "dW1": np.zeros((4, 1000)), "b1": np.zeros(1000), "db1": np.zeros(1000)}
    wide |= {"W2": np.zeros((1000, 1000)), "dW2": np.zeros((1000, 1000)), "b2": np.zeros(1000), "db2": np.zeros(1000)}
    labels = {"X": np.zeros((2000, 4)), "Y": np.zeros(2000, int), "activations": GOOD["activations"], "loss": GOOD["loss"]}
    with pytest.raises(ConfigError, match="samples times weights"):
        check(npz(wide | labels))


BOMBS = {
    "zeros that deflate a thousandfold": lambda: with_member("X", npy((6, 3), bytes(1 << 26)), zipfile.ZIP_DEFLATED),
    "a gigabyte in the header": lambda: with_member("X", npy((134_217_728,))),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_stays_near_the_size_of_the_file(bomb):
    content = BOMBS[bomb]()
    tracemalloc.start()
    with pytest.raises(ConfigError):
        check(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(content) + (16 << 20)


SIZES = [(), (1,), (3,), (4,), (6,), (2,), (3, 4), (4, 3), (4, 2), (2, 4), (6, 3), (3, 6), (6, 2), (1, 4), (4, 1), (1, 1), (6, 6)]
SHAPES = st.sampled_from(SIZES)
VALUES = st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e30, 1e99, 0.5])


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from([*GOOD, "learning_rate", "loss_value", "l2", *NEXT]), st.tuples(SHAPES, VALUES), max_size=4))
def test_numbers_of_any_shape_give_an_answer_or_a_refusal(replaced):
    arrays = GOOD | {name: np.full(shape, value) for name, (shape, value) in replaced.items()}
    try:
        answer = check(npz(arrays))
    except ConfigError as error:
        assert error.field and error.message
    else:
        assert answer.verdict in ("correct", "faulty", "not_reproduced", "unknown")
        json.dumps(answer.to_dict(), allow_nan=False)


@settings(max_examples=150)
@given(st.data())
def test_damaged_files_give_an_answer_or_a_refusal(data):
    content = npz(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        content = content[:start] + data.draw(st.binary(max_size=8)) + content[start + data.draw(st.integers(0, 40)) :]
    try:
        assert check(content).verdict in ("correct", "faulty", "not_reproduced", "unknown")
    except ConfigError as error:
        assert error.field and error.message


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path, capsys):
        def run(content, *options):
            path = tmp_path / "RUN.npz"
            path.write_bytes(content)
            status = main(["check", str(path), *options])
            return status, *capsys.readouterr()

        return run

    def test_in_words(self, run):
        status, out, err = run(npz(PROGRAM.arrays(*PROGRAM.gradients({"missing_mean/weights": (1,)}))))
        assert status == 0 and not err
        assert out.startswith("Faulty\n") and "dW1" in out and "Fix: Layer 1: dW1 = delta1 @ X.T / m" in out
        assert run(npz(GOOD))[1].startswith("Correct\n")

    def test_as_json(self, run):
        status, out, _ = run(npz(PROGRAM.arrays(*PROGRAM.gradients({"missing_mean/weights": (1,)}))), "--json")
        answer = json.loads(out)
        assert status == 0
        assert (answer["verdict"], answer["fault"], answer["layers"]) == ("faulty", "missing_mean", [1])
        assert answer["table"][0]["tensor"] == "dW1" and answer["table"][0]["ratio"] == pytest.approx(6)

    def test_files_that_cannot_be_used(self, run, tmp_path, capsys):
        status, out, err = run(b"nonsense", "--json")
        assert status == 2 and json.loads(out)["error"]["field"] == "file" and err.startswith("file: must be")
        status, out, err = run(b"nonsense")
        assert status == 2 and not out and err.startswith("file: must be")
        assert main(["check", str(tmp_path / "none.npz")]) == 2
        assert "there is no 'none.npz'" in capsys.readouterr().err

    def test_from_the_shell(self, tmp_path):
        np.savez(tmp_path / "RUN.npz", **GOOD)
        done = subprocess.run([sys.executable, "-m", "core", "check", tmp_path / "RUN.npz", "--json"], capture_output=True, text=True)
        assert done.returncode == 0 and json.loads(done.stdout)["verdict"] == "correct"


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("form", range(4))
def test_one_number_is_no_gradient_of_several_biases(form, averaged):
    program = Program(form, loss="categorical_cross_entropy", **SOFTMAX)
    dW, db = program.gradients({"bias_gradient_summed_over_units": (1, 2, 3)})
    if averaged:  # np.mean over all, in place of np.sum
        db = {i: array / program.sizes[i] for i, array in db.items()}
    for also in ({}, {"missing_mean": (1, 2, 3)}):
        answer = check(npz(program.arrays(program.gradients(also)[0] if also else dW, db, form=form)))
        assert answer.verdict == "faulty" and answer.fault == "bias_gradient_summed_over_units" and answer.layers == (1, 2, 3)
    assert {row.tensor for row in answer.table if row.relative_error > 1e-3} >= {"db1", "db2", "db3"}


def test_one_number_is_the_gradient_of_a_bias_that_is_one_number():
    program = Program(0, loss="mse", **SOFTMAX)
    program.b = {i: np.full_like(b, b.flat[0]) for i, b in program.b.items()}
    dW, db = program.gradients()
    arrays = program.arrays(dW, {i: array.sum() for i, array in db.items()})
    for i in program.layers:
        arrays[f"b{i}"] = arrays[f"b{i}"].flat[0]
    assert check(npz(arrays)).verdict == "correct"
