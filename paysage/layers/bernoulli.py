"""Units that are 0 or 1."""

from __future__ import annotations

from typing import Any, NamedTuple

from paysage import backends as be
from paysage.layers.layer import Layer

Tensor = Any


#: means are clipped to [MIN_MEAN, 1 - MIN_MEAN] when a bias is fitted to them: the bias of a unit
#: that is never on in the data would be infinite, and a very large one lets rare gradients dominate
MIN_MEAN = 1e-4


class BernoulliParams(NamedTuple):
    """Parameters of a BernoulliLayer."""

    loc: Tensor
    """bias of each unit, (n,)"""


class BernoulliLayer(Layer):
    """Binary units with energy -loc · x, x in {0, 1}."""

    support = (0.0, 1.0)
    values = (0.0, 1.0)
    gradient_needs_field = False
    linear_energy = True
    capturable = True

    def init_params(self) -> BernoulliParams:
        return BernoulliParams(be.zeros((self.num_units,)))

    def energy(self, units: Tensor) -> Tensor:
        return -be.dot(self._rows(units), self.params.loc)

    def mean(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return be.bernoulli_mean(field, self.params.loc, beta, out=out)

    def mode(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return be.cast_float(self._rows(field) + self.params.loc > 0)

    def sample(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return be.bernoulli_sample(field, self.params.loc, beta, out=out)

    def log_partition(self, field: Tensor, beta: Any = None) -> Tensor:
        total = self._rows(field) + self.params.loc
        return be.tsum(be.softplus(total if beta is None else beta * total), axis=1)

    def energy_gradient(self, units: Tensor, field: Tensor | None) -> BernoulliParams:
        return BernoulliParams(-be.mean(units, axis=0))

    def fit_marginal(self, moments: Any) -> None:
        self.params.loc[:] = be.logit(be.clip(moments.mean, MIN_MEAN, 1 - MIN_MEAN))
