"""Units that are real numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from paysage import backends as be
from paysage.layers.layer import Layer

Tensor = Any


class GaussianParams(NamedTuple):
    """Parameters of a GaussianLayer."""

    loc: Tensor
    """mean of each isolated unit, (n,)"""
    log_var: Tensor
    """logarithm of the variance of each unit, (n,)"""


class GaussianLayer(Layer):
    """Real units with energy Σ (x - loc)² / (2 exp(log_var)); connections see x / exp(log_var)."""

    capturable = True

    def init_params(self) -> GaussianParams:
        return GaussianParams(be.zeros((self.num_units,)), be.zeros((self.num_units,)))

    def energy(self, units: Tensor) -> Tensor:
        return 0.5 * be.tsum(self.rescaled(be.square(self._rows(units) - self.params.loc)), axis=1)

    def rescaled(self, units: Tensor) -> Tensor:
        return units * be.exp(-self.params.log_var)

    def mean(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return self._rows(field) + self.params.loc

    def mode(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return self._rows(field) + self.params.loc

    def sample(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return be.gaussian_sample(field, self.params.loc, self.params.log_var, beta, out=out)

    def log_partition(self, field: Tensor, beta: Any = None) -> Tensor:
        # completing the square: ∫ exp(-β ((x - loc)²/2 - x f) / var) dx per unit
        beta = 1.0 if beta is None else beta
        exponent = self.rescaled(self._rows(field) * (self.params.loc + 0.5 * field))
        volume = 0.5 * (self.params.log_var + math.log(2 * math.pi)) - 0.5 * be.log(
            beta * be.ones((1, 1))
        )
        return be.tsum(beta * exponent + volume, axis=1)

    def energy_gradient(self, units: Tensor, field: Tensor | None) -> GaussianParams:
        away = units - self.params.loc
        bent = self.centered(units) * field - 0.5 * be.square(away)
        return GaussianParams(
            -self.rescaled(be.mean(away, axis=0)), self.rescaled(be.mean(bent, axis=0))
        )

    def field_gradient(self, field: Tensor) -> GaussianParams:
        # units are normal: x - loc has mean f and variance var, hence the -1/2
        bent = field * (0.5 * field + self.centered(self.params.loc))
        return GaussianParams(
            -self.rescaled(be.mean(field, axis=0)), self.rescaled(be.mean(bent, axis=0)) - 0.5
        )

    def fit_marginal(self, moments: Any) -> None:
        # shrinking the variance by 1% towards one keeps units that never vary finite
        self.params.loc[:] = moments.mean
        self.params.log_var[:] = be.log(0.99 * moments.var + 0.01)
