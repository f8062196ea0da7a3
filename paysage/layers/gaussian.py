"""Units that are real numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

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
    """Real units with energy Σ (x - loc)² / (2 exp(log_var)); connections see x / exp(log_var).

    Units whose standard deviation is below 0.18 or above 2.8 have a ``unit_scale``: their initial
    weights and the steps of their parameters are measured in it, so that columns of any scale
    train.
    """

    capturable = True
    scaled_params = ("loc",)

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
        variance, _ = initial_variance(as_array(moments.mean), as_array(moments.var))
        self.params.loc[:] = moments.mean
        self.params.log_var[:] = be.float_tensor(np.log(variance))

    def unit_scale(self) -> Tensor | None:
        # Powers of two scale exactly. Standardized data and grey values in [0, 1] are not scaled,
        # so that weights and learning rates mean for them what they did in version 0.2.
        power = be.tround(self.params.log_var * (0.5 / math.log(2.0)))
        unusual = be.cast_float(be.logical_or(power < -2.0, power > 1.0))
        if be.get_backend().processor == "cpu" and not be.tany(unusual != 0.0):
            return None
        return be.exp(math.log(2.0) * power * unusual)


def initial_variance(
    mean: np.ndarray, var: np.ndarray, resolution: float = 2.0**-24
) -> tuple[np.ndarray, np.ndarray]:
    """Return the initial variances of Gaussian units, and which columns are constant.

    The variances of the data are shrunk by 1% towards the mean variance of all columns that vary,
    and increased by 10% at most, so that columns of different scales keep their own. Constant
    columns have 1% of the mean variance.

    Parameters
    ----------
    mean, var : arrays (n,)
    resolution : float
        Relative rounding error of the data. A column whose standard deviation is not larger than
        this part of its mean is constant.
    """
    constant = var <= np.square(resolution * mean)
    typical = float(var[~constant].mean()) if not constant.all() else 1.0
    shrunk = np.minimum(0.99 * var + 0.01 * typical, 1.1 * var)
    return np.where(constant, 0.01 * typical, shrunk), constant


def as_array(tensor: Tensor) -> np.ndarray:
    """Return the numbers of a tensor as an array in double precision."""
    return np.asarray(be.to_numpy_array(tensor), dtype=np.float64)
