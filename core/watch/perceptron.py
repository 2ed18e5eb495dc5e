"""Whether a watched program is a multi-layer perceptron, and which one: found out from its tensors, its batch, its outputs and its loss.

Nothing is believed that the numbers do not bear out: a network counts as recognised where its forward pass gives the program's own outputs,
or its own loss.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.nn.activations import ACTIVATIONS
from core.nn.formulas import Formulas, Plan, Tensors, Values, value
from core.nn.losses import LOSSES

if TYPE_CHECKING:
    from core.watch.history import WholeStep

WORK = 20_000_000  # samples times weights, above which a network is too large to be tried out
MATCH = 1e-4  # relative difference up to which outputs agree: float32 on its way through some layers
LOSS_MATCH = 2e-3  # of a loss, where the outputs agree: people keep logarithms from zero in many ways
# Of a loss by which alone a network is recognised: in float64, with names told, and where they have to be found out
LOSS_ALONE, LOSS_FOUND = 1e-5, 1e-9
COMMON = ("relu", "tanh", "sigmoid", "leaky_relu")  # hidden activations that are tried in any mixture
MIXED_LAYERS = 3


@dataclass(frozen=True)
class Layer:
    """Where a layer's weights and biases are among the tensors (`bias` None: it has none)."""

    weights: int
    bias: int | None


@dataclass(frozen=True)
class Perceptron:
    """A network as it was recognised. `inputs_first`: weights are (inputs, units); `samples_first`: X is (samples, features). The person's
    loss is `factor` times Descent's, or something else where that is None."""

    layers: tuple[Layer, ...]
    inputs_first: bool
    samples_first: bool
    plan: Plan
    factor: float | None

    def given(self, params: list[np.ndarray], X: np.ndarray, Y: np.ndarray) -> Tensors | None:
        """What core.nn.formulas.Values begins with, or None where the batch does not fit: features first, float64."""
        x = _inputs(X, self.plan.sizes[0], self.samples_first)
        y = None if x is None else _labels(Y, x.shape[1], self.plan.sizes[-1], self.samples_first)
        if y is None:
            return None
        given = {("activation", 0): x, ("labels", self.plan.last): y}
        for number, layer in enumerate(self.layers, 1):
            given["W", number] = self.weights(params, number)
            units = len(given["W", number])
            given["b", number] = np.zeros((units, 1))
            if layer.bias is not None:
                given["b", number] = np.broadcast_to(np.asarray(params[layer.bias], float).reshape(-1, 1), (units, 1)).copy()
        return given

    def weights(self, tensors: Mapping[int, np.ndarray] | Sequence[np.ndarray], number: int) -> np.ndarray:
        """A layer's matrix (units, inputs) out of a list of tensors: parameters or gradients."""
        matrix = np.asarray(tensors[self.layers[number - 1].weights], float)
        if matrix.ndim < 2:  # of one unit, or of one input
            return matrix.reshape(self.plan.sizes[number], self.plan.sizes[number - 1])
        return np.ascontiguousarray(matrix.T if self.inputs_first else matrix)

    def as_given(self, matrix: np.ndarray, like: np.ndarray) -> np.ndarray:
        """A matrix (units, inputs) as the person's own tensor lies."""
        return (matrix.T if like.ndim == 2 and self.inputs_first else matrix).reshape(like.shape)


def recognise(names: tuple[str, ...], step: WholeStep) -> Perceptron | None:
    """The Perceptron whose forward pass at this WholeStep gives its outputs, or its loss; None where none does."""
    if step.X is None or step.Y is None or not np.isfinite(step.loss):
        return None
    if not all(np.isfinite(array).all() for array in [*step.params, step.X, step.Y]):
        return None
    best = None
    for layers, inputs_first, samples_first, sizes in _structures(names, step.params, step.X):
        x = _inputs(step.X, sizes[0], samples_first)
        if x.shape[1] * sum(np.size(array) for array in step.params) > WORK:
            continue
        y = _labels(step.Y, x.shape[1], sizes[-1], samples_first)
        if y is None:
            continue
        draft = Perceptron(layers, inputs_first, samples_first, Plan(sizes, (), ""), None)
        with np.errstate(all="ignore"):
            for error, found in _matching(draft, step, y):
                if best is None or error < best[0]:
                    best = error, found
    return best[1] if best else None


# Its shape


def _structures(names, params, X):
    """(layers, inputs first, samples first, sizes) of all the ways in which the tensors connect."""
    layers = _paired(names, params)
    if not layers or np.ndim(X) not in (1, 2):
        return
    for samples_first, inputs_first in itertools.product((True, False), (True, False)):
        sizes = _sizes(layers, params, inputs_first, X, samples_first)
        if sizes and (inputs_first or any(np.ndim(params[layer.weights]) == 2 for layer in layers)):
            yield layers, inputs_first, samples_first, sizes


