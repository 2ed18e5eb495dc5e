"""A network as an ONNX model: one Gemm for each layer, and its activation. Normalization over batches is part of the Gemm, since outside
training it is a fixed scale and shift; dropout does nothing there.

Only operators of the standard set are used, and of these what ONNX Runtime has kernels for: in float64 it lacks some activations, which
are then written out. The onnx library is imported where it is used: few runs need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.nn.activations import ACTIVATIONS
from core.nn.normalization import EPSILON

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.data.dataset import Dataset

OPSET, IR_VERSION = 20, 9  # ONNX 1.15 (2023), the first with Gelu


def make(config: RunConfig, dataset: Dataset, parameters: dict[str, np.ndarray], steps: int) -> bytes:
    """The model's bytes: `inputs` (samples, columns) to `outputs` (samples, units), in the run's own precision."""
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT if config.dtype == "float32" else TensorProto.DOUBLE
    nodes, last = [], len(config.layers)
    for layer, entry in enumerate(config.layers, 1):
        below = f"activation_{layer - 1}" if layer > 1 else "inputs"
        sums = f"sums_{layer}" if entry.normalization == "layer" else f"pre_activation_{layer}"
        nodes.append(helper.make_node("Gemm", [below, f"W{layer}", f"b{layer}"], [sums]))
        if entry.normalization == "layer":
            scaled = [sums, f"scale{layer}", f"shift{layer}"]
            nodes.append(helper.make_node("LayerNormalization", scaled, [f"pre_activation_{layer}"], axis=1, epsilon=EPSILON))
        nodes += _activation(entry.activation, layer, "outputs" if layer == last else f"activation_{layer}", config.dtype)
    parameters = _folded(config, parameters)
    used = {name for node in nodes for name in node.input}
    numbers = {
        name: np.array(value, config.dtype)
        for activation in dict.fromkeys(layer.activation for layer in config.layers)
        for name, value in _numbers(activation).items()
        if name in used
    }
    graph = helper.make_graph(
        nodes,
        "descent",
        [helper.make_tensor_value_info("inputs", kind, ["samples", dataset.inputs])],
        [helper.make_tensor_value_info("outputs", kind, ["samples", config.layers[-1].units])],
        [numpy_helper.from_array(values, name) for name, values in (parameters | numbers).items()],
    )
    model = helper.make_model(graph, producer_name="descent", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString()


def _folded(config, parameters):
    """The parameters, without normalization over batches: it is in weights and biases."""
    folded = dict(parameters)
    for layer, entry in enumerate(config.layers, 1):
        if entry.normalization == "batch":
            scale, shift, mean, variance = (folded.pop(f"{name}{layer}") for name in ("scale", "shift", "mean", "variance"))
            factor = scale / np.sqrt(variance + scale.dtype.type(EPSILON))
            folded[f"b{layer}"] = (folded[f"b{layer}"] - mean) * factor + shift
            folded[f"W{layer}"] = folded[f"W{layer}"] * factor
    return folded


def _activation(name, layer, output, dtype):
    """The operators of one layer's activation, their tensors named after the layer."""
    from onnx import parser

    code = ACTIVATIONS[name].code
    names = {"x": f"pre_activation_{layer}", "y": output} | {number: f"{name}_{number}" for number in code.onnx_numbers}
    for line in code.onnx_float64 if dtype == "float64" and code.onnx_float64 else code.onnx:
        node = parser.parse_node(line)
        node.input[:] = [names.get(used, f"{used}_{layer}") for used in node.input]
        node.output[:] = [names.get(made, f"{made}_{layer}") for made in node.output]
        yield node


def _numbers(name):
    """The numbers that an activation's operators use, by their tensors' names."""
    return {f"{name}_{number}": value for number, value in ACTIVATIONS[name].code.onnx_numbers.items()}
