"""Tensors of the PyTorch backend: made, shaped, reduced and compared."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np
import torch

from paysage.backends.conversion import in_single, plain_array, whole_array, without_tensors
from paysage.backends.pytorch_backend import device
from paysage.errors import DataError

EPSILON = float(torch.finfo(torch.float32).eps)
Float = torch.float32
Double = torch.float64
Int = torch.int32
Long = torch.int64
Byte = torch.uint8
Tensor = torch.Tensor

CONTIGUOUS = torch.contiguous_format

# --------------------------------------------------------------------- conversion and inspection


def float_scalar(x):
    return torch.tensor(float(x), dtype=Float, device=device.current())


def float_tensor(x):
    if isinstance(x, Tensor):
        return _real(x).to(device.current(), Float)
    # Also what has the dtype already is copied: the tensor owns its memory.
    return torch.from_numpy(in_single(plain_array(x))).to(device.current())


def long_tensor(x):
    if isinstance(x, Tensor) and not x.is_floating_point():
        return _real(x).to(device.current(), Long)
    return torch.from_numpy(whole_array(x)).to(device.current())


def _real(x):
    """The tensor without its history; a DataError if it has other than one real number a place."""
    if x.is_complex() or x.layout != torch.strided:
        raise DataError(f"a tensor of {x.dtype} and layout {x.layout} is no table of real numbers")
    return x.detach() if x.requires_grad else x


def cast_float(x):
    return x.to(Float)


def cast_long(x):
    return x.to(Long)


def to_numpy_array(x):
    if isinstance(x, Tensor):
        return x.detach().cpu().numpy()
    return np.asarray(without_tensors(x))


def from_numpy_array(x):
    x = np.asarray(x)
    # PyTorch knows neither read-only memory, nor negative strides, nor foreign byte orders.
    if not x.flags.writeable or not x.dtype.isnative or min(x.strides, default=0) < 0:
        x = np.array(x, dtype=x.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(x).to(device.current())


def copy_tensor(x):
    return x.detach().clone(memory_format=CONTIGUOUS)


def is_tensor(x):
    return isinstance(x, Tensor)


def shape(x):
    return tuple(x.shape) if isinstance(x, Tensor) else np.shape(x)


def ndim(x):
    return len(shape(x))


def dtype(x):
    return x.dtype


def num_elements(x):
    return x.numel()


def item(x):
    return float(x)


def is_finite_all(x):
    x = torch.as_tensor(x).detach()
    if device.on_gpu(x):
        return bool(torch.isfinite(x).all())
    return bool(np.isfinite(x.numpy()).all())  # ten times as fast as PyTorch's


# -------------------------------------------------------------------------------------- creation


def empty(shape):
    return torch.empty(shape, dtype=Float, device=device.current())


def empty_like(x):
    return torch.empty_like(x, memory_format=CONTIGUOUS)


def zeros(shape, dtype=None):
    return torch.zeros(shape, dtype=dtype or Float, device=device.current())


def zeros_like(x):
    return torch.zeros_like(x, memory_format=CONTIGUOUS)


def ones(shape, dtype=None):
    return torch.ones(shape, dtype=dtype or Float, device=device.current())


def ones_like(x):
    return torch.ones_like(x, memory_format=CONTIGUOUS)


def identity(n):
    return torch.eye(n, dtype=Float, device=device.current())


def diagonal_matrix(vec):
    return torch.diag(vec)


def diag(mat):
    return torch.diagonal(mat).clone()


def fill_(x, value):
    return x.fill_(value)


def fill_diagonal_(mat, value):
    diagonal = torch.diagonal(mat)
    if isinstance(value, Tensor):
        diagonal.copy_(value)
    else:
        diagonal.fill_(value)
    return mat


def trange(start, end, step=1, dtype=None):
    # Stepping in double precision: single precision steps would add up their rounding.
    numbers = torch.arange(start, end, step, dtype=Double, device=device.current())
    return numbers.to(dtype or Float)


# ----------------------------------------------------------------------------- shape and indexing


def lengths(shape):
    """A shape as a tuple, also of a single number."""
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)


def stack(tensors, axis=0):
    return torch.stack(tuple(tensors), dim=axis)


def hstack(tensors):
    return torch.hstack(tuple(tensors))


def vstack(tensors):
    return torch.vstack(tuple(tensors))


def repeat(x, n):
    return torch.repeat_interleave(x.reshape(-1), n)


def broadcast(x, shape):
    return torch.broadcast_to(x, lengths(getattr(shape, "shape", shape)))


def reshape(x, newshape):
    return torch.reshape(x, lengths(newshape))


def flatten(x):
    return (x if isinstance(x, Tensor) else float_tensor(x)).reshape(-1)


def unsqueeze(x, axis):
    return torch.unsqueeze(x, axis)


def transpose(x):
    return x.t() if x.ndim <= 2 else x.permute(*reversed(range(x.ndim)))


def index_select(x, indices, dim=0):
    return torch.index_select(x, dim, indices)


def scatter_(x, indices, value):
    # not by indexing, which copies a number to the GPU and waits for it
    if isinstance(value, Tensor):
        value = value.to(x.dtype).reshape(-1, 1).expand(len(x), 1)
    return x.scatter_(1, indices.unsqueeze(1), value)


def where(cond, a, b):
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a, b = float(a), float(b)  # two Python integers would make an integer tensor
    return torch.where(cond, a, b)


# ------------------------------------------------------------------------------------- reductions


def _number(result, axis, keepdims):
    """Return the result of a reduction, as a Python number if it is one over all elements."""
    return result.item() if axis is None and not keepdims else result


def _reduce(function, x, axis, keepdims):
    """A reduction along an axis, or over all elements, by a function that takes only axes."""
    if axis is not None:
        return function(x, axis, keepdims)
    result = function(x.reshape(-1), 0, False)
    return result.reshape((1,) * x.ndim) if keepdims else result.item()


def tensor_of(x):
    """Return a tensor as it is, and a Python number as a 0-dimensional Float tensor."""
    return x if isinstance(x, Tensor) else torch.tensor(x, dtype=Float, device=device.current())


def floating(x):
    """A tensor of floats as it is; integers, booleans and Python numbers as Float."""
    x = tensor_of(x)
    return x if x.is_floating_point() else x.to(Float)


def tsum(x, axis=None, keepdims=False):
    return _number(torch.sum(x, axis, keepdims), axis, keepdims)


def mean(x, axis=None, keepdims=False):
    if x.is_floating_point():
        return _number(torch.mean(x, axis, keepdims), axis, keepdims)
    # Integers above 2^24 have no exact Float.
    return _number(torch.mean(x.to(Double), axis, keepdims).to(Float), axis, keepdims)


def _variance(x, axis, keepdims):
    """Return the sum of squared deviations over n - 1; NaN where n < 2."""
    if not x.is_floating_point():
        return _variance(x.to(Double), axis, keepdims).to(Float)
    if (x.numel() if axis is None else x.shape[axis]) < 2:  # where PyTorch would warn
        return torch.full_like(torch.sum(x, axis, keepdims), torch.nan)
    return torch.var(x, axis, correction=1, keepdim=keepdims)


def var(x, axis=None, keepdims=False):
    return _number(_variance(x, axis, keepdims), axis, keepdims)


def std(x, axis=None, keepdims=False):
    return _number(torch.sqrt(_variance(x, axis, keepdims)), axis, keepdims)


def tprod(x, axis=None, keepdims=False):
    return _reduce(torch.prod, x, axis, keepdims)


def tmax(x, axis=None, keepdims=False):
    return _reduce(torch.amax, x, axis, keepdims)


def tmin(x, axis=None, keepdims=False):
    return _reduce(torch.amin, x, axis, keepdims)


def argmax(x, axis=None, keepdims=False):
    return _reduce(torch.argmax, x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    return _reduce(torch.argmin, x, axis, keepdims)


def tany(x, axis=None, keepdims=False):
    return _reduce(torch.any, x != 0, axis, keepdims)


def tall(x, axis=None, keepdims=False):
    return _reduce(torch.all, x != 0, axis, keepdims)


def cumsum(x, axis=0):
    if not x.is_floating_point():
        return torch.cumsum(x, axis)
    return torch.cumsum(x, axis, dtype=Double).to(x.dtype)


def sort(x, axis=None):
    return torch.sort(x.reshape(-1)).values if axis is None else torch.sort(x, axis).values


def argsort(x, axis=None):
    if axis is None:
        return torch.argsort(x.reshape(-1), stable=True)
    return torch.argsort(x, dim=axis, stable=True)


# ------------------------------------------------------------------------------------ comparisons


def equal(x, y):
    return torch.eq(tensor_of(x), y)


def not_equal(x, y):
    return torch.ne(tensor_of(x), y)


def greater(x, y):
    return torch.gt(tensor_of(x), y)


def greater_equal(x, y):
    return torch.ge(tensor_of(x), y)


def lesser(x, y):
    return torch.lt(tensor_of(x), y)


def lesser_equal(x, y):
    return torch.le(tensor_of(x), y)


def allclose(x, y, rtol=1e-5, atol=1e-8):
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    kind = torch.promote_types(x.dtype, y.dtype) if y.ndim else x.dtype
    y = y.to(x.device, kind)
    return bool(torch.isclose(x.to(kind), y, rtol=rtol, atol=atol).all())


def logical_not(x):
    return torch.logical_not(tensor_of(x))


def logical_and(x, y):
    return torch.logical_and(tensor_of(x), y)


def logical_or(x, y):
    return torch.logical_or(tensor_of(x), y)
