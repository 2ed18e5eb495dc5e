"""What the scripts have in common: sections of Python text, each a function of the run.

A script must read as if somebody had written it by hand for this one run, so a section only holds what the run uses, and the data come
last. Of a person's file numbers get into the text, and names only where they cannot be taken for code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.config import RunConfig
from core.data.dataset import Dataset, encoded_targets, signed_coding
from core.data.sources import SOURCES
from core.nn.initializers import BIAS_INITIALIZERS, WEIGHT_INITIALIZERS
from core.nn.losses import LOSSES
from core.nn.normalization import EPSILON, MOMENTUM
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES
from core.training.batches import ORDER_BLOCK
from core.training.class_weights import balanced_weights

if TYPE_CHECKING:
    from core.config import InitConfig
    from core.nn.code import LossCode

EMBEDDED = 8 << 20  # characters of data that a script may carry; an editor still opens it
WRITTEN_OUT = 200  # numbers of an array that are written as such
HEX_LINE = 128
DATA_FILE = "descent_data.npz"
LINES = 20  # about so many a script prints


@dataclass(frozen=True)
class Run:
    """What a script is about: `steps` updates of `config` on `dataset`."""

    config: RunConfig
    dataset: Dataset
    steps: int

    @property
    def sizes(self) -> list[int]:
        """Inputs, then the units of every layer."""
        return [self.dataset.inputs, *(layer.units for layer in self.config.layers)]

    @property
    def last(self) -> int:
        """The output layer, counted from 1."""
        return len(self.config.layers)

    @property
    def output(self) -> str:
        """The output's activation."""
        return self.config.layers[-1].activation

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        samples = len(self.dataset.train)
        return math.ceil(samples / min(self.config.batch_size or samples, samples))

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate changes."""
        return SCHEDULES[self.config.optimizer.schedule.name].factor is not None

    @property
    def penalized(self) -> bool:
        """Whether large weights cost."""
        return bool(self.config.penalty.l1 or self.config.penalty.l2)

    @property
    def weights(self) -> np.ndarray | None:
        """The weight of each class (classes,); None where all samples count alike."""
        if not (self.config.class_weight and self.dataset.labels):
            return None
        return balanced_weights(self.arrays()["y_train"])

    def layers_with(self, *normalizations: str) -> list[int]:
        """The layers, from 1, that are normalized in one of these ways."""
        return [number for number, layer in enumerate(self.config.layers, 1) if layer.normalization in normalizations]

    @property
    def dropping(self) -> dict[int, float]:
        """{layer, from 1: its rate} of those with dropout."""
        return {number: layer.dropout for number, layer in enumerate(self.config.layers, 1) if layer.dropout}

    @property
    def trains_differently(self) -> bool:
        """Whether the network is another one in training."""
        return bool(self.dropping or self.layers_with("batch"))

    def init(self, layer: int) -> InitConfig:
        """How a layer begins, counted from 1."""
        return self.config.layers[layer - 1].init or self.config.init

    @property
    def is_random(self) -> bool:
        """Whether first weights or biases are drawn."""
        return any(needs_generator(self.init(layer), entry.bias) for layer, entry in enumerate(self.config.layers, 1))

    def arrays(self) -> dict[str, np.ndarray]:
        """{"X_train": (samples, inputs), "y_train": (samples, outputs), ...} as the network is fed them; no test part, no such arrays."""
        arrays, output = {}, self.config.layers[-1]
        for name, part in (("train", self.dataset.train), ("test", self.dataset.test)):
            if len(part):
                targets = encoded_targets(self.dataset, part, output.units, output.activation, self.config.loss)
                arrays |= {f"X_{name}": part.inputs.astype(self.config.dtype), f"y_{name}": targets.astype(self.config.dtype)}
        return arrays

    @property
    def is_apart(self) -> bool:
        """Whether the data would be too long a text, so that they are read from DATA_FILE."""
        return sum(2 * _narrow(values).nbytes for values in self.arrays().values()) > EMBEDDED

    def fused(self, language: str) -> LossCode | None:
        """The LossCode that takes the output's z, if loss and output belong together and it is known in a language; else None."""
        entry = LOSSES[self.config.loss].fused.get(self.output)
        return entry.code if entry and getattr(entry.code, language) is not None else None

    @property
    def data_names(self) -> str:
        """The arrays' names as an assignment lists them."""
        return "X_train, y_train, X_test, y_test" if len(self.dataset.test) else "X_train, y_train"


