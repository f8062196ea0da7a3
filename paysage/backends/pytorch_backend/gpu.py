"""The fused primitives on the GPU: few PyTorch calls, none of which waits for the device."""

import torch

from paysage.backends.cpu.draws import check_process
from paysage.backends.pytorch_backend import device
from paysage.backends.pytorch_backend.random import gpu_generator
from paysage.backends.pytorch_backend.tensor import Float


def bernoulli_mean(field, loc, beta, out):
    """The logistic function of beta * (field + loc)."""
    out = torch.add(field, loc, out=out)
    if beta is not None:
        out.mul_(beta)
    return out.sigmoid_()


def bernoulli_sample(field, loc, beta, out):
    """Zeros and ones with that mean: p - u lies in (-1, 1], and rounding up keeps NaN."""
    out = bernoulli_mean(field, loc, beta, out)
    # abs makes -0 a plain 0
    return out.sub_(_uniform(out)).ceil_().abs_()


def gaussian_sample(field, loc, log_var, beta, out):
    """Draws of field + loc + sqrt(exp(log_var) / beta) * N(0, 1)."""
    scale = torch.exp(0.5 * log_var)
    if beta is not None:
        scale = scale * beta**-0.5
    noise = torch.empty_like(field).normal_(generator=gpu_generator())
    return torch.add(field, loc, out=out).addcmul_(noise, scale)


def onehot_mean(field, loc, beta, out):
    """The softmax of beta * (field + loc); beta comes last, so that no field overflows."""
    out = torch.add(field, loc, out=out)
    out.sub_(out.amax(1, keepdim=True))
    if beta is not None:
        out.mul_(beta)
    return out.copy_(torch.softmax(out, 1))


def onehot_sample(field, loc, beta, out):
    """Rows of zeros with a single one, drawn with that mean; NaN where there is none."""
    out = onehot_mean(field, loc, beta, out)
    steps = torch.cumsum(out, 1, dtype=torch.float64)
    total = steps[:, -1:]
    level = _uniform(out[:, :1]) * total
    # what a NaN leaves over is no index
    unit = (steps <= level).sum(1, keepdim=True).clamp_(max=out.shape[1] - 1)
    return out.zero_().scatter_(1, unit, 1.0).mul_(total / total)


def _bfloat16_product(a, b, out=None):
    """The product of matrices in bfloat16, in float32."""
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=Float, out=out)
    # PyTorch has this product on CUDA only; that of the same numbers in float32 is the same
    return torch.mm(a.to(Float), b.to(Float), out=out)


def bfloat16_dot(units, matrix, out):
    """The product of units, rounded, with a matrix in bfloat16."""
    return _bfloat16_product(units.to(torch.bfloat16), matrix, out)


def bfloat16_moment_gap(data_a, data_b, model_a, model_b, out, rows):
    """<a b^T>_model - <a b^T>_data in some rows of out, with a rounded and b in bfloat16."""
    part = out[rows]
    for k, (a, b) in enumerate(((model_a, model_b), (data_a, data_b))):
        product = _bfloat16_product(a[:, rows].to(torch.bfloat16).t(), b)
        if k == 0:
            torch.mul(product, 1 / len(a), out=part)
        else:
            part.sub_(product, alpha=1 / len(a))
    return out


def gamma_start(num, std):
    """Start of the autoregressive Gamma process, (num, 1)."""
    check_process(0.0, std)
    ones = torch.ones((num, 1), dtype=Float, device=device.current())
    return ones if std == 0 else _gamma(ones / std**2).mul_(std**2)


def gamma_step_(beta, momentum, std):
    """One step of the autoregressive Gamma process; see `cpu.draws.gamma_step`."""
    check_process(momentum, std)
    if std == 0:
        return beta.fill_(1)
    c = (1 - momentum) * std**2
    z = torch.poisson(beta * (momentum / c), generator=gpu_generator())
    return torch.mul(_gamma(z.add_(1 / std**2)), c, out=beta)


def root_mean_squares_(mean_squares, grads, decay, scale, epsilon):
    """Update running mean squares in place; gives each sqrt(epsilon + scale * mean_square)."""
    torch._foreach_mul_(mean_squares, decay)
    torch._foreach_addcmul_(mean_squares, grads, grads, value=1 - decay)
    roots = torch._foreach_mul(mean_squares, scale)
    torch._foreach_add_(roots, epsilon)
    torch._foreach_sqrt_(roots)
    return roots


def descend_(params, directions, lr, roots=None):
    """In place, each param -= lr * direction / root; roots, of ones by default, are used up.

    lr is a number or a tensor.
    """
    if roots is None:
        torch._foreach_sub_(params, torch._foreach_mul(directions, lr))
    else:
        torch._foreach_div_(roots, lr)
        torch._foreach_addcdiv_(params, directions, roots, value=-1)


def _uniform(x):
    """Numbers in [0, 1), in the shape of x."""
    return torch.empty_like(x).uniform_(generator=gpu_generator())


def _gamma(shapes):
    """Gamma numbers of scale 1."""
    return torch._standard_gamma(shapes, generator=gpu_generator())
