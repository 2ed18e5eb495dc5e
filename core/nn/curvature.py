"""Curvature of a training objective: exact Hessian-vector products, and the largest eigenvalue by Lanczos' method.

The product differentiates the gradient's own computation along a direction (the R-operator: Pearlmutter 1994). Written R, that derivative
turns every line of the forward and of the backward pass into one more line like it: with z = W x and a = f(z),

    R z = V x + W R x          R a = f'(z) R z                             forward
    R d = (V' d + W' R d) f'(z) + (W' d) f''(z) R z                        backward, d the delta of a layer
    H v = R d x' + d R x'                                                  the layer's part of the product

Kinks have no curvature (the second derivative is 0 where there is none), nor has an l1 penalty. Where a layer is normalized, the product is
a central difference of the gradient, normalized as in training; dropout is left out. Arrays are features-first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from core.nn.activations import ACTIVATIONS, replay
from core.nn.buffers import aligned_like
from core.nn.losses import difference
from core.nn.normalization import Normalization

if TYPE_CHECKING:
    from core.nn.network import Network

REACH = 1e-5  # of a central difference, as a share of the size of all parameters: about the cube root of float64's precision


class Curvature:
    """The Hessian of the mean loss of `network`, weighted as in training, as it stands, on inputs `x` (features + 1, samples) with targets
    `y` (outputs, samples), plus that of `l2` times the sum of its squared weights (biases free).

    What does not depend on the direction is worked out once, here, so that a product costs about two gradients. `incoming` (fan_in + 1,
    samples) and `deltas` (units, samples) are one array a layer: delta times incoming is a sample's share in the mean gradient.
    """

    def __init__(self, network: Network, x: np.ndarray, y: np.ndarray, l2: float = 0.0) -> None:
        self._network, self._y, self._l2 = network, y, l2
        self._weights = [matrix[:, :-1] for matrix in network.matrices]
        self._decay = self._penalty(2 * l2) if l2 else None
        self._forward(x)
        self._backward(y)

    def _penalty(self, strength):
        """The penalty's curvature for each parameter."""
        vector = aligned_like(self._network.vector)
        for matrix in self._network.matrices_of(vector):
            matrix[:, :-1] = strength
        return vector

    def _forward(self, x):
        network, self._x = self._network, x
        self.incoming, self._z, self._a, self._slopes, self._normalizations = [], [], [], [], []
        for layer, (matrix, activation) in enumerate(zip(network.matrices, network.activations), 1):
            self.incoming.append(x)
            z, scale, normalization = matrix.dot(x), network.scales[layer - 1], None
            if scale is not None:
                normalization = Normalization(z, scale, network.running[layer - 1])
                replay(normalization.forward)
            self._normalizations.append(normalization)
            x = np.ones((len(z) + (layer < len(network.matrices)), z.shape[1]), network.dtype)
            a = x[: len(z)]
            replay(activation.value(z, a))
            slope = None
            if activation.slope and activation is not ACTIVATIONS["linear"]:
                replay(activation.slope(z, a, slope := np.empty_like(z)))
            self._z.append(z)
            self._a.append(a)
            self._slopes.append(slope)

    def _backward(self, y):
        network = self._network
        self.deltas = [self._output_delta(y)]
        self._normalize_back(-1)
        self._bends: list[Any] = [None]  # (W' d) f''(z) of each hidden layer; W' d alone where the activation has a Jacobian
        for layer in range(len(network.matrices) - 1, 0, -1):
            back = self._weights[layer].T.dot(self.deltas[0])
            if network.activations[layer - 1].pullback:
                self._bends.insert(0, back)
                self.deltas.insert(0, self._pulled(back, layer - 1))
                self._normalize_back(layer - 1)
                continue
            bend = _bend(network.activations[layer - 1], self._z[layer - 1], self._a[layer - 1])
            self._bends.insert(0, None if bend is None else back * bend)
            self.deltas.insert(0, _times(back, self._slopes[layer - 1]))
            self._normalize_back(layer - 1)

    def _normalize_back(self, layer):
        """Take the foremost delta, of a layer by its index, back through its normalization."""
        if self._normalizations[layer]:
            replay(self._normalizations[layer].backward(self.deltas[0]))

    def _output_delta(self, y):
        """The output's delta; leaves what `_output_change` needs."""
        network, z, a, slope = self._network, self._z[-1], self._a[-1], self._slopes[-1]
        loss, activation = network.loss, network.activations[-1]
        scale = network.dtype.type(1 / (a.shape[1] * loss.divisor(len(a))))
        if network.weigh:
            scale = scale * network.weigh(y)
        d = np.empty_like(a)
        if network.fused_value:
            replay(difference(a, y, d))
            self._scale = scale
            return d * scale
        scale = scale * network.dtype.type(loss.factor)
        replay(loss.gradient(a, y, d))
        self._scaled_gradient = d * scale
        curvature = np.zeros_like(a) if loss.curvature is None else loss.curvature(a, y) * scale
        if activation.pullback:
            self._scaled_curvature = curvature
            return self._pulled(self._scaled_gradient)
        factor = _times(_times(curvature, slope), slope)
        bend = _bend(activation, z, a)
        self._factor = factor if bend is None else factor + self._scaled_gradient * bend
        return _times(self._scaled_gradient, slope)

    def _output_change(self, rz, ra):
        """R d of the output layer."""
        if self._network.fused_value:
            return ra * self._scale  # d = a - y
        activation = self._network.activations[-1]
        if activation.pullback:
            return self._pulled(self._scaled_curvature * ra) + activation.pullback_change(self._a[-1], ra, self._scaled_gradient)
        return self._factor * rz

    def _pulled(self, d, layer=-1):
        """The Jacobian of a layer's activation (by its index) times d, a copy. It is symmetric: the same forwards and backwards."""
        d = d.copy()
        replay(self._network.activations[layer].pullback(self._a[layer], d))
        return d

    def product(self, v: np.ndarray) -> np.ndarray:
        """H v of a flat vector (parameters,), a new one of its type. What is not trained has no part in it."""
        v = self._network.zero_untrained(v.copy())
        product = self._difference(v) if any(self._normalizations) else self._exact(v)
        return self._network.zero_untrained(product)

    def gradient(self) -> np.ndarray:
        """The flat gradient (parameters,) of the same objective."""
        network, result = self._network, np.zeros_like(self._network.vector)
        matrices, scales = network.matrices_of(result), network.scales_of(result)
        for part, scale, delta, incoming, normalization in zip(matrices, scales, self.deltas, self.incoming, self._normalizations):
            part[...] = delta.dot(incoming.T)
            if normalization:
                scale[...] = normalization.gradient
        if self._decay is not None:
            result += self._decay * network.vector
        return network.zero_untrained(result)

    def _difference(self, v):
        """The product by a central difference, in float64 whatever the network's own type."""
        twin, size = self._network.copy(np.float64), float(np.linalg.norm(v))
        if not size:
            return np.zeros_like(v)
        step = REACH * max(1.0, float(np.linalg.norm(twin.vector[: twin.trained]))) / size
        gradients, here, x, y = [], twin.vector.copy(), self._x.astype(float), self._y.astype(float)
        for side in (step, -step):
            twin.vector[:] = here + side * v
            gradients.append(Curvature(twin, x, y, self._l2).gradient())
        return ((gradients[0] - gradients[1]) / (2 * step)).astype(v.dtype)

    def _exact(self, v):
        network, directions = self._network, self._network.matrices_of(v)
        changes, ra = [], None  # (R z, R a) of each layer
        for layer, direction in enumerate(directions):
            rz = direction.dot(self.incoming[layer])
            if ra is not None:
                rz += self._weights[layer].dot(ra)
            ra = self._pulled(rz, layer) if network.activations[layer].pullback else _times(rz, self._slopes[layer])
            changes.append((rz, ra))
        result = np.empty_like(v)
        rd = self._output_change(*changes[-1])
        for layer, part in reversed(list(enumerate(network.matrices_of(result)))):
            part[...] = rd.dot(self.incoming[layer].T)
            if layer:
                rz, ra = changes[layer - 1]
                part[:, :-1] += self.deltas[layer].dot(ra.T)
                back = self._weights[layer].T.dot(rd)
                back += directions[layer][:, :-1].T.dot(self.deltas[layer])
                activation = network.activations[layer - 1]
                if activation.pullback:
                    change = activation.pullback_change(self._a[layer - 1], ra, self._bends[layer - 1])
                    rd = self._pulled(back, layer - 1) + change
                    continue
                rd = _times(back, self._slopes[layer - 1])
                if self._bends[layer - 1] is not None:
                    rd += self._bends[layer - 1] * rz
        if self._decay is not None:
            result += self._decay * v
        return result


