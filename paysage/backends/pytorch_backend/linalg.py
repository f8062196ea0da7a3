"""Products, statistics and decompositions of the PyTorch backend."""

# ruff: noqa: D103 - the contract documents these functions

import torch

from paysage.backends.pytorch_backend.tensor import Double, floating, mean, tmax, tmin, tsum
from paysage.errors import DataError, ShapeError

# --------------------------------------------------------------------------------------- products


def dot(a, b, out=None):
    if a.ndim == 2 and b.ndim == 2:
        return torch.mm(a, b, out=out)
    product = torch.matmul(a, b, out=out)
    return product.item() if product.ndim == 0 and out is None else product


def outer(a, b):
    return torch.outer(a, b)


def batch_dot(a, b, axis=1):
    return tsum(a * b, axis=axis)


def batch_quadratic(vis, W, hid, axis=1):
    return tsum(torch.mm(vis, W).mul_(hid), axis=axis)


def batch_outer(vis, hid):
    return torch.mm(vis.t(), hid)


def affine(a, b, W):
    product = torch.matmul(W, b)
    return product + a.reshape((-1,) + (1,) * (product.ndim - 1))


def quadratic(a, b, W):
    return torch.dot(a, torch.mv(W, b)).item()


# ------------------------------------------------------------------------------------- statistics


def norm(x, axis=None, keepdims=False):
    # torch.linalg.vector_norm of 8 million numbers is off by 2e-4
    length = torch.sqrt(torch.sum(torch.square(floating(x)), axis, keepdims))
    return length.item() if axis is None and not keepdims else length


def normalize(x):
    return x / torch.sum(x)


def center(x, axis=0):
    return x - mean(x, axis=axis, keepdims=True)


def cov(x, y):
    return torch.mm(center(x).t(), center(y)) / (len(x) - 1)


def corr(x, y):
    x, y = center(x), center(y)
    return torch.mm((x / _length(x)).t(), y / _length(y))


def _length(x):
    """The norms of centered columns, infinite where a column was constant.

    The deviations of a constant column need not come out as zero: its mean is rounded.
    """
    return norm(x, axis=0).masked_fill(tmax(x, axis=0) == tmin(x, axis=0), torch.inf)


# --------------------------------------------------------------------------------- decompositions


def inv(mat):
    try:
        return torch.linalg.inv(_square(mat, "inv")).to(mat.dtype)
    except torch.linalg.LinAlgError as error:
        raise DataError(f"inv got a singular matrix of shape {tuple(mat.shape)}") from error


def pinv(mat):
    cutoff = 1e-7 * max(mat.shape)
    return torch.linalg.pinv(mat.to(Double), rtol=cutoff).to(mat.dtype)


def qr(mat):
    q, r = torch.linalg.qr(mat)
    return q, r


def svd(mat):
    u, s, vt = torch.linalg.svd(mat, full_matrices=False)
    return u, s, vt.t()


def matrix_sqrt(mat):
    doubled = _square(mat, "matrix_sqrt")
    values, vectors = torch.linalg.eigh((doubled + doubled.t()) / 2)
    roots = values.clamp(min=0).sqrt()
    return ((vectors * roots) @ vectors.t()).to(mat.dtype)


def logdet(mat):
    return torch.linalg.slogdet(_square(mat, "logdet"))[1].item()


def _square(mat, name):
    """A square matrix in double precision."""
    if mat.ndim != 2 or mat.shape[0] != mat.shape[1]:
        raise ShapeError(f"{name} got shape {tuple(mat.shape)}, expected a square matrix (n, n)")
    return mat.to(Double)
