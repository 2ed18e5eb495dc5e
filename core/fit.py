"""Whether a network fits its data and the memory there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import faults
from core.limits import LIMITS, ConfigError
from core.nn.formulas import Plan
from core.nn.network import vector_size
from core.nn.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from core.config import RunConfig

# Copies of a run's state: those that its recorder keeps of a large network with one more while it changes them, and those on the way into
# the store. Arrays as large as all parameters that pictures take: in float32 for maps of the plane, and for histograms
RECORDED, SAVED, DRAWN = 4, 5, 4


def check_fit(config: RunConfig, inputs: int, outputs: int, task: str, matrix: bool = False, rows: int | None = None) -> None:
    """Raise ConfigError unless the network fits data of `inputs` columns and `outputs` classes or target columns.

    `matrix` says that the targets are columns used as they are (an (m, k) array), not class labels; `rows` is how many rows
    were loaded, where that is known: a file mostly has fewer than `data.samples` allows.
    """
    units = config.layers[-1].units
    where = f"layers[{len(config.layers) - 1}].units"
    if task == "classification" and not matrix:
        allowed = {outputs, 1} if outputs == 2 else {outputs}
        if units not in allowed:
            wanted = "1 or 2 (the data has 2 classes)" if outputs == 2 else f"{outputs} (one per class)"
            raise ConfigError(where, f"must be {wanted} in the output layer; was {units}")
    elif units != outputs:
        raise ConfigError(where, f"must be {outputs} (one per target column) in the output layer; was {units}")
    if inputs > LIMITS["inputs"]:
        raise ConfigError("data", f"must have at most {LIMITS['inputs']:,} input columns; had {inputs:,}")
    if config.faults:
        faults.placed(config.faults, Plan.of(config, inputs))
    parameters = parameter_count(config, inputs)
    if parameters > LIMITS["parameters"]:
        raise ConfigError("layers", f"must have at most {LIMITS['parameters']:,} parameters in all; had {parameters:,}")
    needed = memory_estimate(config, inputs, rows or config.data.samples)
    if needed > LIMITS["run_bytes"]:
        limit = LIMITS["run_bytes"]
        raise ConfigError("data.samples", f"must keep the run under {limit >> 20:,} MiB of memory; would take about {needed >> 20:,} MiB")


def parameter_count(config: RunConfig, inputs: int) -> int:
    """All numbers of the network: weights, biases, and what normalization keeps."""
    return vector_size(config.layers, inputs)


def memory_estimate(config: RunConfig, inputs: int, rows: int) -> int:
    """Bytes that a run takes while it trains, is drawn and is saved, from above; what it takes to look ahead and back is not in it (see
    core.live.memory): where there is no memory for that, a run goes without. Measured by tests/core/test_memory.py."""
    width = 4 if config.dtype == "float32" else 8
    units = sum(layer.units for layer in config.layers)
    batch_size = faults.batch_size(config) if config.faults else config.batch_size
    batch = min(batch_size or rows, rows)
    several = any(layer.dropout or layer.normalization != "none" for layer in config.layers)
    buffers = 12 if config.faults else 10 if several else 4  # the plain step makes a new array for each formula
    data = rows * (inputs + config.layers[-1].units) * (8 + 2 * width)
    return data + width * (parameter_copies(config) * parameter_count(config, inputs) + buffers * batch * (units + inputs))


def parameter_copies(config: RunConfig) -> int:
    """How many arrays as large as all parameters a run holds at once while it trains, is drawn and is saved."""
    state = 1 + OPTIMIZERS[config.optimizer.name].slots  # what its optimizer moves, and keeps beside it
    return training_copies(config) + (RECORDED + SAVED) * state + DRAWN


def training_copies(config: RunConfig) -> int:
    """The same of a Trainer alone: what is moved with a copy to go back to, the gradient, an observed update, the best weights so far."""
    state = 1 + OPTIMIZERS[config.optimizer.name].slots
    return 2 * state + 6 + (config.stop is not None)
