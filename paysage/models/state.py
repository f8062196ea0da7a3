"""The state of a machine: the units of every layer, for a batch of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_list, check_whole
from paysage.errors import ConfigError, ShapeError
from paysage.models.graph import check_machine

if TYPE_CHECKING:
    from paysage.models.boltzmann import BoltzmannMachine

Tensor = Any


class State:
    """Units of all layers: one tensor (B, n) a layer, the visible layer first.

    Parameters
    ----------
    tensors : iterable of tensors
        All with the same number of rows. Float tensors of the backend in use are held, not copied;
        anything else is converted.
    """

    __slots__ = ("units",)

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self.units = [
            be.float_tensor(units)
            for units in check_list("a state takes a tensor a layer", tensors)
        ]
        shapes = [tuple(be.shape(u)) for u in self.units]
        if () in shapes or len({shape[0] for shape in shapes}) != 1:
            raise ShapeError(f"all layers of a state need the same number of rows, got {shapes}")

    @classmethod
    def from_visible(cls, visible: Tensor, model: BoltzmannMachine) -> State:
        """Hold the visible units as given and sample the other layers at random.

        Each of the other layers is sampled from its own isolated distribution, as in
        ``from_model``: it does not depend on the visible units. ``from_visible_means`` sets the
        other layers to means given the visible units instead.

        Parameters
        ----------
        visible : tensor (B, V)
        model : BoltzmannMachine

        Raises
        ------
        ShapeError, DataError
            If the visible layer cannot have such units.
        """
        visible = _checked_visible(visible, model)
        rows = int(be.shape(visible)[0])
        return cls([visible, *(layer.random(rows) for layer in model.layers[1:])])

    @classmethod
    def from_visible_means(cls, visible: Tensor, model: BoltzmannMachine) -> State:
        """Hold the visible units as given and set the other layers to means by one pass up.

        Layers are set in the order of their distance from the visible layer, given the neighbours
        that are set already. A layer with further neighbours receives its input multiplied by
        (number of neighbours) / (number of neighbours set), which stands in for the missing input
        (Salakhutdinov & Hinton 2009). In a model of two layers these are the conditional means of
        the hidden units.

        Parameters
        ----------
        visible : tensor (B, V)
        model : BoltzmannMachine

        Raises
        ------
        ShapeError, DataError
            If the visible layer cannot have such units.
        """
        visible = _checked_visible(visible, model)
        with np.errstate(over="ignore", invalid="ignore"):  # fields beyond floats are infinite
            return model.sweeps.pass_up(model.sweeps.empty_state(visible))

    @classmethod
    def from_model(cls, batch_size: int, model: BoltzmannMachine) -> State:
        """Each layer drawn on its own, as if it had no neighbours."""
        check_machine(model)
        batch_size = check_whole("batch_size", batch_size)
        return cls(layer.random(batch_size) for layer in model.layers)

    @classmethod
    def from_state(cls, state: State) -> State:
        """A copy."""
        check_is_state(state)
        return cls(be.copy_tensor(be.float_tensor(u)) for u in state.units)

    def __getitem__(self, index: int) -> Tensor:
        return self.units[index]

    def __setitem__(self, index: int, units: Tensor) -> None:
        self.units[index] = be.float_tensor(units)

    def __len__(self) -> int:
        return len(self.units)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.units)

    def __repr__(self) -> str:
        return f"State({[tuple(be.shape(u)) for u in self.units]})"

    def get_visible(self) -> Tensor:
        """Units of the visible layer, (B, V)."""
        return self.units[0]

    def batch_size(self) -> int:
        """Number of rows B."""
        return int(be.shape(self.units[0])[0])


def _checked_visible(visible: Any, model: Any) -> Tensor:
    """Return the visible units as a tensor; raise a named error if the model cannot have them."""
    check_machine(model)
    visible = be.float_tensor(visible)
    model.layers[0].check_units(visible)
    model.layers[0].check_values(visible)
    return visible


def check_is_state(state: Any) -> None:
    """Raise a ConfigError unless it is a state."""
    if not isinstance(state, State):
        raise ConfigError(
            "expected a state, such as State.from_visible(visible, model) or State(tensors), "
            f"got {type(state).__name__}"
        )
