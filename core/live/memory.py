"""What a run's process will take at the most: so that all of them together keep to the memory there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.data.sources import SOURCES
from core.diagnosis.forecast import BASIS_BYTES, ELEMENTS, FEWEST_PRODUCTS, PRODUCTS
from core.fit import memory_estimate, parameter_count, training_copies
from core.limits import LIMITS
from core.nn.optimizers import OPTIMIZERS
from core.training.recorder import BUDGET, MOST

if TYPE_CHECKING:
    from core.config import RunConfig

LIBRARY_BYTES = 176 << 20  # of scikit-learn, where it makes, prepares or scales the data
STATE_BYTES = 4096  # of a kept state, beside its arrays
PRODUCT, PRECONDITIONED = 7, 5  # arrays as large as all parameters that a Hessian-vector product needs, and more with a preconditioner
CURVATURE = 8  # arrays of a layer's elements that the Hessian is worked out from


def peak_bytes(config: RunConfig, inputs: int, rows: int) -> int:
    """Bytes that a run of this configuration takes, from above, whatever is done with it: that of memory_estimate, what its recorder
    keeps of a small network, a forecast, and a second Trainer to look back with."""
    width = 4 if config.dtype == "float32" else 8
    optimizer, vector = OPTIMIZERS[config.optimizer.name], width * parameter_count(config, inputs)
    recorded = min(BUDGET, MOST * ((1 + optimizer.slots) * vector + STATE_BYTES))
    elements = min(ELEMENTS, rows * (inputs + sum(layer.units for layer in config.layers)))
    products = PRODUCT + (PRECONDITIONED + optimizer.slots if optimizer.preconditioner else 0)
    ahead = max(FEWEST_PRODUCTS * vector, min(PRODUCTS * vector, BASIS_BYTES)) + products * vector + CURVATURE * width * elements
    library = LIBRARY_BYTES if SOURCES[config.data.source].by_library or config.data.scaling != "none" else 0
    return memory_estimate(config, inputs, rows) + library + recorded + ahead + training_copies(config) * vector


def expected_bytes(config: RunConfig) -> int:
    """`peak_bytes` of a configuration whose data is not loaded yet; of a file, whose width only the file knows, what a run may take."""
    source = SOURCES[config.data.source]
    if source.kind == "file":
        return LIMITS["memory_bytes"]
    return peak_bytes(config, source.inputs or len(config.data.features), config.data.samples)