def _paired(names, params):
    """Each matrix with the bias that belongs to it, by their order; None where they do not pair off."""
    biases = [at for at, (name, array) in enumerate(zip(names, params)) if _is_bias(name, array)]
    weights = [at for at in range(len(params)) if at not in biases]
    if not weights or any(np.ndim(params[at]) > 2 for at in weights) or len(weights) > 16:
        return None
    if not biases:
        return tuple(Layer(at, None) for at in weights)
    if len(biases) == len(weights):
        return tuple(Layer(*pair) for pair in zip(weights, biases))
    if biases != sorted(biases) or len(biases) > len(weights):
        return None
    followed = {at - 1: at for at in biases}  # some layers have none: each bias stands behind its matrix
    layers = tuple(Layer(at, followed.get(at)) for at in weights)
    return layers if sum(layer.bias is not None for layer in layers) == len(biases) else None


def _is_bias(name, array):
    own = name.replace("]", "").replace("'", "").split(".")[-1].lower()
    if own.startswith(("bias", "intercept", "b")):
        return True
    if own.startswith(("w", "kernel", "coef", "theta", "v", "u")):
        return False
    return np.ndim(array) < 2 or 1 in np.shape(array)


def _sizes(layers, params, inputs_first, X, samples_first):
    """Units of all layers, inputs first; None where the tensors do not connect in this way."""
    features = np.shape(X)[-1 if samples_first else 0] if np.ndim(X) == 2 else None
    sizes = []
    for layer in layers:
        shape = np.shape(params[layer.weights])
        if not shape:  # a number: from one feature, or one unit, to one
            pair = (1, 1)
        elif len(shape) == 1:
            before = sizes[-1] if sizes else features
            pair = (shape[0], 1) if shape[0] == before else (1, shape[0]) if before == 1 or features is None else None
        else:
            pair = shape if inputs_first else shape[::-1]
        if pair is None or (sizes and pair[0] != sizes[-1]):
            return None
        bias = None if layer.bias is None else params[layer.bias]
        if bias is not None and (np.size(bias) not in (1, pair[1]) or (np.ndim(bias) > 1 and max(np.shape(bias)) != np.size(bias))):
            return None
        sizes = [*sizes, pair[1]] if sizes else list(pair)
    if sizes[0] != (1 if features is None else features) and not (features is None and np.size(X) == sizes[0]):
        return None
    return tuple(map(int, sizes))


def _inputs(X, features, samples_first):
    X = np.asarray(X, float)
    if X.ndim == 1:
        return X.reshape(1, -1) if features == 1 else X.reshape(-1, 1)
    return np.ascontiguousarray(X.T if samples_first else X)


def _labels(Y, samples, outputs, samples_first):
    """Targets (outputs, samples), or None: columns as they are, or class numbers as one column of 0 and 1 each."""
    Y = np.asarray(Y, float)
    if Y.ndim == 2 and outputs > 1:
        for turned in (samples_first, not samples_first):
            y = Y.T if turned else Y
            if y.shape == (outputs, samples):
                return np.ascontiguousarray(y)
    if Y.ndim > 2 or Y.size != samples or (Y.ndim == 2 and 1 not in Y.shape):
        return Y.reshape(-1, 1) if samples == 1 and Y.size == outputs else None
    flat = Y.reshape(-1)
    if outputs == 1:
        return flat.reshape(1, -1)
    first = 1 if flat.min() >= 1 and flat.max() == outputs else 0
    if (flat != np.round(flat)).any() or flat.min() < first or flat.max() >= outputs + first:
        return None
    return np.eye(outputs)[flat.astype(int) - first].T.copy()


# Its activations and its loss


def _matching(draft, step, y):
    """(how far off, Perceptron) of all activations and losses that give the program's outputs, or else its loss."""
    sizes, last = draft.plan.sizes, len(draft.layers)
    told, loss_told = _told(step, last)
    float32 = any(array.dtype == np.float32 for array in [*step.params, *([] if step.outputs is None else [step.outputs])])
    outputs = None if step.outputs is None else _outputs(step.outputs, y.shape, draft.samples_first)
    if step.outputs is not None and outputs is None:
        return
    for hidden in _hidden_candidates(told, last):
        plan = Plan(sizes, (*hidden, "linear"), "mse")
        given = Perceptron(draft.layers, draft.inputs_first, draft.samples_first, plan, None).given(step.params, step.X, step.Y)
        if given is None:
            return
        z = Values(Formulas(plan), given)["pre_activation", last]
        for output in [told[-1]] if told else list(ACTIVATIONS):
            if ACTIVATIONS[output].shares and sizes[-1] == 1 and not told:
                continue
            a = value(ACTIVATIONS[output], z)
            off = None
            if outputs is not None:
                off = min(_apart(outputs, a), _apart(outputs, z) + MATCH / 1000)
                if not off <= MATCH:
                    continue
            yield from _losses(draft, step, (*hidden, output), loss_told, (z, a, y), off, float32, bool(told))


