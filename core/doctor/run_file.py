"""RUN.npz: what a person's own code has at one step, read without trusting any of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from core.data.npz_archive import NUMBERS, TEXT, Archive
from core.limits import LIMITS, ConfigError, listed, shown
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES, suited_output

MEMBERS = 8 * LIMITS["layers"]  # arrays that are listed at all: six a layer and seven others are wanted
LARGEST = 1e100  # sums of squares of larger numbers leave float64

LAYERED = re.compile(r"(dW|db|W|b)([1-9]\d?)(_next)?")
SINGLE = ("X", "Y", "activations", "loss")
OPTIONAL = ("learning_rate", "loss_value", "l2")


@dataclass(frozen=True)
class RunFile:
    """The arrays as they are in the file, in their own orientation and type; those of all layers in lists, layer 1 first.

    `next_weights`, `next_biases` and the numbers may be None.
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


def read(raw):
    """The RunFile in the bytes of an NPZ. Raises ConfigError(array or "file", message)."""
    if raw[:2] != b"PK":
        what = (
            "a Python pickle, which is never opened" if raw[:1] == b"\x80" else "a single array" if raw[:6] == b"\x93NUMPY" else "not one"
        )
        raise ConfigError("file", f"must be an NPZ as np.savez writes it; this is {what}")
    with Archive(raw, "file", "the arrays of one step", MEMBERS) as archive:
        archive.check_packing()
        names = _checked_names(archive.names)
        headers = {name: archive.header(name, TEXT if name in ("activations", "loss") else NUMBERS) for name in names}
        cells, most = sum(header.cells for header in headers.values()), LIMITS["file_cells"]
        if cells > most:
            raise ConfigError("file", f"must hold at most {most:,} numbers in all; holds {cells:,}")
        arrays = {name: archive.array(name, header) for name, header in headers.items()}
    return _run(arrays)


def _checked_names(names):
    """The names of all arrays, once it is sure that nothing is missing and nothing surplus."""
    if len(set(names)) < len(names):
        raise ConfigError("file", "must hold each array once; some are there twice")
    surplus = [name for name in names if name not in (*SINGLE, *OPTIONAL) and not LAYERED.fullmatch(name)]
    if surplus:
        raise ConfigError("file", f"must hold X, Y, W1, b1, dW1, db1, ... and what belongs to them alone; also holds {listed(surplus)}")
    layers = max((int(found[2]) for name in names if (found := LAYERED.fullmatch(name))), default=0)
    if not 1 <= layers <= LIMITS["layers"]:
        raise ConfigError("file", f"must hold 1 to {LIMITS['layers']} layers of weights; holds {layers}")
    wanted = [*SINGLE, *(f"{kind}{layer}" for layer in range(1, layers + 1) for kind in ("W", "b", "dW", "db"))]
    if any(name.endswith("_next") for name in names):
        wanted += ["learning_rate", *(f"{kind}{layer}_next" for layer in range(1, layers + 1) for kind in ("W", "b"))]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ConfigError(missing[0], f"must be in the file; {listed(missing)} missing")
    return names


def _run(arrays):
    """The RunFile of these arrays, each checked by itself; whether they fit together is asked later."""
    for name, array in arrays.items():
        if array.dtype.kind in NUMBERS:
            _check_numbers(name, array)
    layers = range(1, sum(name.startswith("W") and not name.endswith("_next") for name in arrays) + 1)

    def of(kind, suffix=""):
        return [arrays[f"{kind}{layer}{suffix}"] for layer in layers] if f"{kind}1{suffix}" in arrays else None

    activations = _activations(arrays["activations"], len(layers))
    run = RunFile(
        X=arrays["X"],
        Y=arrays["Y"],
        weights=of("W"),
        biases=of("b"),
        weight_gradients=of("dW"),
        bias_gradients=of("db"),
        activations=activations,
        loss=_loss(arrays["loss"], activations[-1]),
        next_weights=of("W", "_next"),
        next_biases=of("b", "_next"),
        **{name: _number(name, arrays[name]) for name in OPTIONAL if name in arrays},
    )
    for name in ("learning_rate", "l2"):
        value = getattr(run, name)
        if value is not None and (value < 0 or (value == 0 and name == "learning_rate")):
            raise ConfigError(name, f"must be {'above' if name == 'learning_rate' else 'at least'} 0; was {value:g}")
    return run


def _check_numbers(name, array):
    if not array.size:
        raise ConfigError(name, f"must hold numbers; its shape is {array.shape}")
    if array.ndim > 2:
        raise ConfigError(name, f"must have at most two axes; its shape is {array.shape}")
    if LAYERED.fullmatch(name) and "W" in name and array.ndim != 2:
        raise ConfigError(name, f"must be a matrix; its shape is {array.shape}")
    if not np.isfinite(array).all():
        broken = np.count_nonzero(~np.isfinite(array))
        raise ConfigError(name, f"must hold finite numbers, as an earlier step may have; {broken:,} are NaN or infinite")
    if np.abs(array.astype(float)).max() > LARGEST:
        raise ConfigError(name, f"must hold numbers of at most {LARGEST:g}; some are larger")


def _number(name, array):
    if array.size != 1:
        raise ConfigError(name, f"must be one number; its shape is {array.shape}")
    return float(array.reshape(-1)[0])


def _texts(name, array):
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.size > LIMITS["layers"]:
        raise ConfigError(name, f"must hold one text for each layer; holds {array.size:,}")
    return [str(text).strip().lower().replace("-", "_").replace(" ", "_") for text in array.reshape(-1)]


def _known(entries, name):
    """The name here of what people call otherwise elsewhere."""
    return next((known for known, entry in entries.items() if name in entry.aliases), name)


def _activations(array, layers):
    names = [_known(ACTIVATIONS, name) for name in _texts("activations", array)]
    if len(names) != layers:
        raise ConfigError("activations", f"must hold one text for each of the {layers} layers; holds {len(names)}")
    for layer, name in enumerate(names, 1):
        if name not in ACTIVATIONS:
            raise ConfigError("activations", f"must be one of {', '.join(ACTIVATIONS)} for layer {layer}; was {shown(name)}")
    return tuple(names)


def _loss(array, output):
    names = _texts("loss", array)
    if len(names) != 1:
        raise ConfigError("loss", f"must be one text; holds {len(names)}")
    name = _known(LOSSES, names[0])
    if name in ("cross_entropy", "crossentropy"):
        name = suited_output("classification", exclusive=ACTIVATIONS[output].shares)[1]
    if name not in LOSSES:
        raise ConfigError("loss", f"must be one of {', '.join(LOSSES)}; was {shown(name)}")
    return name
