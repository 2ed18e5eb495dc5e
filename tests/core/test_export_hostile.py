"""Files of weights that are no good, by accident or by intent: each is refused in one sentence, before it takes memory."""

import pickle
import resource
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from core.config import RunConfig
from core.export import exported
from core.export.imported import read
from core.limits import LIMITS, ConfigError
from core.training.trainer import Trainer
from tests.core.test_export_model import model, npz

ONE = {"W1": np.ones((2, 1)), "b1": np.ones(1)}


def changed(change):
    """The bytes of our own model after this was done to it."""
    own = onnx.load_from_string(exported("onnx", Trainer(RunConfig())))
    change(own)
    return own.SerializeToString()


def external(own):
    tensor = own.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def function(own):
    own.functions.append(helper.make_function("mine", "f", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], own.opset_import))


def foreign_domain(own):
    own.graph.node[0].domain = "com.evil"


def text(own):
    own.graph.initializer[0].CopyFrom(helper.make_tensor("W1", TensorProto.STRING, [2], [b"a", b"b"]))


def huge(own):
    own.graph.initializer[0].dims[:] = [1 << 31, 1 << 31]


def longer_than_it_is(own):
    own.graph.initializer[0].dims[:] = [2, 4000]


def negative(own):
    own.graph.initializer[0].dims[:] = [-1, 8]


def two_inputs(own):
    own.graph.input.append(helper.make_tensor_value_info("more", TensorProto.DOUBLE, ["n", 2]))


