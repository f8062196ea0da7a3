"""What a parameter must be: functions that change a tensor in place after each step.

Arguments are bound by keyword: `functools.partial(zero_column, index=3)`.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.capturable import capturable
from paysage.checks import check_number, check_whole, is_whole
from paysage.errors import ConfigError, ShapeError
from paysage.registry import Registry, decode_arguments, encode_arguments

Constraint = Callable[..., None]

_registry = Registry("constraint")


def register(function: Constraint) -> Constraint:
    """Let a constraint of one's own be stored and loaded; use it as a decorator.

    Parameters
    ----------
    function : callable
        Takes a tensor, and arguments that are bound with `functools.partial`; changes the tensor
        in place. It is known by its name, and must be registered before a model that uses it is
        loaded. One that keeps the promise of `paysage.capturable` has an attribute of that name.
    """
    return _registry.add(function)


@register
@capturable
def non_negative(tensor: Tensor) -> None:
    """Set negative elements to zero."""
    be.clip_(tensor, a_min=0.0)


@register
@capturable
def non_positive(tensor: Tensor) -> None:
    """Set positive elements to zero."""
    be.clip_(tensor, a_max=0.0)


@register
@capturable
def diagonal(tensor: Tensor) -> None:
    """Set the elements off the diagonal of a matrix to zero."""
    _check_matrix("diagonal", tensor)
    kept = be.diag(tensor)
    tensor[:] = 0.0
    be.fill_diagonal_(tensor, kept)


@register
@capturable
def zero_row(tensor: Tensor, index: Any) -> None:
    """Set one row, or several, to zero; of a vector, elements.

    Parameters
    ----------
    tensor : (m, n) or (m,)
        Changed in place.
    index : int, list of int or slice
        Which rows.
    """
    _set_zero("zero_row", tensor, index, 0)


@register
@capturable
def zero_column(tensor: Tensor, index: Any) -> None:
    """Set one column of a matrix, or several, to zero.

    Parameters
    ----------
    tensor : (m, n)
        Changed in place.
    index : int, list of int or slice
        Which columns.
    """
    _check_matrix("zero_column", tensor)
    _set_zero("zero_column", tensor, index, 1)


@register
def zero_mask(tensor: Tensor, mask: Any) -> None:
    """Set the elements to zero where a mask is 1 (true).

    Parameters
    ----------
    tensor : any shape
        Changed in place.
    mask : tensor, array or nested list, in the shape of the tensor
        Booleans, or zeros and ones.

    Raises
    ------
    ShapeError
        If the shapes differ.
    ConfigError
        If the mask has values other than 0 and 1.
    """
    mask = be.float_tensor(mask)
    if be.shape(mask) != be.shape(tensor):
        raise ShapeError(
            f"zero_mask got a mask of shape {be.shape(mask)} for a tensor of shape "
            f"{be.shape(tensor)}"
        )
    masked = be.equal(mask, 1.0)
    if not be.tall(be.logical_or(masked, be.equal(mask, 0.0))):
        raise ConfigError("zero_mask expected a mask of booleans or of zeros and ones")
    tensor[:] = be.where(masked, 0.0, tensor)


@register
@capturable
def fixed_column_norm(tensor: Tensor, norm: float | None = None) -> None:
    """Scale each column of a matrix to the same Euclidean norm, by default their mean norm.

    Columns of zeros stay, and do not count in the mean. A column with a value that is not finite
    becomes NaN, and without `norm` all columns do.

    Parameters
    ----------
    tensor : (m, n)
        Changed in place.
    norm : float, optional
        The norm of every column afterwards. Default: the mean of the present norms.
    """
    _check_matrix("fixed_column_norm", tensor)
    norm = None if norm is None else check_number("norm", norm)
    if be.num_elements(tensor) == 0:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        # Elements of at most one each: their squares neither overflow nor vanish.
        largest = be.maximum(be.tmax(tensor, 0, True), -be.tmin(tensor, 0, True))
        tensor /= _one_for_zero(largest)
        norms = be.norm(tensor, axis=0, keepdims=True)
        wanted = _mean_of_nonzero(largest * norms) if norm is None else norm
        tensor *= wanted / _one_for_zero(norms)


def _mean_of_nonzero(norms: Tensor) -> Tensor:
    """Return the mean of the entries of (1, n) that are not zero, (1, 1); zero without any."""
    number = be.tsum(be.cast_float(be.not_equal(norms, 0.0)), axis=1, keepdims=True)
    return be.tsum(norms / be.clip(number, a_min=1.0), axis=1, keepdims=True)


def _one_for_zero(x: Tensor) -> Tensor:
    return x + be.cast_float(be.equal(x, 0.0))


def get_config(constraint: Constraint) -> dict[str, Any]:
    """The name and the bound arguments of a constraint, as JSON values.

    Raises
    ------
    ConfigError
        When it is not registered, or bound to something that JSON cannot hold.
    """
    if not callable(constraint):
        raise ConfigError(f"a constraint is a function of a tensor, got {constraint!r}")
    bound = (
        constraint if isinstance(constraint, functools.partial) else functools.partial(constraint)
    )
    name = _registry.name_of(bound.func)
    if name is None:
        raise ConfigError(
            f"the constraint {bound.func!r} is not registered and cannot be stored: put "
            "@paysage.constraints.register before its definition, and bind its arguments "
            "with functools.partial"
        )
    return encode_arguments(name, bound.args, bound.keywords)


def from_config(config: dict[str, Any]) -> Constraint:
    """The constraint that a configuration describes; arrays come back as NumPy arrays.

    Raises
    ------
    ConfigError
        When no constraint of that name is registered.
    """
    function, args, kwargs = decode_arguments(config, _registry)
    return functools.partial(function, *args, **kwargs) if args or kwargs else function


def _set_zero(name: str, tensor: Tensor, index: Any, axis: int) -> None:
    """Set to zero what an index means along an axis, and no more: None would mean all of it."""
    try:
        places = _places(index, be.shape(tensor)[axis])
    except (IndexError, TypeError, ValueError) as error:
        raise ShapeError(
            f"{name} got the index {index!r} for a tensor of shape {tuple(be.shape(tensor))}; "
            "expected a whole number, a list of such or a slice"
        ) from error
    tensor[(slice(None),) * axis + (places,)] = 0.0


def _places(index: Any, size: int) -> int | slice | list[int]:
    """What an index means along an axis of this size; an IndexError, say, if it means nothing."""
    if isinstance(index, slice):
        places = range(size)[index]
        return index if places.step > 0 else list(places)
    if is_whole(index, -size):
        return range(size)[operator.index(index)]
    if np.ndim(index) != 1:
        raise TypeError("no list of indices")
    return [range(size)[check_whole("an index", n, -size)] for n in index]


def _check_matrix(name: str, tensor: Tensor) -> None:
    if be.ndim(tensor) != 2:
        raise ShapeError(f"{name} got a tensor of shape {be.shape(tensor)}; expected a matrix")
