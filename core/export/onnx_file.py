"""Reading a multi-layer perceptron out of an ONNX model, as PyTorch's and Keras' exporters write them, and our own.

Dense layers are read off the graph: Gemm, or MatMul with an Add. What lies between them is not matched against ways of writing it, of
which there are many, but worked out on some numbers and compared with the activations that Descent knows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.limits import LIMITS, ConfigError, shown
from core.nn.activations import ACTIVATIONS
from core.nn.formulas import value

FIELD = "weights"
STRUCTURE = 1 << 20  # bytes of a model that may be anything but numbers: parsed, they take up to a hundred times as much memory
FIELDS = 1 << 16  # entries of a model that are looked at

# Field numbers on the way to a tensor's numbers (float_data, raw_data, double_data) in onnx.proto: they are parsed to their own size
TENSOR = {4: None, 9: None, 10: None}
BULK = {7: {5: TENSOR, 1: {5: {5: TENSOR}}}}  # graph -> initializer, or node -> attribute -> tensor

# Operators that work number by number, or along a sample: what an activation may be written with
ELEMENTWISE = {
    "Abs", "Add", "Cast", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Flatten", "Gelu", "HardSigmoid", "Identity", "LeakyRelu",
    "Log", "Max", "Min", "Mul", "Neg", "Pow", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softmax", "Softplus", "Sqrt",
    "Sub", "Swish", "Tanh", "Where",
}  # fmt: skip
SEGMENT = 64  # operators between two layers at most
PROBE = np.linspace(-6, 6, 60).reshape(20, 3)  # (samples, units)
CLOSE = 1e-5  # float32 is as good as this here; GELU and its tanh form differ by 5e-4


def read(raw: bytes) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[str, ...]]:
    """(weights, biases, activations) of each layer: (inputs, units), (units,) and a name. Raises ConfigError."""
    import onnx
    from google.protobuf.message import DecodeError

    _check_structure(raw)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError as error:
        raise ConfigError(FIELD, "must be an NPZ or a complete ONNX file; this is neither") from error
    if not model.graph.node:
        raise ConfigError(FIELD, "must be an NPZ or a complete ONNX file; this is neither")
    return _Reader(model).read()


def _check_structure(raw):
    """Refuse what would take far more memory when parsed, from the bytes alone."""
    try:
        rest = len(raw) - sum(_bulk(memoryview(raw), 0, len(raw), BULK, [FIELDS]))
    except (IndexError, ValueError) as error:
        raise ConfigError(FIELD, "must be an NPZ or a complete ONNX file; this is neither") from error
    if rest > STRUCTURE:
        raise ConfigError(FIELD, f"must be the numbers of a network; {rest >> 20:,} MiB of this ONNX file are something else")


def _bulk(raw, at, end, inside, left):
    """Lengths of the fields that hold a tensor's numbers, in the protobuf message between `at` and `end`."""
    while at < end:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("too many fields")
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        if wire == 2:
            length, at = _varint(raw, at)
            if at + length > end:
                raise ValueError("cut short")
            if number in inside:
                deeper = inside[number]
                yield from [length] if deeper is None else _bulk(raw, at, at + length, deeper, left)
            at += length
        elif wire == 0:
            _, at = _varint(raw, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError("no such wire type")


def _varint(raw, at):
    number = shift = 0
    while True:
        byte = raw[at]
        number, shift, at = number | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return number, at
        if shift > 63:
            raise ValueError("no number is as long")


class _Reader:
    """Follows the graph from its input to its output."""

    def __init__(self, model):
        self._graph, self._opsets = model.graph, model.opset_import
        if model.functions or self._graph.sparse_initializer:
            raise ConfigError(FIELD, "must be an ONNX model of plain operators; this one has functions or sparse numbers of its own")
        self._count = 0
        self._constants = {tensor.name: self._array(tensor) for tensor in self._graph.initializer}
        inputs = [entry for entry in self._graph.input if entry.name not in self._constants]
        if len(inputs) != 1 or len(self._graph.output) != 1:
            raise ConfigError(FIELD, f"must be an ONNX model of one input and one output; has {len(inputs)} and {len(self._graph.output)}")
        self._kind = inputs[0].type.tensor_type.elem_type
        self._at, self._segment = inputs[0].name, []  # the last layer's output, and the operators since
        self._layers, self._activations = [], []  # [weights, biases or None]

    def read(self):
        for node in self._graph.node:
            self._take(node)
        self._close(self._graph.output[0].name)
        if not self._layers:
            raise ConfigError(FIELD, "must be an ONNX model with dense layers (Gemm, or MatMul with Add); there is none")
        biases = tuple(np.zeros(w.shape[1]) if b is None else b for w, b in self._layers)
        return tuple(w for w, _ in self._layers), biases, tuple(self._activations[1:])

    def _take(self, node):
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        fixed = [self._constants.get(name) for name in node.input]
        if kind == "Constant":
            self._constants[node.output[0]] = self._constant(node)
        elif kind in ("Identity", "Cast", "Transpose") and fixed[0] is not None:
            self._constants[node.output[0]] = fixed[0].T if kind == "Transpose" else fixed[0]
        elif not self._segment and list(node.input) == [self._at] and self._changes_nothing(node, kind):
            self._at = node.output[0]
        elif kind == "Gemm":
            self._gemm(node, fixed)
        elif kind == "MatMul":
            self._dense(node, self._matrix(node, fixed[1]), None)
        elif kind == "Add" and self._is_bias(node, fixed):
            self._layers[-1][1] = next(values for values in fixed if values is not None).reshape(-1).astype(float)
            self._at = node.output[0]
        elif kind in ELEMENTWISE and len(self._segment) < SEGMENT:
            self._segment.append(node)
        else:
            raise ConfigError(FIELD, f"must be an ONNX model of dense layers and activations; has the operator {shown(kind)}")

    def _gemm(self, node, fixed):
        import onnx

        settings = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        weights = self._matrix(node, fixed[1])
        weights = settings.get("alpha", 1.0) * (weights.T if settings.get("transB") else weights)
        if settings.get("transA") or (len(node.input) > 2 and node.input[2] and fixed[2] is None):
            raise ConfigError(FIELD, "must be an ONNX model of dense layers; a Gemm of it is something else")
        biases = None
        if len(fixed) > 2 and fixed[2] is not None:
            units = weights.shape[1]
            if fixed[2].size not in (1, units):
                raise ConfigError(FIELD, f"must have as many biases as units; {units:,} units have biases of shape {shown(fixed[2].shape)}")
            biases = settings.get("beta", 1.0) * np.broadcast_to(fixed[2].reshape(-1), (units,)).astype(float)
        self._dense(node, weights, biases)

    def _matrix(self, node, values):
        if values is None or values.ndim != 2 or self._constants.get(node.input[0]) is not None:
            raise ConfigError(FIELD, f"must be an ONNX model of dense layers; a {node.op_type} of it has no fixed matrix on its right")
        return values.astype(float)

    def _dense(self, node, weights, biases):
        if self._layers and self._layers[-1][0].shape[1] != weights.shape[0]:
            shapes = self._layers[-1][0].shape, weights.shape
            raise ConfigError(FIELD, f"must have layers that fit each other; {shapes[0]} is followed by {shapes[1]}")
        self._close(node.input[0])
        self._layers.append([weights, biases])
        self._at = node.output[0]

    def _changes_nothing(self, node, kind):
        """Whether an operator only gives its input another name; Keras writes Casts from float to float."""
        return kind == "Identity" or (kind == "Cast" and any(entry.name == "to" and entry.i == self._kind for entry in node.attribute))

    def _is_bias(self, node, fixed):
        """Whether an Add completes the MatMul just before it: one number for each unit."""
        values = next((given for given in fixed if given is not None), None)
        if values is None or self._segment or not self._layers or self._layers[-1][1] is not None or self._at not in node.input:
            return False
        return values.size == self._layers[-1][0].shape[1] == values.shape[-1]

    def _close(self, end):
        """What lies between the last layer and the tensor `end` must be an activation that there is; before the first, nothing."""
        name = self._recognized(end)
        if name is None or (not self._layers and name != "linear"):
            place = f"after layer {len(self._layers)}" if self._layers else "before the first layer"
            said = ", ".join(node.op_type for node in self._segment) or "an operator that is fed from elsewhere"
            raise ConfigError(FIELD, f"must have activations out of {', '.join(ACTIVATIONS)}; {place} there is {said}")
        self._activations.append(name)
        self._segment = []

    def _recognized(self, end):
        """The activation that the segment is; None when it is none."""
        if not self._segment:
            return "linear" if end == self._at else None
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        used = {name for node in self._segment for name in node.input if name in self._constants}
        if any(self._constants[name].size > 1 for name in used):
            return None
        kind = np.dtype(helper.tensor_dtype_to_np_dtype(self._kind))
        graph = helper.make_graph(
            self._segment,
            "segment",
            [helper.make_tensor_value_info(self._at, self._kind, PROBE.shape)],
            [helper.make_tensor_value_info(end, self._kind, PROBE.shape)],
        )
        model = helper.make_model(graph, opset_imports=self._opsets)
        feed = {self._at: PROBE.astype(kind)} | {name: self._constants[name] for name in used}
        graph.input.extend(helper.make_tensor_value_info(name, self._kind, self._constants[name].shape) for name in used)
        try:
            outputs: Any
            (outputs,) = ReferenceEvaluator(model).run(None, feed)
        except Exception:  # an operator wants something else, or is fed from elsewhere
            return None
        matching = [name for name, values in _known().items() if outputs.shape == values.shape and np.allclose(outputs, values, 0, CLOSE)]
        return next(iter(matching), None)

    def _constant(self, node):
        import onnx

        (entry,) = node.attribute
        if entry.name == "value":
            return self._array(entry.t)
        if entry.name in ("value_float", "value_floats", "value_int", "value_ints"):
            return np.array(onnx.helper.get_attribute_value(entry), "float32" if "float" in entry.name else "int64")
        raise ConfigError(FIELD, f"must be an ONNX model of plain numbers; a Constant has {shown(entry.name)}")

    def _array(self, tensor):
        """The numbers of a tensor, once it is sure that they may be read."""
        import onnx

        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ConfigError(FIELD, f"must be within the ONNX file itself; {shown(tensor.name)} lies in another file")
        self._count += math.prod(tensor.dims)
        if any(size < 0 for size in tensor.dims) or self._count > LIMITS["parameters"]:
            raise ConfigError(FIELD, f"must be at most {LIMITS['parameters']:,} numbers in all; {shown(tensor.name)} has more")
        try:
            values = onnx.numpy_helper.to_array(tensor)
        except Exception as error:
            raise ConfigError(FIELD, f"must be a complete ONNX file; {shown(tensor.name)} is not as long as it says") from error
        if values.dtype.kind not in "fiub":
            raise ConfigError(FIELD, f"must be plain numbers; {shown(tensor.name)} has the type {values.dtype}")
        return values


def _known():
    """What each activation makes of PROBE."""
    return {name: value(activation, PROBE.T.copy()).T for name, activation in ACTIVATIONS.items()}
