"""The doors to the compiled loops: shapes are checked, and what the loops cannot read is copied.

The loops read and write contiguous, writable float32 memory without looking at its bounds. Fields
in double precision take plain NumPy instead, and keep their precision.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from paysage.backends.cpu import draws, products
from paysage.backends.generator import Generator
from paysage.errors import ShapeError
from paysage.threads import in_pieces

Array = np.ndarray

#: multiplications of a matrix product that take as long as one draw
COST_OF_DRAW = 60

_SINGLE = np.dtype(np.float32)
_ONE = np.ones(1, np.float32)


def bernoulli_mean(field: Array, loc: Array, beta: Any, out: Array | None) -> Array:
    """The logistic function of beta * (field + loc): (B, n), (n,), (B, 1) or a number or None."""
    _check_layer(field, out, loc)
    if field.dtype == np.float64:
        return _write(out, _double_mean(field, loc, beta))
    from paysage.backends.cpu import kernels

    target = _target(field, out)
    kernels.bernoulli_mean(_ready(field), _ready(loc), _column(beta, field), target)
    return _write(out, target)


def bernoulli_sample(
    generator: Generator, field: Array, loc: Array, beta: Any, out: Array | None
) -> Array:
    """Zeros and ones with that mean."""
    _check_layer(field, out, loc)
    if field.dtype == np.float64:
        mean = _double_mean(field, loc, beta)
        draws = (generator.uniform(field.shape) < mean).astype(mean.dtype)
        return _write(out, np.where(np.isnan(mean), mean, draws))
    from paysage.backends.cpu import kernels

    beta, target = _column(beta, field), _target(field, out)
    key, counter = generator.take(field.size)
    ready, loc, width = _ready(field), _ready(loc), field.shape[1]

    def some(part: slice) -> None:
        first = counter + np.uint64(part.start * width)  # wraps around, as the counter does
        cold = beta if beta.size == 1 else beta[part]
        kernels.bernoulli_sample(key, first, ready[part], loc, cold, target[part])

    in_pieces(some, len(field), COST_OF_DRAW * field.size)
    return _write(out, target)


def gaussian_sample(
    generator: Generator, field: Array, loc: Array, log_var: Array, beta: Any, out: Array | None
) -> Array:
    """Draws of field + loc + sqrt(exp(log_var) / beta) * N(0, 1)."""
    _check_layer(field, out, loc, log_var)
    with np.errstate(all="ignore"):
        scale = np.exp(log_var * 0.5)
        if field.dtype == np.float64:
            scale = scale / np.sqrt(_column(beta, field).reshape(-1, 1))
            return _write(out, field + loc + scale * generator.normal(field.shape))
    from paysage.backends.cpu import kernels

    beta, target = _column(beta, field), _target(field, out)
    key, counter = generator.take(field.size)
    kernels.gaussian_sample(key, counter, _ready(field), _ready(loc), _ready(scale), beta, target)
    return _write(out, target)


def onehot_mean(field: Array, loc: Array, beta: Any, out: Array | None) -> Array:
    """The softmax of beta * (field + loc): shapes as in `bernoulli_mean`, n at least one."""
    _check_onehot(field, out, loc)
    if field.dtype == np.float64:
        weights = _double_weights(field, loc, beta)
        return _write(out, weights / weights.sum(axis=1, keepdims=True))
    from paysage.backends.cpu import kernels

    target = _target(field, out)
    kernels.onehot_mean(_ready(field), _ready(loc), _column(beta, field), target)
    return _write(out, target)


def onehot_sample(
    generator: Generator, field: Array, loc: Array, beta: Any, out: Array | None
) -> Array:
    """Rows of zeros with a single one, drawn with that mean."""
    _check_onehot(field, out, loc)
    if field.dtype == np.float64:
        units, valid = draws.weighted_units(generator, _double_weights(field, loc, beta))
        ones = np.arange(field.shape[1]) == units[:, None]
        return _write(out, ones * valid[:, None].astype(field.dtype))
    from paysage.backends.cpu import kernels

    beta, target = _column(beta, field), _target(field, out)
    key, counter = generator.take(len(field))
    kernels.onehot_sample(key, counter, _ready(field), _ready(loc), beta, target)
    return _write(out, target)


def moment_gap(
    data_a: Array,
    data_b: Array,
    model_a: Array,
    model_b: Array,
    out: Array | None,
    scratch: Array | None,
    part: slice | None,
) -> Array:
    """<a b^T>_model - <a b^T>_data: (B, m), (B, n) -> (m, n); B may differ between the two.

    The shapes have been checked.
    """
    shape, kind = (model_a.shape[1], model_b.shape[1]), np.result_type(model_a, model_b, _SINGLE)
    rows = products.span(part, shape[0])
    target, other = _buffer(out, shape, kind), _buffer(scratch, shape, kind)
    phases = ((model_a, model_b, 1 / len(model_a)), (data_a, data_b, -1 / len(data_a)))
    for k, (a, b, weight) in enumerate(phases):
        add = k > 0
        if kind != _SINGLE or not products.skipped_moments(a, b, rows, weight, add, target):
            some, others = (x.astype(kind, copy=False) for x in (a[:, rows], b))
            _dense_moments(some, others, kind.type(weight), add, target[rows], other[rows])
    if out is not None and out is not target:
        out[rows] = target[rows]
    return target if out is None else out


def _dense_moments(
    a: Array, b: Array, weight: Any, add: bool, target: Array, scratch: Array
) -> None:
    """Write weight * a^T b to the target, or add it there by way of the scratch memory."""
    from paysage.backends.cpu import kernels

    if add:
        np.dot(a.T, b, out=scratch)
        kernels.accumulate(target.reshape(-1), weight, scratch.reshape(-1))
    else:
        np.dot(a.T, b, out=target)
        kernels.scale(target.reshape(-1), weight)


def optimizer_step(
    name: str, param: Array, grad: Array, slots: Sequence[Array], numbers: Sequence[Any]
) -> Array:
    """One of the kernels ``*_step`` over all elements; writes param and slots in place.

    Parameters
    ----------
    name : str
        The kernel's.
    param, grad : numpy.ndarray
        Of one shape.
    slots : sequence of numpy.ndarray
        What the rule remembers, in that shape too.
    numbers : sequence of float
        What follows in the kernel's parameters.
    """
    from paysage.backends.cpu import kernels

    for tensor in (grad, *slots):
        if tensor.shape != param.shape:
            raise ShapeError(f"{name} got {tensor.shape} for a parameter of shape {param.shape}")
    tensors = (param, grad, *slots)
    ready = [_ready(tensor, param.dtype) for tensor in tensors]
    kind = param.dtype.type
    kernel, settings = getattr(kernels, name), [kind(x) for x in numbers]
    kernel(*(x.reshape(-1) for x in ready), *settings)
    for tensor, copy in zip(tensors, ready, strict=True):
        if copy is not tensor and tensor is not grad:
            tensor[...] = copy
    return param


# -------------------------------------------------------------------------------------- conversion


def _fits(x: Array, dtype: np.dtype) -> bool:
    """Whether a loop can work on the array's own memory."""
    return x.dtype == dtype and x.flags.carray


