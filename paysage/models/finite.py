"""Parameters that are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.errors import DivergenceError
from paysage.models.graph import check_machine

if TYPE_CHECKING:
    from paysage.models.boltzmann import BoltzmannMachine
    from paysage.models.state import State


def not_finite(model: BoltzmannMachine) -> str | None:
    """Which parameter is the first with NaN or infinity, in words; None if there is none.

    Raises a BackendError for a machine that was made on another backend.
    """
    check_machine(model)
    owners: list[tuple[str, Any]] = [(f"layer {i}", k) for i, k in enumerate(model.layers)]
    owners += [(f"connection {i}", c.weights) for i, c in enumerate(model.connections)]
    for where, owner in owners:
        for name, param in owner.params._asdict().items():
            if not be.is_finite_all(param):
                return f"parameter {name!r} of {where} ({owner!r}) is NaN or infinite"
    return None


def check_finite(model: BoltzmannMachine) -> None:
    """Raise a DivergenceError if a parameter is NaN or infinite, which draws would not show."""
    found = not_finite(model)
    if found:
        raise DivergenceError(f"{found}: there is nothing to sample")


def check_end(model: BoltzmannMachine, state: State) -> None:
    """Raise a DivergenceError if sweeps have made units NaN or infinite; not while captured."""
    if be.is_capturing():
        return
    for layer, units in zip(model.layers, state, strict=True):
        if not be.is_finite_all(units):
            raise DivergenceError(
                f"the units of {layer!r} have become NaN or infinite: the model has no "
                "distribution, or its energies are beyond the range of floats"
            )
