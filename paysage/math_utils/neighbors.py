"""Euclidean distances between the rows of two tables, and nearest neighbours.

Squared distances are |a|² + |b|² − 2 ab, all of them by one matrix product, in memory for the
results and the tables only. The rounding error of such a sum is one of |a|² + |b|², however small
the distance. So an origin near the mean of all rows is taken off first: a multiple of a power of
two below their spread, so that what can be written with few bits stays so. The squared distances
of binary data (and of other whole numbers whose squares sum up to less than 2²⁴ or so) are exact.
"""

import math
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.checks import check_flag, is_whole
from paysage.errors import DataError, ShapeError

#: sizes of numbers whose squares, and the sums of these, are within the range of floats
SAFE = (1e-12, 1e12)


def pdist(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance between every row of x and every row of y.

    Parameters
    ----------
    x : tensor (m, d)
        One table.
    y : tensor (n, d)
        The other one.

    Returns
    -------
    tensor (m, n)

    Raises
    ------
    ShapeError
        If the rows of one table are longer than those of the other.
    DataError
        If a number is NaN or infinite.
    """
    x, y, unit = _in_one_unit(x, y)
    distances = _squared_distances(x, y)
    distances **= 0.5
    return _times(distances, unit)


def find_k_nearest_neighbors(
    x: Tensor, y: Tensor, k: int, exclude_self: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the k-th nearest row of y, and the distance to it, for each row of x.

    The k nearest rows are found among the distances of `pdist`. Their distances are then computed
    again from the differences, so they are exact to rounding, and zero for equal rows.

    Parameters
    ----------
    x : tensor (m, d)
        The rows whose neighbours are wanted.
    y : tensor (n, d)
        The rows among which neighbours are looked for.
    k : int
        Which neighbour; 1 is the nearest.
    exclude_self : bool, default False
        The tables are the same: row i of y is not a neighbour of row i of x.

    Returns
    -------
    indices : Long tensor (m,)
        Row numbers in y.
    distances : tensor (m,)

    Raises
    ------
    DataError
        If y has fewer than k rows that may be neighbours.
    """
    x, y, unit = _in_one_unit(x, y)
    _check_neighbors((len(x), len(y)), k, check_flag("exclude_self", exclude_self))
    squares = _squared_distances(x, y)
    if exclude_self:
        be.fill_diagonal_(squares, math.inf)
    indices, _ = take_nearest_(squares, k)
    found, distances = exact_neighbors(x, y, indices)
    return found[:, k - 1], _times(distances[:, k - 1], unit)


def take_nearest_(squares: Tensor, k: int) -> tuple[list[Tensor], Tensor]:
    """Find the k least entries of each row, each of which is then overwritten by infinity.

    Returns
    -------
    indices : list of k Long tensors (m,)
        Their columns, the least entry first.
    greatest : tensor (m,)
        The k-th least entry.
    """
    rows = be.trange(0, be.shape(squares)[0])
    rows, indices = be.long_tensor(rows), []
    for _ in range(k):  # k passes are cheaper than a sort, k being small
        nearest = be.argmin(squares, axis=1)
        indices.append(nearest)
        greatest = squares[rows, nearest]
        be.scatter_(squares, nearest, math.inf)
    return indices, greatest


def exact_neighbors(x: Tensor, y: Tensor, indices: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Distances to the rows of y that are named for each row of x, from the differences.

    The neighbours are put into the order of these distances, which rounding may have missed.

    Returns
    -------
    indices : Long tensor (m, k)
    distances : tensor (m, k)
    """
    distances = [be.norm(x - be.index_select(y, nearest), axis=1) for nearest in indices]
    return _in_order(be.stack(indices, axis=1), be.stack(distances, axis=1))


def _in_order(indices: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
    """Sort each row by the exact distances, which rounding may have put in another order."""
    order = be.argsort(distances, axis=1)
    rows = be.unsqueeze(be.long_tensor(range(be.shape(order)[0])), 1)
    return indices[rows, order], distances[rows, order]


def _in_one_unit(x: Any, y: Any) -> tuple[Tensor, Tensor, float]:
    """Both tables divided by a power of two, by which no square overflows or vanishes; and that."""
    x, y = be.float_tensor(x), be.float_tensor(y)
    if be.ndim(x) != 2 or be.ndim(y) != 2 or be.shape(x)[1] != be.shape(y)[1]:
        raise ShapeError(
            f"distances are between rows of one length; got tables of shapes {be.shape(x)} and "
            f"{be.shape(y)}"
        )
    tops = [be.item(be.tmax(be.tabs(table))) for table in (x, y) if be.num_elements(table)]
    if not all(map(math.isfinite, tops)):
        raise DataError("distances are between finite numbers; got some that are NaN or infinite")
    top = max(tops, default=0.0)
    if top == 0 or SAFE[0] < top < SAFE[1]:
        return x, y, 1.0
    unit = 2.0 ** (math.frexp(top)[1] - 1)
    return x / unit, y / unit, unit


def _times(distances: Tensor, unit: float) -> Tensor:
    """Back from another unit, in place; infinite where that is beyond the range of floats."""
    if unit != 1.0:
        with np.errstate(over="ignore"):
            distances *= unit
    return distances


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    origin = _origin(x, y)
    a, b = x - origin, y - origin
    squares = be.dot(a, be.transpose(b))
    squares *= -2.0
    squares += be.tsum(be.square(a), axis=1, keepdims=True)
    squares += be.unsqueeze(be.tsum(be.square(b), axis=1), 0)
    return be.clip_(squares, a_min=0.0)


def squared_distances_within(x: Tensor) -> Tensor:
    """Squared distances among the rows of one table, (m, m), exactly zero on the diagonal.

    A product of a matrix with its own transpose costs half of another one where BLAS knows it.
    """
    a = x - _origin(x)
    squares = be.dot(a, be.transpose(a))
    norms = be.diag(squares)
    squares *= -2.0
    squares += be.unsqueeze(norms, 1)
    squares += be.unsqueeze(norms, 0)
    return be.clip_(squares, a_min=0.0)


def _origin(*tables: Tensor) -> Tensor:
    """A point near the mean of all rows, (d,), of few bits; see above."""
    full = [table for table in tables if be.num_elements(table)]
    if not full:
        return 0.0
    share = 1 / len(full)
    middle = sum(share * be.mean(table, axis=0) for table in full)
    variance = sum(share * _mean_square(table - middle) for table in full)
    if not 0 < variance < math.inf:  # one point, or numbers that no distance can be told of
        return middle
    step = 2.0 ** math.floor(0.5 * math.log2(variance))
    return step * be.tround(middle / step)


def _mean_square(x: Tensor) -> float:
    return be.item(be.norm(x)) ** 2 / max(1, be.num_elements(x))


def _check_neighbors(shape: tuple[Any, ...], k: int, exclude_self: bool) -> None:
    rows, candidates = shape
    if exclude_self and rows != candidates:
        raise ShapeError(
            f"exclude_self is for one table with itself; got {rows} and {candidates} rows"
        )
    if not is_whole(k, 1) or k > candidates - exclude_self:
        raise DataError(
            f"{k!r} neighbours were asked for, among {candidates - exclude_self} rows; expected "
            "from 1 to that many"
        )
