"""A network as an ONNX model: one Gemm for each layer, and its activation.

Only operators of the standard set are used, and of these what ONNX Runtime has kernels for: in float64 it lacks some activations, which
are then written out. The onnx library is imported where it is used: few runs need it.
"""

from __future__ import annotations

import numpy as np

from core.nn.activations import LEAK, SELU_ALPHA, SELU_SCALE

OPSET, IR_VERSION = 20, 9  # ONNX 1.15 (2023), the first with Gelu

# name -> operators that make y of x, in ONNX' own notation
OPERATORS = {
    "linear": ["y = Identity(x)"],
    "sigmoid": ["y = Sigmoid(x)"],
    "tanh": ["y = Tanh(x)"],
    "relu": ["y = Relu(x)"],
    "leaky_relu": [f"y = LeakyRelu <alpha: float = {LEAK}> (x)"],
    "elu": ["y = Elu(x)"],
    "selu": ["y = Selu(x)"],
    "gelu": ['y = Gelu <approximate: string = "tanh"> (x)'],
    "silu": ["s = Sigmoid(x)", "y = Mul(x, s)"],
    "softplus": ["y = Softplus(x)"],
    "softmax": ["y = Softmax <axis: int = 1> (x)"],
}

# The same for those without a kernel in float64; a few numbers have names
WRITTEN_OUT = {
    "leaky_relu": ["t = Mul(x, leak)", "y = Max(x, t)"],
    "elu": ["n = Min(x, zero)", "e = Exp(n)", "m = Sub(e, one)", "p = Max(x, zero)", "y = Add(p, m)"],
    "selu": [
        "n = Min(x, zero)",
        "e = Exp(n)",
        "m = Sub(e, one)",
        "k = Mul(m, alpha)",
        "p = Max(x, zero)",
        "s = Add(p, k)",
        "y = Mul(s, scale)",
    ],
    "softplus": ["m = Abs(x)", "n = Neg(m)", "e = Exp(n)", "s = Add(e, one)", "k = Log(s)", "p = Max(x, zero)", "y = Add(p, k)"],
}
NUMBERS = {"zero": 0.0, "one": 1.0, "leak": LEAK, "alpha": SELU_ALPHA, "scale": SELU_SCALE}


def make(config, dataset, parameters, steps):
    """The model's bytes: `inputs` (samples, columns) to `outputs` (samples, units), in the run's own precision."""
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT if config.dtype == "float32" else TensorProto.DOUBLE
    nodes, last = [], len(config.layers)
    for layer, entry in enumerate(config.layers, 1):
        below = f"activation_{layer - 1}" if layer > 1 else "inputs"
        nodes.append(helper.make_node("Gemm", [below, f"W{layer}", f"b{layer}"], [f"pre_activation_{layer}"]))
        nodes += _activation(entry.activation, layer, "outputs" if layer == last else f"activation_{layer}", config.dtype)
    used = {name for node in nodes for name in node.input}
    numbers = {name: np.array(value, config.dtype) for name, value in NUMBERS.items() if name in used}
    graph = helper.make_graph(
        nodes,
        "descent",
        [helper.make_tensor_value_info("inputs", kind, ["samples", dataset.inputs])],
        [helper.make_tensor_value_info("outputs", kind, ["samples", config.layers[-1].units])],
        [numpy_helper.from_array(values, name) for name, values in (parameters | numbers).items()],
    )
    model = helper.make_model(graph, producer_name="descent", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString()


def _activation(name, layer, output, dtype):
    """The operators of one layer's activation, their tensors named after the layer."""
    from onnx import parser

    lines = WRITTEN_OUT.get(name, OPERATORS[name]) if dtype == "float64" else OPERATORS[name]
    names = {"x": f"pre_activation_{layer}", "y": output} | {number: number for number in NUMBERS}
    for line in lines:
        node = parser.parse_node(line)
        node.input[:] = [names.get(used, f"{used}_{layer}") for used in node.input]
        node.output[:] = [names.get(made, f"{made}_{layer}") for made in node.output]
        yield node