def _times(values, slope):
    """`values * slope`; None stands for a slope of 1."""
    return values if slope is None else values * slope


def _bend(activation, z, a):
    return None if activation.curvature is None else activation.curvature(z, a)


@dataclass(frozen=True)
class Eigenvalue:
    """`value` lies within `residual` of an eigenvalue, found with `products` products; NaN if a product was not finite. `vector` (size,) is
    the unit vector that it belongs to, None where the value is NaN."""

    value: float
    residual: float
    products: int
    vector: np.ndarray | None = None


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray], size: int, dtype: DTypeLike, products: int, tolerance: float, seed: int = 0
) -> Eigenvalue:
    """The largest (not the largest in size) eigenvalue of the symmetric matrix that `product` multiplies vectors with.

    Lanczos' method with full reorthogonalisation from a random start (Golub & Van Loan 2013, chapter 10): at most `products`
    products, or until the Ritz residual is below `tolerance` times the value, whose own error is then of the order of its square.
    """
    start = np.random.default_rng([seed, size]).standard_normal(size).astype(dtype)
    basis = np.empty((min(products, size), size), dtype)
    basis[0] = start / np.linalg.norm(start)
    diagonal, beside, value, residual = [], [], math.nan, math.inf
    for done in range(1, len(basis) + 1):
        w = product(basis[done - 1])
        if not np.isfinite(w).all():
            return Eigenvalue(math.nan, math.inf, done)
        diagonal.append(float(basis[done - 1].dot(w)))
        for _ in range(2):  # once is not enough where much cancels
            w -= basis[:done].dot(w).dot(basis[:done])
        beside.append(float(np.linalg.norm(w)))
        if not (math.isfinite(diagonal[-1]) and math.isfinite(beside[-1])):
            return Eigenvalue(math.nan, math.inf, done)
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
        value, residual = float(values[-1]), beside[-1] * abs(float(vectors[-1, -1]))
        largest = max(map(abs, itertools.chain(diagonal, beside[:-1])))
        if residual <= tolerance * abs(value) or beside[-1] <= np.finfo(dtype).eps * largest:
            break  # the second: the directions reached so far are all there are
        if done < len(basis):
            basis[done] = w / beside[-1]
    return Eigenvalue(value, residual, done, vectors[:, -1].astype(dtype).dot(basis[:done]))
