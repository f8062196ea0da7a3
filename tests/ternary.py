"""User-defined units whose energy is not linear: x in {0, 1, 2} with energy -loc x - quad x²."""

from __future__ import annotations

from typing import Any, NamedTuple

from paysage import backends as be
from paysage.layers import Layer


class TernaryParams(NamedTuple):
    loc: Any
    quad: Any


class SampledTernary(Layer):
    """Without `field_gradient`: training samples the layer where it sums others out."""

    support, values = (0.0, 2.0), (0.0, 1.0, 2.0)
    gradient_needs_field = False
    capturable = True

    def init_params(self):
        return TernaryParams(be.zeros((self.num_units,)), be.zeros((self.num_units,)))

    def energy(self, units):
        return -be.dot(units, self.params.loc) - be.dot(be.square(units), self.params.quad)

    def mean(self, field, beta=None, out=None):
        one, two = self.probabilities(field, beta)
        return one + 2.0 * two

    def mode(self, field, beta=None, out=None):
        one, two = self.probabilities(field)
        zero = 1.0 - one - two
        is_two = be.cast_float(be.logical_and(two >= one, two >= zero))
        return 2.0 * is_two + be.cast_float(be.logical_and(one > two, one >= zero))

    def sample(self, field, beta=None, out=None):
        one, two = self.probabilities(field, beta)
        number = be.rand_like(field)
        return be.cast_float(number < one + two) + be.cast_float(number < two)

    def log_partition(self, field, beta=None):
        weights, top = self._weights(field, beta)
        return be.tsum(top + be.log(sum(weights)), axis=1)

    def energy_gradient(self, units, field):
        return TernaryParams(-be.mean(units, axis=0), -be.mean(be.square(units), axis=0))

    def fit_marginal(self, moments):
        # with quad = 0 and t = exp(loc) the mean is (t + 2t²) / (1 + t + t²)
        m = be.clip(moments.mean, 0.01, 1.99)
        root = be.sqrt(be.square(m - 1.0) + 4.0 * m * (2.0 - m))
        self.params.loc[:] = be.log((m - 1.0 + root) / (2.0 * (2.0 - m)))
        self.params.quad[:] = 0.0 * m

    def probabilities(self, field, beta=None):
        """Return the probabilities of 1 and of 2, (B, n) each."""
        weights, _ = self._weights(field, beta)
        total = sum(weights)
        return weights[1] / total, weights[2] / total

    def _weights(self, field, beta):
        beta = 1.0 if beta is None else beta
        drive = field + self.params.loc
        exponents = [beta * (x * drive + x * x * self.params.quad) for x in self.values]
        top = be.maximum(be.maximum(*exponents[:2]), exponents[2])
        return [be.exp(exponent - top) for exponent in exponents], top


class TernaryLayer(SampledTernary):
    """With `field_gradient`: training sums the layer out."""

    def field_gradient(self, field):
        one, two = self.probabilities(field)
        return TernaryParams(-be.mean(one + 2.0 * two, axis=0), -be.mean(one + 4.0 * two, axis=0))
