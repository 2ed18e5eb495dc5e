"""Networks to take home and to open: ONNX models give what the network gives, and what was written is read again."""

import io
import itertools
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from core.config import RunConfig
from core.export import exported
from core.export.imported import read
from core.limits import ConfigError
from core.nn.activations import ACTIVATIONS
from core.nn.network import with_ones
from core.training.trainer import Trainer
from tests.core.exports import CASES, FLOAT32, LAYERED

ALL = CASES | FLOAT32


def trained(config, steps=20):
    return Trainer(RunConfig.from_dict(config)).run(steps)


def outputs(trainer, inputs):
    return trainer.network.forward(with_ones(inputs, trainer.network.dtype))[-1][1].T


def of(activation, dtype="float64", units=5):
    """A network with this activation in every layer; with large weights, so that it is used from end to end."""
    scale = 0.05 if activation == "exponential" else 1.0  # three of them, one upon another
    layers = [{"units": count, "activation": activation} for count in (units, units, 3)]
    return {"data": {"source": "blobs"}, "layers": layers, "dtype": dtype, "init": {"weights": "normal", "bias": "normal", "scale": scale}}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_model_gives_what_the_network_gives(activation, dtype):
    trainer = Trainer(RunConfig.from_dict(of(activation, dtype)))
    same_outputs(trainer, 1e-6 if dtype == "float64" else 3e-6)


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("mixed")][::4] + list(FLOAT32) + list(LAYERED))
def test_the_model_of_a_trained_network_gives_what_it_gives(name):
    same_outputs(trained((ALL | LAYERED)[name]), 1e-6)


def same_outputs(trainer, tolerance):
    raw = exported("onnx", trainer)
    onnx.checker.check_model(onnx.load_from_string(raw), full_check=True)
    session = ReferenceEvaluator(raw)
    for part in (trainer.dataset.train, trainer.dataset.test):
        if len(part):
            (ours,) = session.run(["outputs"], {"inputs": part.inputs.astype(trainer.config.dtype)})
            theirs = outputs(trainer, part.inputs)
            assert ours.dtype == theirs.dtype
            assert np.abs(ours - theirs).max() <= tolerance * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("format", ["onnx", "weights"])
@pytest.mark.parametrize("name", ALL)
def test_what_was_written_is_read_again(name, format):
    trainer = Trainer(RunConfig.from_dict(ALL[name]))
    imported = read(exported(format, trainer))
    assert imported.fitted(trainer.config, trainer.dataset.inputs) == trainer.config
    ours, theirs = imported.parameters, trainer.parameters()
    assert list(ours) == list(theirs) and all(np.array_equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", ["batch normalization", "layer normalization", "normalized output"])
def test_weights_of_normalized_layers_are_read_again(name):
    trainer = trained(LAYERED[name])
    imported = read(exported("weights", trainer))
    assert imported.fitted(trainer.config, trainer.dataset.inputs) == trainer.config
    again = Trainer(trainer.config)
    again.load_parameters(imported.parameters)
    assert np.array_equal(outputs(again, trainer.dataset.test.inputs), outputs(trainer, trainer.dataset.test.inputs))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"mean1": None},
            "scale and shift of a normalized layer, or these with mean and variance; layer 1 has 'scale', 'shift', 'variance'",
        ),
        ({"shift2": np.ones(3)}, "one shift for each of the 5 units of layer 2; had 3"),
        ({"variance1": np.full(5, -1.0)}, "variances of 0 or more; in layer 1 one was -1"),
        ({"scale1": np.full(5, np.nan)}, "finite; scale1 has values that are not"),
    ],
)
def test_what_is_wrong_with_a_normalization_is_said(change, complaint):
    layers = [{"units": 5, "activation": "tanh", "normalization": "batch"}] * 2 + [{"units": 1, "activation": "sigmoid"}]
    arrays = Trainer(RunConfig.from_dict({"layers": layers})).parameters() | change
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        read(npz(**{name: values for name, values in arrays.items() if values is not None}))


def test_weights_of_layers_without_biases_have_zeros_for_them():
    assert not read(exported("weights", Trainer(RunConfig.from_dict(LAYERED["no biases"])))).biases[0].any()


def test_weights_of_numpy_come_either_way_round_and_with_other_arrays():
    parameters = trained({}).parameters()
    for turned in (parameters, {key: values.T.reshape(len(values.T), -1) for key, values in parameters.items()}):
        imported = read(npz(**turned, learning_rate=np.array(0.1)))
        assert imported.activations is None
        assert all(np.array_equal(imported.parameters[key], parameters[key]) for key in parameters)


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_activations_stay_where_the_file_says_nothing():
    rng = np.random.default_rng(0)
    sizes = (2, 7, 6, 1)
    arrays = {}
    for layer, (inputs, units) in enumerate(itertools.pairwise(sizes), 1):
        arrays |= {f"W{layer}": rng.random((inputs, units)), f"b{layer}": rng.random(units)}
    raw = npz(**arrays)
    config = RunConfig.from_dict({"layers": [{"units": 3, "activation": "relu"}, {"units": 1, "activation": "sigmoid"}]})
    fitted = read(raw).fitted(config, 2)
    assert [(layer.units, layer.activation) for layer in fitted.layers] == [(7, "relu"), (6, "relu"), (1, "sigmoid")]
    same = RunConfig.from_dict(
        {"layers": [{"units": 3, "activation": name} for name in ("elu", "selu")] + [{"units": 1, "activation": "tanh"}]}
    )
    assert [layer.activation for layer in read(raw).fitted(same, 2).layers] == ["elu", "selu", "tanh"]


