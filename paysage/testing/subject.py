"""A layer under examination: how it is made, and how what it gives is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.layers import Layer

Tensor = Any

#: how far parameters are moved from their initial values
SPREAD = 0.5
#: relative error of a short computation in single precision
ROUNDING = 1e-5
#: more states of a layer than this are not listed
MAX_STATES = 1024
#: of more elements than these, some are looked at
MAX_ELEMENTS = 12


class Broken(Exception):
    """A promise is broken; the message says what was got and what was expected."""


class Subject:
    """Layers of one type, all with the same parameters, and inputs for their hooks.

    Attributes
    ----------
    layer : Layer
        The one that is examined.
    field : tensor (B, n)
        A different field in each row.
    """

    rows = 6

    def __init__(
        self,
        layer_type: type[Layer],
        num_units: int,
        factory: Callable[[int], Layer] | None,
        seed: int,
    ) -> None:
        self.layer_type, self.num_units, self.factory = layer_type, num_units, factory
        self.rng = np.random.default_rng(seed)
        self._made: Layer | None = None
        self._start: list[np.ndarray] | None = None

    @property
    def layer(self) -> Layer:
        """The layer that is examined, made at its first use."""
        if self._made is None:
            self._made = self.new()
        return self._made

    def new(self, center: bool = False) -> Layer:
        """A new layer with the parameters of all others."""
        make = self.layer_type if self.factory is None else self.factory
        layer = make(self.num_units)
        expect(isinstance(layer, self.layer_type), f"got {layer!r}, expected a new layer")
        if self.factory is None:
            self._move(layer)
        if center:
            layer.center = True
            layer.reset_offset()
        return layer

    def _move(self, layer: Layer) -> None:
        if self._start is None:
            rng = np.random.default_rng(3)
            self._start = [
                array(p) + rng.uniform(-SPREAD, SPREAD, tuple(be.shape(p))) for p in layer.params
            ]
        layer.set_params(self._start)
        layer.enforce_constraints()

    def fields(self, rows: int = rows) -> Tensor:
        """A different field in each row, from -1.5 to 1.5."""
        return be.float_tensor(self.rng.uniform(-1.5, 1.5, (rows, self.layer.num_units)))

    def some(self, number: int) -> np.ndarray:
        """Positions among so many elements: all of them, or a few at random."""
        return np.sort(self.rng.permutation(number)[:MAX_ELEMENTS])

    def listed(self) -> Tensor | None:
        """All states of the layer, (num_states, n); None if they are not listed, or are many."""
        number = self.layer.num_states()
        return None if number is None or number > MAX_STATES else self.layer.all_states()


def effective_energy(layer: Layer, units: Tensor, field: Tensor) -> np.ndarray:
    """The energy of units in a field, energy - connected · field, (B,)."""
    return array(layer.energy(units)) - (array(layer.connected(units)) * array(field)).sum(axis=1)


def betas(rows: int) -> dict[str, tuple[Any, np.ndarray]]:
    """Inverse temperatures as hooks take them, and the same as a column of numbers (B, 1)."""
    column = np.where(np.arange(rows) % 2, 1.5, 0.5)[:, None]
    return {
        "beta=None": (None, np.ones((rows, 1))),
        "beta=0.6": (0.6, np.full((rows, 1), 0.6)),
        "beta of shape (B, 1)": (be.float_tensor(column), column),
    }


def array(tensor: Tensor) -> np.ndarray:
    """A copy in double precision."""
    return np.array(be.to_numpy_array(tensor), dtype=np.float64)


def repeated(row: Tensor, rows: int) -> Tensor:
    """One row (n,) many times, (rows, n)."""
    return be.float_tensor(np.tile(array(row), (rows, 1)))


def expect(kept: Any, said: str) -> None:
    """Say what is wrong unless it is right."""
    if not kept:
        raise Broken(said)


def expect_close(what: str, got: Any, expected: Any, tolerance: Any) -> None:
    """Compare arrays, and name the place where they are farthest apart."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    expect(got.shape == expected.shape, f"{what}: got shape {got.shape}, expected {expected.shape}")
    excess = np.abs(got - expected) - tolerance
    if got.size and not excess.max() <= 0:
        at = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
        allowed = np.broadcast_to(tolerance, excess.shape)[at]
        place = f" at {tuple(map(int, at))}" if at else ""
        raise Broken(
            f"{what}: got {got[at]:.6g}{place}, expected {expected[at]:.6g} ± {allowed:.2g}"
        )


def differences(function: Callable[[float], np.ndarray], step: float) -> np.ndarray:
    """Derivative at zero, from four values: the error is of the fourth order in the step."""
    inner, outer = (function(k * step) - function(-k * step) for k in (1, 2))
    return (8 * inner - outer) / (12 * step)
