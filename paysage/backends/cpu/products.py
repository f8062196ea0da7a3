"""Matrix products on the CPU, by compiled loops where those are the faster way.

Which way a product takes depends on its values and sizes, never on the number of threads.
"""

from typing import Any

import numpy as np

from paysage.errors import ShapeError

Array = np.ndarray

#: rows with at most this share of elements that are not zero are added up faster than multiplied
SPARSE = 1 / 3

#: fewer rows than this do not repay the transposing of a matrix
MIN_ROWS_TRANSPOSED = 24

#: so few rows are multiplied by a transposed matrix faster than by BLAS
MAX_FEW_ROWS = 32

_SINGLE = np.dtype(np.float32)


def fast_dot(units: Array, matrix: Array, out: Array) -> bool:
    """Write units @ matrix, (B, m) @ (m, n), to memory (B, n), by a loop that beats BLAS.

    Returns
    -------
    bool
        False, with nothing done, if there is none for this product.
    """
    fits = units.ndim == matrix.ndim == 2 and units.shape[1] == matrix.shape[0]
    fits = fits and out.shape == (len(units), matrix.shape[1]) and _readable(out)
    if not fits or not _readable(units):
        return False
    if _readable(matrix):
        from paysage.backends.cpu import zero_skipping

        return zero_skipping.product(units, matrix, out, int(SPARSE * units.size))
    turned = matrix.T
    return _readable(turned) and _transposed_dot(units, turned, out)


def _transposed_dot(units: Array, matrix: Array, out: Array) -> bool:
    """The same for units @ matrix^T, (B, m), (n, m)."""
    if len(units) >= MIN_ROWS_TRANSPOSED:
        from paysage.backends.cpu import zero_skipping

        if zero_skipping.product_transposed(units, matrix, out, int(SPARSE * units.size)):
            return True
    if len(units) > MAX_FEW_ROWS:
        return False
    from paysage.backends.cpu import few_rows

    few_rows.product(units, matrix, out)
    return True


def skipped_moments(a: Array, b: Array, part: slice, weight: float, add: bool, out: Array) -> bool:
    """Rows `part` of out (m, n) become weight * a^T b, plus what they were if `add`.

    Parameters
    ----------
    a, b : numpy.ndarray (B, m) and (B, n)

    Returns
    -------
    bool
        False, with nothing done, if the zeros of a are not worth skipping.
    """
    if not all(map(_readable, (a, b, out))):
        return False
    from paysage.backends.cpu import zero_skipping

    most = int(SPARSE * len(a) * (part.stop - part.start))
    return zero_skipping.moments(a, b, part.start, part.stop, np.float32(weight), add, out, most)


def write_transposed(matrix: Array, out: Array, part: slice | None) -> None:
    """Rows `part` of a matrix (m, n) become columns of out (n, m)."""
    if out.shape != matrix.shape[::-1]:
        raise ShapeError(f"write_transposed got out {out.shape} for a matrix {matrix.shape}")
    rows = span(part, len(matrix))
    if not _readable(matrix) or not _readable(out):
        out[:, rows] = matrix[rows].T
        return
    from paysage.backends.cpu import zero_skipping

    zero_skipping.write_transposed(matrix, rows.start, rows.stop, out)


def add_outer(out: Array, a: Array, b: Array, weight: float, part: slice | None) -> None:
    """Rows `part` of out (m, n) += weight a b^T, without a matrix beside it where that can be."""
    if out.shape != a.shape + b.shape:
        raise ShapeError(f"add_outer_ got vectors {a.shape} and {b.shape} for out {out.shape}")
    rows = span(part, len(a))
    if not all(map(_readable, (out, a, b))):
        out[rows] += weight * np.outer(a[rows], b)
        return
    from paysage.backends.cpu import kernels

    kernels.add_outer(out[rows], a[rows], b, np.float32(weight))


def span(part: slice | None, size: int) -> slice:
    """A part of a range as a slice with a start and a stop; all of it for None."""
    if part is None:
        return slice(0, size)
    start, stop, step = part.indices(size)
    if step != 1:
        raise ShapeError(f"a part is a slice without a step, got {part!r}")
    return slice(start, max(start, stop))


def check_product(units: Any, matrix: Any, out: Any) -> None:
    """Refuse memory that the product of units (B, m) with a matrix (m, n) does not fit in."""
    shape = (len(units), matrix.shape[-1])
    if out is not None and tuple(out.shape) != shape:
        raise ShapeError(f"got out of shape {tuple(out.shape)} for a product of shape {shape}")


def check_moments(data_a: Any, data_b: Any, model_a: Any, model_b: Any, out: Any) -> None:
    """Refuse batches that have no common moments, and memory that these do not fit in."""
    for a, b in ((data_a, data_b), (model_a, model_b)):
        if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) == 0:
            raise ShapeError(
                f"moment_gap got {tuple(a.shape)} and {tuple(b.shape)}, expected (B, m) and (B, n)"
            )
    if (data_a.shape[1], data_b.shape[1]) != (model_a.shape[1], model_b.shape[1]):
        raise ShapeError(
            f"moment_gap got {data_a.shape[1]} x {data_b.shape[1]} units in the data and "
            f"{model_a.shape[1]} x {model_b.shape[1]} in the model, expected the same"
        )
    shape = (model_a.shape[1], model_b.shape[1])
    if out is not None and tuple(out.shape) != shape:
        raise ShapeError(f"moment_gap got out {tuple(out.shape)} for moments of shape {shape}")


def _readable(x: Array) -> bool:
    """Whether the loops can work on the array's own memory."""
    return x.dtype == _SINGLE and x.flags.carray
