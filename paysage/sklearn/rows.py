"""Rows of dense arrays and of CSR matrices, a block at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from paysage import backends as be
from paysage.errors import DataError
from paysage.math_utils import MeanVarianceArrayCalculator

Tensor = Any

#: rows that are looked at together
BLOCK = 1024


def checked_data(estimator: Any, *data: Any, **options: Any) -> Any:
    """What scikit-learn's ``validate_data`` gives; it does not look for masks, and counts dates."""
    if any(np.ma.is_masked(part) for part in data):
        raise DataError("some values of the data are masked; fill them first")
    if _has_dates(data[0]):
        raise DataError("some values of the data are dates or times, expected numbers")
    with np.errstate(invalid="ignore"):  # infinities of both signs are told all the same
        return validate_data(estimator, *data, accept_sparse="csr", **options)


def _has_dates(data: Any) -> bool:
    """Whether there are dates or times in an array, a table of pandas, or a list of rows."""
    if isinstance(data, list | tuple):
        try:
            data = np.asarray(data)
        except ValueError:  # rows of several lengths, of which scikit-learn says so
            return False
    dtypes: Any = getattr(data, "dtypes", getattr(data, "dtype", None))  # one, of a pandas.Series
    if any(getattr(dtype, "kind", "") in ("m", "M") for dtype in np.ravel(dtypes)):
        return True
    objects = data.flat if isinstance(data, np.ndarray) and data.dtype == object else ()
    return any(isinstance(value, np.datetime64 | np.timedelta64) for value in objects)


def dense(rows: Any) -> np.ndarray:
    """Some rows of a dense array or of a sparse matrix as a dense array."""
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def over_blocks(function: Callable[[Tensor], Tensor], X: Any, size: int = BLOCK) -> np.ndarray:
    """What a function makes of all rows, a block at a time, as one array.

    Parameters
    ----------
    function : function of a tensor (B, V)
        Of the precision that the data have; gives a tensor of B rows.
    X : array or CSR matrix (N, V)
    size : int
        Rows of a block.
    """
    blocks = [X[low : low + size] for low in range(0, X.shape[0], size)]
    with np.errstate(all="ignore"):  # what is beyond floats is infinite
        results = [function(be.from_numpy_array(dense(block))) for block in blocks]
    return np.concatenate([np.asarray(be.to_numpy_array(result)) for result in results])


def _unchanged(rows: Tensor) -> Tensor:
    return rows


class Minibatches:
    """Minibatches of the rows as Float tensors; the last one has what is left.

    Dense data are converted once. Rows of a sparse matrix become dense when their turn comes.

    Parameters
    ----------
    X : array or CSR matrix (N, V)
    size : int
        Rows of a minibatch.
    rng : numpy.random.Generator, optional
        Shuffles the rows in every iteration; without it they keep their order.
    encode : function, optional
        Maps rows, in the precision of the data, to visible units.
    """

    def __init__(
        self,
        X: Any,
        size: int,
        rng: Any = None,
        encode: Callable[[Tensor], Tensor] = _unchanged,
    ) -> None:
        self._sparse, self._encode = hasattr(X, "toarray"), encode
        if not self._sparse and encode is not _unchanged:
            X = over_blocks(encode, X)
        self._rows = X if self._sparse else be.resident_tensor(X)
        self._number, self._size = X.shape[0], int(size)
        self._rng = rng

    def __iter__(self) -> Iterator[Tensor]:
        order = None if self._rng is None else self._rng.permutation(self._number)
        on_device = be.is_tensor(self._rows)
        if order is not None and on_device:
            order = be.long_tensor(order)
        for low in range(0, self._number, self._size):
            places = slice(low, low + self._size)
            if order is None:
                rows = self._rows[places]
            elif on_device:
                rows = be.index_select(self._rows, order[places])
            else:
                rows = self._rows[order[places]]
            if self._sparse:
                rows = self._encode(be.from_numpy_array(dense(rows)))
            yield be.float_tensor(rows)


def moments_of(
    X: Any, encode: Callable[[Tensor], Tensor] = _unchanged
) -> MeanVarianceArrayCalculator:
    """Return mean and variance of each column of visible units that rows (N, V) are mapped to."""
    moments = MeanVarianceArrayCalculator()
    for rows in Minibatches(X, BLOCK, encode=encode):
        moments.update(rows)
    return moments


def moments_in_double(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each column of an array or of a CSR matrix (N, V).

    In double precision and in two passes, so that a large mean does not cost digits.
    """
    blocks = [slice(low, low + BLOCK) for low in range(0, X.shape[0], BLOCK)]
    mean = sum(dense(X[rows]).sum(axis=0, dtype=np.float64) for rows in blocks) / X.shape[0]
    squares = (np.square(dense(X[rows]) - mean).sum(axis=0) for rows in blocks)
    return mean, sum(squares) / X.shape[0]


def warn_out_of_range(X: Any) -> None:
    """Warn if binary units are to have values that are no probabilities, as scikit-learn lets."""
    if X.min() < 0 or X.max() > 1:
        warnings.warn(
            f"binary units take values from 0 to 1, got values from {X.min():g} to {X.max():g}: "
            "scale or binarize the data",
            UserWarning,
            stacklevel=4,
        )
