"""Two samples and all the distances among their rows."""

from __future__ import annotations

import math
from functools import cached_property

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.errors import DataError, ShapeError
from paysage.math_utils.neighbors import exact_neighbors, squared_distances_within, take_nearest_

#: A squared distance below this part of the greatest one may be off by more than 1e-4 of itself.
RESOLVED = 1e-2


class SamplePairs:
    """Distances within and between two samples, which one matrix product gives.

    Samples are numbered 0 and 1, as arguments called `of` and `to` say which one is meant.

    Parameters
    ----------
    first, second : tensors (n, V) and (m, V)
        The samples, one row each.

    Raises
    ------
    ShapeError
        The rows differ in length.

    Attributes
    ----------
    num : tuple of two int
        Numbers of rows, n and m.
    squares : tensor (n + m, n + m)
        Squared distances among the rows of both, those of the first sample before the others.
    """

    def __init__(self, first: Tensor, second: Tensor) -> None:
        (n, width), (m, other) = be.shape(first), be.shape(second)
        if width != other:
            raise ShapeError(f"samples have {width} and {other} columns, expected the same number")
        self.num = (n, m)
        self.dimension = width
        self._rows = be.vstack([first, second])
        self._parts = (slice(0, n), slice(n, n + m))
        self.squares = squared_distances_within(self._rows)

    @cached_property
    def distances(self) -> Tensor:
        """The roots of `squares`."""
        return be.sqrt(self.squares)

    def block(self, table: Tensor, of: int, to: int) -> Tensor:
        """The part of a table (n + m, n + m) with the rows of one sample and the columns of one."""
        return table[self._parts[of], self._parts[to]]

    def mean_distance(self, of: int, to: int) -> float:
        """Mean over all pairs of rows; within a sample, those of a row with itself count as 0."""
        return be.item(be.mean(self.block(self.distances, of, to)))

    def kth_distance(self, of: int, to: int, k: int) -> Tensor:
        """Distance of each row of a sample to the k-th nearest (other) row of a sample, (rows,).

        Where the product cannot resolve it, it is computed anew from the differences; which rows
        are the k nearest is up to the rounding of the product.

        Raises
        ------
        DataError
            There are fewer than k (other) rows.
        """
        candidates = self.num[to] - (of == to)
        if not 1 <= k <= candidates:
            raise DataError(f"neighbour {k} of a row was asked for among {candidates} rows")
        squares = self.other_squares(of, to)
        indices, kth = take_nearest_(squares, k)
        if be.item(be.tmin(kth)) >= RESOLVED * be.item(be.tmax(self.squares)):
            return be.sqrt(kth)
        rows = self._rows
        exact = exact_neighbors(rows[self._parts[of]], rows[self._parts[to]], indices)
        return exact[1][:, k - 1]

    def other_squares(self, of: int, to: int) -> Tensor:
        """A copy of a block of `squares`; a row is infinitely far from itself."""
        squares = be.copy_tensor(self.block(self.squares, of, to))
        return be.fill_diagonal_(squares, math.inf) if of == to else squares
