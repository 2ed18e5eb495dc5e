"""How what is in the tables of this room is written elsewhere: the text that an export puts into a script or a model.

"" is nothing to write; None is not known, so that the formats which would need it refuse the run (core/export/__init__.py). Scripts hold
samples as rows: arrays are (samples, units). ONNX lines are in ONNX' own notation.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ActivationCode:
    """`numpy` and `slope` are bodies of functions, of `z` and of whatever the slope is computed `of`; with a pullback that is all of the
    delta, of "a, d". `pytorch` is a module, `keras` an argument; `onnx` are operators that make y of x, `onnx_float64` the same for an
    activation without a kernel in float64 in ONNX Runtime, of the named `onnx_numbers`. `pytorch_class` is the text of the module's class
    where PyTorch has none."""

    numpy: str | None = None
    slope: str = ""
    of: str = "a"
    pytorch: str | None = None
    pytorch_class: str = ""
    keras: str | None = None
    onnx: tuple[str, ...] | None = None
    onnx_float64: tuple[str, ...] | None = None
    onnx_numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LossCode:
    """The mean loss of outputs `a` and targets `y`: bodies of functions, but for a `keras` loss that is there under its own
    name. `gradient` is that by each output, in NumPy. Of a loss that takes the output's z: the same of `z`, and `gradient` is the
    expression for the output's delta, with {last} for its layer."""

    numpy: str | None = None
    gradient: str = ""
    pytorch: str | None = None
    keras: str | None = None


@dataclass(frozen=True)
class OptimizerCode:
    """`numpy` are the lines that update each weight matrix and bias vector `name`, with {rate} for the learning rate; `memory` the arrays
    that it keeps of each, and `before` the line that goes before all. `pytorch` and `keras` are calls of the optimizer ({} takes more
    arguments); `remark` is what PyTorch does otherwise, `scheduled_remark` where the learning rate changes."""

    numpy: tuple[str, ...] | None = None
    memory: tuple[str, ...] = ()
    before: str = ""
    pytorch: str | None = None
    keras: str | None = None
    remark: str = ""
    scheduled_remark: str = ""