GEMMS = "h = Gemm(x, W1, b1) {} y = Gemm(a, W2, b2)"
HOSTILE = {
    "nothing": (b"", "neither"),
    "noise": (bytes(range(256)) * 40, "neither"),
    "zeros": (bytes(5000), "neither"),
    "text": (b"W1,b1\n1,2\n", "neither"),
    "pickle": (pickle.dumps({"W1": [1, 2]}), "neither"),
    "half a model": (exported("onnx", Trainer(RunConfig()))[:300], "neither"),
    "half an archive": (npz(**ONE)[:-40], "complete NPZ"),
    "objects": (npz(W1=np.array([{"a": 1}], object), b1=np.ones(1)), "plain numbers in W1"),
    "complex numbers": (npz(W1=np.ones((2, 1)) * 1j, b1=np.ones(1)), "plain numbers in W1"),
    "no weights": (npz(X=np.ones(3), y=np.ones(3)), "the arrays W1, b1"),
    "a layer left out": (npz(**ONE, W3=np.ones((1, 1)), b3=np.ones(1)), "the arrays W1, b1"),
    "no biases": (npz(W1=np.ones((2, 1))), "lacks 'b1'"),
    "layers that do not fit": (npz(**ONE, W2=np.ones((4, 1)), b2=np.ones(1)), "fit each other"),
    "a tensor": (npz(W1=np.ones((2, 1, 1)), b1=np.ones(1)), "fit each other"),
    "empty": (npz(W1=np.ones((0, 1)), b1=np.ones(1)), "units in every layer"),
    "not a number": (npz(W1=np.array([[1.0], [np.nan]]), b1=np.ones(1)), "finite; W1"),
    "infinite": (npz(W1=np.ones((2, 1)), b1=np.array([np.inf])), "finite; b1"),
    "an unknown activation": (npz(**ONE, activations=np.array(["<script>"])), "activations out of"),
    "too few activations": (npz(**ONE, W2=np.ones((1, 1)), b2=np.ones(1), activations=np.array(["tanh"])), "one activation a layer"),
    "too many layers": (
        npz(**{f"{kind}{n}": np.ones((1, 1)[: 1 + (kind == "W")]) for n in range(1, 34) for kind in "Wb"}),
        "1 to 32 layers",
    ),
    "another file": (changed(external), "lies in another file"),
    "functions": (changed(function), "functions"),
    "an operator of somebody's": (changed(foreign_domain), "'com.evil.Gemm'"),
    "text for numbers": (changed(text), "numbers"),
    "huge": (changed(huge), "at most 20,000,000 numbers"),
    "longer than it is": (changed(longer_than_it_is), "not as long as it says"),
    "negative sizes": (changed(negative), "'W1' has more"),
    "two inputs": (changed(two_inputs), "one input and one output"),
    "batch normalisation": (model(GEMMS.format("a = BatchNormalization(h, b1, b1, b1, b1)")), "operator 'BatchNormalization'"),
    "a loop": (model(GEMMS.format("a = If <then_branch = t () => (float[N, 3] q) {q = Identity(h)}> (h)")), "operator 'If'"),
    "recurrent": (model("y = MatMul(x, x)"), "no fixed matrix"),
    "a shortcut": (model(GEMMS.format("t = Tanh(h) a = Add(t, x)")), "after layer 1 there is Tanh, Add"),
    "a gate": (model("h = Gemm(x, W1, b1) k = Gemm(x, W1, b1) a = Mul(h, k) y = Gemm(a, W2, b2)"), "fit"),
    "exact gelu": (model(GEMMS.format("a = Gelu(h)")), "after layer 1 there is Gelu"),
    "another slope": (model(GEMMS.format("a = LeakyRelu<alpha = 0.2>(h)")), "LeakyRelu"),
    "whole numbers": (model(GEMMS.format("i = Cast<to = 7>(h) a = Cast<to = 1>(i)")), "after layer 1 there is Cast, Cast"),
    "scaled inputs": (model("h = Mul(x, x) y = Gemm(h, W1, b1)"), "before the first layer"),
    "no layers": (model("y = Relu(x)"), "activations out of"),
    "nothing at all": (model("y = Identity(x)"), "dense layers"),
    "a picture network": (model("y = Conv(x, W1)"), "operator 'Conv'"),
    "weights that do not fit": (model("h = Gemm(x, W1, b1) y = Gemm(h, T2)"), "fit each other"),
    "a wide bias": (model("h = Gemm(x, W1, W2) y = Gemm(h, W2, b2)"), "as many biases as units"),
    "nan in a model": (model("y = Gemm(x, W1, b1)", W1=np.full((2, 3), np.nan)), "finite; W1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_good_is_refused_in_one_sentence(name):
    raw, said = HOSTILE[name]
    with pytest.raises(ConfigError) as refused:
        read(raw)
    assert refused.value.field == "weights" and said in refused.value.message
    assert "\n" not in refused.value.message and len(refused.value.message) < 300


def fitted(raw, **config):
    return read(raw).fitted(RunConfig.from_dict({"data": {"source": "moons"}} | config), 2)


def test_weights_must_fit_the_data():
    with pytest.raises(ConfigError, match="weights: must begin with 2 inputs, as the data have; began with 3"):
        fitted(npz(W1=np.ones((3, 1)), b1=np.ones(1)))
    with pytest.raises(ConfigError, match="in the output layer; was 5"):
        fitted(npz(W1=np.ones((2, 5)), b1=np.ones(5)))
    with pytest.raises(ConfigError, match="weights: must fit into float32"):
        fitted(npz(W1=np.full((2, 1), 1e300), b1=np.ones(1)), dtype="float32")
    assert fitted(model(GEMMS.format("a = Softmax(h)"))).layers[0].activation == "softmax"


def test_more_than_a_run_may_have_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setitem(LIMITS, "parameters", 5)
    for raw in (npz(W1=np.ones((2, 4)), b1=np.ones(4)), model("y = Gemm(x, W1, b1)")):
        with pytest.raises(ConfigError, match="at most 5 numbers"):
            read(raw)
    monkeypatch.setitem(LIMITS, "file_bytes", 100)
    with pytest.raises(ConfigError, match="at most 0 MiB"):
        read(bytes(101))


BOMBS = {
    "nodes": lambda: b"\x0a\x00" * (8 << 20),  # empty operators
    "attributes": lambda: b"\x2a\x00" * (8 << 20),  # empty numbers
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_cannot_fill_the_memory(tmp_path, name):
    graph = BOMBS[name]()
    size, varint = len(graph), b""
    while size:
        varint, size = varint + bytes([size & 127 | (128 if size > 127 else 0)]), size >> 7
    path = tmp_path / "bomb.onnx"
    path.write_bytes(b"\x3a" + varint + graph)
    code = (
        "import sys\nfrom core.export.imported import read\nfrom core.limits import ConfigError\n"
        "try:\n    read(open(sys.argv[1], 'rb').read())\nexcept ConfigError as error:\n    print(error)"
    )
    limit = 1 << 30

    def bounded():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, preexec_fn=bounded)
    assert done.stdout.startswith("weights: must be"), done.stderr[-500:]


OWN = exported("onnx", Trainer(RunConfig()))


@given(st.data())
def test_damaged_models_are_refused_or_read_and_nothing_else(data):
    raw = bytearray(OWN)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        imported = read(bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    except ConfigError as error:
        assert error.field == "weights"
    else:
        assert all(np.isfinite(values).all() for values in imported.parameters.values())
