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
    if np.ma.is_masked(x):
        raise _no_numbers(x, "some are masked; fill them first")
    try:
        # np.asarray first: PyTorch's tensors do not take NumPy's keywords
        array = np.asarray(on_host(x))
        if array.dtype.kind in "OSU":  # columns of several types, digits in text
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise _no_numbers(x, str(error)) from error
    if x is None or array.dtype.kind not in "biuf":
        raise _no_numbers(x, f"their dtype is {array.dtype}")
    return array


def on_host(x: Any) -> Any:
    """A tensor of PyTorch where NumPy can read it; anything else as it is."""
    return x.detach().cpu() if hasattr(x, "detach") else x


def _no_numbers(x: Any, why: str) -> DataError:
    return DataError(f"data of type {type(x).__name__} are no table of numbers: {why}")
