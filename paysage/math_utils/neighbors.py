"""Euclidean distances between the rows of two tables, and nearest neighbours."""

from typing import Any

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.errors import DataError, ShapeError


def pdist(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance between every row of x and every row of y.

    By |a − b|² = |a|² + |b|² − 2 ab with one matrix product. The common mean is taken off first,
    because the error of a squared distance is a rounding error of |a|² + |b|².

    Parameters
    ----------
    x : tensor (m, d)
        One table.
    y : tensor (n, d)
        The other one.

    Returns
    -------
    tensor (m, n)
    """
    distances = _squared_distances(x, y)
    distances **= 0.5
    return distances


def find_k_nearest_neighbors(
    x: Tensor, y: Tensor, k: int, exclude_self: bool = False
) -> tuple[Tensor, Tensor]:
    """The k rows of y that are nearest to each row of x, the nearest first.

    The neighbours are found among the distances of `pdist`; theirs are then computed anew from the
    differences, so that they are exact to rounding, and zero for equal rows.

    Parameters
    ----------
    x : tensor (m, d)
        One table.
    y : tensor (n, d)
        The other one.
    k : int
        How many neighbours.
    exclude_self : bool
        The tables are the same: row i of y is not a neighbour of row i of x.

    Returns
    -------
    indices : Long tensor (m, k)
        Rows of y.
    distances : tensor (m, k)

    Raises
    ------
    DataError
        When y has fewer than k rows that may be neighbours.
    """
    squares = _squared_distances(x, y)
    _check_neighbors(be.shape(squares), k, exclude_self)
    if exclude_self:
        be.fill_diagonal_(squares, float("inf"))
    indices, distances = [], []
    for _ in range(k):  # k passes are cheaper than a sort, k being small
        nearest = be.argmin(squares, axis=1)
        indices.append(nearest)
        distances.append(be.norm(x - be.index_select(y, nearest), axis=1))
        be.scatter_(squares, nearest, float("inf"))
    return _in_order(be.stack(indices, axis=1), be.stack(distances, axis=1))


def _in_order(indices: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
    """Sort each row by the exact distances, which rounding may have put in another order."""
    order = be.argsort(distances, axis=1)
    rows = be.unsqueeze(be.long_tensor(range(be.shape(order)[0])), 1)
    return indices[rows, order], distances[rows, order]


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    if be.ndim(x) != 2 or be.ndim(y) != 2 or be.shape(x)[1] != be.shape(y)[1]:
        raise ShapeError(
            f"distances are between rows of one length; got tables of shapes {be.shape(x)} and "
            f"{be.shape(y)}"
        )
    middle = 0.5 * (be.mean(x, axis=0) + be.mean(y, axis=0))
    a, b = x - middle, y - middle
    squares = be.dot(a, be.transpose(b))
    squares *= -2.0
    squares += be.tsum(be.square(a), axis=1, keepdims=True)
    squares += be.unsqueeze(be.tsum(be.square(b), axis=1), 0)
    return be.clip_(squares, a_min=0.0)


def _check_neighbors(shape: tuple[Any, ...], k: int, exclude_self: bool) -> None:
    rows, candidates = shape
    if exclude_self and rows != candidates:
        raise ShapeError(
            f"exclude_self is for one table with itself; got {rows} and {candidates} rows"
        )
    if not 1 <= k <= candidates - exclude_self:
        raise DataError(
            f"{k} neighbours were asked for, among {candidates - exclude_self} rows; expected "
            "from 1 to that many"
        )
