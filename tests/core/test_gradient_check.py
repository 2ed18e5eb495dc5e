"""check_gradients on plain NumPy programs, right and broken ones."""

import numpy as np
import pytest

from core.diagnosis.gradient_check import check_gradients

M = 12
SLOPES = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
}


def program(activation="tanh", sizes=(3, 8, 5, 2), seed=0, samples=M):
    """(loss, parameters, gradients) of squared error on random data, samples first."""
    rng = np.random.default_rng(seed)
    f, slope = SLOPES[activation]
    x, y = rng.normal(size=(samples, sizes[0])), rng.normal(size=(samples, sizes[-1]))
    layers = range(1, len(sizes))
    parameters = {f"W{k}": rng.normal(size=sizes[k - 1 : k + 1]) / np.sqrt(sizes[k - 1]) for k in layers}
    parameters |= {f"b{k}": rng.normal(size=sizes[k]) for k in layers}

    def forward(p):
        a, z = [x], []
        for k in layers:
            z.append(a[-1] @ p[f"W{k}"] + p[f"b{k}"])
            a.append(f(z[-1]) if k < layers[-1] else z[-1])
        return a, z

    def loss(p):
        return np.sum((forward(p)[0][-1] - y) ** 2) / samples

    a, z = forward(parameters)
    delta, gradients = 2 * (a[-1] - y) / samples, {}
    for k in reversed(layers):
        gradients[f"W{k}"], gradients[f"b{k}"] = a[k - 1].T @ delta, delta.sum(axis=0)
        if k > 1:
            delta = delta @ parameters[f"W{k}"].T * slope(z[k - 2])
    return loss, parameters, gradients


@pytest.mark.parametrize("activation", SLOPES)
@pytest.mark.parametrize("seed", range(4))
def test_right_code_is_right(activation, seed):
    check = check_gradients(*program(activation, seed=seed))
    assert check.verdict == "correct"
    assert all(row.relative_error < 1e-7 for row in check.rows)
    assert all(row.ratio == pytest.approx(1) and row.cosine == pytest.approx(1) for row in check.rows)
    assert "All gradients are right" in check.pattern
    assert [row.tensor for row in check.rows] == ["dW1", "dW2", "dW3", "db1", "db2", "db3"]


def broken(**factors):
    loss, parameters, gradients = program()
    return loss, parameters, {name: factors.get(name, 1) * array for name, array in gradients.items()}


