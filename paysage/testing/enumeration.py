"""Truth by enumeration: exact distributions of machines that are small enough to be summed.

Layers whose states can be listed are enumerated; the others (Gaussian ones) are integrated in
closed form given their neighbours, so no two of those may be connected.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_number
from paysage.errors import ConfigError, DataError
from paysage.models import BoltzmannMachine, State
from paysage.models.graph import check_machine

Tensor = Any

#: more than 2 to the power of this many joint states are refused
MAX_BITS = 20


class ExactMachine:
    """The exact distribution of a small machine at an inverse temperature.

    Attributes
    ----------
    states : State
        Every joint state of the enumerated layers, one a row; zeros in the integrated layers.
    log_weights : ndarray (num_states,), float64
        -β E of each state, the integrated layers summed out.
    log_partition : float
        Logarithm of the partition function.
    probabilities : ndarray (num_states,), float64
        Of each state.

    Raises
    ------
    ConfigError
        For more than 2²⁰ joint states, or two connected layers that cannot be enumerated.
    """

    def __init__(self, model: BoltzmannMachine, beta: float = 1.0) -> None:
        check_machine(model)
        self.model = model
        self.beta = check_number("beta", beta)
        self.listed = [i for i, layer in enumerate(model.layers) if layer.num_states() is not None]
        self._check()
        self.states = self._enumerate()
        self.log_weights = log_weights(model, self.states, self.listed, self.beta)
        top = self.log_weights.max()
        self.log_partition = float(top + np.log(np.exp(self.log_weights - top).sum()))
        self.probabilities = np.exp(self.log_weights - self.log_partition)

    def _check(self) -> None:
        layers = self.model.layers
        for c in self.model.connections:
            if {c.target_index, c.domain_index}.isdisjoint(self.listed):
                raise ConfigError(
                    f"{layers[c.target_index]!r} and {layers[c.domain_index]!r} are connected "
                    "and neither can be enumerated"
                )
        bits = math.log2(math.prod(layers[i].num_states() or 1 for i in self.listed))
        if bits > MAX_BITS:
            raise ConfigError(
                f"{self.model!r} has 2^{bits:.0f} joint states, at most 2^{MAX_BITS} here"
            )

    def _enumerate(self) -> State:
        per_layer = [all_states(self.model.layers[i]) for i in self.listed]
        picks = np.indices([len(s) for s in per_layer]).reshape(len(per_layer), -1)
        chosen = {i: s[p] for i, s, p in zip(self.listed, per_layer, picks, strict=True)}
        rows = picks.shape[1]
        return State(
            be.float_tensor(chosen.get(i, np.zeros((rows, layer.num_units), np.float32)))
            for i, layer in enumerate(self.model.layers)
        )

    def draw(self, num_rows: int, rng: np.random.Generator) -> State:
        """Independent exact draws of all layers, (num_rows, n) each.

        The enumerated layers are drawn by ``rng``, the others by the backend's generator.
        """
        rows = rng.choice(len(self.probabilities), size=num_rows, p=self.probabilities)
        state = State(be.float_tensor(be.to_numpy_array(u)[rows]) for u in self.states)
        for i in set(range(len(state))).difference(self.listed):
            self.model.sweeps.update(state, i, "sample", self.beta)
        return state

    def index(self, state: State) -> np.ndarray:
        """Position of each row's enumerated part in ``states``, (B,).

        Raises
        ------
        DataError
            If a row is in none of the listed states.
        """
        position = np.zeros(state.batch_size(), dtype=np.int64)
        for i in self.listed:
            states = all_states(self.model.layers[i])
            position = position * len(states) + _positions(states, state[i])
        return position

    def expectation(self, per_state: Any) -> np.ndarray:
        """Mean of a quantity given for each enumerated state, (num_states, ...)."""
        return np.tensordot(self.probabilities, _float64(per_state), axes=1)


def log_weights(
    model: BoltzmannMachine, state: State, listed: Collection[int], beta: float = 1.0
) -> np.ndarray:
    """Return -βE of each row with some layers summed out, (B,), float64.

    Parameters
    ----------
    model : BoltzmannMachine
    state : State
        Units of the listed layers; those of the others are ignored.
    listed : collection of int
        Layers that are not summed out. No two of the others may be connected.
    beta : float
    """
    layers = model.layers
    total = np.zeros(state.batch_size())
    for i, layer in enumerate(layers):
        if i in listed:
            total -= beta * _float64(layer.energy(state[i]))
        else:
            field = model.sweeps.field(state, i)
            total += _float64(layer.conditional_log_partition(field, beta))
    for c in model.connections:
        t, d = c.target_index, c.domain_index
        if t in listed and d in listed:
            seen = layers[t].connected(state[t]), layers[d].connected(state[d])
            total -= beta * _float64(c.weights.energy(*seen))
    return total


def all_states(layer: Any) -> np.ndarray:
    """Every state of a layer whose states can be listed, (num_states, n), last unit fastest."""
    return np.asarray(be.to_numpy_array(layer.all_states()), dtype=np.float32)


def _positions(states: np.ndarray, units: Tensor) -> np.ndarray:
    """Which of a layer's states each row is, (B,)."""
    places = {_bytes(row): k for k, row in enumerate(states)}
    rows = np.asarray(be.to_numpy_array(units), dtype=np.float32)
    found = np.array([places.get(_bytes(row), -1) for row in rows], dtype=np.int64)
    if (found < 0).any():
        raise DataError(f"got a row that is no state of its layer: {rows[found < 0][0]}")
    return found


def _bytes(row: np.ndarray) -> bytes:
    return (row + np.float32(0)).tobytes()  # of -0 and 0 alike


def _float64(tensor: Tensor) -> np.ndarray:
    return np.asarray(be.to_numpy_array(tensor), dtype=np.float64)