def _ready(x: Array, dtype: np.dtype = _SINGLE) -> Array:
    """The array, or a copy that a loop can work on."""
    return x if _fits(x, dtype) else np.array(x, dtype, order="C")


def _target(field: Array, out: Array | None) -> Array:
    """Where a loop may write its result: `out` if that fits."""
    return out if out is not None and _fits(out, _SINGLE) else np.empty(field.shape, _SINGLE)


def _buffer(given: Array | None, shape: tuple[int, int], dtype: np.dtype) -> Array:
    """Where a matrix product may be written."""
    if given is not None and given.shape == shape and _fits(given, dtype):
        return given
    return np.empty(shape, dtype)


def _write(out: Array | None, result: Array) -> Array:
    """The result, in `out` if that was asked for."""
    if out is None or out is result:
        return result
    if out.shape != result.shape:
        raise ShapeError(f"got out of shape {out.shape} for a result of shape {result.shape}")
    out[...] = result
    return out


def _column(beta: Any, field: Array) -> Array:
    """The inverse temperature as a vector of one entry, or of one a row."""
    if beta is None:
        return _ONE
    double = field.dtype == np.float64
    column = _ready(np.asarray(beta), field.dtype if double else _SINGLE).reshape(-1)
    if column.size not in (1, len(field)):
        raise ShapeError(f"got beta of shape {np.shape(beta)}, expected ({len(field)}, 1)")
    return column


def _check_layer(field: Array, out: Array | None, *params: Array) -> None:
    """Refuse what the loops would read or write beyond its end."""
    if field.ndim != 2 or any(param.shape != field.shape[1:] for param in params):
        raise ShapeError(
            f"got a field of shape {field.shape} and parameters of shapes "
            f"{[param.shape for param in params]}, expected (B, n) and (n,)"
        )
    if out is not None and out.shape != field.shape:
        raise ShapeError(f"got out of shape {out.shape} for a field of shape {field.shape}")


def _double_mean(field: Array, loc: Array, beta: Any) -> Array:
    """The logistic function in double precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        return 1 / (1 + np.exp(-_column(beta, field).reshape(-1, 1) * (field + loc)))


def _check_onehot(field: Array, out: Array | None, loc: Array) -> None:
    """As `_check_layer`; of no units none can be on."""
    _check_layer(field, out, loc)
    if field.shape[1] == 0:
        raise ShapeError(f"got a field of shape {field.shape}, expected (B, n) with n > 0")


def _double_weights(field: Array, loc: Array, beta: Any) -> Array:
    """What a softmax is made of, exp(beta * (field + loc)) over its greatest, in each row."""
    with np.errstate(all="ignore"):
        total = field + loc
        away = total - total.max(axis=1, keepdims=True)
        return np.exp(_column(beta, field).reshape(-1, 1) * away)
