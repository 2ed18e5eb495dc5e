"""What people call the arrays of a step, the losses and the activations, by the names that are used here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.limits import LIMITS, ConfigError, listed, shown
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES, suited_output

if TYPE_CHECKING:
    import numpy as np

LAYERED = re.compile(r"(?P<kind>dw|db|w|b)_?(?P<layer>0|[1-9]\d?)(?P<after>_next)?(?P<second>_2)?")
CACHED = re.compile(r"[az]_?(0|[1-9]\d?)(_2)?")  # what a forward pass keeps: of these, the outputs are of use
SINGLE = {
    "X": ("x", "inputs"),
    "Y": ("y", "labels", "targets"),
    "activations": ("activations",),
    "loss": ("loss", "loss_name"),
    "outputs": ("outputs", "output", "y_hat", "yhat", "y_pred", "predictions"),
    "learning_rate": ("learning_rate", "lr", "eta"),
    "loss_value": ("loss_value", "cost"),
    "l2": ("l2", "reg", "weight_decay"),
}
SINGLES = {alias: name for name, aliases in SINGLE.items() for alias in aliases}
PER_STEP = ("X", "Y", "outputs", "loss_value")  # of which a second step has its own
# What the losses of libraries are called that take scores, and apply the output's activation themselves
OF_SCORES = ("cross_entropy", "crossentropy", "cross_entropy_loss", "bce_with_logits", "bce_with_logits_loss", "softmax_cross_entropy")
# A loss that is either cross-entropy: which, the output says
EITHER = ("cross_entropy", "crossentropy", "cross_entropy_loss", "negative_log_likelihood", "nll", "nll_loss", "logistic")


def renamed(names: list[str]) -> dict[str, str]:
    """{name in the file: name here}: W1, db2, W1_next, X, ...; those of a second step end in _2. Layers count from 1.

    Raises ConfigError where a name is not known, or two mean the same.
    """
    found, surplus = {}, []
    layers = [int(match["layer"]) for name in names if (match := LAYERED.fullmatch(name.lower()))]
    shift = 1 if 0 in layers else 0
    cached = {}
    for name in names:
        plain = name.lower()
        if match := LAYERED.fullmatch(plain):
            kind = match["kind"].replace("w", "W")
            found[name] = f"{kind}{int(match['layer']) + shift}{match['after'] or ''}{match['second'] or ''}"
        elif plain in SINGLES:
            found[name] = SINGLES[plain]
        elif plain.endswith("_2") and SINGLES.get(plain[:-2]) in PER_STEP:
            found[name] = f"{SINGLES[plain[:-2]]}_2"
        elif CACHED.fullmatch(plain):
            cached[plain] = name
        else:
            surplus.append(name)
    if surplus:
        raise ConfigError("file", f"must hold X, Y, W1, b1, dW1, db1, ... and what belongs to them alone; also holds {listed(surplus)}")
    if len(set(found.values())) < len(found):
        raise ConfigError("file", "must hold each array once; some are there twice")
    last = max(layers, default=-1) + shift
    for name in (f"a{last}", f"a_{last}"):
        if name in cached and "outputs" not in found.values():
            found[cached[name]] = "outputs"
    return found


def _plain(text):
    """A name as it is compared: in lower case, CamelCase taken apart, without the library in front."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", str(text).strip().rsplit(".", 1)[-1])
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def _known(entries, name):
    """The name here of what people call otherwise elsewhere; None if it is not known."""
    for known, entry in entries.items():
        names = {alias.replace("_", "") for alias in (known, *entry.aliases)}
        if name.replace("_", "") in names or name.replace("_", "").removesuffix("loss") in names:
            return known
    return None


def texts(name: str, array: np.ndarray) -> list[str]:
    """The texts of an array, not more than there may be layers. Raises ConfigError."""
    if array.size > LIMITS["layers"]:
        raise ConfigError(name, f"must hold one text for each layer; holds {array.size:,}")
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in array.reshape(-1).tolist()]


def named_activations(array: np.ndarray, layers: int) -> list[str | None]:
    """The activations by their names here. Raises ConfigError."""
    given = texts("activations", array)
    if len(given) != layers:
        raise ConfigError("activations", f"must hold one text for each of the {layers} layers; holds {len(given)}")
    names = [_known(ACTIVATIONS, _plain(text)) for text in given]
    for layer, (name, text) in enumerate(zip(names, given), 1):
        if name is None:
            raise ConfigError("activations", f"must be one of {', '.join(ACTIVATIONS)} for layer {layer}; was {shown(text)}")
    return names


def named_loss(array: np.ndarray, output: str) -> tuple[str, str]:
    """(the loss by its name here, the output activation that it comes with): libraries' losses of scores have one in them."""
    given = texts("loss", array)
    if len(given) != 1:
        raise ConfigError("loss", f"must be one text; holds {len(given)}")
    plain = _plain(given[0])
    if plain in EITHER:
        shares = ACTIVATIONS[output].shares or (output == "linear" and plain != "logistic")
        name = suited_output("classification", exclusive=shares)[1]
    else:
        name = _known(LOSSES, plain)
    if name is None:
        raise ConfigError("loss", f"must be one of {', '.join(LOSSES)}; was {shown(given[0])}")
    if output == "linear" and plain in OF_SCORES:
        output = suited_output("classification", exclusive=LOSSES[name].classes == "exclusive")[0]
    return name, output
