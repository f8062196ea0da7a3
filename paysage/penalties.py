"""What a parameter costs beyond the likelihood: functions of one tensor, and their gradients.

Every `grad` is the derivative of its `value`. Penalties add up: `l1_penalty(0.1) +
l2_penalty(0.01)` is a penalty. In the formulas w are the elements of the tensor within the slice,
and λ is `penalty`.
"""

import math
from typing import Any

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.errors import ConfigError, ShapeError
from paysage.registry import Registry

_registry = Registry("penalty")


class Penalty:
    """A differentiable function of a tensor, restricted to a slice of it.

    A subclass defines `value_of` and `derivative` of the part within the slice, and is registered
    by its class name, so that `from_config` finds it. Constructor arguments of its own are keywords
    and are returned by `options`.

    Parameters
    ----------
    penalty : float
        The strength λ.
    slice_tuple : tuple of slices, integers or lists of integers, optional
        The part of the tensor that is penalized; the gradient is zero elsewhere. Default: all.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _registry.add(cls)

    def __init__(self, penalty: float, slice_tuple: Any = None) -> None:
        self.penalty = _finite(self, "penalty", penalty)
        self.slice_tuple = _as_tuple(slice_tuple)
        self._index = None if self.slice_tuple is None else tuple(map(_widen, self.slice_tuple))

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

    def value(self, tensor: Tensor) -> Any:
        """The penalty of a tensor, a number."""
        return self.value_of(self._part(tensor))

    def grad(self, tensor: Tensor) -> Tensor:
        """The derivative of `value`, in the shape of the tensor."""
        if self._index is None:
            return self.derivative(tensor)
        gradient = be.zeros_like(tensor)
        gradient[self._index] = self.derivative(tensor[self._index])
        return gradient

    def add_grad_(self, gradient: Tensor, tensor: Tensor) -> Tensor:
        """Add `grad(tensor)` to a gradient, in place."""
        part = self._part(gradient)
        part += self.derivative(self._part(tensor))
        if self._index is not None:
            gradient[self._index] = part  # a list of integers does not give a view
        return gradient

    def _part(self, tensor: Tensor) -> Tensor:
        return tensor if self._index is None else tensor[self._index]

    def get_config(self) -> dict[str, Any]:
        """Name and constructor arguments, as JSON values."""
        part = None if self.slice_tuple is None else [_encode_index(i) for i in self.slice_tuple]
        return {
            "name": type(self).__name__,
            "penalty": self.penalty,
            "slice_tuple": part,
            **self.options(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Penalty":
        """The penalty that a configuration describes."""
        arguments = {key: value for key, value in config.items() if key != "name"}
        if arguments.get("slice_tuple") is not None:
            arguments["slice_tuple"] = tuple(_decode_index(i) for i in arguments["slice_tuple"])
        try:
            return cls(**arguments)
        except TypeError as error:
            raise ConfigError(f"{cls.__name__} cannot be made from {config}: {error}") from error


class sum_penalty(Penalty):
    """The sum of penalties, each with its own slice; what `p + q` gives.

    Parameters
    ----------
    penalties : list of Penalty
        The terms; sums among them are taken apart.
    """

    def __init__(self, penalties: list[Penalty]) -> None:
        super().__init__(1.0)
        self.penalties: list[Penalty] = []
        for term in penalties:
            self.penalties.extend(term.penalties if isinstance(term, sum_penalty) else [term])

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.penalties))

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


class trivial_penalty(Penalty):
    """No penalty: 0."""

    def __init__(self, penalty: float = 0.0, slice_tuple: Any = None) -> None:
        super().__init__(penalty, slice_tuple)

    def value_of(self, x: Tensor) -> Any:
        """Zero."""
        return 0.0

    def derivative(self, x: Tensor) -> Tensor:
        """Zeros."""
        return be.zeros_like(x)


class l1_penalty(Penalty):
    """The lasso, λ Σ |w|: many parameters become zero."""

    def value_of(self, x: Tensor) -> Any:
        """λ Σ |w|."""
        return self.penalty * be.tsum(be.tabs(x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ sign(w), which is 0 at 0."""
        result = be.sign(x)
        result *= self.penalty
        return result


