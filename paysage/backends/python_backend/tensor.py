"""Tensors of the Python backend: NumPy arrays made, shaped, reduced and compared."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np

from paysage.backends.conversion import (
    in_single,
    on_host,
    plain_array,
    whole_array,
    without_tensors,
)

EPSILON = float(np.finfo(np.float32).eps)
Float = np.float32
Double = np.float64
Int = np.int32
Long = np.int64
Byte = np.uint8
Tensor = np.ndarray

# From this many elements on, sums of single precision numbers run in double precision. NumPy adds
# the rows of a tall array one after the other, so that the error would grow with their number.
LONG_SUM = 2**18

# --------------------------------------------------------------------- conversion and inspection


def float_scalar(x):
    return Float(x)


def float_tensor(x):
    array = plain_array(x)
    if isinstance(x, np.ndarray) and array.dtype == Float:
        return array
    return in_single(array)


def long_tensor(x):
    return whole_array(x)


def cast_float(x):
    return np.asarray(x, dtype=Float)


def cast_long(x):
    return np.asarray(x).astype(Long, copy=False)


def to_numpy_array(x):
    # of the backend that was in use before, it may be
    return np.asarray(without_tensors(on_host(x)))


def from_numpy_array(x):
    return np.asarray(x)


def copy_tensor(x):
    return np.array(x, order="C")


def is_tensor(x):
    return isinstance(x, Tensor)


def shape(x):
    return np.shape(x)


def ndim(x):
    return np.ndim(x)


def dtype(x):
    return np.asarray(x).dtype


def num_elements(x):
    return int(np.size(x))


def item(x):
    return float(np.asarray(x).item())


def is_finite_all(x):
    return bool(np.isfinite(x).all())


# -------------------------------------------------------------------------------------- creation


def empty(shape):
    return np.empty(shape, dtype=Float)


def empty_like(x):
    return np.empty_like(x, order="C")


def zeros(shape, dtype=None):
    return np.zeros(shape, dtype=Float if dtype is None else dtype)


def zeros_like(x):
    return np.zeros_like(x, order="C")


def ones(shape, dtype=None):
    return np.ones(shape, dtype=Float if dtype is None else dtype)


def ones_like(x):
    return np.ones_like(x, order="C")


def identity(n):
    return np.identity(n, dtype=Float)


def diagonal_matrix(vec):
    return np.diag(vec)


def diag(mat):
    return np.diagonal(mat).copy()


def fill_(x, value):
    x[...] = value
    return x


def fill_diagonal_(mat, value):
    # np.fill_diagonal would go on below the square part of a tall matrix for a vector.
    k = np.arange(min(mat.shape))
    mat[k, k] = value
    return mat


def trange(start, end, step=1, dtype=None):
    # Stepping in double precision: single precision steps would add up their rounding.
    return np.arange(start, end, step, dtype=Double).astype(Float if dtype is None else dtype)


# ----------------------------------------------------------------------------- shape and indexing


def stack(tensors, axis=0):
    return np.stack(tensors, axis=axis)


def hstack(tensors):
    return np.hstack(tensors)


def vstack(tensors):
    return np.vstack(tensors)


def repeat(x, n):
    return np.repeat(x, n)


def broadcast(x, shape):
    return np.broadcast_to(x, getattr(shape, "shape", shape))


def reshape(x, newshape):
    return np.reshape(x, newshape)


def flatten(x):
    return np.reshape(x, -1)


def unsqueeze(x, axis):
    return np.expand_dims(x, axis)


def transpose(x):
    return np.transpose(x)


def index_select(x, indices, dim=0):
    return np.take(x, indices, axis=dim)


def scatter_(x, indices, value):
    x[np.arange(len(x)), indices] = value
    return x


def where(cond, a, b):
    if not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray):
        a, b = Float(a), Float(b)  # two Python numbers would make double precision
    return np.where(cond, a, b)


# ------------------------------------------------------------------------------------- reductions


def _accumulator(x):
    """The dtype to add in: double where the sum is long, or where integers have to be averaged."""
    if x.dtype.kind != "f" or (x.dtype == Float and x.size >= LONG_SUM):
        return Double
    return x.dtype


def _narrow(result, x):
    """The result of a sum in the dtype of its summands; Float for integers and booleans."""
    return result.astype(x.dtype if x.dtype.kind == "f" else Float, copy=False)


def _number(result, axis, keepdims):
    """Return the result of a reduction, as a Python number if it is one over all elements."""
    return result.item() if axis is None and not keepdims else result


def tsum(x, axis=None, keepdims=False):
    if x.dtype.kind != "f":
        return _number(np.sum(x, axis=axis, keepdims=keepdims), axis, keepdims)
    total = np.sum(x, axis=axis, dtype=_accumulator(x), keepdims=keepdims)
    return _number(_narrow(total, x), axis, keepdims)


def mean(x, axis=None, keepdims=False):
    if axis == 0 and not keepdims and x.dtype == Float and 0 < x.size < LONG_SUM:
        total = np.add.reduce(x)  # as np.mean does it, but for what that takes to find out
        total /= x.dtype.type(len(x))
        return total
    average = np.mean(x, axis=axis, dtype=_accumulator(x), keepdims=keepdims)
    return _number(_narrow(average, x), axis, keepdims)


def _variance(x, axis, keepdims):
    """Return the sum of squared deviations over n - 1, in the dtype of x; NaN where n < 2."""
    if (x.size if axis is None else x.shape[axis]) < 2:  # where NumPy would warn
        return _narrow(np.full(np.sum(x, axis=axis, keepdims=keepdims).shape, np.nan), x)
    return _narrow(np.var(x, axis=axis, dtype=_accumulator(x), ddof=1, keepdims=keepdims), x)


def var(x, axis=None, keepdims=False):
    return _number(_variance(x, axis, keepdims), axis, keepdims)


def std(x, axis=None, keepdims=False):
    return _number(np.sqrt(_variance(x, axis, keepdims)), axis, keepdims)


def tprod(x, axis=None, keepdims=False):
    return _number(np.prod(x, axis=axis, keepdims=keepdims), axis, keepdims)


def tmax(x, axis=None, keepdims=False):
    return _number(np.max(x, axis=axis, keepdims=keepdims), axis, keepdims)


def tmin(x, axis=None, keepdims=False):
    return _number(np.min(x, axis=axis, keepdims=keepdims), axis, keepdims)


def argmax(x, axis=None, keepdims=False):
    return _number(np.argmax(x, axis=axis, keepdims=keepdims), axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    return _number(np.argmin(x, axis=axis, keepdims=keepdims), axis, keepdims)


def tany(x, axis=None, keepdims=False):
    return _number(np.any(x, axis=axis, keepdims=keepdims), axis, keepdims)


def tall(x, axis=None, keepdims=False):
    return _number(np.all(x, axis=axis, keepdims=keepdims), axis, keepdims)


def cumsum(x, axis=0):
    if x.dtype.kind != "f":
        return np.cumsum(x, axis=axis)
    return np.cumsum(x, axis=axis, dtype=Double).astype(x.dtype, copy=False)


def sort(x, axis=None):
    return np.sort(x, axis=axis)


def argsort(x, axis=None):
    return np.argsort(x, axis=axis, kind="stable")


# ------------------------------------------------------------------------------------ comparisons


def equal(x, y):
    return np.equal(x, y)


def not_equal(x, y):
    return np.not_equal(x, y)


def greater(x, y):
    return np.greater(x, y)


def greater_equal(x, y):
    return np.greater_equal(x, y)


def lesser(x, y):
    return np.less(x, y)


def lesser_equal(x, y):
    return np.less_equal(x, y)


def allclose(x, y, rtol=1e-5, atol=1e-8):
    return bool(np.allclose(x, y, rtol=rtol, atol=atol))


def logical_not(x):
    return np.logical_not(x)


def logical_and(x, y):
    return np.logical_and(x, y)


def logical_or(x, y):
    return np.logical_or(x, y)
