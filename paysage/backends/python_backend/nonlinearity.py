"""Elementwise functions of the Python backend."""

# ruff: noqa: D103 - the contract documents these functions

import math

import numpy as np

from paysage.backends.python_backend.tensor import EPSILON, Float


def _floating(x):
    """A tensor or scalar of floats as it is; integers, booleans and Python numbers as Float.

    NumPy would answer the latter in double precision, and turn what they touch into it.
    """
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f":
        return x
    return np.asarray(x, dtype=Float)


def _evaluate(ufunc, *args):
    """A ufunc of floats without warnings."""
    with np.errstate(all="ignore"):
        return ufunc(*(_floating(x) for x in args))


# ----------------------------------------------------------------------------------- one argument


def tabs(x):
    return np.abs(x)


def sign(x):
    return np.sign(x)


def tround(x):
    return np.rint(_floating(x))


def tfloor(x):
    return np.floor(_floating(x))


def tceil(x):
    return np.ceil(_floating(x))


def square(x):
    return np.square(x)


def sqrt(x):
    return _evaluate(np.sqrt, x)


def reciprocal(x):
    return _evaluate(np.reciprocal, x)


def exp(x):
    return _evaluate(np.exp, x)


def log(x):
    return _evaluate(np.log, x)


def cos(x):
    return _evaluate(np.cos, x)


def sin(x):
    return _evaluate(np.sin, x)


def tanh(x):
    return _evaluate(np.tanh, x)


def atanh(x):
    return _evaluate(np.arctanh, x)


def cosh(x):
    return _evaluate(np.cosh, x)


def acosh(x):
    return _evaluate(np.arccosh, x)


def expit(x):
    # exp(-x) overflows to infinity below -88, and 1 / infinity is the right answer there.
    return _evaluate(lambda x: np.reciprocal(1 + np.exp(-x)), x)


def logit(p):
    return _evaluate(lambda p: np.log(p) - np.log1p(-p), p)


def softplus(x):
    # log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where the exponential lies in [0, 1].
    return _evaluate(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), x)


def logcosh(x):
    # cosh x = e^|x| (1 + e^-2|x|) / 2
    magnitude = np.abs(_floating(x))
    return magnitude + _evaluate(lambda a: np.log1p(np.exp(-2 * a)), magnitude) - math.log(2)


def normal_pdf(x):
    scale = 1 / math.sqrt(2 * math.pi)
    return _evaluate(lambda x: scale * np.exp(-0.5 * x * x), x)


# --------------------------------------------------------------------------------- more arguments


def softmax(x, axis=-1):
    x = _floating(x)
    weights = _evaluate(np.exp, x - np.max(x, axis=axis, keepdims=True))
    return weights / np.sum(weights, axis=axis, keepdims=True)


def logaddexp(x, y):
    # np.logaddexp is not vectorized. Equal infinities have no difference, but it counts as 0.
    with np.errstate(all="ignore"):
        x, y = _floating(x), _floating(y)
        gap = np.where(x == y, Float(0), np.abs(x - y))
        return np.maximum(x, y) + np.log1p(np.exp(-gap))


def tpow(x, a):
    with np.errstate(all="ignore"):
        return _floating(x) ** a


def maximum(x, y):
    return np.maximum(x, y)


def minimum(x, y):
    return np.minimum(x, y)


def _limit(x, a_min, a_max, out=None):
    """np.clip, which before NumPy 2.1 refused to have no bound at all."""
    if a_min is None and a_max is None:
        return np.array(x) if out is None else out
    return np.clip(x, a_min, a_max, out=out)


def clip(x, a_min=None, a_max=None):
    return _limit(x, a_min, a_max)


def clip_(x, a_min=None, a_max=None):
    return _limit(x, a_min, a_max, out=x)


def tclip(x, a_min=None, a_max=None):
    return _limit(x, a_min, a_max)


def tclip_(x, a_min=None, a_max=None):
    return _limit(x, a_min, a_max, out=x)


def mix(w, x, y):
    return w * x + (1 - w) * y


def mix_(w, x, y):
    x *= w
    x += (1 - w) * y
    return x


def square_mix_(w, x, y):
    x *= w
    x += (1 - w) * np.square(y)
    return x


def sqrt_div(x, y):
    return x / np.sqrt(EPSILON + y)
