"""A run as a Keras script, for Keras 3 on any of its backends."""

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

EVALUATE = "evaluate({}, {})"
UNDER_THE_ROOT = "  # squared: Keras adds it under the root"


def make(config: RunConfig, dataset: Dataset, parameters: dict[str, np.ndarray], steps: int) -> bytes:
    """The script's bytes. It begins with the first weights, whatever `parameters` are now."""
    run = Run(config, dataset, steps)
    return pieces.script(
        run,
        "A run of Descent in Keras 3.",
        "descent_run_keras.py",
        f'import keras\nimport numpy as np\n\nkeras.config.set_floatx("{config.dtype}")',
        _network(run),
        _loss(run),
        pieces.sample_weights(run),
        pieces.schedule(run),
        pieces.batches(run),
        _main(run),
    )


def _network(run):
    strengths = [f"{name}={name.upper()}" for name in ("l1", "l2") if getattr(run.config.penalty, name)]
    penalty = f", kernel_regularizer=keras.regularizers.L1L2({', '.join(strengths)})" if strengths else ""
    lines = []
    for layer, entry in enumerate(run.config.layers, 1):
        ends_here = layer == run.last and run.fused("keras")
        note = f"  # the {entry.activation} is part of the loss" if ends_here else ""
        code = ACTIVATIONS[entry.activation].code.keras
        activation = "" if ends_here or not code else f", activation={code}"
        bias = "" if entry.bias else ", use_bias=False"
        inside = "" if entry.normalization != "none" else activation
        lines.append(f"            keras.layers.Dense({entry.units}{inside}{bias}{penalty}),{note}")
        if entry.normalization == "batch":
            lines.append("            keras.layers.BatchNormalization(momentum=1 - STATISTICS_SHARE, epsilon=SMALLEST_VARIANCE),")
        elif entry.normalization == "layer":
            lines.append("            keras.layers.LayerNormalization(epsilon=SMALLEST_VARIANCE),")
        if activation and not inside:
            lines.append(f"            keras.layers.Activation({code}),")
        if entry.dropout:
            lines.append(f"            keras.layers.Dropout(DROPOUT[{layer}]),  # other outputs than in Descent are left out")
    names = '(f"W{number}", f"b{number}")'
    arrays = '[p[f"W{number}"], p[f"b{number}"]]'
    if not all(entry.bias for entry in run.config.layers):
        arrays = f"[p[name] for name in {names} if name in p]"
    dense = "model.layers"
    if run.dropping or run.layers_with("batch", "layer"):
        dense = "[layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]"
    return f'''
def network():
    """The network with Descent's first weights."""
    model = keras.Sequential(
        [
            keras.Input(({run.sizes[0]},)),
{chr(10).join(lines)}
        ]
    )
    p = first_parameters()
    for number, layer in enumerate({dense}, start=1):
        layer.set_weights({arrays})
    return model
'''


def _loss(run):
    code = LOSSES[run.config.loss].code.keras
    if run.fused("keras") or "return " not in code:  # pyright: ignore[reportOperatorIssue]
        return ""
    return f'''
def loss(y, a):
    """{pieces.plain(run.config.loss).capitalize()} of each sample."""
    {code}
'''


def _main(run):
    config = run.config
    own = "loss" if _loss(run) else (run.fused("keras") or LOSSES[config.loss].code).keras
    clip = ", global_clipnorm=CLIP_NORM" if config.clip_norm else ""
    optimizer = OPTIMIZERS[config.optimizer.name].code.keras
    note = UNDER_THE_ROOT if "**2" in optimizer else ""  # pyright: ignore[reportOperatorIssue]
    X, y = ("X", "y") if run.batches > 1 else ("X_train", "y_train")
    seed = "    keras.utils.set_random_seed(SEED)\n" if run.dropping else ""
    weights = "" if run.weights is None else f", sample_weight=sample_weights({y})[:, 0]"
    rate = "        model.optimizer.learning_rate = learning_rate(step)\n" if run.scheduled else ""
    return f"""
def main():
    {run.data_names} = data()
{seed}    model = network()
    optimizer = keras.optimizers.{optimizer.format(clip)}{note}
    model.compile(optimizer, loss={own})

    def evaluate(X, y):
        return model.evaluate(X, y, batch_size=len(X), verbose=0)
{pieces.report(run, EVALUATE)}
    report(0)
{pieces.order(run)}{pieces.begin_stopping(run)}    for step in range(1, STEPS + 1):
{pieces.next_batch(run)}{rate}        model.train_on_batch({X}, {y}{weights})
{pieces.stopping(run, EVALUATE, "model.get_weights()", "model.set_weights(best)")}\
{pieces.printing(run)}"""
