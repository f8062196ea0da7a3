"""How likely each visible unit is, given all others: a likelihood without a partition function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.checks import check_whole
from paysage.errors import ConfigError, DataError
from paysage.likelihood.halves import two_halves
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment

Tensor = Any


class PseudoLikelihood(Metric):
    """Logarithmic pseudo-likelihood of the data, sum_i log p(v_i | the other v), mean over rows.

    The hidden layer is summed out exactly: with the free energy F(v) = E(v) - log Z_hidden(field),
    log p(v_i | others) = -log sum_a exp(F(v) - F(v with v_i = a)), a over the values of the unit
    (Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975). For more than
    `max_exact` visible units the sum over units is estimated: V times the term of one unit, drawn
    at random for each row. A visible layer that is one categorical variable as a whole has a single
    term, which is the likelihood itself.

    Parameters
    ----------
    max_exact : int
        Greatest number of visible units that are all looked at.

    Raises
    ------
    ConfigError
        `max_exact` is not an integer of 0 or more.
    """

    option_names = ("max_exact",)

    def __init__(self, max_exact: int = 64) -> None:
        super().__init__()
        self.max_exact = check_whole("max_exact", max_exact)

    def measure(self, assessment: ModelAssessment) -> float:
        """The mean over the rows of one minibatch; the particles play no part.

        Raises
        ------
        ConfigError
            The machine has more than two layers, visible units whose values cannot be listed, or
            the gains of a layerwise pretraining.
        DataError
            The data are no states of the visible layer.
        """
        machine, visible = _TwoLayers(assessment.model), assessment.data
        machine.visible.check_values(visible)
        if machine.visible.values is None:
            return be.item(be.mean(machine.log_likelihood(visible)))
        return be.item(be.mean(self._sum_over_units(machine, visible)))

    def _sum_over_units(self, machine: _TwoLayers, visible: Tensor) -> Tensor:
        rows, num_units = be.shape(visible)
        conditionals = _Conditionals(machine, visible)
        if num_units > self.max_exact:
            return num_units * conditionals.log_probability(be.rand_int(0, num_units, (rows,)))
        return sum(
            conditionals.log_probability(be.long_tensor([i] * rows)) for i in range(num_units)
        )


class _TwoLayers:
    """A machine of a visible layer with listed states and a hidden one that is summed out."""

    def __init__(self, model: Any) -> None:
        if len(model.layers) != 2:
            raise ConfigError(
                f"PseudoLikelihood needs a machine of a visible and a hidden layer, got {model!r}"
            )
        two_halves(model)  # refuses what has no energy
        self.visible, self.hidden = model.layers
        if self.visible.num_states() is None:
            raise ConfigError(
                f"PseudoLikelihood sums over the values of visible units, got {self.visible!r}, "
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


class _Conditionals:
    """Log p(v_i | the other units) for any unit i of each row, by a change of the hidden field.

    Another value of v_i adds a multiple of the i-th row of the weights to the field, so that one
    matrix product serves all units.
    """

    def __init__(self, machine: _TwoLayers, units: Tensor) -> None:
        self.machine, self.units = machine, units
        self.values = be.float_tensor(machine.visible.values)
        self._check_units()
        self.seen, self.field = machine.visible.connected(units), machine.field(units)
        self.free_energy = machine.free_energy(units, self.field)
        self.rows = be.long_tensor(range(be.shape(units)[0]))

    def _check_units(self) -> None:
        known = sum(self.units == value for value in self.machine.visible.values)
        if not be.tall(known):
            raise DataError(
                f"PseudoLikelihood needs units with one of the values "
                f"{self.machine.visible.values} of {self.machine.visible!r}, got others"
            )

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
