"""Terms of the free energy at fixed means that come from couplings; derivation in docs/tap.md.

A pair of layers with couplings W gives -Σ_ij a_i W_ij b_j - Σ_k Σ_ij p_i q_j V_ij^k / k!, k = 2, 3,
with a, b the means of what connections see and p, q its cumulants of order k. V is W, except that
along a layer of which one unit is on at a time it is centered at its weighted mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, factorial
from typing import Any, NamedTuple

from paysage import backends as be

Tensor = Any


class Seen(NamedTuple):
    """What couplings take of one layer, B rows; or the derivatives of a free energy by these."""

    mean: Tensor
    """of what connections see of the units, (B, n)"""
    cumulants: list[Tensor]
    """of second and of third order, (B, n) each, as many as the expansion has use for"""


def nothing_like(seen: Seen) -> Seen:
    """Zeros in the shapes of ``seen``."""
    return Seen(be.zeros_like(seen.mean), [be.zeros_like(k) for k in seen.cumulants])


class Pair:
    """The couplings between two layers, and the terms of them alone.

    Parameters
    ----------
    matrix : tensor (m, n)
        W, times the inverse temperature.
    order : int
        Order of the expansion, 1, 2 or 3.
    exclusive : (bool, bool)
        Whether one unit at a time is on in the first and in the second layer.
    """

    def __init__(self, matrix: Tensor, order: int, exclusive: Sequence[bool]) -> None:
        self.matrix = matrix
        self.orders = range(2, order + 1)
        self.exclusive = tuple(exclusive)
        self._powers = [None, matrix]
        for _ in self.orders:
            self._powers.append(self._powers[-1] * matrix)

    def _dot(self, power: int, x: Tensor, side: int) -> Tensor:
        """Rows x of layer ``side`` summed against W^power, elementwise; (B, 1) for power 0."""
        if power == 0:
            return be.tsum(x, axis=1, keepdims=True)
        matrix = self._powers[power]
        return be.dot(x, matrix if side == 0 else be.transpose(matrix))

    def _shifts(self, ends: Sequence[Seen]) -> tuple[Tensor | None, Tensor | None]:
        """(e, u) with V_ij = W_ij - e_i - u_j, each (B, its layer) or None for zero."""
        first, second = self.exclusive
        u = self._dot(1, ends[0].cumulants[0], 0) if first else None
        e = self._dot(1, ends[1].cumulants[0], 1) if second else None
        if e is not None and first:
            e = e - be.tsum(ends[0].cumulants[0] * e, axis=1, keepdims=True)
        return e, u

    def _contract(self, k: int, weights: Tensor, side: int, shifts: Any) -> Tensor:
        """Σ over layer ``side`` of weights times V^k, (B, other layer), by binomial expansion."""
        near, far = shifts[side], shifts[1 - side]
        weighted = [weights]
        for _ in range(k if near is not None else 0):
            weighted.append(-near * weighted[-1])
        result = 0.0
        for j in range(k + 1 if far is not None else 1):
            part = sum(
                comb(k - j, i) * self._dot(k - j - i, w, side)
                for i, w in enumerate(weighted[: k - j + 1])
            )
            result = result + (part if j == 0 else comb(k, j) * (-far) ** j * part)
        return result

    def add(self, ends: Sequence[Seen], slopes: Sequence[Seen]) -> Tensor:
        """Value of the terms, (B,); their derivatives are added to ``slopes``, in place."""
        fields = [self._dot(1, ends[1].mean, 1), self._dot(1, ends[0].mean, 0)]
        value = -be.tsum(ends[0].mean * fields[0], axis=1)
        for slope, field in zip(slopes, fields, strict=True):
            slope.mean[:] = slope.mean - field
        shifts = self._shifts(ends) if self.orders else None
        spreads: list[Tensor] = []
        for k in self.orders:
            weights = [end.cumulants[k - 2] for end in ends]
            sums = [self._contract(k, weights[1 - side], 1 - side, shifts) for side in (0, 1)]
            value = value - be.tsum(weights[0] * sums[0], axis=1) / factorial(k)
            for slope, total in zip(slopes, sums, strict=True):
                slope.cumulants[k - 2][:] = slope.cumulants[k - 2] - total / factorial(k)
            if k == 3 and any(self.exclusive):
                self._add_recentering(weights, spreads, slopes)
            spreads = sums
        return value

    def _add_recentering(
        self, weights: list[Tensor], spreads: list[Tensor], slopes: Sequence[Seen]
    ) -> None:
        """Third order: the center of V moves with the means (at second order that cancels)."""
        for side in (0, 1):
            if not self.exclusive[side]:
                continue
            pull = weights[1 - side] * spreads[1 - side]
            moved = self._dot(1, pull, 1 - side)
            if self.exclusive[1 - side]:
                other = self._dot(1, weights[1 - side], 1 - side)
                moved = moved - be.tsum(pull, axis=1, keepdims=True) * other
            slopes[side].cumulants[0][:] = slopes[side].cumulants[0] + 0.5 * moved

    def matrix_slope(self, ends: Sequence[Seen]) -> Tensor:
        """Derivative of the terms by W, summed over rows, (m, n)."""
        result = -be.batch_outer(ends[0].mean, ends[1].mean)
        shifts = self._shifts(ends) if self.orders else None
        for k in self.orders:
            weights = [end.cumulants[k - 2] for end in ends]
            result = result - self._outer(k - 1, weights, shifts) / factorial(k - 1)
            if k == 3:
                result = result + self._recentering_outer(ends, weights, shifts)
        return result

    def _outer(self, power: int, weights: list[Tensor], shifts: Any) -> Tensor:
        """Σ over rows of p_i q_j V_ij^power, (m, n), power 1 or 2, by multinomial expansion."""
        e, u = shifts
        result = 0.0
        for i in range(power + 1 if e is not None else 1):
            left = weights[0] if i == 0 else weights[0] * (-e) ** i
            for j in range(power - i + 1 if u is not None else 1):
                right = weights[1] if j == 0 else weights[1] * (-u) ** j
                rest = power - i - j
                term = comb(power, i) * comb(power - i, j) * be.batch_outer(left, right)
                result = result + (term if rest == 0 else self._powers[rest] * term)
        return result

    def _recentering_outer(self, ends: Any, weights: list[Tensor], shifts: Any) -> Any:
        """Third order: what the centering of V takes back of the derivative by W."""
        first, second = self.exclusive
        result = 0.0
        if first:
            spread = self._contract(2, weights[0], 0, shifts)
            result = result + be.batch_outer(weights[0], weights[1] * spread)
        if second:
            spread = self._contract(2, weights[1], 1, shifts)
            result = result + be.batch_outer(weights[0] * spread, weights[1])
        if first and second:
            total = be.tsum(weights[0] * spread, axis=1, keepdims=True)
            result = result - be.batch_outer(weights[0] * total, weights[1])
        return 0.5 * result


class Triangle:
    """Three layers coupled in a ring: -Tr(C_1 W_12 C_2 W_23 C_3 W_31), C their covariances.

    Each row has covariances of its own, so it costs products of whole matrices a row: rows are
    taken one after the other.

    Parameters
    ----------
    matrices : three tensors
        W_12, W_23 and W_31, times the inverse temperature.
    exclusive : three bool
        Whether one unit at a time is on in the layer; its covariance is then diag(a) - a aᵀ.
    """

    def __init__(self, matrices: Sequence[Tensor], exclusive: Sequence[bool]) -> None:
        self.matrices = list(matrices)
        self.exclusive = list(exclusive)

    def _covary(self, ends: Sequence[Seen], row: int, k: int, matrix: Tensor) -> Tensor:
        """C_k times a matrix (n_k, any)."""
        spread = be.unsqueeze(ends[k].cumulants[0][row], axis=1)
        result = spread * matrix
        if self.exclusive[k]:
            result = result - spread * be.tsum(result, axis=0, keepdims=True)
        return result

    def _rest_of_ring(self, ends: Sequence[Seen], row: int, k: int) -> Tensor:
        """X = C_i W_ij C_j W_jk with i, j the layers after k: the term is -Tr(C_k W_ki X)."""
        i, j = (k + 1) % 3, (k + 2) % 3
        half = be.dot(self.matrices[i], self._covary(ends, row, j, self.matrices[j]))
        return self._covary(ends, row, i, half)

    def add(self, ends: Sequence[Seen], slopes: Sequence[Seen]) -> Tensor:
        """Value of the term, (B,); its derivatives are added to ``slopes``, in place."""
        rows = range(int(be.shape(ends[0].mean)[0]))
        return be.stack([self._add_row(ends, slopes, row) for row in rows])

    def _add_row(self, ends: Sequence[Seen], slopes: Sequence[Seen], row: int) -> Any:
        for k in range(3):
            rest, matrix = self._rest_of_ring(ends, row, k), self.matrices[k]
            slope = be.tsum(matrix * be.transpose(rest), axis=1)
            if self.exclusive[k]:  # C_k = diag(a) - a aᵀ
                a = ends[k].cumulants[0][row]
                slope = slope - be.dot(matrix, be.dot(rest, a))
                slope = slope - be.dot(be.dot(a, matrix), rest)
            target = slopes[k].cumulants[0]
            target[row] = target[row] - slope
        products = be.batch_dot(self._covary(ends, row, k, matrix), be.transpose(rest))
        return -be.tsum(products, axis=0)

    def matrix_slopes(self, ends: Sequence[Seen]) -> list[Tensor]:
        """Derivatives of the term by W_12, W_23 and W_31, summed over rows."""
        slopes = [be.zeros_like(matrix) for matrix in self.matrices]
        for row in range(int(be.shape(ends[0].mean)[0])):
            for k, slope in enumerate(slopes):
                rest = self._rest_of_ring(ends, row, k)
                slope -= self._covary(ends, row, k, be.transpose(rest))
        return slopes
