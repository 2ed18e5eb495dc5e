"""A run as a Keras script, for Keras 3 on any of its backends."""

from __future__ import annotations

from core.export import pieces
from core.export.pieces import Run
from core.nn.activations import LEAK
from core.nn.losses import CLIP, HUBER_DELTA

# Those that Keras has under another definition; all others by their names
ACTIVATIONS = {
    "leaky_relu": f"lambda z: keras.activations.leaky_relu(z, negative_slope={LEAK})",
    "gelu": "lambda z: keras.activations.gelu(z, approximate=True)",
}

CLIPPED = f"p = keras.ops.clip(a, {CLIP}, 1 - {CLIP})\n    "
LOSSES = {
    "mse": "keras.losses.MeanSquaredError()",
    "mae": "keras.losses.MeanAbsoluteError()",
    "huber": f"keras.losses.Huber(delta={HUBER_DELTA})",
    "binary_cross_entropy": f"{CLIPPED}return -keras.ops.mean(y * keras.ops.log(p) + (1 - y) * keras.ops.log1p(-p), axis=-1)",
    "categorical_cross_entropy": f"{CLIPPED}return -keras.ops.sum(y * keras.ops.log(p), axis=-1)",
    "hinge": "return keras.ops.mean(keras.ops.relu(1 - y * a), axis=-1)",
}

# (loss, output) that belong together -> the loss from the output's z: the network ends there
FUSED = {
    ("binary_cross_entropy", "sigmoid"): "keras.losses.BinaryCrossentropy(from_logits=True)",
    ("categorical_cross_entropy", "softmax"): "keras.losses.CategoricalCrossentropy(from_logits=True)",
}

OPTIMIZERS = {
    "sgd": "SGD(LEARNING_RATE{})",
    "momentum": "SGD(LEARNING_RATE, momentum=MOMENTUM{})",
    "nesterov": "SGD(LEARNING_RATE, momentum=MOMENTUM, nesterov=True{})",
    "adagrad": "Adagrad(LEARNING_RATE, initial_accumulator_value=0.0, epsilon=EPSILON**2{})",
    "rmsprop": "RMSprop(LEARNING_RATE, rho=RHO, epsilon=EPSILON**2{})",
    "adam": "Adam(LEARNING_RATE, BETA1, BETA2, EPSILON{})",
}
UNDER_THE_ROOT = "  # squared: Keras adds it under the root"


def make(config, dataset, parameters, steps):
    """The script's bytes. It begins with the first weights, whatever `parameters` are now."""
    run = Run(config, dataset, steps)
    return pieces.script(
        run,
        "A run of Descent in Keras 3.",
        "descent_run_keras.py",
        f'import keras\nimport numpy as np\n\nkeras.config.set_floatx("{config.dtype}")',
        _network(run),
        _loss(run),
        pieces.schedule(run),
        pieces.batches(run),
        _main(run),
    )


def _network(run):
    strengths = [f"{name}={name.upper()}" for name in ("l1", "l2") if getattr(run.config.penalty, name)]
    penalty = f", kernel_regularizer=keras.regularizers.L1L2({', '.join(strengths)})" if strengths else ""
    lines = []
    for layer, entry in enumerate(run.config.layers, 1):
        ends_here = layer == run.last and run.fused(FUSED)
        note = f"  # the {entry.activation} is part of the loss" if ends_here else ""
        activation = "" if ends_here or entry.activation == "linear" else f", activation={_activation(entry.activation)}"
        lines.append(f"            keras.layers.Dense({entry.units}{activation}{penalty}),{note}")
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
    for number, layer in enumerate(model.layers, start=1):
        layer.set_weights([p[f"W{{number}}"], p[f"b{{number}}"]])
    return model
'''


def _activation(name):
    return ACTIVATIONS.get(name, f'"{name}"')


def _loss(run):
    code = LOSSES[run.config.loss]
    if run.fused(FUSED) or not code.startswith(("p =", "return")):
        return ""
    return f'''
def loss(y, a):
    """{pieces.plain(run.config.loss).capitalize()} of each sample."""
    {code}
'''


def _main(run):
    config = run.config
    own = "loss" if _loss(run) else run.fused(FUSED) or LOSSES[config.loss]
    clip = ", global_clipnorm=CLIP_NORM" if config.clip_norm else ""
    optimizer = OPTIMIZERS[config.optimizer.name]
    note = UNDER_THE_ROOT if "**2" in optimizer else ""
    X, y = ("X", "y") if run.batches > 1 else ("X_train", "y_train")
    rate = "        model.optimizer.learning_rate = learning_rate(step)\n" if run.scheduled else ""
    return f"""
def main():
    {run.data_names} = data()
    model = network()
    optimizer = keras.optimizers.{optimizer.format(clip)}{note}
    model.compile(optimizer, loss={own})

    def evaluate(X, y):
        return model.evaluate(X, y, batch_size=len(X), verbose=0)
{pieces.report(run, "evaluate({}, {})")}
    report(0)
{pieces.order(run)}    for step in range(1, STEPS + 1):
{pieces.next_batch(run)}{rate}        model.train_on_batch({X}, {y})
{pieces.printing(run)}"""