PATTERNS = {
    "missing mean": ({"W1": M}, ["dW1"], "dW1 is 12 times too large, and 12 is your batch size: 1/m is missing in layer 1."),
    "mean twice": ({"W2": 1 / M}, ["dW2"], "dW2 is 12 times too small, and 12 is your batch size: 1/m is there twice in layer 2."),
    "sign": ({"W2": -1, "b2": -1}, ["dW2", "db2"], "dW2 has the opposite sign: a sign is turned round in layer 2."),
    "no bias gradient": ({"b3": 0}, ["db3"], "db3 is zero: it is not worked out at all in layer 3."),
    "odd factor": ({"b1": 1.7}, ["db1"], "db1 is 1.7 times too large."),
    "a sum": ({name: M for name in ("W1", "W2", "W3", "b1", "b2", "b3")}, None, "Every gradient is 12 times too large: loss and gradients"),
    "all minus": ({name: -1 for name in ("W1", "W2", "W3", "b1", "b2", "b3")}, None, "Every gradient has the opposite sign"),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_patterns_are_read_aloud(case):
    factors, wrong, words = PATTERNS[case]
    check = check_gradients(*broken(**factors), batch_size=M)
    assert check.verdict == "faulty"
    assert words in check.pattern
    rows = {row.tensor: row for row in check.rows}
    for tensor in wrong or rows:
        factor = factors[tensor[1:]]
        assert rows[tensor].ratio == pytest.approx(factor)
    for tensor in set(rows) - set(wrong or rows):
        assert rows[tensor].relative_error < 1e-7 and tensor not in check.pattern


def test_without_the_batch_size_it_is_guessed_at_only():
    assert "if 12 is your batch size, 1/m is missing in layer 1" in check_gradients(*broken(W1=M)).pattern
    assert "batch size" not in check_gradients(*broken(W1=M), batch_size=5).pattern


def test_a_wrong_delta_is_traced_to_its_layer():
    loss, parameters, gradients = program()
    rng = np.random.default_rng(5)
    for name in ("W1", "b1", "W2", "b2"):
        gradients[name] = rng.normal(size=gradients[name].shape)
    assert (
        "Layer 2 points elsewhere, and the layers behind it are right: look at delta2."
        in check_gradients(loss, parameters, gradients).pattern
    )
    gradients["b2"] = program()[2]["b2"]
    assert "dW2 points elsewhere while db2 is right: delta2 is right" in check_gradients(loss, parameters, gradients).pattern


def test_every_coordinate_at_a_kink_is_left_out():
    parameters = {"W1": np.array([0.0, 1.0, -2.0]), "W2": np.array([0.0])}
    gradients = {"W1": np.array([0.0, 1.0, -1.0]), "W2": np.array([0.3])}
    check = check_gradients(lambda p: np.abs(p["W1"]).sum() + np.abs(p["W2"]).sum(), parameters, gradients)
    assert [(row.checked, row.left_out) for row in check.rows] == [(2, 1), (0, 1)]
    assert check.verdict == "correct"
    nowhere = check_gradients(lambda p: np.abs(p["w"]).sum(), {"w": np.zeros(2)}, {"w": np.zeros(2)})
    assert nowhere.verdict == "unknown"


def test_a_kink_close_by_is_left_out_or_stepped_between():
    for distance in (1e-3, 1e-5, 1e-7, 1e-9):
        check = check_gradients(lambda p, d=distance: np.maximum(p["w"] - 1 + d, 0).sum(), {"w": np.ones(1)}, {"w": np.ones(1)})
        assert check.verdict == ("correct" if check.rows[0].checked else "unknown")


def test_curvature_at_a_minimum_is_no_kink():
    check = check_gradients(lambda p: float(np.cosh(p["w"]).sum() + (p["w"] ** 3).sum()), {"w": np.zeros(3)}, {"w": np.zeros(3)})
    assert check.verdict == "correct" and check.rows[0].left_out == 0


def test_dead_layers_have_nothing_to_compare():
    loss, parameters, gradients = program("relu")
    parameters["b1"] -= 1e3
    none = {name: np.zeros_like(array) for name, array in gradients.items()}
    rows = {row.tensor: row for row in check_gradients(loss, parameters, none).rows}
    assert rows["dW1"].relative_error == rows["db1"].relative_error == 0
    assert rows["dW1"].ratio is None and rows["dW1"].cosine is None


def test_scalars_and_odd_shapes():
    def loss(p):
        assert isinstance(p["c"], float) and p["s"].shape == ()
        return 3 * p["c"] ** 2 + float(p["s"]) ** 3 + (p["t"] ** 2).sum()

    t = np.arange(8.0).reshape(2, 1, 4)
    check = check_gradients(loss, {"c": 2, "s": np.array(1.5), "t": t}, {"c": 12.0, "s": 3 * 1.5**2, "t": 2 * t})
    assert check.verdict == "correct" and [row.checked for row in check.rows] == [1, 1, 8]


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_size_of_the_loss_does_not_matter(scale):
    loss, parameters, gradients = program()
    scaled = {name: scale * array for name, array in gradients.items()}
    assert check_gradients(lambda p: scale * loss(p), parameters, scaled).verdict == "correct"
    scaled["W1"] = 2 * scaled["W1"]
    assert check_gradients(lambda p: scale * loss(p), parameters, scaled).verdict == "faulty"


def test_float32_losses_are_noisy_not_wrong():
    loss, parameters, gradients = program()
    for hand_on in (np.float32, lambda value: float(np.float32(value))):
        assert check_gradients(lambda p, hand_on=hand_on: hand_on(loss(p)), parameters, gradients).verdict == "correct"
        wrong = {**gradients, "W1": M * gradients["W1"]}
        assert check_gradients(lambda p, hand_on=hand_on: hand_on(loss(p)), parameters, wrong).verdict == "faulty"


def test_only_so_many_coordinates_are_looked_at_and_large_ones_first():
    loss, parameters, gradients = program(sizes=(40, 30, 2))
    assert max(row.checked + row.left_out for row in check_gradients(loss, parameters, gradients, samples=20).rows) == 20
    gradients["W1"][7, 9] += 50.0
    assert "dW1" in check_gradients(loss, parameters, gradients, samples=20).pattern


def test_names_with_d_and_the_callers_arrays_stay_as_they_are():
    loss, parameters, gradients = program()
    before = {name: array.copy() for name, array in parameters.items()}
    assert check_gradients(loss, parameters, {f"d{name}": array for name, array in gradients.items()}).verdict == "correct"
    assert all(np.array_equal(parameters[name], before[name]) for name in parameters)


def test_the_table_in_text_and_as_plain_values():
    check = check_gradients(*broken(W1=M, b1=0))
    text = str(check)
    assert "relative error" in text and "dW1" in text and "12" in text
    row = check.to_dict()["table"][0]
    assert row["tensor"] == "dW1" and row["ratio"] == pytest.approx(12) and row["checked"] == 24


def _changing(p):
    p["w"] += 1
    return 1.0


W = {"w": np.ones(3)}
REFUSED = {
    "no function": ((3, W, W), "loss must be a function"),
    "no dict": ((np.sum, [1], W), "parameters must be a dict"),
    "empty": ((np.sum, {}, {}), "parameters must be a dict"),
    "numbered": ((np.sum, {1: 2}, W), "parameters must be a dict"),
    "missing": ((lambda p: 1.0, {**W, "v": 1.0}, W), "v is missing"),
    "surplus": ((lambda p: 1.0, W, {**W, "v": 1.0}), "v belongs to none"),
    "shape": ((lambda p: 1.0, W, {"w": np.ones((3, 1))}), "must have the shape (3,) in w"),
    "text": ((lambda p: 1.0, {"w": "abc"}, W), "real numbers in w"),
    "complex": ((lambda p: 1.0, {"w": np.ones(3) * 1j}, W), "real numbers in w"),
    "objects": ((lambda p: 1.0, {"w": [None]}, W), "real numbers in w"),
    "ragged": ((lambda p: 1.0, {"w": [[1], [1, 2]]}, W), "real numbers in w"),
    "nothing": ((lambda p: 1.0, {"w": np.ones(0)}, {"w": np.ones(0)}), "must hold numbers in w"),
    "nan": ((lambda p: 1.0, {"w": np.array([1, np.nan, 2])}, W), "finite numbers in w"),
    "infinite gradient": ((lambda p: 1.0, W, {"w": np.array([1, np.inf, 2])}), "gradients must hold finite"),
    "loss of arrays": ((lambda p: p["w"], W, W), "one finite number"),
    "loss of text": ((lambda p: "high", W, W), "one finite number"),
    "loss is nan": ((lambda p: np.nan, W, W), "one finite number"),
    "loss fails": ((lambda p: p["v"], W, W), "failed with KeyError"),
    "loss is random": ((lambda p: np.random.default_rng().normal(), W, W), "the same value"),
    "loss changes them": ((_changing, W, W), "leave the parameters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    arguments, words = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        check_gradients(*arguments)
    assert words in str(caught.value)
