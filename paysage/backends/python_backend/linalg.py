"""Products, statistics and decompositions of the Python backend."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np

from paysage.backends.python_backend.tensor import Double, Float, mean, std, tmax, tmin, tsum
from paysage.errors import DataError, ShapeError

# --------------------------------------------------------------------------------------- products


def dot(a, b, out=None):
    # np.dot hands transposed views to BLAS as they are and copies what BLAS cannot read; it
    # writes to contiguous memory of the product's dtype only, np.matmul anywhere.
    if out is None or (out.flags.c_contiguous and out.dtype == a.dtype == b.dtype):
        return np.dot(a, b, out=out)
    return np.matmul(a, b, out=out)


def outer(a, b):
    return np.outer(a, b)


def batch_dot(vis, W, hid):
    return np.einsum("ij,ij->i", np.dot(vis, W), hid)


def batch_quadratic(vis, W, hid):
    return batch_dot(vis, W, hid)


def batch_outer(vis, hid):
    return np.dot(vis.T, hid)


def affine(a, b, W):
    product = np.dot(W, b)
    return product + a.reshape((-1,) + (1,) * (product.ndim - 1))


def quadratic(a, b, W):
    return np.dot(a, np.dot(W, b))


# ------------------------------------------------------------------------------------- statistics


def norm(x, axis=None, keepdims=False):
    if x.dtype.kind != "f":
        x = x.astype(Float)
    return np.linalg.norm(x, axis=axis, keepdims=keepdims)


def normalize(x):
    return x / tsum(x)


def center(x):
    return x - mean(x, axis=0)


def cov(x, y):
    return np.dot(center(x).T, center(y)) / len(x)


def corr(x, y):
    scale_x, scale_y = _scale(x), _scale(y)
    return cov(x, y) / np.outer(scale_x, scale_y)


def _scale(x):
    """The columns' standard deviations, infinite where a column is constant.

    The deviation of a constant column need not come out as zero: its mean is rounded.
    """
    return np.where(tmax(x, axis=0) == tmin(x, axis=0), Float(np.inf), std(x, axis=0))


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
    return np.linalg.slogdet(_square(mat, "logdet"))[1].astype(mat.dtype)


def _square(mat, name):
    """A square matrix in double precision."""
    if mat.ndim != 2 or mat.shape[0] != mat.shape[1]:
        raise ShapeError(f"{name} got shape {mat.shape}, expected a square matrix (n, n)")
    return mat.astype(Double)
