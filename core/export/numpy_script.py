"""A run as a script from scratch: NumPy alone, forward, backward and update written out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from core.export import layer_options, pieces
from core.export.pieces import Run
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.data.dataset import Dataset


def make(config: RunConfig, dataset: Dataset, parameters: dict[str, np.ndarray], steps: int) -> bytes:
    """The script's bytes. It begins with the first weights, whatever `parameters` are now."""
    run = Run(config, dataset, steps)
    return pieces.script(
        run,
        "A neural network from scratch, in NumPy: a run of Descent.",
        "descent_run.py",
        _imports(run),
        *_activations(run),
        *layer_options.functions(run),
        _forward(run),
        _loss(run),
        _penalty(run),
        pieces.sample_weights(run),
        _backward(run),
        _clip(run),
        pieces.schedule(run),
        _update(run),
        pieces.batches(run),
        _new_rows(run),
        _main(run),
    )


def _imports(run):
    dates = run.dataset.preparation is not None and run.dataset.preparation.parts
    return "from datetime import datetime\n\nimport numpy as np" if dates else "import numpy as np"


def _activations(run):
    names = [layer.activation for layer in run.config.layers]
    sloped = names[:-1] if run.fused("numpy") else names
    for name in dict.fromkeys(names):
        code = ACTIVATIONS[name].code
        if code.numpy:
            yield f"def {name}(z):\n    {code.numpy}"
            if name in sloped:
                yield f"def {name}_slope({code.of}):\n    {code.slope}"


def _forward(run):
    lines = []
    for layer, entry in enumerate(run.config.layers, 1):
        value = f"{entry.activation}(z[{layer}])" if ACTIVATIONS[entry.activation].code.numpy else f"z[{layer}]"
        bias = f' + p["b{layer}"]' if entry.bias else ""
        sums = f'{layer_options.put_out(run, layer - 1)} @ p["W{layer}"]{bias}'
        if entry.normalization == "none":
            lines.append(f"    z[{layer}] = {sums}  # (samples, {entry.units})")
        else:
            lines += [f"    sums = {sums}  # (samples, {entry.units})", *layer_options.normalizing(run, layer)]
        lines.append(f"    a[{layer}] = {value}")
        lines += layer_options.dropping(run, layer)
    return f'''
def forward({layer_options.forward_arguments(run)}):
    """Weighted sums z and activations a of every layer, for samples X (samples, {run.sizes[0]}){layer_options.about_forward(run)}."""
    z, a = {{}}, {{0: X}}
{layer_options.beginning(run)}{chr(10).join(lines)}
    return z, a{layer_options.keeps(run)}
'''


def _loss(run):
    fused, code = run.fused("numpy"), LOSSES[run.config.loss].code
    penalty = " + penalty(p)" if run.penalized else ""
    of, values = ("z", "z, _") if fused else ("a", "_, a")
    values += ", _" if layer_options.keeps(run) else ""
    running = layer_options.running(run)
    gradient = "" if fused else f'\n\n\ndef loss_gradient(a, y):\n    """d loss / d a, of each output."""\n    {code.gradient}'
    return f'''
def loss({of}, y):
    """{pieces.plain(run.config.loss).capitalize()}, the mean over samples{_from(run)}."""
    {(fused or code).numpy}{gradient}


def evaluate(p, {running}X, y):
    """The loss on these samples{", penalty included" if penalty else ""}."""
    {values} = forward(p, {running}X)
    return loss({of}[{run.last}], y){penalty}
'''


def _from(run):
    over = " and outputs" if run.sizes[-1] > 1 and LOSSES[run.config.loss].over_outputs == "mean" else ""
    return over + (f", from the {run.output}'s z: its logarithm cannot overflow" if run.fused("numpy") else "")


def _penalty(run):
    if not run.penalized:
        return ""
    l1, l2 = run.config.penalty.l1, run.config.penalty.l2
    cost = " + ".join(["L1 * np.abs(w).sum()"] * bool(l1) + ["L2 * (w**2).sum()"] * bool(l2))
    slope = " + ".join(["L1 * np.sign(p[name])"] * bool(l1) + ["2 * L2 * p[name]"] * bool(l2))
    return f'''
def penalty(p):
    """What large weights cost; biases are free."""
    weights = [w for name, w in p.items() if name.startswith("W")]
    return sum({cost} for w in weights)


def add_penalty(g, p):
    """Add its derivative to the gradient."""
    for name in g:
        if name.startswith("W"):
            g[name] += {slope}
'''


