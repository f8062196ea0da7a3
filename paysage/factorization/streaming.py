"""Eigenpairs of the covariance of rows that come in minibatches, in double precision on the host.

With n columns and minibatches of B rows, either

- the covariance (n, n) is accumulated in one pass and diagonalized; or, for wide data,
- its products with blocks of p columns are accumulated, one block a pass: block Lanczos with full
  reorthogonalization from a random start (Golub & Underwood 1977; Musco & Musco, NeurIPS 2015).
  The pairs are those of Rayleigh and Ritz on all blocks so far, and the passes end when each pair
  satisfies its equation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from paysage.errors import ShapeError
from paysage.threads import in_pieces, one_thread_each

#: a pair (λ, w) is good when |C w − λ w| is at most this part of λ
TOLERANCE = 1e-5
#: columns of a block beyond the number of components
OVERSAMPLING = 10
#: directions of a block below this part of its largest are taken for rounding
NEGLIGIBLE = 1e-12
#: variances below this part of the largest are zero in single precision, in which results are given
RESOLUTION = 1e-7

Rows = Callable[[], Iterator[np.ndarray]]


class Spectrum(NamedTuple):
    """The leading eigenpairs of a covariance."""

    num_rows: int
    mean: np.ndarray  # (n,)
    vectors: np.ndarray  # (n, k)
    values: np.ndarray  # (k,), descending


class Comoments:
    """Co-moments Σ (x − m)(x − m)ᵀ Q of rows x with mean m, for a fixed Q (n, p) or the identity.

    A minibatch of n' rows with mean m' is merged into n rows by the update of Chan, Golub and
    LeVeque (1979), which adds (m' − m)(m' − m)ᵀ n n' / (n + n'): one more row.
    """

    def __init__(self, basis: np.ndarray | None = None) -> None:
        self.basis = basis
        self.num = 0
        self.mean: Any = 0.0
        self.total: Any = 0.0

    def update(self, rows: np.ndarray) -> None:
        """Take in rows (B, n) of double precision."""
        mean = rows.mean(axis=0)
        step, num = mean - self.mean, self.num + len(rows)
        merging = np.sqrt(self.num * (len(rows) / num)) * step
        centred = np.vstack([rows - mean, merging])
        if self.basis is None:  # half of a product, which BLAS knows
            self.total = self.total + centred.T @ centred
        else:
            self.total = self.total + _moments(centred, centred @ self.basis)
        self.mean = self.mean + step * (len(rows) / num)
        self.num = num

    def product(self) -> np.ndarray:
        """Return the sample covariance times Q; zero for one row."""
        return self.total / max(self.num - 1, 1)


def _moments(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product leftᵀ right, (B, n)(B, p) -> (n, p)."""
    out = np.empty((left.shape[1], right.shape[1]))
    in_pieces(
        lambda part: np.dot(left[:, part].T, right, out=out[part]),
        len(out),
        left.size * out.shape[1],
    )
    return out


def _comoments(rows: Rows, basis: np.ndarray | None = None) -> Comoments:
    moments = Comoments(basis)
    for block in rows():
        if moments.num and block.shape[1:] != moments.mean.shape:
            raise ShapeError(
                f"a minibatch has {block.shape[1]} columns, the one before {len(moments.mean)}"
            )
        moments.update(block)
    return moments


@one_thread_each()
def by_covariance(rows: Rows, num_components: int) -> Spectrum:
    """All of the covariance in one pass, then its eigenvectors."""
    moments = _comoments(rows)
    values, vectors = np.linalg.eigh(moments.product())
    top = slice(None, -num_components - 1, -1)
    return Spectrum(moments.num, moments.mean, vectors[:, top], values[top])


@one_thread_each()
def by_block_lanczos(
    rows: Rows, num_components: int, passes: int, start: np.ndarray
) -> tuple[Spectrum, float]:
    """Eigenpairs from at most so many passes, and the largest relative residual among them.

    Parameters
    ----------
    start : array (n, p)
        Random columns, p at least the number of components.
    """
    basis = images = np.empty((len(start), 0))
    block = np.linalg.qr(start)[0]
    for _ in range(passes):
        moments = _comoments(rows, block)
        basis, images = np.hstack([basis, block]), np.hstack([images, moments.product()])
        values, vectors, residual = _ritz(basis, images, num_components)
        block = _orthogonal_part(images[:, -block.shape[1] :], basis)
        if residual <= TOLERANCE or block.shape[1] == 0:
            break
    return Spectrum(moments.num, moments.mean, vectors, values), residual


def _ritz(basis: np.ndarray, images: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Rayleigh and Ritz: the k largest pairs that the basis holds, and how far off the worst is."""
    small = basis.T @ images
    values, rotation = np.linalg.eigh((small + small.T) / 2)
    values, rotation = values[: -k - 1 : -1], rotation[:, : -k - 1 : -1]
    vectors = basis @ rotation
    residuals = np.linalg.norm(images @ rotation - vectors * values, axis=0)
    scale = np.maximum(values, RESOLUTION * max(values[0], 0.0))
    return values, vectors, float(np.max(residuals / np.where(scale > 0, scale, 1.0)))


def _orthogonal_part(block: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what the block adds; directions that are but rounding are dropped."""
    scale = np.linalg.norm(block, axis=0).max(initial=0.0)
    for _ in range(2):  # twice is enough (Giraud et al. 2005)
        block = block - basis @ (basis.T @ block)
        left, strengths, _ = np.linalg.svd(block, full_matrices=False)
        block = left[:, strengths > NEGLIGIBLE * scale]
        scale = 1.0
    room = basis.shape[0] - basis.shape[1]
    return block[:, :room]


def warn_unless_converged(residual: float, passes: int) -> None:
    """Say so where the passes were too few."""
    if residual > TOLERANCE:
        warnings.warn(
            f"after {passes} passes over the data, principal components satisfy their equation to "
            f"{residual:.1g} of the variance only, expected {TOLERANCE:g}: raise epochs",
            stacklevel=3,
        )
