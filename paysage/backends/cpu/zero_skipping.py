"""Matrix products that skip zeros, compiled by numba on first use.

Binary units are mostly zero: of MNIST's pixels 13 % are on, of a trained layer's hidden units not
many more. The product of such a row with a matrix is a sum of few of the matrix's rows, at the
speed at which they come from the cache. BLAS multiplies all the zeros.

Like the other kernels these are serial, release the interpreter lock, and read and write contiguous
memory without looking at its bounds. NaN counts as not zero; a zero skips whatever it would have
multiplied, NaN and infinity too.
"""

import numpy as np

from paysage.backends.cpu.compiling import compiled
from paysage.backends.cpu.listing import by_columns, list_rows

_jit = compiled(nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")

#: columns of a transposed matrix that are made at one go: with 500 rows, 500 KiB
TILE = 256


@_jit
def _add_rows(total, factors, places, first, last, matrix):
    """Add factors[k] * matrix[places[k]] for all k from first to last to a row."""
    k = first
    while k + 8 <= last:
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        f4, f5, f6, f7 = factors[k + 4], factors[k + 5], factors[k + 6], factors[k + 7]
        r0, r1, r2 = matrix[places[k]], matrix[places[k + 1]], matrix[places[k + 2]]
        r3, r4, r5 = matrix[places[k + 3]], matrix[places[k + 4]], matrix[places[k + 5]]
        r6, r7 = matrix[places[k + 6]], matrix[places[k + 7]]
        for j in range(total.size):
            low = (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j])
            high = (f4 * r4[j] + f5 * r5[j]) + (f6 * r6[j] + f7 * r7[j])
            total[j] += low + high
        k += 8
    while k < last:
        factor, row = factors[k], matrix[places[k]]
        for j in range(total.size):
            total[j] += factor * row[j]
        k += 1


@_jit
def _pick(x, places, ends):
    """The elements of x at the places that are listed for each of its rows."""
    factors = np.empty(ends[-1], np.float32)
    for b in range(x.shape[0]):
        for k in range(ends[b], ends[b + 1]):
            factors[k] = x[b, places[k]]
    return factors


@_jit
def product(x, matrix, out, most):
    """Make out = x matrix, (B, m), (m, n) -> (B, n), if x has at most so many nonzero elements."""
    ends = np.empty(x.shape[0] + 1, np.int64)
    places = list_rows(x, 0, x.shape[1], ends, most)
    if places.size == 0:
        return False
    factors = _pick(x, places, ends)
    for b in range(x.shape[0]):
        out[b] = 0
        _add_rows(out[b], factors, places, ends[b], ends[b + 1], matrix)
    return True


@_jit
def _gather(matrix, first, tile):
    """Write rows first, first + 1, ... of a matrix to the columns of a tile."""
    size = tile.shape[1]
    for i in range(0, size // 8 * 8, 8):
        r0, r1, r2 = matrix[first + i], matrix[first + i + 1], matrix[first + i + 2]
        r3, r4, r5 = matrix[first + i + 3], matrix[first + i + 4], matrix[first + i + 5]
        r6, r7 = matrix[first + i + 6], matrix[first + i + 7]
        for j in range(tile.shape[0]):
            to = tile[j]
            to[i], to[i + 1], to[i + 2], to[i + 3] = r0[j], r1[j], r2[j], r3[j]
            to[i + 4], to[i + 5], to[i + 6], to[i + 7] = r4[j], r5[j], r6[j], r7[j]
    for i in range(size // 8 * 8, size):
        row = matrix[first + i]
        for j in range(tile.shape[0]):
            tile[j, i] = row[j]


@_jit
def write_transposed(matrix, first, last, out):
    """Write rows first to last of a matrix (m, n) to columns of out (n, m)."""
    _gather(matrix, first, out[:, first:last])


@_jit
def product_transposed(x, matrix, out, most):
    """The same for out = x matrix^T, (B, m), (n, m) -> (B, n), with few columns at a time."""
    rows, width = x.shape
    ends = np.empty(rows + 1, np.int64)
    places = list_rows(x, 0, width, ends, most)
    if places.size == 0:
        return False
    factors = _pick(x, places, ends)
    for first in range(0, matrix.shape[0], TILE):
        size = min(TILE, matrix.shape[0] - first)
        tile = np.empty((width, size), np.float32)
        _gather(matrix, first, tile)
        for b in range(rows):
            part = out[b, first : first + size]
            part[:] = 0
            _add_rows(part, factors, places, ends[b], ends[b + 1], tile)
    return True


@_jit
def moments(x, y, first, last, scale, add, out, most):
    """For columns first to last of x make out = scale x^T y, plus out if `add`: (B, m), (B, n).

    Only if x has at most so many nonzero elements in these columns.
    """
    size = last - first
    starts = np.empty(size + 1, np.int64)
    rows, factors = by_columns(x, first, last, most, starts)
    if starts[-1] < 0:
        return False
    for k in range(factors.size):
        factors[k] *= scale
    begin = np.int64(0)
    for j in range(size):
        if not add:
            out[first + j] = 0
        _add_rows(out[first + j], factors, rows, begin, starts[j], y)
        begin = starts[j]
    return True
