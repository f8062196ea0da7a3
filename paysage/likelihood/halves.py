"""A machine in two halves, each of which is a set of independent layers given the other one."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError, DataError
from paysage.layers import Weights
from paysage.likelihood.double_precision import PreciseModel, as_double
from paysage.models import BoltzmannMachine, State
from paysage.models.graph import check_machine
from paysage.models.sweep import Sweeps

Tensor = Any


class Halves:
    """One half of the layers is kept, the other one is summed out.

    Connections join layers of different halves only. The energy is that of the model along a path
    from independent layers at 0 to the model at 1: couplings are multiplied by beta, and what the
    layers are given in their place is a constant field, multiplied by 1 - beta.

    Parameters
    ----------
    model : BoltzmannMachine
    keep_visible : bool
        Which half is kept: that of the visible layer, or the other one.
    base : list of tensors (n,), optional
        The constant field of each layer, None for none; none of them by default.

    Raises
    ------
    ConfigError
        If the graph has a ring of an odd number of layers, or a connection with gains.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        keep_visible: bool = True,
        base: list[Tensor | None] | None = None,
    ) -> None:
        first, second = two_halves(model)
        self.model = model
        self.kept, self.summed = (first, second) if keep_visible else (second, first)
        self.base = [None] * len(model.layers) if base is None else base
        self._sweeps = Sweeps(model.layers, model.connections)

    def frozen(self) -> Halves:
        """The same with memory of its own, and with copies of the weights as they are now.

        A weight matrix is copied in both directions, so that rows of either are at hand.
        """
        twin = copy.copy(self)
        copies: list[Any] = [_Frozen(c.weights) for c in self.model.connections]
        pairs = zip(self.model.connections, copies, strict=True)
        twin._sweeps = Sweeps(self.model.layers, [replace(c, weights=w) for c, w in pairs])
        return twin

    def log_partition_of_base(self) -> float:
        """Return the log of the partition function of the independent layers."""
        precise = PreciseModel(self.model)
        return sum(
            float(as_double(layer.conditional_log_partition(precise.tensor(field)))[0])
            for layer, field in zip(precise.layers, self._base_fields(1), strict=True)
        )

    def draw_base(self, num_rows: int) -> State:
        """Draw all layers, independent of one another, (num_rows, n) each."""
        layers = zip(self.model.layers, self._base_fields(num_rows), strict=True)
        return State(layer.sample(field) for layer, field in layers)

    def _base_fields(self, num_rows: int) -> list[Tensor]:
        fields = [layer.zero_field(num_rows) for layer in self.model.layers]
        return [f if b is None else f + b for f, b in zip(fields, self.base, strict=True)]

    def inputs(self, state: State, half: list[int]) -> dict[int, Tensor]:
        """What the layers of a half receive from the other one at beta = 1, (B, n) each."""
        return {i: be.copy_tensor(self._sweeps.field(state, i)) for i in half}

    def log_weight(self, state: State, inputs: dict[int, Tensor], beta: float) -> np.ndarray:
        """Logarithm of the unnormalized probability of the kept half, (B,), double precision.

        Parameters
        ----------
        state : State
            Of which the kept half is looked at.
        inputs : dict
            Of the summed half at this state.
        beta : float
        """
        total = np.zeros(state.batch_size())
        for i in self.kept:
            layer = self.model.layers[i]
            total -= as_double(layer.energy(state[i]))
            if beta < 1.0 and self.base[i] is not None:
                total += (1.0 - beta) * as_double(self._pull(state, i))
        for i, field in self.fields(inputs, beta).items():
            total += as_double(self.model.layers[i].conditional_log_partition(field))
        return total

    def _pull(self, state: State, i: int) -> Tensor:
        return be.dot(self.model.layers[i].connected(state[i]), self.base[i])

    def increment(
        self, state: State, before: dict[int, Tensor], after: dict[int, Tensor], step: float
    ) -> Tensor:
        """What ``log_weight`` gains when beta rises by a step at this state, (B,).

        Parameters
        ----------
        before, after : dict
            Fields of the summed half at the two inverse temperatures.
        """
        total = 0.0
        for i, field in after.items():
            layer = self.model.layers[i]
            total = total + layer.conditional_log_partition(field)
            total = total - layer.conditional_log_partition(before[i])
        for i in self.kept:
            if self.base[i] is not None:
                total = total - step * self._pull(state, i)
        return total

    def fields(self, inputs: dict[int, Tensor], beta: float) -> dict[int, Tensor]:
        """The fields of layers that receive inputs, (B, n) each."""
        return {i: self._field(i, received, beta) for i, received in inputs.items()}

    def _field(self, i: int, received: Tensor, beta: float) -> Tensor:
        if beta == 1.0:
            return received
        base = self.base[i]
        return beta * received if base is None else beta * received + (1.0 - beta) * base

    def sweep(self, state: State, fields: dict[int, Tensor], beta: float) -> dict[int, Tensor]:
        """Draw the summed half in its fields, then the kept one, in place; gives the new inputs.

        As a step of the kept half it leaves the distribution at beta as it is, and is its own
        reversal.
        """
        self._draw(state, fields)
        self._draw(state, self.fields(self.inputs(state, self.kept), beta))
        return self.inputs(state, self.summed)

    def _draw(self, state: State, fields: dict[int, Tensor]) -> None:
        for i, field in fields.items():
            self._sweeps.apply(state, i, "sample", field)