def script(run: Run, how: str, command: str, imports: str, *sections: str) -> bytes:
    """The bytes of a whole script: `how` it is written, what `command` starts it, and what is its own between first weights and data.
    A section that is empty is left out."""
    first = _title(run, how, command), f"{imports}\n\n{_settings(run)}", _first_parameters(run)
    parts = *first, *sections, _data(run), 'if __name__ == "__main__":\n    main()'
    return ("\n\n\n".join(part.strip("\n") for part in parts if part) + "\n").encode()


def _title(run, how, command):
    """The docstring: what the script does and what the run is."""
    config, layers = run.config, run.config.layers
    source = SOURCES[config.data.source]
    name = "your own file" if source.kind == "file" else source.title.lower()
    features = f": {', '.join(config.data.features)}" if source.kind == "planar" else ""
    test = f" and {len(run.dataset.test):,} test" if len(run.dataset.test) else ""
    size = f"batches of {config.batch_size}" if run.batches > 1 else "all samples at once"
    units = ", ".join(f"{layer.units} {plain(layer.activation)}" for layer in layers)
    beside = f"\n\nIts data are too long for a text: it reads {DATA_FILE}, to be downloaded beside it." if run.is_apart else ""
    return f'''"""{how}

    python {command}{beside}

Data      {name}: {len(run.dataset.train):,} training{test} samples of {run.dataset.inputs:,} inputs{features}
Network   {run.dataset.inputs} inputs, {units}
Loss      {plain(config.loss)}
Updates   {run.steps:,} by {plain(config.optimizer.name)}, {size}
"""'''


def plain(name: str) -> str:
    """A registry's name as words."""
    return name.replace("_", " ")


def _settings(run):
    """The constants that the script uses."""
    config = run.config
    optimizer, schedule = config.optimizer, config.optimizer.schedule
    values = [("SIZES", run.sizes, "inputs, then the units of every layer"), ("STEPS", run.steps, "updates")]
    if run.batches > 1:
        values.append(("BATCH_SIZE", config.batch_size, ""))
    values.append(("LEARNING_RATE", optimizer.learning_rate, ""))
    if run.scheduled:
        values.append(("SCHEDULE_STEPS", schedule.steps, ""))
        values.append(("SCHEDULE_FACTOR", schedule.factor, ""))
    values += [(name.upper(), getattr(optimizer, name), "") for name in OPTIMIZERS[optimizer.name].hyperparameters]
    values += [(name.upper(), value, "") for name, value in (("l1", config.penalty.l1), ("l2", config.penalty.l2)) if value]
    if config.clip_norm:
        values.append(("CLIP_NORM", config.clip_norm, "longest gradient"))
    if config.stop:
        values.append(("PATIENCE", config.stop.patience, "epochs without a lower loss"))
        values.append(("MIN_DELTA", config.stop.min_delta, "a loss counts as lower by more than this"))
    if run.weights is not None:
        values.append(("CLASS_WEIGHTS", run.weights.tolist(), "rare classes count for more"))
    if run.dropping:
        values.append(("DROPOUT", run.dropping, "share of a layer's outputs that is left out in training"))
    if run.layers_with("batch", "layer"):
        values.append(("SMALLEST_VARIANCE", EPSILON, "keeps the division away from zero"))
    if run.layers_with("batch"):
        values.append(("STATISTICS_SHARE", MOMENTUM, "of the batch's in the running statistics"))
    if (run.batches > 1 and config.shuffle) or run.is_random or run.dropping:
        values.append(("SEED", config.seed, ""))
    return "\n".join(f"{name} = {value!r}" + (f"  # {note}" if note else "") for name, value, note in values)


def needs_generator(init: InitConfig, bias: bool = True) -> bool:
    """Whether first weights or biases are random."""
    return "rng" in WEIGHT_INITIALIZERS[init.weights].code + bias * BIAS_INITIALIZERS[init.bias].code  # pyright: ignore[reportOperatorIssue]


