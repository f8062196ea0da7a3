"""Elementwise functions of the PyTorch backend."""

# ruff: noqa: D103 - the contract documents these functions

import math

import torch

from paysage.backends.pytorch_backend.tensor import EPSILON, Tensor, floating, tensor_of

# ----------------------------------------------------------------------------------- one argument


def tabs(x):
    return torch.abs(tensor_of(x))


def sign(x):
    # torch.sign calls NaN zero.
    x = tensor_of(x)
    return torch.where(x != x, x, torch.sign(x)) if x.is_floating_point() else torch.sign(x)


def tround(x):
    return torch.round(floating(x))


def tfloor(x):
    return torch.floor(floating(x))


def tceil(x):
    return torch.ceil(floating(x))


def square(x):
    return torch.square(tensor_of(x))


def sqrt(x):
    return torch.sqrt(floating(x))


def reciprocal(x):
    return torch.reciprocal(floating(x))


def exp(x):
    return torch.exp(floating(x))


def log(x):
    return torch.log(floating(x))


def cos(x):
    return torch.cos(floating(x))


def sin(x):
    return torch.sin(floating(x))


def tanh(x):
    return torch.tanh(floating(x))


def atanh(x):
    return torch.atanh(floating(x))


def cosh(x):
    return torch.cosh(floating(x))


def acosh(x):
    return torch.acosh(floating(x))


def expit(x):
    return torch.sigmoid(floating(x))


def logit(p):
    p = floating(p)
    return torch.log(p) - torch.log1p(-p)


def softplus(x):
    # torch.nn.functional.softplus gives x itself above 20: not enough for double precision.
    x = floating(x)
    return torch.logaddexp(x, x.new_zeros(()))


def logcosh(x):
    # cosh x = e^|x| (1 + e^-2|x|) / 2
    magnitude = torch.abs(floating(x))
    return magnitude + torch.log1p(torch.exp(-2 * magnitude)) - math.log(2)


def normal_pdf(x):
    x = floating(x)
    return torch.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


# --------------------------------------------------------------------------------- more arguments


def _like(x, y):
    """A number as a tensor of the other argument's dtype and device; a tensor as it is."""
    return y if isinstance(y, Tensor) else torch.tensor(y, dtype=x.dtype, device=x.device)


def softmax(x, axis=-1):
    return torch.softmax(floating(x), axis)


def logaddexp(x, y):
    x = floating(x)
    return torch.logaddexp(x, floating(_like(x, y)))


def tpow(x, a):
    return torch.pow(floating(x), a)


def maximum(x, y):
    x = tensor_of(x)
    return torch.maximum(x, y) if isinstance(y, Tensor) else torch.clamp(x, min=y)


def minimum(x, y):
    x = tensor_of(x)
    return torch.minimum(x, y) if isinstance(y, Tensor) else torch.clamp(x, max=y)


def clip(x, a_min=None, a_max=None):
    x = tensor_of(x)
    if a_min is None and a_max is None:
        return x.clone()
    return torch.clamp(x, a_min, a_max)


def clip_(x, a_min=None, a_max=None):
    return x if a_min is None and a_max is None else x.clamp_(a_min, a_max)


def tclip(x, a_min=None, a_max=None):
    return tclip_(tensor_of(x).clone(), a_min, a_max)


def tclip_(x, a_min=None, a_max=None):
    # Two steps: PyTorch does not take a tensor and a number together.
    if a_min is not None:
        x.clamp_(min=a_min)
    if a_max is not None:
        x.clamp_(max=a_max)
    return x


def mix(w, x, y):
    return w * x + (1 - w) * y


def mix_(w, x, y):
    return x.mul_(w).add_((1 - w) * y)


def square_mix_(w, x, y):
    return x.mul_(w).add_((1 - w) * torch.square(y))


def sqrt_div(x, y):
    return x / torch.sqrt(EPSILON + y)
