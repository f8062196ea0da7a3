"""How likely each visible unit is, given all others: a likelihood without a partition function."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.likelihood.halves import double, two_halves
from paysage.likelihood.normalizable import check_normalizable, check_states
from paysage.likelihood.rows import LogLikelihood, over_rows
from paysage.models import BoltzmannMachine
from paysage.threads import one_thread_each, side_by_side

Tensor = Any

#: rows that are looked at together
BLOCK = 256


def pseudo_log_likelihood(model: BoltzmannMachine, data: Tensor) -> LogLikelihood:
    """Logarithmic pseudo-likelihood of each row in nats, sum_i log p(v_i | the other v).

    Every visible unit of every row is looked at, so that nothing is estimated
    (``metrics.PseudoLikelihood`` draws a unit a row of large machines). The hidden layer is summed
    out: with F(v) = E(v) - log Z_hidden(field), log p(v_i | others) is
    -log sum_a exp(F(v) - F(v with v_i = a)), a over the values of the unit (Besag, "Statistical
    analysis of non-lattice data", The Statistician 24, 1975). It is no bound on the likelihood:
    machines are compared by it, not measured. A visible layer that is one categorical variable has
    a single term, the likelihood itself.

    Parameters
    ----------
    model : BoltzmannMachine
        Of a visible layer whose values can be listed, and a hidden one.
    data : tensor (B, V)

    Raises
    ------
    ConfigError
        For another machine, or one with the gains of a layerwise pretraining.
    ShapeError, DataError
        If the data are no states of the visible layer.
    """
    machine = TwoLayers(model)
    visible = be.float_tensor(data)
    machine.visible.check_units(visible)
    machine.visible.check_values(visible)
    if machine.visible.values is None:
        return over_rows(double(machine.log_likelihood(visible)))
    number = int(be.shape(visible)[0])
    blocks = [visible[low : low + BLOCK] for low in range(0, number, BLOCK)]
    with one_thread_each():
        sums = side_by_side(*(partial(_sum_over_units, machine, rows) for rows in blocks))
    return over_rows(np.concatenate(sums))


def _sum_over_units(machine: TwoLayers, visible: Tensor) -> np.ndarray:
    return double(Conditionals(machine, visible).sum_over_units())


class TwoLayers:
    """A machine of a visible layer with listed states and a hidden one that is summed out."""

    def __init__(self, model: Any) -> None:
        check_normalizable(model)
        if len(model.layers) != 2:
            raise ConfigError(
                f"a pseudo-likelihood needs a visible and a hidden layer alone, got {model!r}"
            )
        two_halves(model)  # refuses what has no energy
        self.visible, self.hidden = model.layers
        if self.visible.num_states() is None:
            raise ConfigError(
                f"a pseudo-likelihood sums over the values of visible units, got {self.visible!r}, "
                "whose values cannot be listed"
            )
        connection = model.connections[0]
        self.weights = connection.weights.W(trans=connection.target_index != 0)

    def field(self, visible: Tensor) -> Tensor:
        """What the hidden layer receives, (B, H)."""
        return be.dot(self.visible.connected(visible), self.weights)

    def free_energy(self, visible: Tensor, field: Tensor) -> Tensor:
        """Minus the logarithm of the sum over hidden states, (B,)."""
        return self.visible.energy(visible) - self.hidden.conditional_log_partition(field)

    def log_likelihood(self, visible: Tensor) -> Tensor:
        """Log p(v) of each row, by a sum over all states of the visible layer, (B,)."""
        states = self.visible.all_states()
        weight = -self.free_energy(states, self.field(states))
        top = be.tmax(weight)
        log_z = top + be.log(be.tsum(be.exp(weight - top)))
        return -self.free_energy(visible, self.field(visible)) - log_z


class Conditionals:
    """Log p(v_i | the other units) for any unit i of each row, by a change of the hidden field.

    Another value of v_i adds a multiple of the i-th row of the weights to the field, so that one
    matrix product serves all units.
    """

    def __init__(self, machine: TwoLayers, units: Tensor) -> None:
        self.machine, self.units = machine, units
        self.values = be.float_tensor(machine.visible.values)
        check_states(machine.visible, units)
        self.seen, self.field = machine.visible.connected(units), machine.field(units)
        self.free_energy = machine.free_energy(units, self.field)
        self.rows = be.long_tensor(range(be.shape(units)[0]))

    def sum_over_units(self) -> Tensor:
        """The logarithmic pseudo-likelihood of each row, (B,)."""
        rows, num_units = be.shape(self.units)
        return sum(self.log_probability(be.long_tensor([i] * rows)) for i in range(num_units))

    def log_probability(self, index: Tensor) -> Tensor:
        """Of the value of unit index[b] in each row b, given the row's other units, (B,)."""
        current = be.unsqueeze(self.units[self.rows, index], 1)
        place = be.argmin(be.tabs(current - self.values), axis=1)
        total = be.zeros_like(self.free_energy)
        for step in range(1, len(self.values)):
            other = be.index_select(self.values, (place + step) % len(self.values))
            total = be.logaddexp(total, self.free_energy - self._with(index, other))
        return -total

    def _with(self, index: Tensor, values: Tensor) -> Tensor:
        """The free energy of each row b with another value of its unit index[b], (B,)."""
        units = be.scatter_(be.copy_tensor(self.units), index, values)
        change = (self.machine.visible.connected(units) - self.seen)[self.rows, index]
        change = be.unsqueeze(change, 1) * be.index_select(self.machine.weights, index)
        return self.machine.free_energy(units, self.field + change)
