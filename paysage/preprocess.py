"""What happens to a minibatch between the table and the model."""

import functools
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.backends.conversion import in_single, plain_array
from paysage.checks import is_real
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.registry import Registry, configuring, decode_arguments, encode_arguments

_registry = Registry("transformation")
_BLOCK_ROWS = 4096
_ANY = (-np.inf, np.inf)


def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function of one's own be stored and loaded as a transformation; use it as a decorator.

    Parameters
    ----------
    function : callable
        Takes a tensor and bound arguments, gives a tensor. An attribute `domain`, the lowest and
        the highest value that it can mean, makes `Transformation.check` refuse other data.
    """
    return _registry.add(function)


@register
def do_nothing(tensor: Tensor) -> Tensor:
    """Give back the tensor."""
    return tensor


def _of(low: float, high: float) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Let a function of a tensor take other holders of numbers, and refuse those out of its domain.

    What it does with a table that `Transformation.check` has looked through is `unchecked`.
    """

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def checked(tensor: Any, *args: Any, **kwargs: Any) -> Tensor:
            array = plain_array(tensor)
            array = in_single(array, copy=False) if array.dtype.kind == "f" else array
            Transformation(checked).check_values(array)
            plain = isinstance(tensor, np.ndarray) or not be.is_tensor(tensor)
            return function(be.from_numpy_array(array) if plain else tensor, *args, **kwargs)

        checked.domain, checked.unchecked = (low, high), function  # type: ignore[attr-defined]
        return checked

    return decorate