# How others write a network: W1 (2, 3), b1, W2 (3, 2), b2 are given, also turned as T1, T2
FOREIGN = {
    "pytorch": "h = Gemm<alpha = 1.0, beta = 1.0, transB = 1>(x, T1, b1) r = Relu(h) y = Gemm<transB = 1>(r, T2, b2)",
    "keras": "m = MatMul(x, W1) h = Add(m, b1) r = Relu(h) k = MatMul(r, W2) y = Add(k, b2)",
    "keras through pytorch": "m = MatMul(x, W1) c = Cast<to = 1>(m) h = Add(c, b1) d = Cast<to = 1>(h) r = Relu(d) k = MatMul(r, W2) "
    "b = Cast<to = 1>(b2) y = Add(k, b)",
    "bias first": "m = MatMul(x, W1) h = Add(b1, m) r = Relu(h) k = MatMul(r, W2) n = Identity(b2) y = Add(n, k)",
    "turned in the graph": "t = Transpose<perm = [1, 0]>(T1) m = MatMul(x, t) h = Add(m, b1) r = Relu(h) y = Gemm(r, W2, b2)",
    "with what changes nothing": "f = Flatten(x) h = Gemm(f, W1, b1) r = Relu(h) d = Dropout(r) y0 = Gemm(d, W2, b2) y = Identity(y0)",
    "relu as a maximum": "h = Gemm(x, W1, b1) z = Constant<value_float = 0.0>() r = Max(h, z) y = Gemm(r, W2, b2)",
}


def model(text, kind=TensorProto.FLOAT, **arrays):
    """The bytes of a model of these operators from x to y."""
    rng = np.random.default_rng(1)
    arrays = {"W1": rng.normal(size=(2, 3)), "b1": rng.normal(size=3), "W2": rng.normal(size=(3, 2)), "b2": rng.normal(size=2)} | arrays
    arrays |= {"T1": arrays["W1"].T.copy(), "T2": arrays["W2"].T.copy()}
    element = "float" if kind == TensorProto.FLOAT else "double"
    graph = parser.parse_graph(f"g ({element}[N, 2] x) => ({element}[N, 2] y) {{ {text} }}")
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    graph.initializer.extend(
        numpy_helper.from_array(values.astype(dtype), name) for name, values in arrays.items() if re.search(rf"\b{name}\b", text)
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()


@pytest.mark.parametrize("name", FOREIGN)
def test_models_of_other_programs_are_read(name):
    raw = model(FOREIGN[name])
    imported = read(raw)
    assert imported.activations == ("relu", "linear")
    trainer = Trainer(imported.fitted(RunConfig.from_dict({"data": {"source": "moons"}, "dtype": "float32"}), 2))
    trainer.load_parameters(imported.parameters)
    inputs = trainer.dataset.test.inputs
    (theirs,) = ReferenceEvaluator(raw).run(None, {"x": inputs.astype("float32")})
    assert np.allclose(outputs(trainer, inputs), theirs, rtol=1e-5, atol=1e-6)


def test_factors_of_a_gemm_are_taken_into_the_weights():
    first = read(model("h = Gemm(x, W1, b1) r = Tanh(h) y = Gemm(r, W2, b2)"))
    imported = read(model("h = Gemm<alpha = 2.0, beta = -1.0>(x, W1, b1) r = Tanh(h) y = Gemm(r, W2)"))
    assert np.allclose(imported.weights[0], 2 * first.weights[0]) and np.allclose(imported.biases[0], -first.biases[0])
    assert not imported.biases[1].any()


WRITTEN = {
    "sigmoid": "n = Neg(h) e = Exp(n) one = Constant<value_float = 1.0>() s = Add(e, one) a = Div(one, s)",
    "silu": "s = Sigmoid(h) a = Mul(s, h)",
    "gelu": "c = Constant<value_float = 0.044715>() k = Constant<value_float = 0.7978846>() three = Constant<value_float = 3.0>() "
    "half = Constant<value_float = 0.5>() one = Constant<value_float = 1.0>() p = Pow(h, three) q = Mul(p, c) r = Add(h, q) t = Mul(r, k) "
    "u = Tanh(t) v = Add(u, one) w = Mul(h, v) a = Mul(w, half)",
    "softplus": "e = Exp(h) one = Constant<value_float = 1.0>() s = Add(e, one) a = Log(s)",
    "leaky_relu": "s = Constant<value_float = 0.01>() m = Mul(h, s) a = Max(m, h)",
    "linear": "a = Identity(h)",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_an_activation_is_known_however_it_is_written(name):
    assert read(model(f"h = Gemm(x, W1, b1) {WRITTEN[name]} y = Gemm(a, W2, b2)")).activations == (name, "linear")
