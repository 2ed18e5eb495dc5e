"""The run configuration: frozen dataclasses that cannot hold an invalid value.

Each field carries its own rule (choices, bounds, help text) in its metadata, so this one table drives validation, the
page's controls and the URL. `RunConfig.from_dict` takes the JSON shape of the contract; `RunConfig.to_dict` gives it back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Self

from core import faults
from core.data import drawn, formula
from core.data.sources import FEATURES, SCALINGS, SOURCES, SPLITS
from core.data.table import settings
from core.fit import check_fit
from core.limits import LIMITS, TEXT_LENGTH, ConfigError, legible, plain_text, shown
from core.nn.activations import ACTIVATIONS
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.losses import LOSSES, suited_output
from core.nn.normalization import NORMALIZATIONS
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES


def choice(default: str | None, options: Collection[str], help: str, *, optional: bool = False) -> Any:
    """A field that is one of the names in `options`, a table or a tuple, as it then is; None is allowed with `optional`."""
    return field(default=default, metadata={"kind": "choice", "options": options, "optional": optional, "help": help})


def flag(default: bool, help: str) -> Any:
    """A field that is True or False."""
    return field(default=default, metadata={"kind": "flag", "help": help})


def number(
    default: float | None, low: float, high: float, help: str, *, above: bool = False, optional: bool = False, unit: str = ""
) -> Any:
    """A finite number in [low, high], or in (low, high] with `above`; None is allowed with `optional`."""
    rule = {"kind": "number", "low": low, "high": high, "above": above, "optional": optional, "unit": unit, "help": help}
    return field(default=default, metadata=rule)


def whole(default: int | None, low: int, high: int, help: str, *, optional: bool = False, unit: str = "") -> Any:
    """A whole number in [low, high]; None is allowed with `optional`."""
    rule = {"kind": "whole", "low": low, "high": high, "above": False, "optional": optional, "unit": unit, "help": help}
    return field(default=default, metadata=rule)


def text(help: str) -> Any:
    """A plain text of at most TEXT_LENGTH characters, or None."""
    return field(default=None, metadata={"kind": "text", "help": help})


def names(default: tuple[str, ...], options: Collection[str], help: str) -> Any:
    """A tuple of distinct names out of `options`, at least one."""
    return field(default=default, metadata={"kind": "names", "options": options, "help": help})


def own(default: Any, check: Callable[[str, Any], Any], help: str, *, text: bool = False) -> Any:
    """A field of a shape of its own: `check(name, value)` gives what is kept, or raises ConfigError. A `text` is written in a link as it
    is, all else as JSON."""
    return field(default=default, metadata={"check": check, "help": help, "text": text})


def _checked_choice(name, value, rule):
    if value is None and rule.get("optional"):
        return None
    if not isinstance(value, str) or value not in rule["options"]:
        allowed = f"one of {', '.join(rule['options'])}" if len(rule["options"]) > 1 else "".join(rule["options"])
        raise ConfigError(name, f"must be {allowed}{' or null' if rule.get('optional') else ''}; was {shown(value)}")
    return value


def _checked_flag(name, value, rule):
    if not isinstance(value, bool):
        raise ConfigError(name, f"must be true or false; was {shown(value)}")
    return value


def _checked_number(name, value, rule):
    if value is None and rule["optional"]:
        return None
    kind = "a whole number" if rule["kind"] == "whole" else "a number"
    bounds = f"above {rule['low']:g} and at most {rule['high']:g}" if rule["above"] else f"from {rule['low']:g} to {rule['high']:g}"
    wanted = f"must be {kind} {bounds}{' or null' if rule['optional'] else ''}; was {shown(value)}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(name, wanted)
    if not rule["low"] <= value <= rule["high"] or (rule["above"] and value == rule["low"]):
        raise ConfigError(name, wanted)
    if rule["kind"] == "whole":
        if value != int(value):
            raise ConfigError(name, wanted)
        return int(value)
    return float(value)


def _checked_text(name, value, rule):
    return value if value is None else plain_text(name, value, TEXT_LENGTH)


def _checked_names(name, value, rule):
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(name, f"must be a list of at least one of {', '.join(rule['options'])}; was {shown(value)}")
    for entry in value:
        _checked_choice(name, entry, rule)
    if len(set(value)) < len(value):
        raise ConfigError(name, f"must name each entry once; was {shown(value)}")
    return tuple(value)


_CHECKS = {
    "choice": _checked_choice,
    "flag": _checked_flag,
    "number": _checked_number,
    "whole": _checked_number,
    "text": _checked_text,
    "names": _checked_names,
}


@dataclass(frozen=True)
class Checked:
    """Base of the configuration's dataclasses: every field is checked against its rule when the object is made."""

    def __post_init__(self):
        for spec in fields(self):
            rule = spec.metadata
            if "kind" in rule:
                value = _CHECKS[rule["kind"]](spec.name, getattr(self, spec.name), rule)
                object.__setattr__(self, spec.name, value)
            elif "check" in rule:
                object.__setattr__(self, spec.name, rule["check"](spec.name, getattr(self, spec.name)))

    @classmethod
    def from_dict(cls, values: Any, path: str = "") -> Self:
        """The object of this JSON shape; unknown fields and wrong values raise ConfigError with the field's path."""
        if not isinstance(values, dict):
            raise ConfigError(path or "configuration", f"must be an object; was {shown(values)}")
        known = {spec.name: spec for spec in fields(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(_join(path, name), f"is not a field here; the fields are {', '.join(known)}")
        arguments = {}
        for name, value in values.items():
            nested = known[name].metadata.get("nested")
            arguments[name] = nested(value, _join(path, name)) if nested else value
        try:
            return cls(**arguments)
        except ConfigError as error:
            raise ConfigError(_join(path, error.field), error.message) from None


def _join(path, name):
    name = legible(str(name)[:60])
    return f"{path}.{name}" if path and name else path or name


def part(cls: type[Checked]) -> Any:
    """A field that is itself one of these objects."""
    return field(default_factory=cls, metadata={"nested": cls.from_dict})


def optional_part(cls: type[Checked]) -> Any:
    """A field that is one of these objects or None."""
    nested = lambda values, path: None if values is None else cls.from_dict(values, path)  # noqa: E731
    return field(default=None, metadata={"nested": nested, "optional_part": cls})


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which samples, and how they are split and scaled. `samples` None means the source's own number."""

    source: str = choice("spiral", SOURCES, "Where the samples come from.")
    samples: int = whole(None, 1, LIMITS["samples"], "How many samples, training and test together.", optional=True)
    noise: float = number(0.1, 0.0, 5.0, "Deviation of each toy point's random displacement, in units of their axes (radius 5).")
    test_fraction: float = number(0.5, 0.0, 0.95, "Share of the samples held back for the test loss.")
    scaling: str = choice("none", SCALINGS, "How inputs are scaled, fitted on the training part.")
    target_scaling: str = choice("none", SCALINGS, "How regression targets are scaled, fitted on the training part; none for classes.")
    features: tuple[str, ...] = names(("x1", "x2"), FEATURES, "Which functions of the two coordinates the network is fed.")
    path: str | None = text("File of source 'file': a CSV with a header, or an NPZ with X and y.")
    task: str = choice("classification", ("classification", "regression"), "What the targets of a file or a formula are.")
    target: str | tuple[str, ...] | None = field(
        default=None, metadata={"help": "Target column, or columns, of a CSV file; the last column when left out."}
    )
    drop: tuple[str, ...] = own((), settings.column_names, "Columns of a file that are left out.")
    missing: str = choice("fill", ("fill", "drop"), "Missing values: filled (median, or a level of their own), or their rows left out.")
    test_path: str | None = text("A file of its own for the test part.")
    split: str = choice("stratified", SPLITS, "How the test part is chosen: an equal share of each class, at random, or the last rows.")
    header: bool | None = own(None, settings.header, "Whether the first row of a text names the columns; null finds out.")
    delimiter: str | None = own(None, settings.delimiter, "What separates the columns of a text; null finds out.")
    columns: tuple[tuple[str, settings.ColumnSetting], ...] = own(
        settings.Named(), settings.column_settings, "What columns of a file are, and what they are used for."
    )
    points: tuple[tuple[float, float, int], ...] | None = own(
        None, drawn.checked, "The points of source 'drawn', [x1, x2, class] each; null stands for an example."
    )
    formula: str = own(
        formula.USUAL, formula.checked, "Of source 'formula': class 1 where it is above 0, or the value of each point.", text=True
    )
    seed: int = whole(0, 0, 2**31 - 1, "Seed of the samples, their noise and their split.")

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.target, (list, tuple)):
            object.__setattr__(self, "target", tuple(self.target))
            if not self.target or not all(isinstance(name, str) for name in self.target):
                raise ConfigError("target", f"must be a column name or a list of them; was {shown(self.target)}")
            for name in self.target:
                plain_text("target", name, TEXT_LENGTH)
        else:
            _checked_text("target", self.target, {})
        if self.source == "file" and not self.path:
            raise ConfigError("path", "must name a file when the source is 'file'; was null")
        if self.samples is None:
            object.__setattr__(self, "samples", SOURCES[self.source].samples)


@dataclass(frozen=True)
class InitConfig(Checked):
    """How weights and biases begin."""

    weights: str = choice("glorot_uniform", WEIGHT_INITIALIZERS, "Distribution the first weights are drawn from.")
    scale: float = number(1.0, 0.0, 1e6, "Factor on the first weights; for the normal ones their standard deviation.")
    bias: str = choice("zeros", BIAS_INITIALIZERS, "How biases begin.")
    bias_scale: float = number(1.0, 0.0, 1e6, "Size of the first biases, unless they are zeros.")


@dataclass(frozen=True)
class LayerConfig(Checked):
    """One dense layer: weighted sums, normalization, activation, dropout. `init` None stands for the run's."""

    units: int = whole(8, 1, LIMITS["output_units"], "Units of this layer.")
    activation: str = choice("tanh", ACTIVATIONS, "What each unit does with its weighted sum.")
    dropout: float = number(0.0, 0.0, 0.95, "Share of the layer's outputs that each update leaves out, other ones each time.")
    normalization: str = choice("none", NORMALIZATIONS, "Weighted sums are brought to one size: over the batch, or over the layer's units.")
    bias: bool = flag(True, "Whether each unit has a bias.")
    init: InitConfig | None = optional_part(InitConfig)


@dataclass(frozen=True)
class ScheduleConfig(Checked):
    """How the learning rate changes with the step."""

    name: str = choice("constant", SCHEDULES, "How the learning rate changes as training goes on.")
    steps: int = whole(1000, 1, 100_000_000, "Length of the schedule.", unit="steps")
    factor: float = number(0.5, 0.0, 1.0, "The factor the schedule works with.")


@dataclass(frozen=True)
class OptimizerConfig(Checked):
    """The update rule. Hyperparameters that the named rule does not have are kept but not used."""

    name: str = choice("sgd", OPTIMIZERS, "The rule that turns gradients into updates.")
    learning_rate: float = number(0.03, 0.0, 1e6, "How far each update goes.", above=True)
    momentum: float = number(0.9, 0.0, 0.9999, "Share of the last update that is carried on.")
    rho: float = number(0.9, 0.0, 0.999999, "Memory of the squared gradients.")
    beta1: float = number(0.9, 0.0, 0.999999, "Memory of the gradients.")
    beta2: float = number(0.999, 0.0, 0.99999999, "Memory of the squared gradients.")
    epsilon: float = number(1e-8, 0.0, 1.0, "Keeps the division away from zero.", above=True)
    weight_decay: float = number(0.01, 0.0, 1e3, "Share of every parameter, times the learning rate, that each update takes away.")
    schedule: ScheduleConfig = part(ScheduleConfig)


@dataclass(frozen=True)
class PenaltyConfig(Checked):
    """What large weights cost: l1 * sum|w| + l2 * sum(w^2), biases free (Keras' form)."""

    l1: float = number(0.0, 0.0, 1e6, "Weight of the sum of absolute weights in the loss.")
    l2: float = number(0.0, 0.0, 1e6, "Weight of the sum of squared weights in the loss.")


@dataclass(frozen=True)
class StopConfig(Checked):
    """When a run stops by itself: the weights that were best until then are kept."""

    patience: int = whole(
        10, 1, 1_000_000, "Stop after so many epochs without a lower test loss (training loss without test data).", unit="epochs"
    )
    min_delta: float = number(0.0, 0.0, 1e9, "A loss counts as lower when it is lower by more than this.")


def _layers(values, path):
    if not isinstance(values, (list, tuple)):
        raise ConfigError(path, f"must be a list of layers; was {shown(values)}")
    if not 1 <= len(values) <= LIMITS["layers"]:
        raise ConfigError(path, f"must have 1 to {LIMITS['layers']} layers; had {len(values)}")
    return tuple(LayerConfig.from_dict(value, f"{path}[{index}]") for index, value in enumerate(values))


def _faults(values, path):
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise ConfigError(path, f"must be a list of fault names; was {shown(values)}")
    if values:
        faults.check_names(values)
    return tuple(values)


@dataclass(frozen=True)
class RunConfig(Checked):
    """One run, complete and valid. Two equal configurations give the same bits."""

    data: DataConfig = part(DataConfig)
    layers: tuple[LayerConfig, ...] = field(default=(LayerConfig(8, "tanh"), LayerConfig(1, "sigmoid")), metadata={"nested": _layers})
    init: InitConfig = part(InitConfig)
    loss: str = choice("binary_cross_entropy", LOSSES, "What training makes small.")
    optimizer: OptimizerConfig = part(OptimizerConfig)
    batch_size: int | None = whole(10, 1, LIMITS["samples"], "Samples per update; empty means all of them.", optional=True, unit="samples")
    penalty: PenaltyConfig = part(PenaltyConfig)
    clip_norm: float | None = number(
        None, 0.0, 1e9, "Longest gradient an update may use; empty means no clipping.", above=True, optional=True
    )
    shuffle: bool = flag(True, "Visit the batches in a new random order in each epoch; otherwise always in the same one.")
    class_weight: str | None = choice(
        None, ("balanced",), "Balanced: rare classes count for more, as much in all as the others.", optional=True
    )
    stop: StopConfig | None = optional_part(StopConfig)
    dtype: str = choice("float64", ("float32", "float64"), "Precision of every number in the network.")
    faults: tuple[str, ...] = field(default=(), metadata={"nested": _faults})
    seed: int = whole(0, 0, 2**31 - 1, "Seed of the first weights and of the order of the batches.")

    def __post_init__(self):
        super().__post_init__()
        for index, layer in enumerate(self.layers[:-1]):
            if layer.units > LIMITS["units"]:
                raise ConfigError(f"layers[{index}].units", f"must be at most {LIMITS['units']} in a hidden layer; was {layer.units}")
        if self.layers[-1].dropout:
            where = f"layers[{len(self.layers) - 1}].dropout"
            raise ConfigError(where, f"must be 0 in the output layer, whose outputs are the answer; was {self.layers[-1].dropout:g}")
        source = SOURCES[self.data.source]
        if source.outputs is not None:
            task = source.task or self.data.task
            check_fit(self, source.inputs or len(self.data.features), source.outputs_of(self.data), task)

    @classmethod
    def from_dict(cls, values: Any, path: str = "") -> Self:
        """The configuration of the contract's JSON shape. Missing layers and loss follow the data's task.

        Raises ConfigError(field, message) on anything unknown, out of bounds, or that does not fit together.
        """
        if isinstance(values, dict):
            values = dict(values)
            data = DataConfig.from_dict(values.get("data", {}), _join(path, "data"))
            output, loss = suggested_output(data)
            values.setdefault("layers", [{"units": 8, "activation": "tanh"}, dataclasses.asdict(output)])
            if "loss" not in values and "activation" in _last(values["layers"]):
                matched = [name for name, entry in LOSSES.items() if values["layers"][-1]["activation"] in entry.matches]
                loss = loss if loss in matched or not matched else matched[0]
            values.setdefault("loss", loss)
        return super().from_dict(values, path)

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of the contract, complete: `from_dict` of it is this configuration again."""
        return _plain(self)

    def patched(self, patch: dict[str, Any]) -> Self:
        """This configuration with a patch of its own shape applied: objects merge, everything else replaces."""
        return type(self).from_dict(merged(self.to_dict(), patch))


def _last(layers):
    entry = layers[-1] if isinstance(layers, (list, tuple)) and layers else None
    return entry if isinstance(entry, dict) else {}


def _plain(value) -> Any:
    if dataclasses.is_dataclass(value):
        return {spec.name: _plain(getattr(value, spec.name)) for spec in fields(value)}
    if isinstance(value, settings.Named):
        return {name: _plain(entry) for name, entry in value}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def merged(base: Any, patch: Any) -> Any:
    """`base` with `patch` laid over it: objects are merged key by key, all other values replaced."""
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """ "learning rate 0.1 -> 0.03" for each setting in which two configurations, as plain dicts, differ."""
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            yield from differences(old[name], value)
        elif value != old.get(name):
            yield f"{name.replace('_', ' ')} {_said(old.get(name))} \u2192 {_said(value)}"


def _said(value):
    return "none" if value is None else f"{value:g}" if isinstance(value, (int, float)) else str(value)


def suggested_output(data: DataConfig, outputs: int | None = None, task: str | None = None) -> tuple[LayerConfig, str]:
    """(LayerConfig, loss name) that suit the data's task: what the page offers first. `outputs` is needed for files."""
    source = SOURCES[data.source]
    task = task or source.task or data.task
    outputs = outputs or source.outputs_of(data) or (2 if task == "classification" else 1)
    activation, loss = suited_output(task, exclusive=outputs != 2)
    return LayerConfig(1 if task == "classification" and outputs == 2 else outputs, activation), loss  # pyright: ignore[reportArgumentType]