def _backward(run):
    return f'''
def backward({_backward_arguments(run)}):
    """The gradient: d loss / d W and d loss / d b of every layer. delta is d loss / d z, from the output back."""
    g = {{}}
{_backward_lines(run)}
    return g
'''


def _backward_lines(run):
    lines = [f"    delta = {_output_delta(run)}  # (samples, {run.sizes[-1]})"]
    for layer in range(run.last, 0, -1):
        if layer < run.last:
            lines.append(f"    delta = {_hidden_delta(run, layer)}  # (samples, {run.sizes[layer]})")
        lines += layer_options.normalizing_back(run, layer)
        inputs, units = run.sizes[layer - 1 : layer + 1]
        lines.append(f'    g["W{layer}"] = {layer_options.put_out(run, layer - 1)}.T @ delta  # ({inputs}, {units})')
        if run.config.layers[layer - 1].bias:
            lines.append(f'    g["b{layer}"] = delta.sum(axis=0)')
    return "\n".join(lines)


def _backward_arguments(run, y="y"):
    """What its lines use; `y` is what the targets are called."""
    lines = _backward_lines(run)
    return ", ".join([*(name for name in ("p", "z", "a", "c") if f" {name}[" in lines or f"({name}[" in lines), y])


def _output_delta(run):
    last = run.last
    weights = "" if run.weights is None else " * sample_weights(y)"
    if fused := run.fused("numpy"):
        return fused.gradient.format(last=last) + weights
    gradient, activation = f"loss_gradient(a[{last}], y){weights}", ACTIVATIONS[run.output]
    if not activation.code.numpy:
        return gradient
    if activation.pullback:
        return f"{run.output}_slope(a[{last}], {gradient})"
    return f"{gradient} * {run.output}_slope({activation.code.of}[{last}])"


def _hidden_delta(run, layer):
    name = run.config.layers[layer - 1].activation
    code = ACTIVATIONS[name].code
    back = f'delta @ p["W{layer + 1}"].T{layer_options.masked(run, layer)}'
    if ACTIVATIONS[name].pullback:
        return f"{name}_slope(a[{layer}], {back})"
    return f"({back}) * {name}_slope({code.of}[{layer}])" if code.numpy else back


def _clip(run):
    if not run.config.clip_norm:
        return ""
    return '''
def clip(g):
    """Shorten the whole gradient to CLIP_NORM if it is longer."""
    norm = sum(float((values**2).sum()) for values in g.values()) ** 0.5
    if norm > CLIP_NORM:
        for name in g:
            g[name] *= CLIP_NORM / norm
'''


def _update(run):
    code = OPTIMIZERS[run.config.optimizer.name].code
    rate = "rate" if run.scheduled else "LEARNING_RATE"
    lines = [f"        {line.format(rate=rate)}" for line in code.numpy]
    before = f"    {code.before}\n" if code.before else ""
    return f'''
def update({_update_arguments(run)}):
    """One update of all weights and biases by {pieces.plain(run.config.optimizer.name)}."""
{before}    for name in p:
{chr(10).join(lines)}
'''


def _update_arguments(run):
    code = OPTIMIZERS[run.config.optimizer.name].code
    return ", ".join(["p", "g", *code.memory, *["step"] * bool(code.before), *["rate"] * run.scheduled])


