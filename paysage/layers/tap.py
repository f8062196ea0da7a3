"""The TAP ability: what extended mean field needs to know of a type of units.

It stands beside the layers, not on them. A layer's units, alone in the field h that makes their
means m, fluctuate; the expansion in the couplings (docs/tap.md) asks for the cumulants of r, what
connections see of the units, as functions of m. A type of units without this ability is refused by
name. One of your own gets it with a subclass of ``TAPUnits`` that names it:

    class MyTAP(TAPUnits, layer_type=MyLayer):
        def field(self, means, beta): ...
        def cumulants(self, means, beta): ...
        def slopes(self, means, beta): ...
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.layers.bernoulli import BernoulliLayer
from paysage.layers.gaussian import GaussianLayer
from paysage.layers.layer import Layer
from paysage.layers.onehot import OneHotLayer

Tensor = Any

#: means stay away from the ends of their support by this part of its width: the field that makes
#: a mean lie at an end is infinite, and single precision tells 1 - 1e-6 from 1
MARGIN = 1e-6

_ABILITIES: dict[type[Layer], type[TAPUnits]] = {}


class TAPUnits:
    """The TAP ability of a layer of independent units; B rows, n units.

    All hooks are functions of the means of the units, (B, n), and of the inverse temperature, a
    number. Seen is what connections see, ``layer.connected``.
    """

    #: True where one unit of the layer is on at a time: the cumulants are then the weights of the
    #: units, and couplings count from their weighted mean
    exclusive: ClassVar[bool] = False

    def __init_subclass__(cls, layer_type: type[Layer] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if layer_type is not None:
            _ABILITIES[layer_type] = cls

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    # hooks

    def field(self, means: Tensor, beta: float) -> Tensor:
        """The field that makes these means, (B, n): the inverse of ``layer.mean``."""
        raise NotImplementedError(f"{type(self).__name__} does not define field()")

    def cumulants(self, means: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        """Variance and third cumulant of what is seen of each unit, (B, n) or (n,)."""
        raise NotImplementedError(f"{type(self).__name__} does not define cumulants()")

    def slopes(self, means: Tensor, beta: float) -> tuple[Any, Any]:
        """Derivatives of the two cumulants by the mean of what is seen of the unit."""
        raise NotImplementedError(f"{type(self).__name__} does not define slopes()")

    def free_energy(self, means: Tensor, beta: float) -> Tensor:
        """Least beta <energy> - entropy of isolated units with these means, (B,)."""
        field = self.field(means, beta)
        work = be.tsum(self.layer.connected(means) * field, axis=1)
        return beta * work - self.layer.conditional_log_partition(field, beta)

    def spread_gradient(self, means: Tensor, by_variance: Any, by_third: Any, beta: float) -> Any:
        """Return what the spread of the units adds to the free energy's derivatives by parameters.

        The derivatives at fixed means are this and ``layer.energy_gradient`` at the means. It is
        zero where the layer's energy is linear in the units and its cumulants do not depend on the
        parameters at fixed means.

        Parameters
        ----------
        means : tensor (B, n)
        by_variance, by_third : tensor (B, n) or 0
            Derivatives of the couplings' free energy by the two cumulants.
        beta : float
        """
        return self.layer.zero_gradient()

    def inside(self, means: Tensor) -> Tensor:
        """The means, brought back into the support where they left it or its ends."""
        if self.layer.support is None:
            return means
        low, high = self.layer.support
        edge = MARGIN * (high - low)
        return be.clip(means, low + edge, high - edge)


class BernoulliTAP(TAPUnits, layer_type=BernoulliLayer):
    """Units that are 0 or 1: the cumulants of a coin."""

    def field(self, means: Tensor, beta: float) -> Tensor:
        return be.logit(means) / beta - self.layer.params.loc

    def cumulants(self, means: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        variance = means * (1.0 - means)
        return variance, variance * (1.0 - 2.0 * means)

    def slopes(self, means: Tensor, beta: float) -> tuple[Any, Any]:
        return 1.0 - 2.0 * means, 1.0 - 6.0 * means * (1.0 - means)

    def free_energy(self, means: Tensor, beta: float) -> Tensor:
        entropy = -be.tsum(_x_log_x(means) + _x_log_x(1.0 - means), axis=1)
        return beta * self.layer.energy(means) - entropy


class GaussianTAP(TAPUnits, layer_type=GaussianLayer):
    """Normal units: connections see x / var, whose variance is 1 / (beta var)."""

    def _variance(self, beta: float) -> Tensor:
        return be.exp(-self.layer.params.log_var) / beta

    def field(self, means: Tensor, beta: float) -> Tensor:
        return means - self.layer.params.loc

    def cumulants(self, means: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        variance = self._variance(beta) * be.ones_like(means)
        return variance, be.zeros_like(means)

    def slopes(self, means: Tensor, beta: float) -> tuple[Any, Any]:
        return 0.0, 0.0

    def free_energy(self, means: Tensor, beta: float) -> Tensor:
        log_volume = 0.5 * be.tsum(self.layer.params.log_var + math.log(2 * math.pi / beta), axis=0)
        return beta * self.layer.energy(means) - log_volume

    def spread_gradient(self, means: Tensor, by_variance: Any, by_third: Any, beta: float) -> Any:
        # of -log(var)/2 in the free energy, and of the variance 1 / (beta var) of what is seen
        slope = be.mean(by_variance * self._variance(beta) * be.ones_like(means), axis=0)
        zero = self.layer.zero_gradient()
        return zero._replace(log_var=zero.log_var - 0.5 - slope)


class OneHotTAP(TAPUnits, layer_type=OneHotLayer):
    """One categorical variable: its means are the weights of its states."""

    exclusive = True

    def field(self, means: Tensor, beta: float) -> Tensor:
        return be.log(means) / beta - self.layer.params.loc

    def cumulants(self, means: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        return means, means

    def slopes(self, means: Tensor, beta: float) -> tuple[Any, Any]:
        return 1.0, 1.0

    def free_energy(self, means: Tensor, beta: float) -> Tensor:
        return beta * self.layer.energy(means) + be.tsum(_x_log_x(means), axis=1)

    def inside(self, means: Tensor) -> Tensor:
        means = be.clip(means, MARGIN)
        return means / be.tsum(means, axis=1, keepdims=True)


def _x_log_x(x: Tensor) -> Tensor:
    """The product x log x, and its limit 0 at 0."""
    return x * be.log(be.clip(x, 1e-30))


def tap_units(layer: Any, where: str = "a layer") -> TAPUnits:
    """The TAP ability of a layer.

    Raises
    ------
    ConfigError
        If neither the layer's class nor one that it derives from has the ability.
    """
    for kind in type(layer).__mro__:
        if kind in _ABILITIES:
            return _ABILITIES[kind](layer)
    raise ConfigError(
        f"{where}, {layer!r}, lacks the TAP ability (extended mean field): define a subclass of "
        f"paysage.layers.tap.TAPUnits with layer_type={type(layer).__name__}"
    )
