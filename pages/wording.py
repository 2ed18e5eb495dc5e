"""How settings, names and numbers are written on the screen."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from core.data.sources import SOURCES
from core.link import flat
from core.nn.activations import ACTIVATIONS
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES

# Words that are not simply written in lower case; an entry of a table has its own
WORDS = {"minmax": "min-max", "l1": "L1", "l2": "L2", "r2": "R²", "nonfinite": "not finite", "float32": "32 bits", "float64": "64 bits"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TABLES = (ACTIVATIONS, LOSSES, OPTIMIZERS, WEIGHT_INITIALIZERS, BIAS_INITIALIZERS, SCHEDULES)

# Settings whose path does not say enough
LABELS = {
    "data.source": "Data source",
    "data.path": "Your file",
    "data.test_path": "The test file",
    "data.test_fraction": "Test share",
    "data.scaling": "Input scaling",
    "data.seed": "Data seed",
    "init.weights": "First weights",
    "init.scale": "Weight scale",
    "init.bias": "First biases",
    "optimizer.name": "Optimizer",
    "bias": "Biases",
    "optimizer.schedule.name": "Learning rate schedule",
    "optimizer.schedule.steps": "Schedule length",
    "optimizer.schedule.factor": "Schedule factor",
    "penalty.l1": "L1 penalty",
    "penalty.l2": "L2 penalty",
    "clip_norm": "Gradient clipping",
    "stop.patience": "Early stopping patience",
    "stop.min_delta": "Smallest gain",
    "shuffle": "Shuffle",
    "class_weight": "Class weights",
    "dtype": "Precision",
    "seed": "Weight seed",
}


def phrase(name):
    """A table's name as plain words: "leaky_relu" is "leaky ReLU"."""
    own = next((word for table in TABLES if name in table and (word := table[name].word)), None)
    return own or " ".join(WORDS.get(word, word) for word in name.split("_"))


def sentence(text):
    """With a capital first letter, the rest untouched."""
    return text[:1].upper() + text[1:]


def label(name):
    """What a setting is called: the dotted path in plain words."""
    layer = re.match(r"layers\[(\d+)\]", name)
    prefix = f"Layer {int(layer[1]) + 1}: " if layer else ""
    return prefix + (LABELS.get(name) or sentence(phrase(name.rpartition(".")[2])))


def changes(old, new):
    """What differs between two configurations: "learning rate 3 → 0.3, hidden layers sigmoid → tanh"."""
    before, after = flat(old), flat(new)
    said = [
        f"{_in_a_sentence(label(name))} {_said(before[name])} → {_said(value)}"
        for name, value in after.items()
        if value != before[name] and name != "layers"
    ]
    return ", ".join([*said, *_layer_changes(old.layers, new.layers)])


def settings(values):
    """What settings {dotted path: value} are: "learning rate 0.03, batch size 10"; where the data differ, they say it all: "Spiral"."""
    if "data.source" in values:
        return SOURCES[values["data.source"]].title
    plain = {name: value for name, value in values.items() if name != "layers"}
    layers = ["layers " + "-".join(str(layer["units"]) for layer in values["layers"])] if "layers" in values else []
    return ", ".join([*(f"{_in_a_sentence(label(name))} {_said(value)}" for name, value in plain.items()), *layers])


def _layer_changes(old, new):
    if [layer.units for layer in old] != [layer.units for layer in new]:
        yield f"units {', '.join(str(layer.units) for layer in old)} → {', '.join(str(layer.units) for layer in new)}"
    elif [layer.activation for layer in old[:-1]] != [layer.activation for layer in new[:-1]]:
        yield f"hidden layers {_activations(old[:-1])} → {_activations(new[:-1])}"
    options = [[replace(layer, units=1, activation="linear") for layer in layers] for layers in (old, new)]
    if len(old) == len(new) and options[0] != options[1]:
        numbers = [str(number) for number, (one, other) in enumerate(zip(*options), 1) if one != other]
        yield f"settings of layer {' and '.join(numbers)}"
    if old[-1].activation != new[-1].activation:
        yield f"output {phrase(old[-1].activation)} → {phrase(new[-1].activation)}"


def _activations(layers):
    return " and ".join(dict.fromkeys(phrase(layer.activation) for layer in layers))


def _in_a_sentence(text):
    return text if text[1:2].isdigit() else text[:1].lower() + text[1:]


def _said(value):
    if value is None or value == [] or value == {}:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(of_key)}" for key, of_key in value.items())
    if isinstance(value, list):
        return f"{len(value)}" if isinstance(value[0], list) else ", ".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return phrase(value) if isinstance(value, str) else f"{value:g}"


def complaint(error):
    """A ConfigError as a sentence, without its full stop."""
    return f"{label(error.field)} {error.message}" if error.field else sentence(error.message)


def literal(text):
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|<>$:~^-])", r"\\\1", text)


def option(value):
    """What one choice of a setting is called."""
    return SOURCES[value].title if value in SOURCES else sentence(phrase(value))


def feature(name):
    """A function of the coordinates as it is written by hand: "x1^2" is "x₁²"."""
    return re.sub("x([12])", lambda match: f"x{'₁₂'[int(match[1]) - 1]}", name).replace("^2", "²").replace("*", "")


def number(value, digits=4):
    """A measured value in few characters, in one style everywhere: 0.0312, 3,930, 5.73·10²¹; a dash for none."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if 1e-3 <= abs(value) < 100 or value == 0:
        text = f"{value:.{digits}f}"
    else:
        text = f"{value:,.0f}" if 100 <= abs(value) < 1e5 else f"{value:.{digits - 1}g}"
    return powers(text).replace("-", "−")


def measured(value):
    """A measured value beside its name, where nothing moves: a whole one without digits that say nothing."""
    return f"{value:,.0f}" if value is not None and float(value).is_integer() and abs(value) < 1e5 else number(value)


def powers(text):
    """Numbers such as 5.73e+21 in a text as charts write them, 5.73·10²¹; below 100,000 written out: 5,200."""
    return re.sub(r"\b([\d.]+)e\+?(-?)0*(\d+)\b", _power, text)


def _power(found):
    if 1 <= abs(value := float(found[0])) < 1e5:
        return f"{value:,.0f}"
    digits, *exponent = found.groups()
    return f"{digits}·10{''.join(exponent).translate(SUPERSCRIPTS)}"


def count(value):
    """A whole number, grouped: 12,400."""
    return f"{value:,.0f}"


def duration(seconds):
    """A time in few characters: 3.2 s, 2 min 5 s, 3 h 20 min; a dash for none."""
    if not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours:,} h {left} min" if hours else f"{minutes} min {rest} s"


def rate(value):
    """Steps a second in few characters: 41.2k."""
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"