def _first_parameters(run):
    """The function that makes the first weights and biases, the very ones that Descent begins with."""
    alike = len({(run.init(layer), entry.bias) for layer, entry in enumerate(run.config.layers, 1)}) == 1
    drawn = dict.fromkeys(WEIGHT_INITIALIZERS[run.init(layer).weights].helper for layer in range(1, run.last + 1))
    scales = [f'    p["{name}{layer}"] = np.{kind}(SIZES[{layer}])\n' for layer in run.layers_with("batch", "layer")
              for name, kind in (("scale", "ones"), ("shift", "zeros"))]  # fmt: skip
    result = "p" if run.config.dtype == "float64" else "{name: values.astype(np.float32) for name, values in p.items()}"
    drawing = _drawn_alike(run) if alike else "".join(_drawn(run, layer) for layer in range(1, run.last + 1))
    return (
        "".join(drawn)
        + f'''
def first_parameters():
    """Weights W (inputs, units) and biases b (units,) of every layer, as they are before training."""
    p = {{}}
{drawing}{"".join(scales)}    return {result}
'''.lstrip("\n")
    )


def _drawn_alike(run):
    """Lines that draw all layers in the same way."""
    weights, biases, generator = _draws(run, 1)
    generator = "        rng = np.random.default_rng([SEED, layer])\n" if generator else ""
    biases = f'        p[f"b{{layer}}"] = {biases}\n' if biases else ""
    return f"""    for layer, (fan_in, fan_out) in enumerate(zip(SIZES[:-1], SIZES[1:]), start=1):
{generator}        p[f"W{{layer}}"] = {weights}
{biases}"""


def _drawn(run, layer):
    """Lines that draw one layer."""
    weights, biases, generator = _draws(run, layer)
    lines = [f"rng = np.random.default_rng([SEED, {layer}])"] if generator else []
    used = [name for name in ("fan_in", "fan_out") if name in f"{weights} {biases}"]
    sizes = {"fan_in": f"SIZES[{layer - 1}]", "fan_out": f"SIZES[{layer}]"}
    lines.append(f"{', '.join(used)} = {', '.join(sizes[name] for name in used)}")
    lines.append(f'p["W{layer}"] = {weights}')
    if biases:
        lines.append(f'p["b{layer}"] = {biases}')
    return "".join(f"    {line}\n" for line in lines)


def _draws(run, layer):
    """(expression for a layer's weights, for its biases or None, whether they are random)."""
    init, bias = run.init(layer), run.config.layers[layer - 1].bias
    weights = _scaled(WEIGHT_INITIALIZERS[init.weights].code, init.scale)
    biases = _scaled(BIAS_INITIALIZERS[init.bias].code, init.bias_scale) if bias else None
    return weights, biases, needs_generator(init, bias)


def _scaled(draw, scale):
    return draw if scale == 1 or draw.startswith("np.zeros") else f"{scale!r} * {draw}"


def schedule(run: Run) -> str:
    """The function that gives each update's learning rate; nothing when it is always the same."""
    if not run.scheduled:
        return ""
    entry = SCHEDULES[run.config.optimizer.schedule.name]
    share = f"\n    share = {entry.share}" if entry.share else ""
    return f'''
def learning_rate(step):
    """The rate of an update, counted from 1."""{share}
    return {entry.code}
'''


def batches(run: Run) -> str:
    """The function that picks each update's samples; nothing when every update uses all of them."""
    if run.batches == 1:
        return ""
    if not run.config.shuffle:
        return '''
def batches(samples):
    """Endless: the rows of the next batch, in order."""
    while True:
        for start in range(0, samples, BATCH_SIZE):
            yield slice(start, start + BATCH_SIZE)
'''
    return f'''
def batches(samples):
    """Endless: the rows of the next batch. The samples are cut once; each epoch visits the batches in a new order."""
    starts = np.arange(0, samples, BATCH_SIZE)
    epochs = max(1, {ORDER_BLOCK} // len(starts))  # their orders are drawn together
    block = 0
    while True:
        rng = np.random.default_rng([SEED, block])
        for start in rng.permuted(np.tile(starts, (epochs, 1)), axis=1).ravel():
            yield slice(start, start + BATCH_SIZE)
        block += 1
'''


def next_batch(run: Run, indent: int = 8) -> str:
    """Lines of the loop that take the next batch as X, y."""
    if run.batches == 1:
        return ""
    return "\n".join(" " * indent + line for line in ("rows = next(order)", "X, y = X_train[rows], y_train[rows]")) + "\n"