def _losses(draft, step, activations, loss_told, arrays, off, float32, told):
    z, a, y = arrays
    for name in loss_told or LOSSES:
        loss = LOSSES[name]
        fused = loss.fused.get(activations[-1])
        if loss.logarithms and (not fused or y.min() < 0 or y.max() > 1):
            continue
        mean = float(loss.mean(fused.value(z, y) if fused else loss.value(a, y)))
        factor, wrong = _factor(step.loss, mean, y.shape)
        allowed = LOSS_MATCH if off is not None else LOSS_ALONE if float32 or (told and loss_told) else LOSS_FOUND
        plan = Plan(draft.plan.sizes, activations, name)
        if wrong <= allowed:
            error = (off if off is not None else wrong) + 1e-3 * wrong + 1e-12 * list(ACTIVATIONS).index(activations[-1])
            yield error, Perceptron(draft.layers, draft.inputs_first, draft.samples_first, plan, factor)
        elif off is not None and loss_told:  # its forward pass is right, its loss another one, as with a penalty
            yield off + 1.0, Perceptron(draft.layers, draft.inputs_first, draft.samples_first, plan, None)


def _factor(told, mean, shape):
    """(what Descent's mean loss has to be multiplied with, relative difference that is left): sums, means and halves are conventions."""
    outputs, samples = shape
    factors = dict.fromkeys(over * other * half for half in (1, 0.5) for other in (1, outputs, 1 / outputs) for over in (1, samples))
    size = max(abs(told), 1e-300)
    return min(((factor, abs(told - factor * mean) / size) for factor in factors), key=lambda pair: pair[1])


def _outputs(outputs, shape, samples_first):
    """The program's outputs as (outputs, samples); None where they are of another shape."""
    array = np.asarray(outputs, float)
    if array.size != shape[0] * shape[1]:
        return None
    if array.ndim == 2 and shape[0] > 1:
        for turned in (samples_first, not samples_first):
            if (array.T if turned else array).shape == shape:
                return array.T if turned else array
        return None
    return array.reshape(shape)


def _apart(one, other):
    size = np.linalg.norm(one)
    return float(np.linalg.norm(one - other) / size) if size else float(np.linalg.norm(other))


def known(entries: Mapping[str, Any], name: str) -> str | None:
    """The name in this table of what people also call otherwise; None where there is none."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return next((own for own, entry in entries.items() if plain == own or plain in entry.aliases), None)


# What libraries and people call losses besides, in lower case without signs: PyTorch's classes and scikit-learn's names among them
OTHER_NAMES = {
    **dict.fromkeys(
        ("ce", "crossentropy", "logloss", "nll", "negativeloglikelihood"), ("binary_cross_entropy", "categorical_cross_entropy")
    ),
    **dict.fromkeys(("bcewithlogits", "binarycrossentropy"), ("binary_cross_entropy",)),
    **dict.fromkeys(("sparsecategoricalcrossentropy", "categoricalcrossentropy", "softmaxcrossentropy"), ("categorical_cross_entropy",)),
    **dict.fromkeys(("meansquarederror", "squarederror", "l2"), ("mse",)),
    **dict.fromkeys(("meanabsoluteerror", "l1"), ("mae",)),
    "smoothl1": ("huber",),
}


def known_losses(name: str) -> tuple[str, ...]:
    """The losses that a name may stand for; () where it is none that is known."""
    plain = "".join(filter(str.isalnum, name.lower())).removesuffix("loss").removesuffix("fn")
    own = known(LOSSES, name) or known(LOSSES, plain)
    return (own,) if own and own != "log_loss" else OTHER_NAMES.get(plain, ())


def _told(step, last) -> Any:
    """(activations of all layers or None, losses that may be meant): None and all losses where nothing was told in words that are known."""
    names = [known(ACTIVATIONS, name) for name in step.activations]
    return (tuple(names) if len(names) == last and None not in names else None), known_losses(step.loss_name)


def _hidden_candidates(told, last) -> Any:
    """The hidden activations to try, the usual ones first."""
    if told:
        return [told[:-1]]
    possible = [name for name, entry in ACTIVATIONS.items() if not entry.shares]
    alike = [(name,) * (last - 1) for name in (*COMMON, *(name for name in possible if name not in COMMON))]
    if last == 1:
        return [()]
    mixed = itertools.product(COMMON, repeat=last - 1) if 1 < last - 1 <= MIXED_LAYERS else ()
    return list(dict.fromkeys([*alike, *mixed]))
