"""Extended mean field: the free energy of a machine as a function of the means of its units.

The Gibbs free energy at fixed means is expanded in the couplings, to first (naive mean field),
second (Thouless, Anderson & Palmer 1977) or third order (Plefka 1982; Georges & Yedidia 1991);
-log Z is its value at a stationary point. Gabrié, Tramel & Krzakala (2015) trained restricted
Boltzmann machines by it, Tramel et al. (2018) general ones. Derivation in docs/tap.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from paysage import backends as be
from paysage.checks import check_number, is_whole
from paysage.errors import ConfigError, ShapeError
from paysage.layers.tap import TAPUnits, tap_units
from paysage.models.gradient import ModelGradient
from paysage.models.graph import check_machine
from paysage.models.state import State
from paysage.models.tap_terms import Pair, Seen, Triangle, nothing_like

if TYPE_CHECKING:
    from paysage.models.boltzmann import BoltzmannMachine

Tensor = Any

ORDERS = (1, 2, 3)


def check_order(order: Any) -> None:
    """Raise a ConfigError unless the expansion is known to this order."""
    if not is_whole(order) or order not in ORDERS:
        raise ConfigError(f"order must be one of {ORDERS}, got {order!r}")


class Evaluation(NamedTuple):
    """A free energy at some means, and the fields there."""

    value: Tensor
    """(B,)"""
    fields: list[Tensor]
    """the field that each layer receives, (B, n): stationary means are the layer's mean in it"""


class GibbsFreeEnergy:
    """The expanded free energy of a machine with the parameters it has now.

    Squares and cubes of the weights are computed once, here; what is written into the parameters
    later does not reach this object.

    Parameters
    ----------
    model : BoltzmannMachine
    order : 1, 2 or 3
    beta : float
        Inverse temperature, greater than zero.

    Raises
    ------
    ConfigError
        If a layer lacks the TAP ability, or a connection has a gain (layerwise pretraining), for
        then there is no energy whose free energy it could be.
    """

    def __init__(self, model: BoltzmannMachine, order: int = 2, beta: float = 1.0) -> None:
        check_machine(model)
        check_order(order)
        if check_number("beta", beta) == 0:
            raise ConfigError(f"beta must be greater than zero, got {beta!r}")
        self.model, self.order, self.beta = model, int(order), float(beta)
        self.units: list[TAPUnits] = [
            tap_units(layer, f"layer {i}") for i, layer in enumerate(model.layers)
        ]
        couplings = _couplings(model, self.beta)
        self._pairs = {
            ends: Pair(matrix, self.order, self._exclusive(ends))
            for ends, matrix in couplings.items()
        }
        self._triangles = {
            (i, j, k): Triangle(
                [couplings[i, j], couplings[j, k], be.transpose(couplings[i, k])],
                self._exclusive((i, j, k)),
            )
            for i, j, k in (_rings(couplings) if order == 3 else [])
        }

    def _exclusive(self, layers: Sequence[int]) -> list[bool]:
        return [self.units[i].exclusive for i in layers]

    def _seen(self, state: State) -> list[Seen]:
        """Means and cumulants of what connections see."""
        layers = zip(self.units, state, strict=True)
        return [
            Seen(u.layer.connected(m), list(u.cumulants(m, self.beta)[: self.order - 1]))
            for u, m in layers
        ]

    def _couple(self, seen: list[Seen]) -> tuple[Tensor, list[Seen]]:
        """Value of all coupling terms, (B,), and its derivatives."""
        slopes = [nothing_like(s) for s in seen]
        terms: list[Any] = [*self._pairs.items(), *self._triangles.items()]
        value = sum(
            term.add([seen[i] for i in ends], [slopes[i] for i in ends]) for ends, term in terms
        )
        return value, slopes

    def evaluate(self, state: State) -> Evaluation:
        """Value and fields at the means."""
        value, slopes = self._couple(self._seen(state))
        fields = []
        for u, means, slope in zip(self.units, state, slopes, strict=True):
            value = value + u.free_energy(means, self.beta)
            total = slope.mean
            ways = u.slopes(means, self.beta)
            for by_cumulant, along in zip(slope.cumulants, ways, strict=False):
                total = total + by_cumulant * along
            fields.append(-total / self.beta)
        return Evaluation(value, fields)

    def mean_gradient(self, state: State) -> list[Tensor]:
        """Derivatives of the value by the means of the units, (B, n) a layer.

        Of a layer with one unit on at a time they hold along changes that keep the sum of means.
        """
        gaps = self._gaps(state, self.evaluate(state))
        return [u.layer.rescaled(gap) for u, gap in zip(self.units, gaps, strict=True)]

    def natural_slopes(self, state: State, found: Evaluation) -> list[tuple[Tensor, Tensor]]:
        """Standard deviation of each unit alone, and the derivative by means in this unit.

        In it all units are alike: at the stationary point of uncoupled ones the second derivative
        is one (the Fisher metric; Amari 1998).
        """
        result = []
        for u, means, gap in zip(self.units, state, self._gaps(state, found), strict=True):
            variance, _ = u.cumulants(means, self.beta)
            if u.exclusive:  # the means keep their sum: a part common to all is no direction
                gap = gap - be.tsum(variance * gap, axis=1, keepdims=True)
            seen = be.sqrt(variance)
            result.append((seen / u.layer.rescaled(be.ones_like(means)), seen * gap))
        return result

    def _gaps(self, state: State, found: Evaluation) -> list[Tensor]:
        """Derivatives by the means of what is seen: fields that the means need, less the real."""
        layers = zip(self.units, state, found.fields, strict=True)
        return [self.beta * (u.field(m, self.beta) - field) for u, m, field in layers]

    def value(self, state: State) -> Tensor:
        """The free energy of each row of means, (B,)."""
        self.model.check_state(state)
        value, _ = self._couple(self._seen(state))
        layers = zip(self.units, state, strict=True)
        return value + sum(u.free_energy(m, self.beta) for u, m in layers)

    def parameter_gradient(self, state: State) -> ModelGradient:
        """Derivatives by the parameters at fixed means of the units, averaged over rows.

        At stationary means they are the derivatives of the free energy itself.
        """
        seen = self._seen(state)
        _, slopes = self._couple(seen)
        gradient = ModelGradient(
            [
                self._layer_gradient(u, means, slope)
                for u, means, slope in zip(self.units, state, slopes, strict=True)
            ],
            [c.weights.zero_gradient() for c in self.model.connections],
        )
        self._add_weights(gradient, seen)
        return gradient

    def _layer_gradient(self, units: TAPUnits, means: Tensor, slope: Seen) -> Any:
        at_means = units.layer.energy_gradient(means, -slope.mean / self.beta)
        by_variance, by_third = [*slope.cumulants, 0.0, 0.0][:2]
        spread = units.spread_gradient(means, by_variance, by_third, self.beta)
        return type(at_means)(*(self.beta * e + s for e, s in zip(at_means, spread, strict=True)))

    def _add_weights(self, gradient: ModelGradient, seen: list[Seen]) -> None:
        scale = self.beta / int(be.shape(seen[0].mean)[0])
        slopes = {
            ends: pair.matrix_slope([seen[i] for i in ends]) for ends, pair in self._pairs.items()
        }
        for ring, triangle in self._triangles.items():
            by_matrix = triangle.matrix_slopes([seen[i] for i in ring])
            for k, slope in enumerate(by_matrix):
                i, j = ring[k], ring[(k + 1) % 3]
                ends, slope = ((i, j), slope) if i < j else ((j, i), be.transpose(slope))
                slopes[ends] = slopes[ends] + slope
        for c, part in zip(self.model.connections, gradient.weights, strict=True):
            i, j = c.target_index, c.domain_index
            part.matrix[:] = scale * (slopes[i, j] if i < j else be.transpose(slopes[j, i]))


