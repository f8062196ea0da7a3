"""Pseudo-likelihoods: how likely each visible unit is given all others, without log Z."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.conversion import plain_array
from paysage.errors import ConfigError
from paysage.likelihood.double_precision import PreciseModel, as_double
from paysage.likelihood.halves import two_halves
from paysage.likelihood.normalizable import check_normalizable, check_states
from paysage.likelihood.rows import LogLikelihood, over_rows
from paysage.models import BoltzmannMachine
from paysage.threads import one_thread_each, side_by_side

Tensor = Any

#: rows, or states, whose energies are computed together
BLOCK = 256

#: joint states of a layer of unknown structure that may be summed
MAX_STATES = 2**20


def pseudo_log_likelihood(model: BoltzmannMachine, data: Tensor) -> LogLikelihood:
    """Return the log pseudo-likelihood of each row in nats, Σ_i log p(v_i | the other v).

    Exact and in double precision; nothing is sampled. The hidden layer is summed out: with
    F(v) = E(v) - log Z_hidden(field), log p(v_i | others) is
    -log Σ_a exp(F(v) - F(v with v_i = a)), a over the values of the unit (Besag, "Statistical
    analysis of non-lattice data", The Statistician 24, 1975). The sum over i is over units, or over
    the categorical variables of a layer that has some: a `OneHotLayer` is one variable, so that its
    pseudo-likelihood is the likelihood. It is not a bound on the likelihood: use it to compare
    models.

    Parameters
    ----------
    model : BoltzmannMachine
        A visible layer whose values can be listed, and a hidden layer.
    data : tensor or array (B, V)

    Raises
    ------
    ConfigError
        For another model, or one with the gains of a layerwise pretraining.
    ShapeError, DataError
        If the data are not states of the visible layer.
    """
    conditionals = Conditionals(model)
    rows = conditionals.checked(data)
    blocks = [rows[low : low + BLOCK] for low in range(0, len(rows), BLOCK)]
    with one_thread_each(), np.errstate(all="ignore"):
        sums = side_by_side(*(partial(conditionals.sum_over_variables, block) for block in blocks))
    return over_rows(np.concatenate(sums))


class Conditionals:
    """Conditional probabilities of the visible variables of a two-layer model.

    Changing one visible unit adds a multiple of its row of the weights to the hidden field. One
    matrix product therefore serves all variables of a row.

    Parameters
    ----------
    model : BoltzmannMachine
    """

    def __init__(self, model: Any) -> None:
        check_normalizable(model)
        if len(model.layers) != 2:
            raise ConfigError(
                f"a pseudo-likelihood needs a visible and a hidden layer alone, got {model!r}"
            )
        two_halves(model)  # refuses models without an energy
        self._checks = model.layers[0]
        self._variables = self._checks.variables()
        num_states = self._checks.num_states()
        if num_states is None and self._variables is None:
            raise ConfigError(
                "a pseudo-likelihood sums over the values of visible units, got "
                f"{self._checks!r}, whose values cannot be listed"
            )
        if self._checks.values is None and self._variables is None and num_states > MAX_STATES:
            raise ConfigError(
                f"{self._checks!r} has {num_states} joint states, more than {MAX_STATES}; define "
                "its hook variables(), so that each categorical variable is conditioned on the rest"
            )
        self._model = PreciseModel(model)
        self._visible, self._hidden = self._model.layers
        connection = self._model.connections[0]
        self._weights = connection.weights.W(trans=connection.target_index != 0)

    def checked(self, data: Any) -> np.ndarray:
        """Return the data as an array; a named error unless they are states of the layer."""
        visible = be.float_tensor(data)
        self._checks.check_units(visible)
        check_states(self._checks, visible)
        return be.to_numpy_array(data) if be.is_tensor(data) else plain_array(data)

    def sum_over_variables(self, rows: np.ndarray) -> np.ndarray:
        """Return the log pseudo-likelihood of each row, (B,)."""
        units = self._model.tensor(rows)
        if self._checks.values is None and len(self._variables or [0]) == 1:
            return self._log_likelihood(units)
        block = _Block(self._model, self._weights, units)
        total = np.zeros(len(rows))
        if self._checks.values is None:
            for members in self._variables or []:
                total += block.of_variable(members)
        else:
            for i in range(self._checks.num_units):
                total += block.of_unit([i] * len(rows))
        return total

    def of_units(self, rows: np.ndarray, index: Any) -> np.ndarray:
        """Return log p(unit index[b] of row b | the other units), (B,)."""
        return _Block(self._model, self._weights, self._model.tensor(rows)).of_unit(index)

    def _log_likelihood(self, units: Tensor) -> np.ndarray:
        """Return log p(v) of each row of a layer that is one variable, by a sum over its states."""
        top, total = -math.inf, 0.0
        number = int(self._checks.num_states() or 1)
        for low in range(0, number, BLOCK):
            weights = self._log_weights_of_states(np.arange(low, min(low + BLOCK, number)))
            higher = max(top, float(weights.max()))
            total = total * math.exp(top - higher) + float(np.exp(weights - higher).sum())
            top = higher
        return self._model.log_weight([units, None], [0]) - (top + math.log(total))

    def _log_weights_of_states(self, numbers: np.ndarray) -> np.ndarray:
        """Return the log of the unnormalized probability of some states of the visible layer."""
        states = self._model.tensor(self._visible.states_at(numbers))
        if self._variables is None:
            return self._model.log_weight([states, None], [0])
        # state k is unit k alone: its row of the weights is the field, without a matrix product
        index = be.long_tensor(numbers)
        nothing = self._visible.connected(0.0 * states[:1])
        scale = _scale_of(self._visible, states[:1])
        field = be.unsqueeze(scale[index], 1) * be.index_select(self._weights, index)
        field = field + be.dot(nothing, self._weights)
        total = self._hidden.conditional_log_partition(field) - self._visible.energy(states)
        return as_double(total)


class _Block:
    """Some rows, with the free energies that they have when units change.

    Parameters
    ----------
    model : PreciseModel
    weights : tensor (V, H)
    units : tensor (B, V)
        Changed in place, and restored, while a free energy is computed.
    """

    def __init__(self, model: PreciseModel, weights: Tensor, units: Tensor) -> None:
        self._visible, self._hidden = model.layers
        self._weights, self._units = weights, units
        self._field = be.dot(self._visible.connected(units), weights)
        self._scale = _scale_of(self._visible, units[:1])
        self._rows = be.long_tensor(range(len(units)))
        self._free_energy = self._with([])

    def of_unit(self, index: Any) -> np.ndarray:
        """Return log p(unit index[b] of row b | the other units) where units list their values."""
        index = be.long_tensor(index)
        current = self._units[self._rows, index]
        if len(self._visible.values) == 2:
            # also for values between the two, as scikit-learn's BernoulliRBM compares v with 1 - v
            return self._log_probability(
                [self._with([(index, sum(self._visible.values) - current)])]
            )
        values = 0.0 * current[:1] + be.float_tensor(self._visible.values)
        place = be.argmin(be.tabs(be.unsqueeze(current, 1) - values), axis=1)
        others = [
            self._with([(index, be.index_select(values, (place + step) % len(values)))])
            for step in range(1, len(values))
        ]
        return self._log_probability(others)

    def of_variable(self, members: list[int]) -> np.ndarray:
        """Return log p(a categorical variable | the other units) of each row."""
        index = be.long_tensor(members)
        place = be.argmax(be.index_select(self._units, index, dim=1), axis=1)
        on = be.index_select(index, place)
        others = [
            self._with([(on, 0.0), (be.index_select(index, (place + step) % len(members)), 1.0)])
            for step in range(1, len(members))
        ]
        return self._log_probability(others)

    def _log_probability(self, others: list[Tensor]) -> np.ndarray:
        """Return the log of the part that the rows have in a sum with their alternatives, (B,)."""
        own = as_double(self._free_energy)
        return -np.logaddexp.reduce([0.0 * own, *(own - as_double(other) for other in others)])

    def _with(self, changes: list[tuple[Tensor, Any]]) -> Tensor:
        """Return the free energy of each row b with other values of its units index[b], (B,)."""
        field, before = self._field, []
        for index, new in changes:
            old = self._units[self._rows, index]
            step = (new - old) * be.index_select(self._scale, index)
            field = field + be.unsqueeze(step, 1) * be.index_select(self._weights, index)
            before.append((index, old))
            be.scatter_(self._units, index, new)
        energy = self._visible.energy(self._units)
        for index, old in before:
            be.scatter_(self._units, index, old)
        return energy - self._hidden.conditional_log_partition(field)


def _scale_of(layer: Any, row: Tensor) -> Tensor:
    """Return the factors (n,) by which connections see the units of a layer."""
    return layer.rescaled(be.ones_like(row))[0]
