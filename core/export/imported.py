"""Weights from elsewhere: an NPZ or ONNX file of a multi-layer perceptron, to look at it in Descent or to train it on.

Nothing in a file is trusted: sizes are bounded before anything is allocated, nothing is unpickled, and whatever is wrong comes out as
one ConfigError.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.config import LayerConfig
from core.data.npz_archive import TEXT, Archive
from core.limits import LIMITS, ConfigError, listed, shown
from core.nn.activations import ACTIVATIONS

if TYPE_CHECKING:
    from core.config import RunConfig

FIELD = "weights"
MEMBERS = 256  # arrays that an NPZ may list: those of the largest network, and what else a program keeps with them
STATISTICS = ("scale", "shift", "mean", "variance")  # of a normalized layer
KINDS = {STATISTICS[:2]: "layer", STATISTICS: "batch"}  # which of them a normalization has
WANTED = "the arrays W1, b1, W2, b2 and so on"


@dataclass(frozen=True)
class Imported:
    """A network as a file has it. `weights` (inputs, units) and `biases` (units,), one of each for every layer, finite float64;
    `activations` their names, None where the file does not say; `normalized` what layers (from 1) have of normalization, a dict for each:
    "scale" and "shift", over batches also "mean" and "variance", (units,)."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    activations: tuple[str, ...] | None = None
    normalized: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """In the names and shapes of Trainer.parameters()."""
        layers = [{"W": w, "b": b, **self.normalized.get(layer, {})} for layer, (w, b) in enumerate(zip(self.weights, self.biases), 1)]
        return {f"{name}{layer}": values for layer, arrays in enumerate(layers, 1) for name, values in arrays.items()}

    def fitted(self, config: RunConfig, inputs: int) -> RunConfig:
        """`config` with the layers of this network, for data of `inputs` columns. Where the file says nothing of activations, they stay.

        Raises ConfigError when the network cannot be trained on these data.
        """
        if len(self.weights[0]) != inputs:
            raise ConfigError(FIELD, f"must begin with {inputs:,} inputs, as the data have; began with {len(self.weights[0]):,}")
        largest = max(np.abs(values).max() for values in self.parameters.values())
        if largest > np.finfo(config.dtype).max:
            raise ConfigError(FIELD, f"must fit into {config.dtype}; the largest is {largest:g}")
        names = self.activations or _as_before(config.layers, len(self.weights))
        kinds = ("none" if layer not in self.normalized else KINDS[tuple(self.normalized[layer])] for layer in range(1, len(names) + 1))
        layers = tuple(LayerConfig(len(b), name, normalization=kind) for b, name, kind in zip(self.biases, names, kinds))
        return dataclasses.replace(config, layers=layers)


def _as_before(layers, count):
    names = [layer.activation for layer in layers]
    return names if len(names) == count else [*[names[0] if len(names) > 1 else "tanh"] * (count - 1), names[-1]]


def read(raw: bytes) -> Imported:
    """The Imported in a file's bytes, which are an NPZ or an ONNX model. Raises ConfigError, and nothing else."""
    if len(raw) > LIMITS["file_bytes"]:
        raise ConfigError(FIELD, f"must be at most {LIMITS['file_bytes'] >> 20} MiB; was {len(raw) >> 20:,} MiB")
    try:
        if raw.startswith((b"PK\3\4", b"PK\5\6")):
            imported = _from_npz(raw)
        else:
            from core.export import onnx_file

            imported = Imported(*onnx_file.read(raw))
    except ConfigError:
        raise
    except Exception as error:  # parsers fed with hostile bytes raise what they like
        raise ConfigError(FIELD, f"must be a sound NPZ or ONNX file; reading it failed ({type(error).__name__})") from error
    _check(imported)
    return imported