class l2_penalty(Penalty):
    """The ridge, λ/2 Σ w²: parameters stay small."""

    def value_of(self, x: Tensor) -> Any:
        """λ/2 Σ w²."""
        return 0.5 * self.penalty * be.tsum(be.square(x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ w."""
        return self.penalty * x


class exp_l2_penalty(Penalty):
    """The ridge of the exponential, λ/2 Σ exp(w)²: for parameters that are logarithms."""

    def value_of(self, x: Tensor) -> Any:
        """λ/2 Σ exp(2w)."""
        return 0.5 * self.penalty * be.tsum(be.exp(2 * x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ exp(2w)."""
        return self.penalty * be.exp(2 * x)


class l1_adaptive_decay_penalty_2(Penalty):
    """λ/2 Σ_j (Σ_i |w_ij|)²: a lasso whose pull on a column grows with the column.

    Units that have few and weak connections are spared, those with many are pruned (Tubiana and
    Monasson, Emergence of compositional representations in restricted Boltzmann machines,
    Phys. Rev. Lett. 118, 138301, 2017). A vector counts as one column.
    """

    def value_of(self, x: Tensor) -> Any:
        """λ/2 Σ_j (Σ_i |w_ij|)²."""
        return 0.5 * self.penalty * be.tsum(be.square(be.tsum(be.tabs(x), axis=0)))

    def derivative(self, x: Tensor) -> Tensor:
        """λ sign(w_ij) Σ_k |w_kj|."""
        return self.penalty * be.tsum(be.tabs(x), axis=0) * be.sign(x)


class log_penalty(Penalty):
    """The logarithmic barrier, −λ Σ log |w|: parameters stay away from zero."""

    def value_of(self, x: Tensor) -> Any:
        """−λ Σ log |w|."""
        return -self.penalty * be.tsum(be.log(be.tabs(x)))

    def derivative(self, x: Tensor) -> Tensor:
        """−λ / w."""
        return -self.penalty * be.reciprocal(x)


class logdet_penalty(Penalty):
    """−λ/2 log det(WᵀW): the columns of a matrix stay linearly independent.

    Of a matrix with more columns than rows, WWᵀ is taken. Either way it is −λ times the sum of the
    logarithms of the singular values.
    """

    def value_of(self, x: Tensor) -> Any:
        """−λ/2 log det(WᵀW) = −λ log |det R| where W = QR; the square is not formed."""
        return -self.penalty * be.logdet(be.qr(_tall(x))[1])

    def derivative(self, x: Tensor) -> Tensor:
        """−λ W (WᵀW)⁻¹ = −λ Q R⁻ᵀ."""
        q, r = be.qr(_tall(x))
        result = -self.penalty * be.dot(q, be.transpose(be.inv(r)))
        return result if _is_tall(x) else be.transpose(result)


class log_norm(Penalty):
    """λ log ‖w‖, with the Euclidean (for a matrix, Frobenius) norm; −∞ at zero."""

    def value_of(self, x: Tensor) -> Any:
        """λ log ‖w‖."""
        return self.penalty * be.log(be.norm(x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ w / ‖w‖²."""
        return (self.penalty / be.norm(x) ** 2) * x


class l2_norm(Penalty):
    """λ/2 (‖w‖ − target)²: the Euclidean (for a matrix, Frobenius) norm stays near a target.

    Parameters
    ----------
    penalty : float
        The strength λ.
    slice_tuple : tuple, optional
        The part of the tensor that is penalized.
    target : float
        The wanted norm.
    """

    def __init__(self, penalty: float, slice_tuple: Any = None, *, target: float = 1.0) -> None:
        super().__init__(penalty, slice_tuple)
        self.target = _finite(self, "target", target)

    def options(self) -> dict[str, Any]:
        """The target."""
        return {"target": self.target}

    def value_of(self, x: Tensor) -> Any:
        """λ/2 (‖w‖ − target)²."""
        return 0.5 * self.penalty * (be.norm(x) - self.target) ** 2

    def derivative(self, x: Tensor) -> Tensor:
        """λ (‖w‖ − target) w / ‖w‖; at zero, where there is no derivative, zero."""
        norm = be.norm(x)
        return (self.penalty * (norm - self.target) / (norm + (norm == 0))) * x


lasso = l1_penalty
ridge = l2_penalty


def from_config(config: dict[str, Any]) -> Penalty:
    """The penalty, of whatever class, that a configuration describes.

    Raises
    ------
    ConfigError
        When the class or one of its arguments is unknown.
    """
    if not isinstance(config, dict) or "name" not in config:
        raise ConfigError(f"the configuration of a penalty has a 'name'; got {config!r}")
    return _registry.get(config["name"]).from_config(config)


def _finite(owner: Penalty, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{type(owner).__name__} needs a finite {name}; got {value!r}")
    return number


def _is_tall(x: Tensor) -> bool:
    shape = be.shape(x)
    if len(shape) != 2:
        raise ShapeError(f"logdet_penalty got a tensor of shape {shape}; expected a matrix")
    return shape[0] >= shape[1]


def _tall(x: Tensor) -> Tensor:
    return x if _is_tall(x) else be.transpose(x)


def _as_tuple(part: Any) -> tuple[Any, ...] | None:
    if part is None or part is ...:
        return None
    part = part if isinstance(part, tuple) else (part,)
    for index in part:
        _encode_index(index)
    return part


def _widen(index: Any) -> Any:
    """An integer as a slice of length one, so that the part has as many axes as the tensor."""
    if isinstance(index, int):
        return slice(index, index + 1 or None)
    return index


def _encode_index(index: Any) -> Any:
    """One entry of a slice tuple as JSON: an integer, a list of them, or a slice."""
    if isinstance(index, slice):
        return {"slice": [index.start, index.stop, index.step]}
    numbers = index if isinstance(index, list) else [index]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise ConfigError(
            f"a slice tuple consists of slices, integers and lists of integers; got {index!r}"
        )
    return index


def _decode_index(index: Any) -> Any:
    return slice(*index["slice"]) if isinstance(index, dict) else index