def _couplings(model: BoltzmannMachine, beta: float) -> dict[tuple[int, int], Tensor]:
    """Weights times beta of each connected pair of layers i < j, (n_i, n_j)."""
    found = {}
    for c in model.connections:
        if (c.target_gain, c.domain_gain) != (1.0, 1.0):
            raise ConfigError(
                f"layers {(c.target_index, c.domain_index)} are joined with the gains "
                f"{(c.target_gain, c.domain_gain)} of a layerwise pretraining: there is no energy "
                "that TAP could expand; train them by fit.pcd or fit.cd"
            )
        downwards = c.target_index > c.domain_index
        ends = (c.domain_index, c.target_index) if downwards else (c.target_index, c.domain_index)
        found[ends] = beta * c.weights.W(trans=downwards)
    return found


def _rings(pairs: Any) -> list[tuple[int, int, int]]:
    """Triples of layers each of which is coupled with each."""
    layers = sorted({i for ends in pairs for i in ends})
    return [
        (i, j, k)
        for i, j, k in itertools.combinations(layers, 3)
        if {(i, j), (j, k), (i, k)} <= set(pairs)
    ]


def check_means(model: BoltzmannMachine, state: Any) -> None:
    """Raise a named error unless these are means of the units of this machine."""
    check_machine(model)
    if not isinstance(state, State):
        raise ShapeError(f"means are a StateTAP, one tensor a layer, got {type(state).__name__}")
    model.check_state(state)


def gibbs_free_energy(
    model: BoltzmannMachine, state: State, order: int = 2, beta: float = 1.0
) -> Tensor:
    """The free energy of each row of means, (B,), expanded to an order in the couplings.

    Parameters
    ----------
    model : BoltzmannMachine
    state : StateTAP
    order : 1, 2 or 3
        Naive mean field, TAP, and one order more.
    beta : float
        Inverse temperature.

    Raises
    ------
    ConfigError, ShapeError
        If a layer lacks the TAP ability, or the state does not fit the machine.
    """
    check_means(model, state)
    return GibbsFreeEnergy(model, order, beta).value(state)
