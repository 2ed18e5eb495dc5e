"""RUN.npz: what a person's own code has at one step, read without trusting any of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.data.npz_archive import NUMBERS, TEXT, Archive
from core.doctor.names import LAYERED, named_activations, named_loss, renamed
from core.limits import LIMITS, ConfigError, listed

MEMBERS = 16 * LIMITS["layers"]  # arrays that are listed at all: fourteen a layer with a second step, and few others are wanted
LARGEST = 1e100  # sums of squares of larger numbers leave float64
SMALLER = "one step on 200 rows is enough"

OPTIONAL = ("learning_rate", "loss_value", "l2")


@dataclass(frozen=True)
class RunFile:
    """The arrays as they are in the file, in their own orientation and type; those of all layers in lists, layer 1 first.

    In `biases` and `bias_gradients` a layer without biases has None. `next_weights`, `next_biases`, `outputs` and the numbers may be None;
    `loss_value` may be infinite or NaN. `second` is the step after this one. `from_update`: the gradients are not the file's, but what its
    update subtracted, divided by the learning rate.
    """

    X: np.ndarray
    Y: np.ndarray
    weights: list
    biases: list
    weight_gradients: list
    bias_gradients: list
    activations: tuple[str, ...]
    loss: str
    next_weights: list | None = None
    next_biases: list | None = None
    learning_rate: float | None = None
    loss_value: float | None = None
    l2: float | None = None
    outputs: np.ndarray | None = None
    second: RunFile | None = None
    from_update: bool = False


def read(raw: bytes) -> RunFile:
    """The RunFile in the bytes of an NPZ. Raises ConfigError(array or "file", message)."""
    if raw[:2] != b"PK":
        what = (
            "a Python pickle, which is never opened" if raw[:1] == b"\x80" else "a single array" if raw[:6] == b"\x93NUMPY" else "not one"
        )
        raise ConfigError("file", f"must be an NPZ as np.savez writes it; this is {what}")
    with Archive(raw, "file", "the arrays of one step", MEMBERS) as archive:
        archive.check_packing()
        if len(set(archive.names)) < len(archive.names):
            raise ConfigError("file", "must hold each array once; some are there twice")
        names = renamed(archive.names)
        headers = {name: _header(archive, name, TEXT if names[name] in ("activations", "loss") else NUMBERS) for name in names}
        cells, most = sum(header.cells for header in headers.values()), LIMITS["file_cells"]
        if cells > most:
            raise ConfigError("file", f"must hold at most {most:,} numbers in all; holds {cells:,}; {SMALLER}")
        arrays = {known: archive.array(name, headers[name]) for name, known in names.items()}
    return _run(arrays)


def _header(archive, name, kinds):
    try:
        return archive.header(name, kinds)
    except ConfigError as refusal:
        too_large = refusal.message.startswith("must have at most")
        raise ConfigError(refusal.field, f"{refusal.message}; {SMALLER}") if too_large else refusal from None


def _run(arrays):
    """The RunFile of these arrays, each checked by itself; whether they fit together is asked later. Raises ConfigError."""
    second = {name.removesuffix("_2"): array for name, array in arrays.items() if name.endswith("_2")}
    arrays = {name: array for name, array in arrays.items() if not name.endswith("_2")}
    layers = _layers(arrays)
    run = _step(arrays, layers)
    if not second:
        return run
    if _layers(second | {f"W{layers}": None}) > layers:
        raise ConfigError("file", f"must have as many layers in the second step as in the first, {layers}")
    return replace(run, second=_step(_after(run, arrays) | second, layers))


def _layers(arrays):
    layers = max((int(found["layer"]) for name in arrays if (found := LAYERED.fullmatch(name.lower()))), default=0)
    if not 1 <= layers <= LIMITS["layers"]:
        raise ConfigError("file", f"must hold 1 to {LIMITS['layers']} layers of weights; holds {layers}")
    return layers


def _after(run, arrays):
    """What a second step has of the first where it has nothing of its own: the parameters after its update, and the batch."""
    kept = {name: array for name, array in arrays.items() if name in ("X", "Y", "activations", "loss", "learning_rate", "l2")}
    rate = run.learning_rate
    for letter, now, gradients, after in (
        ("W", run.weights, run.weight_gradients, run.next_weights),
        ("b", run.biases, run.bias_gradients, run.next_biases),
    ):
        for layer, array in enumerate(now, 1):
            if after:
                array = after[layer - 1]
            elif rate is not None and array is not None and array.shape == gradients[layer - 1].shape:
                array = array - rate * real(gradients[layer - 1])
            if array is not None:
                kept[f"{letter}{layer}"] = array
    return kept


def _step(arrays, layers):
    """The RunFile of one step. Without gradients, they are what its update subtracted."""
    for name, array in arrays.items():
        if array.dtype.kind in NUMBERS and name not in OPTIONAL:
            _check_numbers(name, array)
    with_next = any(name.endswith("_next") for name in arrays)
    from_update = with_next and not any(name.startswith("d") for name in arrays)
    bare = [layer for layer in range(1, layers + 1) if f"b{layer}" not in arrays and f"db{layer}" not in arrays]
    wanted = ["X", "Y", "activations", "loss"]
    for layer in range(1, layers + 1):
        kinds = ["W"] if layer in bare else ["W", "b"]
        wanted += [f"{kind}{layer}" for kind in kinds]
        wanted += [] if from_update else [f"d{kind}{layer}" for kind in kinds]
    if with_next:
        wanted += ["learning_rate", *(f"{name}_next" for name in wanted if name[0] in "Wb")]
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise ConfigError(missing[0], f"must be in the file; {listed(missing)} missing")

    def of(kind, suffix="") -> Any:
        return [arrays.get(f"{kind}{layer}{suffix}") for layer in range(1, layers + 1)] if f"W1{suffix}" in arrays else None

    activations: list[Any] = named_activations(arrays["activations"], layers)
    loss, activations[-1] = named_loss(arrays["loss"], activations[-1])
    optional: dict[str, Any] = {name: _number(name, arrays[name]) for name in OPTIONAL if name in arrays}
    run = RunFile(
        X=_flat(arrays["X"]),
        Y=_flat(arrays["Y"]),
        weights=of("W"),
        biases=of("b"),
        weight_gradients=of("dW"),
        bias_gradients=of("db"),
        activations=tuple(activations),
        loss=loss,
        next_weights=of("W", "_next"),
        next_biases=of("b", "_next"),
        outputs=_flat(arrays["outputs"]) if "outputs" in arrays else None,
        **optional,
    )
    for name in ("learning_rate", "l2"):
        value = getattr(run, name)
        if (value is not None and not (value > 0 or (value == 0 and name == "l2"))) or value == np.inf:
            raise ConfigError(name, f"must be {'above' if name == 'learning_rate' else 'at least'} 0; was {value:g}")
    return _gradients_from_update(run) if from_update else run


def _gradients_from_update(run):
    """The run with what its update subtracted, divided by the learning rate, as its gradients."""
    made = {}
    for name, now, after in (("weight_gradients", run.weights, run.next_weights), ("bias_gradients", run.biases, run.next_biases)):
        pairs = list(zip(now, after))
        for layer, (array, later) in enumerate(pairs, 1):
            if array is not None and array.shape != later.shape:
                letter = "W" if name == "weight_gradients" else "b"
                raise ConfigError(f"{letter}{layer}_next", f"must have the shape of {letter}{layer}, {array.shape}; was {later.shape}")
        made[name] = [None if array is None else (real(array) - later) / run.learning_rate for array, later in pairs]
    return replace(run, **made, from_update=True)


def real(array: np.ndarray) -> np.ndarray:
    """The array, in float64 if it is one of integers."""
    return array if array.dtype.kind == "f" else array.astype(float)


def _flat(array):
    """Inputs or labels with at most two axes: a list of columns or rows is a table, a picture one row."""
    if array.ndim < 3:
        return array
    return array.reshape(array.shape[1:] if array.shape[0] == 1 and array.ndim == 3 else (len(array), -1))


def _check_numbers(name, array):
    if not array.size:
        raise ConfigError(name, f"must hold numbers; its shape is {array.shape}")
    if array.ndim > 2 and name not in ("X", "Y", "outputs"):
        raise ConfigError(name, f"must have at most two axes; its shape is {array.shape}")
    if not np.isfinite(array).all():
        broken = np.count_nonzero(~np.isfinite(array))
        raise ConfigError(name, f"must hold finite numbers, as an earlier step may have; {broken:,} are NaN or infinite")
    if np.abs(array.astype(float)).max() > LARGEST:
        raise ConfigError(name, f"must hold numbers of at most {LARGEST:g}; some are larger")


def _number(name, array):
    if array.size != 1:
        raise ConfigError(name, f"must be one number; its shape is {array.shape}")
    value = float(array.reshape(-1)[0])
    if name != "loss_value" and np.isnan(value):
        raise ConfigError(name, "must be a finite number; was NaN")
    return value