def order(run: Run) -> str:
    """The line before the loop that begins the order of the batches."""
    return "" if run.batches == 1 else "    order = batches(len(X_train))\n"


def printing(run: Run) -> str:
    """Lines at the loop's end that print the losses now and then, and last of all."""
    every = max(1, run.steps // LINES)
    if every == 1:
        return "        report(step)\n"
    last = " or step == STEPS" if run.steps % every else ""
    return f"        if step % {every} == 0{last}:\n            report(step)\n"


def sample_weights(run: Run, array: str = "np.array") -> str:
    """The function that gives each sample's weight in the gradient; nothing when all count alike. `array` makes one of numbers."""
    if run.weights is None:
        return ""
    of = "y.argmax(1)" if run.sizes[-1] > 1 else f"(y[:, 0] > {0.0 if signed_coding(run.output, run.config.loss) else 0.5}) * 1"
    return f'''
def sample_weights(y):
    """How much each sample counts, (samples, 1): each class as much in all as the others."""
    return {array}(CLASS_WEIGHTS)[{of}][:, None]
'''


def begin_stopping(run: Run) -> str:
    """The line before the loop that begins early stopping."""
    return '    lowest, waited, best = float("inf"), 0, None\n' if run.config.stop else ""


def stopping(run: Run, how: str, copy: str, restore: str) -> str:
    """Lines at the loop's end that stop it early; `how` is as in `report`, `copy` gives the weights, `restore` takes them back."""
    if not run.config.stop:
        return ""
    part = "test" if len(run.dataset.test) else "train"
    loss = how.format(f"X_{part}", f"y_{part}")
    at, into = ("", "        ") if run.batches == 1 else (f"        if step % {run.batches} == 0:  # an epoch has ended\n", "            ")
    lines = (
        f"watched = {loss}",
        "waited += 1",
        "if watched < lowest - MIN_DELTA:",
        f"    lowest, waited, best = watched, 0, {copy}",
        "if waited == PATIENCE:",
        f"    {restore}",
        "    report(step)",
        "    break",
    )
    return at + "".join(f"{into}{line}\n" for line in lines)


def report(run: Run, how: str) -> str:
    """The function within `main` that prints the losses; `how` is the expression for one, with X and y in braces."""
    test = f', f"test loss {{{how.format("X_test", "y_test")}:.9g}}"' if len(run.dataset.test) else ""
    return f'''
    def report(step):
        print(f"step {{step}}", f"training loss {{{how.format("X_train", "y_train")}:.9g}}"{test}, sep="  ")
'''


def _data(run):
    """The function `data` that gives the samples: carried in the text, or, when that would be too long, read from DATA_FILE."""
    about = '"""The samples as the network is fed them, a row each: features chosen, inputs and targets scaled."""'
    arrays = run.arrays()
    if run.is_apart:
        names = ", ".join(f'"{name}"' for name in arrays)
        return f'''
def data():
    {about}
    with np.load("{DATA_FILE}") as file:
        return tuple(file[name] for name in [{names}])
'''
    text = "".join(f"    {name} = {_literal(values)}\n" for name, values in arrays.items())
    numbers = NUMBERS if "numbers(" in text else ""
    return f"def data():\n    {about}\n{text}    return {run.data_names}\n" + numbers


NUMBERS = '''

def numbers(kind, shape, hexadecimal):
    """The array in these bytes."""
    return np.frombuffer(bytes.fromhex(hexadecimal), kind).reshape(shape)
'''


def _narrow(values):
    """The same numbers as bytes, where that loses nothing."""
    with np.errstate(invalid="ignore"):
        small = values.astype(np.int8)
    return small if np.array_equal(small, values) else values


def _literal(values):
    """Python text of a 2-D array."""
    kind = f"np.{values.dtype}"
    if values.size <= WRITTEN_OUT:
        rows = "".join(f"        [{', '.join(repr(float(value)) for value in row)}],\n" for row in values)
        return f"np.array([\n{rows}    ], {kind})"
    small = _narrow(values)
    written = small.astype(small.dtype.newbyteorder("<")).tobytes().hex()
    lines = "\n".join(written[start : start + HEX_LINE] for start in range(0, len(written), HEX_LINE))
    code = small.dtype.newbyteorder("<").str
    return f'numbers("{code}", {values.shape}, """\n{lines}\n""").astype({kind})'
