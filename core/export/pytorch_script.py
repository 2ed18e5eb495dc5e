"""A run as a PyTorch script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.export import pieces
from core.export.pieces import Run
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    import numpy as np

    from core.config import RunConfig
    from core.data.dataset import Dataset

VARIANCE = "its running variance is that of m - 1 samples, Descent's of m"
MASKS = "other outputs than in Descent are left out"
EVALUATE = "evaluate(model, {}, {})"


def make(config: RunConfig, dataset: Dataset, parameters: dict[str, np.ndarray], steps: int) -> bytes:
    """The script's bytes. It begins with the first weights, whatever `parameters` are now."""
    run = Run(config, dataset, steps)
    return pieces.script(
        run,
        "A run of Descent in PyTorch.",
        "descent_run_pytorch.py",
        ("import copy\n\n" if config.stop else "") + "import numpy as np\nimport torch\nfrom torch import nn",
        *_classes(run),
        _network(run),
        _loss(run),
        _penalty(run),
        pieces.sample_weights(run, "torch.tensor"),
        pieces.schedule(run),
        pieces.batches(run),
        _main(run),
    )


def _classes(run):
    """Modules that PyTorch does not have."""
    codes = (ACTIVATIONS[layer.activation].code for layer in run.config.layers)
    return dict.fromkeys(code.pytorch_class for code in codes)


def _network(run):
    lines = []
    for layer, entry in enumerate(run.config.layers, 1):
        inputs, units = run.sizes[layer - 1 : layer + 1]
        ends_here = layer == run.last and run.fused("pytorch")
        note = f"  # the {entry.activation} is part of the loss" if ends_here else ""
        bias = "" if entry.bias else ", bias=False"
        kind = f"dtype=torch.{run.config.dtype}"
        lines.append(f"        nn.Linear({inputs}, {units}{bias}, {kind}),{note}")
        if entry.normalization == "batch":
            lines.append(f"        nn.BatchNorm1d({units}, SMALLEST_VARIANCE, STATISTICS_SHARE, {kind}),  # {VARIANCE}")
        elif entry.normalization == "layer":
            lines.append(f"        nn.LayerNorm({units}, SMALLEST_VARIANCE, {kind}),")
        if (module := ACTIVATIONS[entry.activation].code.pytorch) and not ends_here:
            lines.append(f"        {module},")
        if entry.dropout:
            lines.append(f"        nn.Dropout(DROPOUT[{layer}]),  # {MASKS}")
    biases = '            layer.bias.copy_(torch.from_numpy(p[f"b{number}"]))\n'
    if not all(entry.bias for entry in run.config.layers):
        biases = "            if layer.bias is not None:\n    " + biases
    if not any(entry.bias for entry in run.config.layers):
        biases = ""
    return f'''
def network():
    """The network with Descent's first weights; PyTorch keeps them as (units, inputs)."""
    model = nn.Sequential(
{chr(10).join(lines)}
    )
    p = first_parameters()
    layers = [module for module in model if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for number, layer in enumerate(layers, start=1):
            layer.weight.copy_(torch.from_numpy(p[f"W{{number}}"].T))
{biases}    return model
'''


def _loss(run):
    penalty = " + penalty(model)" if run.penalized else ""
    fused = run.fused("pytorch")
    of = "z" if fused else "a"
    evaluating = ("    model.eval()\n", "    model.train()\n    return value\n") if run.trains_differently else ("", "")
    return f'''
def loss({of}, y):
    """{pieces.plain(run.config.loss).capitalize()}, the mean over samples."""
    {(fused or LOSSES[run.config.loss].code).pytorch}


@torch.no_grad()
def evaluate(model, X, y):
    """The loss on these samples{", penalty included" if penalty else ""}."""
{evaluating[0]}    {"value =" if run.trains_differently else "return"} (loss(model(X), y){penalty}).item()
{evaluating[1]}'''


def _penalty(run):
    if not run.penalized:
        return ""
    l1, l2 = run.config.penalty.l1, run.config.penalty.l2
    cost = " + ".join(["L1 * w.abs().sum()"] * bool(l1) + ["L2 * (w**2).sum()"] * bool(l2))
    return f'''
def penalty(model):
    """What large weights cost; biases are free."""
    weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
    return sum({cost} for w in weights)
'''


def _main(run):
    code = OPTIMIZERS[run.config.optimizer.name].code
    X, y = ("X", "y") if run.batches > 1 else ("X_train", "y_train")
    remark = code.scheduled_remark if run.scheduled and code.scheduled_remark else code.remark
    remark = f"    # {remark}\n" if remark else ""
    seed = "    torch.manual_seed(SEED)\n" if run.dropping else ""
    penalty = " + penalty(model)" if run.penalized else ""
    clip = "        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)\n" if run.config.clip_norm else ""
    rate = '        optimizer.param_groups[0]["lr"] = learning_rate(step)\n' if run.scheduled else ""
    return f"""
def main():
    {run.data_names} = map(torch.from_numpy, data())
{seed}    model = network()
{remark}    optimizer = {code.pytorch}
{pieces.report(run, EVALUATE)}
    report(0)
{pieces.order(run)}{pieces.begin_stopping(run)}    for step in range(1, STEPS + 1):
{pieces.next_batch(run)}        optimizer.zero_grad()
{_backward(run, X, y, penalty)}{clip}{rate}        optimizer.step()
{pieces.stopping(run, EVALUATE, "copy.deepcopy(model.state_dict())", "model.load_state_dict(best)")}\
{pieces.printing(run)}"""


def _backward(run, X, y, penalty):
    """Lines that leave the gradient with the parameters."""
    if run.weights is None:
        return f"        (loss(model({X}), {y}){penalty}).backward()\n"
    return f"""        outputs = model({X})
        weights = sample_weights({y})
        outputs.register_hook(lambda gradient: gradient * weights)
        (loss(outputs, {y}){penalty}).backward()
"""
