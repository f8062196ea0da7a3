"""The base of all layers: everything that does not depend on the type of the units."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np

from paysage import backends as be
from paysage.checks import check_flag, check_whole, is_whole
from paysage.errors import BackendError, ConfigError, DataError, ShapeError
from paysage.layers.parametric import Parametric
from paysage.registry import Registry, configuring

Tensor = Any

LAYER_TYPES = Registry("layer type")

#: states of a layer beyond this number are not listed
MOST_STATES = 2**20


class Layer(Parametric):
    """A layer of units, which are drawn together given the field that they receive.

    A new type of unit is a subclass with these hooks (B rows, n units; ``beta`` is None for one, a
    number, or a tensor of shape (B, 1); ``out``, where given, may be overwritten and returned, and
    may be the same tensor as ``field``):

    | hook | gives |
    |---|---|
    | ``init_params()`` | the named tuple of parameters |
    | ``energy(units)`` | energy of the layer's own terms, (B,) |
    | ``rescaled(units)`` | what connections see of the units; linear; default: the units |
    | ``mean(field, beta=None, out=None)`` | mean of each unit given its field, (B, n) |
    | ``mode(field, beta=None, out=None)`` | most probable value of each unit, (B, n) |
    | ``sample(field, beta=None, out=None)`` | a draw of each unit, (B, n) |
    | ``log_partition(field, beta=None)`` | log Σ exp(-beta (energy - rescaled · field)), (B,) |
    | ``energy_gradient(units, field)`` | see below, a named tuple |
    | ``field_gradient(field)`` | optional; see below, a named tuple |
    | ``fit_marginal(moments)`` | see below, changes the parameters |

    The sum (or integral) of ``log_partition`` is over the states of the units. Two hooks are
    derivatives by the parameters, averaged over rows:

    * ``energy_gradient``: the derivative of energy - connected · field at the given units.
    * ``field_gradient``: its conditional expectation given the field, which is the derivative of
      -conditional_log_partition(field). Training uses it for layers that are summed out. It is not
      ``energy_gradient`` at the conditional mean, unless ``energy_gradient`` is linear in the
      units: a layer with ``linear_energy = True`` need not define it. A layer with neither is
      sampled where other layers are summed out; the gradient is then noisier, but unbiased.

    ``fit_marginal`` sets the parameters such that the isolated layer has the mean and the variance
    ``moments.mean`` and ``moments.var``. In training, hooks run in several threads at once, on rows
    of their own: a layer keeps no scratch memory. What ``sample`` and ``mean`` draw by the backend
    stays reproducible; ``energy_gradient`` and ``field_gradient`` must not draw random numbers.

    Random states, zero gradients, configuration, saving, fixed parameters, penalties, constraints
    and centering come from here. Units that are independent of one another, given the field, and
    take few values list those in ``values``; a layer whose units depend on one another lists its
    joint states by ``num_states()`` and ``all_states()``, as ``OneHotLayer`` does, and the units of
    each categorical variable by ``variables()``. A layer whose
    hooks keep the promise of ``paysage.capturable`` sets ``capturable = True``.

    Parameters
    ----------
    num_units : int
        Number of units, at least one.
    center : bool
        Connections see the units minus their running mean.
    """

    #: smallest and largest value that a unit may have; None where any real number may occur
    support: ClassVar[tuple[float, float] | None] = None
    #: the values that each unit takes whatever the others do, where they can be listed
    values: ClassVar[tuple[float, ...] | None] = None
    #: False if ``energy_gradient`` ignores its field, which saves a matrix product in training
    gradient_needs_field: ClassVar[bool] = True
    #: True if ``energy_gradient`` is linear in the units, so that at their conditional means it is
    #: the conditional expectation and ``field_gradient`` need not be defined
    linear_energy: ClassVar[bool] = False
    #: weight of a new minibatch in the running mean of a centered layer
    offset_rate: ClassVar[float] = 0.01
    #: parameters that have the scale of the units, see ``unit_scale``
    scaled_params: ClassVar[tuple[str, ...]] = ()
    #: whether means of units pass for units, as those that one layer hands to the next do
    takes_means: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        LAYER_TYPES.add(cls)

    def __init__(self, num_units: int, center: bool = False) -> None:
        super().__init__()
        if not is_whole(num_units, 1):
            raise ConfigError(f"{type(self).__name__} needs at least one unit, got {num_units!r}")
        self.num_units = int(num_units)
        self.center = check_flag("center", center)
        self.params = self.init_params()
        self.offset = self._isolated_mean()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_units})"

    # hooks of the subclasses

    def init_params(self) -> Any:
        """Return the named tuple of parameters of a new layer."""
        raise NotImplementedError(f"{type(self).__name__} does not define init_params()")

    def energy(self, units: Tensor) -> Tensor:
        """Energy of the layer's own terms, (B,)."""
        raise NotImplementedError(f"{type(self).__name__} does not define energy()")

    def rescaled(self, units: Tensor) -> Tensor:
        """Return what connections see of the units, (B, n)."""
        return units

    def mean(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        """Mean of each unit given its field, (B, n)."""
        raise NotImplementedError(f"{type(self).__name__} does not define mean()")

    def mode(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        """Most probable value of each unit given its field, (B, n)."""
        raise NotImplementedError(f"{type(self).__name__} does not define mode()")

    def sample(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        """Draw each unit given its field, (B, n)."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample()")

    def log_partition(self, field: Tensor, beta: Any = None) -> Tensor:
        """Log of the sum over the units' states given the field, centering left aside, (B,)."""
        raise NotImplementedError(f"{type(self).__name__} does not define log_partition()")

    def energy_gradient(self, units: Tensor, field: Tensor | None) -> Any:
        """Derivative of the energy by each parameter, averaged over rows."""
        raise NotImplementedError(f"{type(self).__name__} does not define energy_gradient()")

    def field_gradient(self, field: Tensor) -> Any:
        """Return E[∂(energy - connected · field)/∂θ | field], averaged over rows.

        This is the derivative of -conditional_log_partition(field) by each parameter. The default
        is ``energy_gradient`` at the conditional mean, which is exact if ``linear_energy``.
        """
        if not self.linear_energy:
            raise NotImplementedError(f"{type(self).__name__} does not define field_gradient()")
        return self.energy_gradient(self.mean(field), field)

    def fit_marginal(self, moments: Any) -> None:
        """Give the isolated layer the moments ``moments.mean`` and ``moments.var``, each (n,)."""
        raise NotImplementedError(f"{type(self).__name__} does not define fit_marginal()")

    # what every layer has

    def mean_is_enough(self) -> bool:
        """Return True if the conditional mean is all that a gradient needs to sum the layer out."""
        return self.linear_energy and type(self).field_gradient is Layer.field_gradient

    def can_sum_out(self) -> bool:
        """Return True if gradients can sum the layer out given its field, without sampling it."""
        return self.linear_energy or type(self).field_gradient is not Layer.field_gradient

    def num_states(self) -> int | None:
        """Number of states of the layer as a whole; None where they cannot be listed."""
        return None if self.values is None else len(self.values) ** self.num_units

    def all_states(self) -> Tensor:
        """Every state of the layer, (num_states, n), the last unit changing fastest."""
        number = self.num_states()
        if self.values is None or number is None or number > MOST_STATES:
            raise ConfigError(f"the states of {self!r} cannot be listed: there are too many")
        return be.float_tensor(list(itertools.product(self.values, repeat=self.num_units)))

    def unit_scale(self) -> Tensor | None:
        """Return the scale of the units, (n,), or None where it is one for all of them.

        Initial weights are multiplied by it. Optimizers step the weights, and the parameters in
        ``scaled_params``, in units of it: the step of θ is s times the step of θ / s.
        """
        return None

    def states_at(self, numbers: Any) -> Tensor:
        """Return the states with these numbers, in the order of ``all_states``.

        Parameters
        ----------
        numbers : array of int (B,)

        Returns
        -------
        tensor (B, n)
        """
        numbers = np.asarray(numbers)
        if self.values is None:
            return be.float_tensor(be.to_numpy_array(self.all_states())[numbers])
        values = np.asarray(self.values, dtype=np.float32)
        digits = np.empty((len(numbers), self.num_units), dtype=np.int64)
        for i in reversed(range(self.num_units)):
            numbers, digits[:, i] = np.divmod(numbers, len(values))
        return be.float_tensor(values[digits])

    def variables(self) -> list[list[int]] | None:
        """Return the units of each categorical variable; None where no unit depends on another.

        Exactly one unit of a variable is 1 and the others are 0, whatever the other variables are.
        """
        return None

    def zero_field(self, num_rows: int) -> Tensor:
        """The field of a layer without neighbours, (B, n)."""
        return be.zeros((check_whole("num_rows", num_rows), self.num_units))

    def random(self, array_or_shape: Any) -> Tensor:
        """Sample units of the isolated layer.

        Parameters
        ----------
        array_or_shape : int, tuple or tensor
            Number of rows B, a shape (B, n), or a tensor or array of that shape.

        Returns
        -------
        tensor (B, n)

        Raises
        ------
        ShapeError
            If a shape does not have n columns.
        """
        field = self.zero_field(self._num_rows(array_or_shape))
        return self.sample(field, None, field)

    def _num_rows(self, array_or_shape: Any) -> Any:
        """Return the number of rows that a number, a shape or an array of units stands for."""
        is_array = be.is_tensor(array_or_shape) or isinstance(array_or_shape, np.ndarray)
        shape = tuple(array_or_shape.shape) if is_array else array_or_shape
        if not isinstance(shape, tuple | list) or shape == ():
            return array_or_shape
        if len(shape) != 2 or shape[1] != self.num_units:
            raise ShapeError(f"{self!r} has units of shape (rows, {self.num_units}), got {shape}")
        return shape[0]

    @property
    def len(self) -> int:
        """Number of units; the 0.2 name of ``num_units``."""
        return self.num_units

    def centered(self, units: Tensor) -> Tensor:
        """The units, minus their running mean if the layer is a centered one."""
        return units - self.offset if self.center else units

    def connected(self, units: Tensor) -> Tensor:
        """What connections see of the units, centering included, (B, n)."""
        return self.rescaled(self.centered(units))

    def conditional_log_partition(self, field: Tensor, beta: Any = None) -> Tensor:
        """Log of the sum over states of exp(-beta (energy - connected · field)), (B,)."""
        result = self.log_partition(field, beta)
        if not self.center:
            return result
        shift = be.tsum(self.rescaled(self.offset) * field, axis=1)
        return result - shift * (1.0 if beta is None else be.flatten(beta * be.ones((1, 1))))

    def reset_offset(self) -> None:
        """Start the running mean at the mean of the isolated layer."""
        self.offset[:] = self._isolated_mean()

    def set_offset(self, values: Any) -> None:
        """Write values (n,) into the running mean."""
        values = be.float_tensor(values)
        if tuple(be.shape(values)) != (self.num_units,):
            raise ShapeError(f"{self!r} got a running mean of shape {tuple(be.shape(values))}")
        self.offset[:] = values

    def _isolated_mean(self) -> Tensor:
        return be.flatten(self.mean(self.zero_field(1)))

    def can_absorb(self) -> bool:
        """Whether there is a bias ``loc`` that may take a field: not fixed, without constraint."""
        return "loc" in self.trainable() and "loc" not in self.constraints

    def absorb_field_(self, field: Tensor) -> None:
        """Take a constant field (n,) into the bias ``loc``.

        Raises
        ------
        ConfigError
            If there is no such parameter.
        """
        self._known(["loc"])
        loc = self.params.loc
        loc += field

    def check_backend(self, *units: Tensor) -> None:
        """Raise a BackendError unless parameters and units are tensors of the backend in use."""
        for what, tensors in (("units", units), ("parameters", self.params)):
            if not all(map(be.is_tensor, tensors)):
                raise BackendError(
                    f"the {what} of {self!r} are no tensors of the backend in use, "
                    f"{be.get_backend().backend!r}: be.float_tensor(units) and model.copy() make "
                    "some that are"
                )

    def _rows(self, tensor: Tensor) -> Tensor:
        """The units, or the field; a ShapeError unless they are (B, n), which no sum would tell."""
        shape = tuple(be.shape(tensor))
        if len(shape) != 2 or shape[1] != self.num_units:
            raise ShapeError(f"{self!r} got units of shape {shape}, needs (rows, {self.num_units})")
        return tensor

    def check_units(self, units: Tensor) -> None:
        """Raise a named error unless units of the shape (B, n) meet a layer of the same backend.

        Raises
        ------
        BackendError
            If the units or the layer belong to another backend than the one in use.
        ShapeError
        """
        self.check_backend(units)
        self._rows(units)

    def check_values(self, units: Tensor) -> None:
        """Raise a DataError if there are no units, or some that the layer cannot have."""
        if be.num_elements(units) == 0:
            raise DataError(f"{self!r} got units of shape {tuple(be.shape(units))}, needs rows")
        if not be.is_finite_all(units):
            raise DataError(f"{self!r} got units that are NaN or infinite")
        if self.support is None:
            return
        low, high = float(be.tmin(units)), float(be.tmax(units))
        if low < self.support[0] or high > self.support[1]:
            raise DataError(
                f"{self!r} takes values from {self.support[0]:g} to {self.support[1]:g}, "
                f"got values from {low:g} to {high:g}; scale or binarize the data"
            )

    def get_config(self) -> dict:
        """JSON-able description: type, size and options, without the parameters' values."""
        return {
            "layer_type": type(self).__name__,
            "num_units": self.num_units,
            "center": self.center,
            **self._options_config(),
        }

    @classmethod
    def from_config(cls, config: dict) -> Layer:
        """Make the layer that ``get_config`` described; parameters have their initial values."""
        layer = cls(config["num_units"], center=config.get("center", False))
        layer._set_options(config)
        return layer


def layer_from_config(config: dict) -> Layer:
    """Make a layer of the type that the configuration names, a user's own type included.

    Raises
    ------
    ConfigError
        If no class of that name has been defined (or imported) in this process.
    """
    with configuring("layer"):
        return LAYER_TYPES.get(config.get("layer_type")).from_config(config)
