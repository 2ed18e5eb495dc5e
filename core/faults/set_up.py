"""Mistakes made before the first step: in the inputs, the first parameters, or how the batches are cut."""

from __future__ import annotations

from core.faults.fault import Fault

PIXEL_RANGE = 255  # of an 8-bit picture


def _left_in_pixels(inputs):
    return PIXEL_RANGE * inputs


def _unit_normal(parameters, layer, rng):
    weights = parameters[f"W{layer}"]
    weights[:] = rng.standard_normal(weights.shape)


def _positive(parameters, layer, rng):
    weights = parameters[f"W{layer}"]
    weights[:] = rng.uniform(size=weights.shape)


def _zero(parameters, layer, rng):
    parameters[f"W{layer}"][:] = 0


def _one_number(parameters, layer, rng):
    """`uniform(1, units)` draws one number between 1 and units, where an array of shape (1, units) was meant."""
    biases = parameters[f"b{layer}"]
    biases[:] = rng.uniform(1, len(biases))


def _uncut(batch_size):
    return None


def _rows_are_features(plan, layer):
    return plan.batch_size is not None and max(plan.sizes[0], plan.sizes[-1]) <= plan.batch_size


FAULTS = [
    Fault(
        name="inputs_in_pixels",
        title="Inputs from 0 to 255",
        kind="set-up",
        edits="inputs",
        edit=_left_in_pixels,
        whole=True,
        wrong="X = pixels",
        right="X = pixels / 255",
        origin="Pictures are loaded as bytes and handed on without being scaled.",
        watch="Every first step is 255 times too long: units saturate or die at once, or the loss is NaN.",
    ),
    Fault(
        name="unit_normal_weights",
        title="First weights from N(0, 1)",
        kind="set-up",
        edits="parameters",
        edit=_unit_normal,
        wrong="W[l] = randn(units, inputs)",
        right="W[l] = randn(units, inputs) * sqrt(1 / inputs)",
        origin="randn was taken as it is; with 768 inputs a sum of so many terms has a deviation of 28.",
        watch="Outputs are enormous or saturated before the first step.",
    ),
    Fault(
        name="positive_weights",
        title="First weights all positive",
        kind="set-up",
        edits="parameters",
        edit=_positive,
        wrong="W[l] = uniform(size=(units, inputs))",
        right="W[l] = randn(units, inputs) * sqrt(1 / inputs)",
        origin="NumPy's uniform draws between 0 and 1 unless it is told otherwise.",
        watch="All units begin alike and push the same way: a long plateau before they part.",
    ),
    Fault(
        name="zero_weights",
        title="First weights zero",
        kind="set-up",
        edits="parameters",
        edit=_zero,
        wrong="W[l] = zeros((units, inputs))",
        right="W[l] = randn(units, inputs) * sqrt(1 / inputs)",
        origin="Biases may begin at zero, so the weights did too.",
        watch="All units of a layer stay equal for ever, or nothing moves at all.",
    ),
    Fault(
        name="scalar_bias",
        title="One random number as bias",
        kind="set-up",
        edits="parameters",
        edit=_one_number,
        wrong="b[l] = uniform(1, units)",
        right="b[l] = uniform(size=(1, units))",
        origin="The arguments were meant as a shape and are the bounds of a single number.",
        watch="All units of the layer begin shifted by the same, mostly large, amount.",
    ),
    Fault(
        name="batches_along_features",
        title="Batches cut along the features",
        kind="state",
        edits="batch_size",
        edit=_uncut,
        applies=_rows_are_features,
        needs="a batch size, and no more inputs or outputs than that: with more, the slices no longer fit the weights (a shape error)",
        whole=True,
        wrong="x_batch = x[i : i + batch_size]    # x is (features, samples)",
        right="x_batch = x[:, i : i + batch_size]",
        origin="The class expects one sample a column and slices rows.",
        watch="Every batch is the full batch: one update in each epoch, and no noise in the loss.",
    ),
]
