"""Products, statistics and decompositions of the Python backend."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np

from paysage.backends.python_backend.tensor import Double, Float, mean, tmax, tmin, tsum
from paysage.errors import DataError, ShapeError

# --------------------------------------------------------------------------------------- products


def dot(a, b, out=None):
    # np.dot hands transposed views to BLAS as they are and copies what BLAS cannot read; it
    # writes to contiguous memory of the product's dtype only, np.matmul anywhere.
    if out is None:
        product = np.dot(a, b)
        return product.item() if product.ndim == 0 else product
    if out.flags.c_contiguous and out.dtype == a.dtype == b.dtype:
        return np.dot(a, b, out=out)
    return np.matmul(a, b, out=out)


def outer(a, b):
    return np.outer(a, b)


def batch_dot(a, b, axis=1):
    return tsum(a * b, axis=axis)


def batch_quadratic(vis, W, hid, axis=1):
    return batch_dot(np.dot(vis, W), hid, axis)


def batch_outer(vis, hid):
    return np.dot(vis.T, hid)


def affine(a, b, W):
    product = np.dot(W, b)
    return product + a.reshape((-1,) + (1,) * (product.ndim - 1))


def quadratic(a, b, W):
    return dot(a, np.dot(W, b))


# ------------------------------------------------------------------------------------- statistics


def norm(x, axis=None, keepdims=False):
    if x.dtype.kind != "f":
        x = x.astype(Float)
    if axis is not None:  # as np.linalg.norm does it, but long sums run in double precision
        return np.sqrt(tsum(np.square(x), axis, keepdims))
    length = np.linalg.norm(x, keepdims=keepdims)
    return length if keepdims else length.item()


def normalize(x):
    return x / tsum(x)


def center(x, axis=0):
    return x - mean(x, axis=axis, keepdims=True)


def cov(x, y):
    with np.errstate(invalid="ignore"):  # NaN for one row
        return np.dot(center(x).T, center(y)) / (len(x) - 1)


def corr(x, y):
    x, y = center(x), center(y)
    return np.dot((x / _length(x)).T, y / _length(y))


def _length(x):
    """The norms of centered columns, infinite where a column was constant.

    The deviations of a constant column need not come out as zero: its mean is rounded.
    """
    return np.where(tmax(x, axis=0) == tmin(x, axis=0), Float(np.inf), np.sqrt(tsum(x * x, axis=0)))


# --------------------------------------------------------------------------------- decompositions


def inv(mat):
    try:
        with np.errstate(over="ignore"):  # infinite where that is beyond the range of the dtype
            return np.linalg.inv(_square(mat, "inv")).astype(mat.dtype)
    except np.linalg.LinAlgError as error:
        raise DataError(f"inv got a singular matrix of shape {mat.shape}") from error


def pinv(mat):
    cutoff = 1e-7 * max(mat.shape)
    return np.linalg.pinv(mat.astype(Double), cutoff).astype(mat.dtype)


def qr(mat):
    q, r = np.linalg.qr(mat)
    return q, r


def svd(mat):
    u, s, vt = np.linalg.svd(mat, full_matrices=False)
    return u, s, vt.T


def matrix_sqrt(mat):
    doubled = _square(mat, "matrix_sqrt")
    values, vectors = np.linalg.eigh((doubled + doubled.T) / 2)
    roots = np.sqrt(np.maximum(values, 0))
    return ((vectors * roots) @ vectors.T).astype(mat.dtype)


def logdet(mat):
    return np.linalg.slogdet(_square(mat, "logdet"))[1].item()


def _square(mat, name):
    """A square matrix in double precision."""
    if mat.ndim != 2 or mat.shape[0] != mat.shape[1]:
        raise ShapeError(f"{name} got shape {mat.shape}, expected a square matrix (n, n)")
    return mat.astype(Double)
