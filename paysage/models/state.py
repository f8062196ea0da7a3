"""The state of a machine: the units of every layer, for a batch of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_list, check_whole
from paysage.errors import ConfigError, ShapeError
from paysage.layers import Layer
from paysage.layers.tap import tap_units
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
        with model.drawing():
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
        """Sample each layer from its isolated distribution, as if it had no neighbours."""
        check_machine(model)
        batch_size = check_whole("batch_size", batch_size)
        with model.drawing():
            return cls([layer.random(batch_size) for layer in model.layers])

    @classmethod
    def from_state(cls, state: State, sample_indices: Any = None) -> State:
        """Copy a state, or some of its rows.

        Parameters
        ----------
        state : State
        sample_indices : list, array or tensor of integers, optional
            Rows to copy, in this order; a row may occur several times. All rows by default.

        Raises
        ------
        ShapeError
            If an index is not that of a row.
        """
        check_is_state(state)
        if sample_indices is None:
            return cls(be.copy_tensor(be.float_tensor(u)) for u in state.units)
        rows = _checked_indices(sample_indices, state.batch_size())
        return cls(be.index_select(be.float_tensor(u), rows) for u in state.units)

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

    @property
    def len(self) -> int:
        """Number of layers; the 0.2 name of ``len(state)``."""
        return len(self.units)

    def number_of_layers(self) -> int:
        """Return the number of layers."""
        return len(self.units)

    def number_of_units(self, layer: int) -> int:
        """Return the number of units of a layer, given by its index."""
        return int(be.shape(self.units[layer])[1])

    def get_visible(self) -> Tensor:
        """Units of the visible layer, (B, V)."""
        return self.units[0]

    def batch_size(self) -> int:
        """Number of rows B."""
        return int(be.shape(self.units[0])[0])

    def rows(self, part: slice) -> State:
        """Return a state of some of the rows, which shares memory with this one."""
        return State(units[part] for units in self.units)


class PhaseState(State):
    """State of one phase of training, in which some layers are summed out given their fields.

    A layer with a field stands for the conditional distribution of its units in that field. Its
    tensor holds their conditional means, which is what couplings see of it; its own parameters get
    ``Layer.field_gradient``. A layer without a field holds units, or means of units where
    ``Layer.mean_is_enough``; its parameters get ``Layer.energy_gradient``.

    Parameters
    ----------
    tensors : iterable of tensors
        As for ``State``.
    fields : dictionary of int to tensor (B, n)
        Fields of the layers that are summed out, by number of the layer.
    """

    __slots__ = ("fields",)

    def __init__(self, tensors: Iterable[Tensor], fields: Mapping[int, Tensor]) -> None:
        super().__init__(tensors)
        self.fields = dict(fields)

    def rows(self, part: slice) -> PhaseState:
        """Return a state of some of the rows, which shares memory with this one."""
        fields = {i: field[part] for i, field in self.fields.items()}
        return PhaseState((units[part] for units in self.units), fields)


class StateTAP(State):
    """Means of the units of all layers: one tensor (num_samples, n) a layer.

    Parameters
    ----------
    tensors : iterable of tensors
        All with the same number of rows. Float tensors of the backend in use are held, not copied,
        those of double precision too; anything else is converted.
    """

    __slots__ = ()

    def __init__(self, tensors: Any) -> None:
        tensors = list(tensors)
        super().__init__(tensors)
        for i, given in enumerate(tensors):
            if be.is_tensor(given) and be.dtype(given) == be.Double:
                self.units[i] = given

    @classmethod
    def from_model(cls, batch_size: int, model: BoltzmannMachine) -> StateTAP:
        """Random means: uniform over the support of the units.

        Units without a support get the means of their layer alone in a standard normal field.
        """
        check_machine(model)
        batch_size = check_whole("the number of means", batch_size, 1)
        with model.drawing():
            return cls([_random_means(layer, batch_size) for layer in model.layers])

    @classmethod
    def from_visible(cls, visible: Tensor, model: BoltzmannMachine) -> StateTAP:
        """Return visible units and the means of a pass up from them, inside the support."""
        return cls.from_state(State.from_visible_means(visible, model), model)

    @classmethod
    def from_state(cls, state: State, model: BoltzmannMachine | None = None) -> StateTAP:
        """A copy; given the model, of what lies inside of the units' support."""
        check_is_state(state)
        copies = [be.copy_tensor(units) for units in state]
        if model is not None:
            model.check_state(state)
            pairs = zip(model.layers, copies, strict=True)
            copies = [tap_units(layer).inside(units) for layer, units in pairs]
        return cls(copies)


def _random_means(layer: Layer, rows: int) -> Tensor:
    shape = (rows, layer.num_units)
    if layer.support is None:
        return layer.mean(be.randn(shape))
    low, high = layer.support
    return tap_units(layer).inside(low + (high - low) * be.rand(shape))


def state_allclose(
    state_1: State, state_2: State, rtol: float = 1e-05, atol: float = 1e-08
) -> bool:
    """Return True if two states have the same shapes and units equal within a tolerance.

    Parameters
    ----------
    state_1, state_2 : State
    rtol, atol : float
        As in ``be.allclose``.
    """
    check_is_state(state_1)
    check_is_state(state_2)
    shapes = [[tuple(be.shape(units)) for units in state] for state in (state_1, state_2)]
    pairs = zip(state_1, state_2, strict=False)
    return shapes[0] == shapes[1] and all(be.allclose(a, b, rtol, atol) for a, b in pairs)


def _checked_indices(sample_indices: Any, rows: int) -> Tensor:
    """Return indices of rows as a tensor of integers; raise a ShapeError for one out of range."""
    if be.is_tensor(sample_indices):
        sample_indices = be.to_numpy_array(sample_indices)
    array = np.asarray(sample_indices)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ShapeError(f"sample_indices must be a list of integers, got {sample_indices!r}")
    if array.size and not (-rows <= array.min() and array.max() < rows):
        raise ShapeError(f"sample_indices must be rows of a state of {rows}, got {sample_indices}")
    return be.long_tensor(array % rows if rows else array)


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
