"""What all penalties share: the slice, the sum, the configuration."""

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.capturable import Capturable
from paysage.checks import check_list, check_number
from paysage.errors import ConfigError, ShapeError
from paysage.penalties.slices import as_tuple, decode_index, encode_index, widen
from paysage.registry import Registry, configuring

_registry = Registry("penalty")


class Penalty(Capturable):
    """A differentiable function of a tensor, restricted to a slice of it.

    A subclass defines `value_of` and `derivative` of the part within the slice, and is registered
    by its class name, so that `from_config` finds it. Constructor arguments of its own are keywords
    and are returned by `options`. One whose `derivative` keeps the promise of `paysage.capturable`
    sets `capturable = True`.

    Parameters
    ----------
    penalty : float
        The strength λ, at least 0.
    slice_tuple : tuple of slices, integers or lists of integers, default (slice(None),)
        The part of the tensor that is penalized; the gradient is zero elsewhere.

    Raises
    ------
    ConfigError
        If `penalty` is negative or not a finite number, or `slice_tuple` is not such a tuple.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _registry.add(cls)

    def __init__(self, penalty: float, slice_tuple: Any = (slice(None),)) -> None:
        self.penalty = check_number(f"penalty of {type(self).__name__}", penalty)
        self.slice_tuple = as_tuple(slice_tuple)
        whole = all(index == slice(None) for index in self.slice_tuple)  # which needs no view
        self._index = None if whole else tuple(map(widen, self.slice_tuple))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.penalty})"

    def __add__(self, other: Any) -> "Penalty":
        return sum_penalty([self, other]) if isinstance(other, Penalty) else NotImplemented

    def __radd__(self, other: Any) -> "Penalty":
        """Zero plus the penalty, which is where Python's `sum` begins."""
        return self if other == 0 else NotImplemented

    def value_of(self, x: Tensor) -> Any:
        """The value for the part of the tensor within the slice; λ included."""
        raise NotImplementedError(f"{type(self).__name__} must define value_of(x)")

    def derivative(self, x: Tensor) -> Tensor:
        """The derivative of `value_of`, in the shape of x; a new tensor."""
        raise NotImplementedError(f"{type(self).__name__} must define derivative(x)")

    def options(self) -> dict[str, Any]:
        """The constructor's further keywords, as JSON values."""
        return {}

    def is_capturable(self) -> bool:
        """Whether the class promises it, and the slice holds no list, which would be copied."""
        return self.capturable and not any(isinstance(i, list) for i in self._index or ())

    def value(self, tensor: Tensor) -> Any:
        """The penalty of a tensor, a number."""
        with np.errstate(all="ignore"):  # NaN and infinity are there for all to see
            return self.value_of(self._part(tensor))

    def grad(self, tensor: Tensor) -> Tensor:
        """The derivative of `value`, in the shape of the tensor."""
        return self.add_grad_(be.zeros_like(tensor), tensor)

    def add_grad_(self, gradient: Tensor, tensor: Tensor) -> Tensor:
        """Add `grad(tensor)` to a gradient, in place."""
        part = self._part(gradient)
        with np.errstate(all="ignore"):
            part += self.derivative(self._part(tensor))
        if self._index is not None:
            gradient[self._index] = part  # a list of integers does not give a view
        return gradient

    def check_part(self, tensor: Tensor, where: str) -> None:
        """Raise a ConfigError, which says where, unless the slice meets the tensor."""
        try:
            size = int(be.num_elements(self._part(tensor)))
        except ShapeError:
            size = 0
        if size == 0:
            raise ConfigError(
                f"the slice {self.slice_tuple!r} of {self!r} meets nothing of {where}, "
                f"which has the shape {tuple(be.shape(tensor))}"
            )

    def _part(self, tensor: Tensor) -> Tensor:
        if self._index is None:
            return tensor
        try:
            return tensor[self._index]
        except (IndexError, TypeError, ValueError) as error:
            raise ShapeError(
                f"the slice {self.slice_tuple!r} of {self!r} meets nothing of a tensor of shape "
                f"{tuple(be.shape(tensor))}"
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Name and constructor arguments, as JSON values."""
        return {
            "name": type(self).__name__,
            "penalty": self.penalty,
            "slice_tuple": [encode_index(i) for i in self.slice_tuple],
            **self.options(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Penalty":
        """The penalty that a configuration describes."""
        arguments = {key: value for key, value in config.items() if key != "name"}
        if arguments.get("slice_tuple") is not None:
            arguments["slice_tuple"] = tuple(decode_index(i) for i in arguments["slice_tuple"])
        try:
            return cls(**arguments)
        except TypeError as error:
            raise ConfigError(f"{cls.__name__} cannot be made from {config}: {error}") from error


class sum_penalty(Penalty):
    """Sum of penalties, each with its own slice; `p + q` returns one.

    Parameters
    ----------
    penalties : list of Penalty
        The terms; sums among them are taken apart.
    """

    def __init__(self, penalties: list[Penalty]) -> None:
        super().__init__(1.0)
        self.penalties: list[Penalty] = []
        for term in _checked_terms(penalties):
            self.penalties.extend(term.penalties if isinstance(term, sum_penalty) else [term])

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.penalties))

    def is_capturable(self) -> bool:
        """Whether all terms are."""
        return all(term.is_capturable() for term in self.penalties)

    def check_part(self, tensor: Tensor, where: str) -> None:
        """Check the slice of each term."""
        for term in self.penalties:
            term.check_part(tensor, where)

    def value_of(self, x: Tensor) -> Any:
        """Σ of the values."""
        return sum(term.value(x) for term in self.penalties)

    def derivative(self, x: Tensor) -> Tensor:
        """Σ of the gradients."""
        return self.add_grad_(be.zeros_like(x), x)

    def add_grad_(self, gradient: Tensor, tensor: Tensor) -> Tensor:
        """Add the gradient of each term, in place."""
        for term in self.penalties:
            term.add_grad_(gradient, tensor)
        return gradient

    def get_config(self) -> dict[str, Any]:
        """The configurations of the terms."""
        return {
            "name": type(self).__name__,
            "penalties": [term.get_config() for term in self.penalties],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Penalty":
        """The sum that a configuration describes."""
        return cls([from_config(term) for term in config["penalties"]])


def _checked_terms(penalties: Any) -> list[Penalty]:
    terms = check_list("a sum of penalties takes a list", penalties)
    if not all(isinstance(term, Penalty) for term in terms):
        raise ConfigError(f"a sum of penalties takes a list of them, got {penalties!r}")
    return terms


def from_config(config: dict[str, Any]) -> Penalty:
    """The penalty, of whatever class, that a configuration describes.

    Raises
    ------
    ConfigError
        When the class or one of its arguments is unknown.
    """
    if not isinstance(config, dict) or "name" not in config:
        raise ConfigError(f"the configuration of a penalty has a 'name'; got {config!r}")
    with configuring("penalty"):
        return _registry.get(config["name"]).from_config(config)