def _from_npz(raw):
    with Archive(raw, FIELD, WANTED, MEMBERS) as archive:
        archive.check_packing()
        layers = sorted(int(name[1:]) for name in archive.names if re.fullmatch("W[1-9][0-9]?", name))
        if not layers or layers != list(range(1, len(layers) + 1)):
            raise ConfigError(FIELD, f"must be an NPZ with {WANTED}; holds {listed(archive.names) or 'nothing'}")
        names = [f"{kind}{layer}" for layer in layers for kind in "Wb"]
        parts = {layer: tuple(part for part in STATISTICS if f"{part}{layer}" in archive.names) for layer in layers}
        names += [f"{part}{layer}" for layer in layers for part in parts[layer]]
        if missing := [name for name in names if name not in archive.names]:
            raise ConfigError(FIELD, f"must be an NPZ with {WANTED}; lacks {listed(missing)}")
        headers = {name: archive.header(name) for name in names}
        check_count(sum(header.cells for header in headers.values()))
        arrays = {name: archive.array(name, headers[name]).astype(float) for name in names}
        activations = _activations(archive) if "activations" in archive.names else None
    weights, biases = _oriented([arrays[f"W{layer}"] for layer in layers], [arrays[f"b{layer}"].reshape(-1) for layer in layers])
    normalized = {layer: {part: arrays[f"{part}{layer}"].reshape(-1) for part in names} for layer, names in parts.items() if names}
    return Imported(weights, biases, activations, normalized)


def _activations(archive):
    names = archive.array("activations", archive.header("activations", TEXT)).astype(str).reshape(-1).tolist()
    if unknown := [name for name in names if name not in ACTIVATIONS]:
        raise ConfigError(FIELD, f"must have activations out of {', '.join(ACTIVATIONS)}; has {listed(unknown)}")
    return tuple(names)


def _oriented(weights, biases):
    """(weights, biases) with all weights as (inputs, units), in which way round they may lie in the file; shapes decide."""
    for turned in (weights, [w.T for w in weights]):
        if all(w.ndim == 2 and w.shape[1] == len(b) for w, b in zip(turned, biases)) and _chained(turned):
            return tuple(turned), tuple(biases)
    shapes = ", ".join(f"{w.shape} {b.shape}" for w, b in zip(weights, biases))
    raise ConfigError(FIELD, f"must have layers that fit each other, W (inputs, units) and b (units,); had {shapes[:200]}")


def _chained(weights):
    return all(below.shape[1] == above.shape[0] for below, above in itertools.pairwise(weights))


def check_count(parameters: int) -> None:
    """Refuse more parameters than a run may have, before they are read."""
    if parameters > LIMITS["parameters"]:
        raise ConfigError(FIELD, f"must be at most {LIMITS['parameters']:,} numbers in all; were {parameters:,}")


def _check(imported):
    layers = len(imported.weights)
    if not 1 <= layers <= LIMITS["layers"]:
        raise ConfigError(FIELD, f"must be of 1 to {LIMITS['layers']} layers; were of {layers}")
    if imported.activations is not None and len(imported.activations) != layers:
        raise ConfigError(FIELD, f"must have one activation a layer; {layers} layers had {len(imported.activations)}")
    for layer, arrays in imported.normalized.items():
        if tuple(arrays) not in KINDS:
            raise ConfigError(
                FIELD,
                f"must have scale and shift of a normalized layer, or these with mean and variance; layer {layer} has {listed(arrays)}",
            )
        units = len(imported.biases[layer - 1])
        if wrong := [name for name, values in arrays.items() if len(values) != units]:
            raise ConfigError(
                FIELD, f"must have one {wrong[0]} for each of the {units} units of layer {layer}; had {len(arrays[wrong[0]])}"
            )
        if "variance" in arrays and (least := arrays["variance"].min(initial=0)) < 0:
            raise ConfigError(FIELD, f"must have variances of 0 or more; in layer {layer} one was {least:g}")
    for name, values in imported.parameters.items():
        if 0 in values.shape:
            raise ConfigError(FIELD, f"must have units in every layer; {name} has the shape {shown(values.shape)}")
        if not np.isfinite(values).all():
            raise ConfigError(FIELD, f"must be finite; {name} has values that are not")
