"""Matrices rounded to bfloat16 on the CPU, and the products they take part in, for both backends.

Sums are of float32 throughout. The units that such a matrix is multiplied with stay as they are:
a product is that of the rounded matrix, to the accuracy of float32.
"""

import functools
from typing import Any

import numpy as np

from paysage.backends.cpu.products import span
from paysage.errors import ShapeError

Array = np.ndarray

#: rows with at most this share of elements that are not zero are added up faster than multiplied
SPARSE = 0.75

_SINGLE = np.dtype(np.float32)
_LINE = 64  # bytes of a line of the cache, and of a vector


class Halves:
    """A matrix (m, n) of bfloat16 numbers, kept as `half_kernels` reads it; zeros at first.

    Attributes
    ----------
    shape : (int, int)
    words : numpy.ndarray
        Its memory, in whole lines of the cache.
    """

    ndim = 2

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        height, width = self.shape[0], -(-self.shape[1] // 32) * 16
        memory = np.zeros(4 * height * width + _LINE, np.uint8)
        start = -memory.ctypes.data % _LINE
        words = memory[start : start + 4 * height * width].view(np.uint32)
        self.words = words.reshape(height, width)

    def __len__(self) -> int:
        return self.shape[0]


def write(out: Halves, matrix: Array, part: slice | None = None) -> None:
    """Rows `part` of the rounded matrix become those of a matrix (m, n)."""
    if matrix.shape != out.shape:
        raise ShapeError(f"to_bfloat16_ got a matrix {matrix.shape} for one of shape {out.shape}")
    rows = span(part, len(out))
    _kernels().round_rows(_ready(matrix), rows.start, rows.stop, out.words)


def write_transposed(out: Halves, matrix: Array, part: slice | None = None) -> None:
    """Rows `part` of the rounded matrix (n, m) become columns of a matrix (m, n)."""
    if matrix.shape != out.shape[::-1]:
        raise ShapeError(
            f"to_bfloat16_transposed_ got a matrix {matrix.shape} for one of shape {out.shape}"
        )
    rows = span(part, len(out))
    _kernels().round_columns(_ready(matrix), rows.start, rows.stop, out.words)


def wide(matrix: Halves) -> Array:
    """The float32 numbers that a rounded matrix holds."""
    out = np.empty(matrix.shape, np.float32)
    _kernels().widen(matrix.words, out)
    return out


def dot(units: Array, matrix: Halves, out: Array | None = None) -> Array:
    """The product of units (B, m) with a rounded matrix (m, n): (B, n), in `out` if given."""
    shape = (len(units), matrix.shape[1])
    given = shape if out is None else out.shape
    if units.ndim != 2 or units.shape[1] != len(matrix) or given != shape:
        raise ShapeError(
            f"got units {units.shape}, a matrix {matrix.shape} and out {given}, expected "
            "(B, m), (m, n) and (B, n)"
        )
    units, target = _ready(units), out
    if target is None or not _readable(target):
        target = np.empty(shape, np.float32)
    if not _kernels().product(units, matrix.words, target, int(SPARSE * units.size)):
        np.dot(units, wide(matrix), out=target)
    if out is None or out is target:
        return target
    out[...] = target
    return out


def moment_gap(
    data_a: Array,
    data_b: Halves,
    model_a: Array,
    model_b: Halves,
    out: Array | None,
    part: slice | None,
) -> Array:
    """<a b^T>_model - <a b^T>_data for rounded b: (B, m), (B, n) -> (m, n)."""
    shape = (model_a.shape[1], model_b.shape[1])
    target = out
    if target is None or not _readable(target):
        target = np.empty(shape, np.float32)
    rows = span(part, shape[0])
    data_a, model_a = _ready(data_a), _ready(model_a)
    factors = (model_a, model_b.words, data_a, data_b.words)
    if not _kernels().moment_gap(*factors, rows.start, rows.stop, SPARSE, target):
        gap = np.dot(model_a[:, rows].T / np.float32(len(model_a)), wide(model_b))
        gap -= np.dot(data_a[:, rows].T / np.float32(len(data_a)), wide(data_b))
        target[rows] = gap
    if out is None or out is target:
        return target
    out[rows] = target[rows]
    return out


def check_both(data_b: Any, model_b: Any) -> bool:
    """Whether both are rounded matrices; a ShapeError if only one is."""
    both = [isinstance(b, Halves) for b in (data_b, model_b)]
    if both[0] != both[1]:
        raise ShapeError("moment_gap got one matrix in bfloat16 and one that is not")
    return both[0]


@functools.cache
def _kernels() -> Any:
    """The compiled loops, which bring in numba, at their first use."""
    from paysage.backends.cpu import half_kernels

    return half_kernels


def _readable(x: Array) -> bool:
    """Whether the loops can work on the array's own memory."""
    return x.dtype == _SINGLE and x.flags.carray


def _ready(x: Array) -> Array:
    """The array, or a copy that the loops can read."""
    return x if _readable(x) else np.array(x, np.float32, order="C")
