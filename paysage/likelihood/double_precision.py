"""Energies and log weights in double precision, for the numbers that are reported.

Parameters are stored in single precision. A sum over states, or a free energy with terms of order
1e6, loses whole nats when it is computed in single precision too.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.layers import Layer
from paysage.models import BoltzmannMachine

Tensor = Any


class PreciseModel:
    """The energies of a model, evaluated in double precision.

    The hooks of user-defined layers may accept single precision tensors only. Where one does, the
    whole model is evaluated in single precision.

    Parameters
    ----------
    model : BoltzmannMachine
        Its parameters are copied.

    Attributes
    ----------
    layers : list of Layer
        Copies of the layers, with parameters of the precision in use.
    """

    def __init__(self, model: BoltzmannMachine) -> None:
        single = model.layers
        layers = [_with_double_params(layer) for layer in single]
        self.is_double = all(map(_evaluates_in_double, layers))
        if self.is_double:
            connections = [
                replace(c, weights=_with_double_params(c.weights)) for c in model.connections
            ]
            model = BoltzmannMachine(layers, connections)
        self.layers = model.layers
        self.connections = model.connections
        self._links = model.sweeps.links
        self._single = single

    def tensor(self, values: Any) -> Tensor:
        """Return a tensor of the precision in use."""
        return double_tensor(values) if self.is_double else be.float_tensor(values)

    def field(self, units: Sequence[Tensor | None], i: int) -> Tensor:
        """Return the field that layer i receives from its neighbours, (B, n)."""
        total = 0.0
        for link in self._links[i]:
            seen = self.layers[link.neighbour].connected(units[link.neighbour])
            matrix = link.connection.weights.W(trans=link.transposed)
            total = total + link.gain * be.dot(seen, matrix)
        return total

    def mean(self, i: int, field: Tensor) -> Tensor:
        """Return the means of layer i given its field, computed in single precision, (B, n)."""
        return self.tensor(self._single[i].mean(be.cast_float(field)))

    def log_weight(self, units: Sequence[Tensor | None], kept: list[int]) -> np.ndarray:
        """Return the log of the unnormalized probability of some layers, the others summed out.

        Parameters
        ----------
        units : sequence of tensors (B, n)
            Units of the kept layers; other entries are ignored.
        kept : list of int
            Layers without connections among one another, and neither are the other ones.

        Returns
        -------
        array (B,)
            In double precision.
        """
        total: Any = 0.0
        for i, layer in enumerate(self.layers):
            if i in kept:
                total = total - as_double(layer.energy(units[i]))
            else:
                field = self.field(units, i)
                total = total + as_double(layer.conditional_log_partition(field))
        return total


def as_double(tensor: Tensor) -> np.ndarray:
    """Return the numbers of a tensor as an array in double precision."""
    return np.asarray(be.to_numpy_array(tensor), dtype=np.float64)


def double_tensor(values: Any) -> Tensor:
    """Return a copy of the values as a tensor in double precision."""
    return be.from_numpy_array(np.array(as_double(values)))


def _with_double_params(owner: Any) -> Any:
    twin = copy.copy(owner)
    twin.params = type(owner.params)(*map(double_tensor, owner.params))
    if isinstance(owner, Layer):
        twin.offset = double_tensor(owner.offset)
    return twin


def _evaluates_in_double(layer: Layer) -> bool:
    """Return True if the layer's hooks accept and return double precision tensors."""
    rows = double_tensor(be.unsqueeze(layer.offset, axis=0))
    try:
        results = [layer.energy(rows), layer.conditional_log_partition(rows)]
        results.append(layer.connected(rows))
    except (RuntimeError, TypeError, ValueError):
        return False
    return all(be.dtype(result) == be.Double for result in results)