class _Frozen:
    """Copies of a weight matrix and of its transpose."""

    def __init__(self, weights: Weights) -> None:
        matrix = weights.W()
        self._both = be.copy_tensor(matrix), be.zeros(be.shape(matrix)[::-1])
        self._both[1][:] = be.transpose(matrix)

    def W(self, trans: bool = False) -> Tensor:
        return self._both[int(trans)]


def two_halves(model: BoltzmannMachine) -> tuple[list[int], list[int]]:
    """The layers in two sets without connections inside, the first with the visible layer.

    Raises
    ------
    ConfigError
    """
    check_machine(model)
    side = {0: 0}
    for c in model.connections:
        if (c.target_gain, c.domain_gain) != (1.0, 1.0):
            raise ConfigError(
                f"layers {(c.target_index, c.domain_index)} are joined with the gains of a "
                "layerwise pretraining: there is no energy, and so no likelihood"
            )
    waiting = [0]
    for i in waiting:
        for c in model.connections:
            if i not in (c.target_index, c.domain_index):
                continue
            other = c.domain_index if c.target_index == i else c.target_index
            if other not in side:
                side[other] = 1 - side[i]
                waiting.append(other)
            elif side[other] == side[i]:
                raise ConfigError(
                    f"{model!r} has a ring of an odd number of layers: no half of them can be "
                    "summed out given the other one"
                )
    return tuple([i for i in sorted(side) if side[i] == s] for s in (0, 1))  # type: ignore[return-value]


def base_of(model: BoltzmannMachine, moments: Any) -> list[Tensor | None]:
    """Constant fields that give the isolated visible layer the mean of data, other layers none.

    Parameters
    ----------
    model : BoltzmannMachine
    moments : object with .mean and .var, (V,) each

    Raises
    ------
    ShapeError, DataError
        If the moments are not those of data of the visible layer.
    """
    base: list[Tensor | None] = [None] * len(model.layers)
    visible = model.layers[0]
    visible.check_units(be.unsqueeze(be.float_tensor(moments.mean), axis=0))
    if not be.is_finite_all(moments.mean) or not be.is_finite_all(moments.var):
        raise DataError(f"the moments of the base data of {visible!r} are NaN or infinite")
    twin = type(visible).from_config(visible.get_config())
    twin.set_params(visible.params)
    twin.fit_marginal(moments)
    if "loc" in visible.get_param_names():
        base[0] = twin.params.loc - visible.params.loc
    return base