@register
def scale(tensor: Tensor, denominator: Any = 1) -> Tensor:
    """Divide by a number, or by one number a column.

    Parameters
    ----------
    tensor : tensor (..., n)
    denominator : float, or tensor, array or list () or (n,)
        An array without axes holds one number.

    Raises
    ------
    ConfigError
        If a number to divide by is zero or not finite, or a truth value.
    DataError
        If it is no number at all, such as text.
    ShapeError
        If there are not as many as columns.
    """
    tensor, divisor = be.float_tensor(tensor), _divisor(denominator)
    if be.ndim(divisor) and tuple(be.shape(divisor)) != tuple(be.shape(tensor))[-1:]:
        raise ShapeError(
            f"scale got denominators of shape {tuple(be.shape(divisor))} for a tensor of shape "
            f"{tuple(be.shape(tensor))}, expected a number, or one a column"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is for the table to tell
        return tensor / divisor


def _divisor(denominator: Any) -> Any:
    """A number, or numbers, to divide by."""
    single = is_real(denominator)
    divisor = float(denominator) if single else be.float_tensor(denominator)
    numbers = np.asarray(divisor if single else be.to_numpy_array(divisor))
    with np.errstate(over="ignore"):  # what vanishes in single precision is zero where it divides
        good = np.isfinite(numbers).all() and (numbers.astype(np.float32) != 0).all()
    if not good or isinstance(denominator, bool | np.bool_):
        raise ConfigError(f"scale got the denominator {denominator!r}, expected numbers but zero")
    return divisor


@register
@_of(0, 255)
def binarize_color(tensor: Tensor) -> Tensor:
    """Grey values from 0 to 255 to 0 and 1, by rounding x / 255."""
    # x / 255 >= 1/2 without the division; integers are compared with an integer, which is faster.
    whole = be.dtype(tensor) in (be.Byte, be.Int, be.Long)
    return be.cast_float(tensor >= (128 if whole else 127.5))


@register
@_of(0, 255)
def sample_color(tensor: Tensor) -> Tensor:
    """Grey values from 0 to 255 to draws of 0 and 1, one with probability x / 255.

    Each minibatch is drawn anew whenever it is read: an image is another one in each epoch
    (Salakhutdinov & Murray 2008). Draws are those of the backend's one seed.
    """
    return be.rand_bernoulli(tensor, 255.0)


@register
@_of(*_ANY)
def l1_normalize(tensor: Tensor) -> Tensor:
    """Scale each row so that its absolute values sum to one; a row of zeros stays."""
    tensor = _with_top_one(tensor)
    return tensor / _one_for_zero(be.tsum(be.tabs(tensor), axis=1, keepdims=True))


@register
@_of(*_ANY)
def l2_normalize(tensor: Tensor) -> Tensor:
    """Scale each row to Euclidean norm one; a row of zeros stays."""
    tensor = _with_top_one(tensor)
    return tensor / _one_for_zero(be.norm(tensor, axis=1, keepdims=True))


def _with_top_one(tensor: Tensor) -> Tensor:
    """Rows scaled so that sums of their squares neither overflow nor vanish."""
    tensor = be.float_tensor(tensor)
    if be.ndim(tensor) != 2:
        raise ShapeError(f"got a tensor of shape {tuple(be.shape(tensor))}, expected rows (B, n)")
    if be.num_elements(tensor) == 0:
        return tensor
    return tensor / _one_for_zero(be.tmax(be.tabs(tensor), axis=1, keepdims=True))


def _one_for_zero(x: Tensor) -> Tensor:
    return x + be.cast_float(be.equal(x, 0.0))


@register
def one_hot(data: Any, category_list: Sequence[Any]) -> Tensor:
    """One column a category, with a one in the column of the category that an element is.

    Parameters
    ----------
    data : (B,) or (B, n)
        Elements of the category list.
    category_list : sequence
        K different categories, numbers or strings.

    Returns
    -------
    tensor (B, K) or (B, n·K)
        Each column of the data becomes K columns.

    Raises
    ------
    ConfigError
        If the categories are no list of different numbers or strings.
    DataError
        If an element is in no category, or the data are no array: sparse, masked, ragged.
    ShapeError
        If the data have other axes.
    """
    values, categories = _elements(data), _categories(category_list)
    if values.ndim not in (1, 2):
        raise ShapeError(f"one_hot got data of shape {values.shape}, expected (B,) or (B, n)")
    if categories.dtype.kind in "biuf" and values.dtype.kind == "f":
        categories = categories.astype(values.dtype)  # 0.1 in the precision of the data
    if len(np.unique(categories)) != len(categories):
        raise ConfigError(f"one_hot got a category twice: {list(category_list)}")
    table = values.reshape(len(values), math.prod(values.shape[1:]))
    matches = table[..., None] == categories
    unknown = ~matches.any(axis=-1)
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        raise DataError(
            f"one_hot got {table[row, column]!r} in row {row}; the categories are "
            f"{list(category_list)}"
        )
    return be.float_tensor(matches.reshape(len(table), table.shape[1] * len(categories)))


def _elements(data: Any) -> np.ndarray:
    """Numbers or strings as an array; a DataError if they are in none, or some are masked."""
    if np.ma.is_masked(data):
        raise DataError("one_hot got data of which some are masked; fill them first")
    try:
        return np.asarray(be.to_numpy_array(data))
    except (TypeError, ValueError) as error:
        raise DataError(f"one_hot got data that are no array: {error}") from error


def _categories(category_list: Any) -> np.ndarray:
    """The categories in one row; a ConfigError unless they are some numbers, or some strings."""
    try:
        categories = np.asarray(category_list)
    except ValueError as error:
        raise ConfigError(f"one_hot got the categories {category_list!r}: {error}") from error
    if categories.ndim != 1 or categories.size == 0 or categories.dtype.kind not in "biufSU":
        raise ConfigError(
            f"one_hot got the categories {category_list!r}, expected a list of numbers or strings"
        )
    return categories


def _levels_to_caller() -> int:
    """The `stacklevel` at which a warning shows the line outside of the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("paysage."):
        frame, level = frame.f_back, level + 1
    return level


class Transformation:
    """A function of a minibatch with its arguments.

    Parameters
    ----------
    function : callable, optional
        Takes a tensor, then the arguments. Default: nothing is changed.
    args : sequence, optional
        Further positional arguments.
    kwargs : dict, optional
        Keyword arguments.
    """

    def __init__(
        self,
        function: Callable[..., Tensor] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.function = do_nothing if function is None else function
        if not callable(self.function):
            raise ConfigError(f"Transformation needs a function of a tensor; got {function!r}")
        try:
            self.args = list(() if args is None else args)
            self.kwargs = dict({} if kwargs is None else kwargs)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"Transformation needs a list args and a dictionary kwargs; got {args!r} and "
                f"{kwargs!r}"
            ) from error

    def __repr__(self) -> str:
        return f"Transformation({self.name})"

    @property
    def name(self) -> str:
        """The name of the function."""
        return getattr(self.function, "__name__", repr(self.function))

    def compute(self, tensor: Tensor) -> Tensor:
        """The transformed tensor."""
        return self.function(tensor, *self.args, **self.kwargs)

    def compute_checked(self, tensor: Tensor) -> Tensor:
        """The same for values that `check` has looked at, which takes no time again."""
        function = getattr(self.function, "unchecked", self.function)
        return function(tensor, *self.args, **self.kwargs)

    def check(self, tensor: Any, first_row: int = 0) -> None:
        """Look through a whole table once for values that the function cannot mean.

        Parameters
        ----------
        tensor : tensor or array
            The table, or a part of it.
        first_row : int
            Where in the table the part begins: errors count from there.

        Raises
        ------
        DataError
            At the first NaN, infinity, or value outside of the function's `domain`.

        Warns
        -----
        UserWarning
            When grey values seem to have been scaled to [0, 1] before they are binarized.
        """
        highest = self.check_values(be.to_numpy_array(tensor), first_row)
        if self.function in (binarize_color, sample_color) and 0 < highest <= 1:
            warnings.warn(
                f"{self.name} got no value above {highest:g}, almost all of which become 0; it "
                "expects grey values from 0 to 255. Are the data scaled already?",
                UserWarning,
                stacklevel=_levels_to_caller(),
            )

    def check_values(self, values: Any, first_row: int = 0) -> float:
        """Look through rows as `check` does, without its warning.

        Parameters
        ----------
        values : array
            The table, or a part of it.
        first_row : int
            Where in the table the part begins.

        Returns
        -------
        float
            The greatest value; 0 where there are no numbers.

        Raises
        ------
        DataError
            As `check` does.
        """
        table = np.atleast_1d(values)
        if table.dtype.kind not in "biuf" or table.size == 0:
            return 0.0
        domain = getattr(self.function, "domain", _ANY)
        return max(
            self._check_rows(table[start : start + _BLOCK_ROWS], first_row + start, domain)
            for start in range(0, len(table), _BLOCK_ROWS)
        )

    def _check_rows(self, rows: np.ndarray, start: int, domain: tuple[float, float]) -> float:
        """The greatest of some values, of which the first is in row `start`; refuses bad ones."""
        extremes = float(rows.min()), float(rows.max())  # NaN where any value is
        if np.isfinite(extremes).all() and domain[0] <= extremes[0] and extremes[1] <= domain[1]:
            return extremes[1]
        good = np.isfinite(rows) & (rows >= domain[0]) & (rows <= domain[1])
        place = np.argwhere(~good)[0]
        where = f"row {start + place[0]}" + "".join(f", column {n}" for n in place[1:])
        expected = "finite numbers" if domain == _ANY else f"from {domain[0]} to {domain[1]}"
        subject = "the data have" if domain == _ANY else f"{self.name} got"
        raise DataError(f"{subject} the value {rows[tuple(place)]} in {where}; expected {expected}")

    def get_config(self) -> dict[str, Any]:
        """The name and the arguments of the function, as JSON values.

        Raises
        ------
        ConfigError
            When the function is not registered, or an argument is nothing that JSON can hold.
        """
        name = _registry.name_of(self.function)
        if name is None:
            raise ConfigError(
                f"the transformation {self.function!r} is not registered and cannot be stored: "
                "put @paysage.preprocess.register before its definition"
            )
        return encode_arguments(name, self.args, self.kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Transformation":
        """The transformation that a configuration describes.

        Raises
        ------
        ConfigError
            When no function of that name is registered.
        """
        with configuring("transformation"):
            return cls(*decode_arguments(config, _registry))
