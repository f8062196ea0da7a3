"""A machine in two halves, each of which is a set of independent layers given the other one."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError, DataError
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
    base : sequence of tensors (n,), optional
        The constant field of each layer; zeros by default.

    Raises
    ------
    ConfigError
        If the graph has a ring of an odd number of layers, or a connection with gains.
    """

    def __init__(
        self, model: BoltzmannMachine, keep_visible: bool = True, base: list[Tensor] | None = None
    ) -> None:
        first, second = two_halves(model)
        self.model = model
        self.kept, self.summed = (first, second) if keep_visible else (second, first)
        self.base = [be.zeros((k.num_units,)) for k in model.layers] if base is None else base
        self._sweeps = Sweeps(model.layers, model.connections)

    def log_partition_of_base(self) -> float:
        """Logarithm of the partition function of the independent layers."""
        return sum(
            float(be.to_numpy_array(k.conditional_log_partition(be.unsqueeze(f, axis=0)))[0])
            for k, f in zip(self.model.layers, self.base, strict=True)
        )

    def draw_base(self, num_rows: int) -> State:
        """Draw all layers, independent of one another, (num_rows, n) each."""
        zeros = be.zeros((num_rows, 1))
        return State(k.sample(zeros + f) for k, f in zip(self.model.layers, self.base, strict=True))

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
            total -= double(layer.energy(state[i]))
            if beta < 1.0:
                pull = be.dot(layer.connected(state[i]), self.base[i])
                total += (1.0 - beta) * double(pull)
        for i, received in inputs.items():
            field = self._field(i, received, beta)
            total += double(self.model.layers[i].conditional_log_partition(field))
        return total

    def _field(self, i: int, received: Tensor, beta: float) -> Tensor:
        return received if beta == 1.0 else beta * received + (1.0 - beta) * self.base[i]

    def sweep(self, state: State, inputs: dict[int, Tensor], beta: float) -> dict[int, Tensor]:
        """Draw the summed half, then the kept one, in place; gives the new inputs.

        As a step of the kept half it leaves the distribution at beta as it is, and is its own
        reversal.
        """
        self._draw(state, inputs, beta)
        self._draw(state, self.inputs(state, self.kept), beta)
        return self.inputs(state, self.summed)

    def _draw(self, state: State, inputs: dict[int, Tensor], beta: float) -> None:
        for i, received in inputs.items():
            field = self._field(i, received, beta)
            self._sweeps.apply(state, i, "sample", field)


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


def base_of(model: BoltzmannMachine, moments: Any) -> list[Tensor]:
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
    base = [be.zeros((k.num_units,)) for k in model.layers]
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


def double(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor in double precision, an array."""
    return np.asarray(be.to_numpy_array(tensor), dtype=np.float64)