def _new_rows(run):
    """Of a file: how its columns become inputs, so that new rows can be given. Names and levels get into the text as literals, escaped."""
    if run.dataset.preparation is None:
        return ""
    recipe = run.dataset.preparation.recipe()
    numbers = "".join(
        f"    ({_literal(name)}, {part!r}, {fill!r}, {low!r}, {size!r}),\n" for name, part, fill, low, size in recipe["numbers"]
    )
    categories = "".join(
        f"    ({_literal(name)}, [{', '.join(map(_literal, levels))}], {other is not None}),\n"
        for name, levels, other in recipe["categories"]
    )
    parts = any(part for _, part, *_ in recipe["numbers"])
    targets = ", ".join(map(_literal, run.dataset.target_names))
    scaled = run.dataset.task == "regression"
    scale = run.dataset.target_offset, run.dataset.target_factor
    offset, factor = (np.broadcast_to(value, len(run.dataset.target_names)).tolist() for value in scale)
    return f'''
# Column, part of a date (or None), what fills a missing value, offset, factor: each becomes (value - offset) / factor
NUMBERS = [
{numbers}]
# Column, levels, whether all others share one more input: each level becomes an input, 0 or 1
CATEGORIES = [
{categories}]
TARGETS = [{targets}]  # {"target columns" if scaled else "classes"}
{f"TARGET_OFFSET, TARGET_FACTOR = {offset!r}, {factor!r}{chr(10)}" if scaled else ""}

def prepare(rows):
    """Inputs X (rows, {run.sizes[0]}) of new rows, each {{column: number or text}}, made as those that were trained on."""
    columns = []
    for name, part, fill, offset, factor in NUMBERS:
        values = [row.get(name) for row in rows]
{f"        if part:{chr(10)}            values = [date_part(value, part) for value in values]{chr(10)}" if parts else ""}\
        values = np.array([fill if value in (None, "") else float(value) for value in values])
        columns.append((values - offset) / factor)
    for name, levels, others in CATEGORIES:
        values = ["missing" if row.get(name) in (None, "") else str(row[name]) for row in rows]
        columns += [np.array([float(value == level) for value in values]) for level in levels]
        if others:
            columns.append(np.array([float(value not in levels) for value in values]))
    return np.column_stack(columns)

{_DATE_PART if parts else ""}
def predict(p, rows):
    """Outputs (rows, {run.sizes[-1]}) for new rows{", in the units of the targets" if scaled else ""}."""
    _, a = forward(p, prepare(rows))
    return a[{run.last}]{" * TARGET_FACTOR + TARGET_OFFSET" if scaled else ""}
'''


def _literal(text):
    """A text of a person's file as Python: as it is where it is a plain name, else as codes that nobody can take for code."""
    if re.fullmatch(r"[A-Za-z0-9_ .,%/+=<>-]{0,60}", text):
        return f'"{text}"'
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


_DATE_PART = '''
def date_part(value, part):
    """A part of a date like 2024-03-12 or 2024-03-12 14:30, as a number; None where there is none."""
    if value in (None, ""):
        return None
    date = datetime.fromisoformat(str(value))
    return date.weekday() if part == "weekday" else getattr(date, part)

'''


def _main(run):
    memory = OPTIMIZERS[run.config.optimizer.name].code.memory
    zeros = "".join(f"    {name} = {{key: np.zeros_like(values) for key, values in p.items()}}\n" for name in memory)
    X, y = ("X", "y") if run.batches > 1 else ("X_train", "y_train")
    arguments = _backward_arguments(run, y)
    named = arguments.split(", ")
    values = ", ".join(name if name in named else "_" for name in ("z", "a", "c")[: 3 if layer_options.keeps(run) else 2])
    evaluate = f"evaluate(p, {layer_options.running(run)}{{}}, {{}})"
    copy, restore = layer_options.best_weights(run)
    penalty = "        add_penalty(g, p)\n" if run.penalized else ""
    clip = "        clip(g)\n" if run.config.clip_norm else ""
    return f"""
def main():
    {run.data_names} = data()
    p = first_parameters()
{zeros}{layer_options.first_statistics(run)}{pieces.report(run, evaluate)}
    report(0)
{pieces.order(run)}{pieces.begin_stopping(run)}    for step in range(1, STEPS + 1):
{pieces.next_batch(run)}        {values} = forward(p, {layer_options.running(run)}{X}{", step" if run.trains_differently else ""})
        g = backward({arguments})
{penalty}{clip}        update({_update_arguments(run).replace("rate", "learning_rate(step)")})
{pieces.stopping(run, evaluate, copy, restore)}\
{pieces.printing(run)}"""
