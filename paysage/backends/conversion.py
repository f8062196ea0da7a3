"""From whatever holds numbers to a plain array: what both backends make tensors of."""

from typing import Any

import numpy as np

from paysage.errors import DataError


def plain_array(x: Any) -> np.ndarray:
    """The numbers of an array, a nested list, a DataFrame or a tensor, uncopied if possible.

    Raises
    ------
    DataError
        For what are no real numbers: text, dates, complex or masked values, rows of unequal length.
    """
    if type(x) is np.ndarray and x.dtype.kind in "biuf":
        return x
    if x is None or isinstance(x, str | bytes):
        raise _no_numbers(x, repr(x))
    if np.ma.is_masked(x):
        raise _no_numbers(x, "some are masked; fill them first")
    try:
        # np.asarray first: PyTorch's tensors do not take NumPy's keywords
        array = np.asarray(without_tensors(on_host(x)))
        if array.dtype.kind in "OSU":  # columns of several types, digits in text
            array = array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise _no_numbers(x, str(error)) from error
    if array.dtype.kind not in "biuf":
        raise _no_numbers(x, f"their dtype is {array.dtype}")
    return array


def whole_array(x: Any) -> np.ndarray:
    """As ``plain_array``, in 64-bit integers; fractions are cut off.

    Raises
    ------
    DataError
        As ``plain_array`` does, and for NaN and what is too large for an integer.
    """
    array = plain_array(x)
    if array.dtype.kind in "fu" and not (np.abs(array.astype(np.float64)) < 2.0**63).all():
        raise _no_numbers(x, "some are NaN or too large for an integer")
    return array.astype(np.int64, order="C")


def in_single(array: np.ndarray, copy: bool = True) -> np.ndarray:
    """The array in single precision, in which numbers that are too large are infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32, order="C", copy=copy)


def without_tensors(x: Any) -> Any:
    """A list of tensors, which NumPy would take apart one number at a time, as an array."""
    if isinstance(x, list | tuple) and any(hasattr(part, "detach") for part in x):
        return np.stack([np.asarray(on_host(part)) for part in x])
    return x


def on_host(x: Any) -> Any:
    """A tensor of PyTorch where NumPy can read it; anything else as it is."""
    return x.detach().cpu() if hasattr(x, "detach") else x


def _no_numbers(x: Any, why: str) -> DataError:
    return DataError(f"data of type {type(x).__name__} are no table of numbers: {why}")
