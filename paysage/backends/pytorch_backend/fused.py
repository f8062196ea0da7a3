"""Fused primitives of the PyTorch backend: the CPU's compiled loops, or PyTorch on the GPU.

On the GPU nothing here waits for the device, so that a training step can be captured as a graph:
learning rates may be 0-dimensional tensors there, and what is drawn comes from one generator.
"""

# ruff: noqa: D103 - the contract documents these functions

import torch

from paysage.backends.cpu import draws, halves, products
from paysage.backends.cpu import fused as cpu
from paysage.backends.generator import active_generator
from paysage.backends.pytorch_backend import device, gpu
from paysage.backends.pytorch_backend.device import gpu_chosen, on_gpu
from paysage.backends.pytorch_backend.tensor import CONTIGUOUS, Float, Tensor, floating


def _array(x):
    """A NumPy view of a CPU tensor's memory; None and numbers as they are."""
    if not isinstance(x, Tensor):
        return x
    return x.detach().numpy() if x.requires_grad else x.numpy()


def _output(field, out):
    """The tensor to write: floats, whatever the field is."""
    if out is not None:
        return out
    kind = field.dtype if field.is_floating_point() else Float
    return torch.empty_like(field, dtype=kind, memory_format=CONTIGUOUS)


# ------------------------------------------------------------------------------------- unit layers


def bernoulli_mean(field, loc, beta=None, out=None):
    if on_gpu(field):
        return gpu.bernoulli_mean(field, loc, beta, out)
    out = _output(field, out)
    cpu.bernoulli_mean(_array(field), _array(loc), _array(beta), _array(out))
    return out


def bernoulli_sample(field, loc, beta=None, out=None):
    if on_gpu(field):
        return gpu.bernoulli_sample(field, loc, beta, out)
    out = _output(field, out)
    cpu.bernoulli_sample(active_generator(), _array(field), _array(loc), _array(beta), _array(out))
    return out


def gaussian_sample(field, loc, log_var, beta=None, out=None):
    if on_gpu(field):
        return gpu.gaussian_sample(field, loc, log_var, beta, out)
    out = _output(field, out)
    arrays = (_array(x) for x in (field, loc, log_var, beta, out))
    cpu.gaussian_sample(active_generator(), *arrays)
    return out


def onehot_mean(field, loc, beta=None, out=None):
    if on_gpu(field):
        return gpu.onehot_mean(field, loc, beta, out)
    out = _output(field, out)
    cpu.onehot_mean(_array(field), _array(loc), _array(beta), _array(out))
    return out


def onehot_sample(field, loc, beta=None, out=None):
    if on_gpu(field):
        return gpu.onehot_sample(field, loc, beta, out)
    out = _output(field, out)
    cpu.onehot_sample(active_generator(), _array(field), _array(loc), _array(beta), _array(out))
    return out


def units_dot(units, matrix, out=None):
    products.check_product(units, matrix, out)
    if isinstance(matrix, halves.Halves):
        result = halves.dot(_array(units), matrix, _array(out))
        return torch.from_numpy(result) if out is None else out
    if matrix.dtype == torch.bfloat16:
        return gpu.bfloat16_dot(units, matrix, out)
    if out is None:
        out = torch.empty((len(units), matrix.shape[1]), dtype=units.dtype, device=units.device)
    if on_gpu(units) or not products.fast_dot(_array(units), _array(matrix), _array(out)):
        torch.mm(units, matrix, out=out)
    return out


def has_bfloat16():
    if device.current().type != "cuda":
        return True
    return torch.cuda.is_bf16_supported(including_emulation=False)


def bfloat16_zeros(shape):
    if gpu_chosen():
        return torch.zeros(shape, dtype=torch.bfloat16, device=device.current())
    return halves.Halves(shape)


def to_bfloat16_(out, x, part=None):
    if isinstance(out, halves.Halves):
        halves.write(out, _array(x), part)
    else:
        rows = products.span(part, len(out))
        out[rows] = x[rows]
    return out


def to_bfloat16_transposed_(out, x, part=None):
    if isinstance(out, halves.Halves):
        halves.write_transposed(out, _array(x), part)
        return out
    return to_bfloat16_(out, x.t(), part)


def write_transposed(matrix, out, part=None):
    if on_gpu(out):
        rows = products.span(part, len(matrix))
        out[:, rows] = matrix[rows].t()
    else:
        products.write_transposed(_array(matrix), _array(out), part)
    return out


def add_outer_(out, a, b, weight=1.0, part=None):
    if on_gpu(out):
        rows = products.span(part, len(a))
        out[rows].addr_(a[rows], b, alpha=weight)
    else:
        products.add_outer(_array(out), _array(a), _array(b), weight, part)
    return out


def moment_gap(data_a, data_b, model_a, model_b, out=None, scratch=None, part=None):
    # The product accumulates into its output: there is no need for `scratch`.
    products.check_moments(data_a, data_b, model_a, model_b, out)
    data_a, model_a = floating(data_a), floating(model_a)
    if out is None:
        out = torch.empty(
            (model_a.shape[1], model_b.shape[1]), dtype=model_a.dtype, device=model_a.device
        )
    rows = products.span(part, len(out))
    if halves.check_both(data_b, model_b):
        halves.moment_gap(_array(data_a), data_b, _array(model_a), model_b, _array(out), part)
        return out
    if data_b.dtype == torch.bfloat16:
        return gpu.bfloat16_moment_gap(data_a, data_b, model_a, model_b, out, rows)
    data_b, model_b = floating(data_b), floating(model_b)
    phases = ((model_a, model_b, 1 / len(model_a)), (data_a, data_b, -1 / len(data_a)))
    for k, (a, b, weight) in enumerate(phases):
        arrays = () if on_gpu(out) else (_array(a), _array(b), rows, weight, k > 0, _array(out))
        if not arrays or not products.skipped_moments(*arrays):
            out[rows].addmm_(a[:, rows].t(), b, beta=min(k, 1), alpha=weight)
    return out


# ---------------------------------------------------------------------------- inverse temperatures


def beta_process_start(num, std):
    if gpu_chosen():
        return gpu.gamma_start(num, std)
    return torch.from_numpy(draws.gamma_start(active_generator(), num, std))


def beta_process_step_(beta, momentum, std):
    if on_gpu(beta):
        return gpu.gamma_step_(beta, momentum, std)
    return beta.copy_(
        torch.from_numpy(draws.gamma_step(active_generator(), _array(beta), momentum, std))
    )


# --------------------------------------------------------------------------------- optimizer steps


def _cpu_step(name, param, grad, slots, numbers):
    """One of the compiled steps, on views."""
    arrays = [_array(x) for x in slots]
    cpu.optimizer_step(name, _array(param), _array(grad), arrays, [float(x) for x in numbers])
    return param


def _lists(*parts):
    """Each part as a list of tensors."""
    return [part if isinstance(part, list) else [part] for part in parts]


def _for_gpu(param):
    return isinstance(param, list) or on_gpu(param)


def descent_step_(param, grad, lr):
    if not _for_gpu(param):
        return _cpu_step("descent_step", param, grad, (), (lr,))
    params, grads = _lists(param, grad)
    gpu.descend_(params, grads, lr)
    return param


def momentum_step_(param, grad, velocity, lr, momentum):
    if not _for_gpu(param):
        return _cpu_step("momentum_step", param, grad, (velocity,), (lr, momentum))
    params, grads, velocities = _lists(param, grad, velocity)
    torch._foreach_lerp_(velocities, grads, 1 - momentum)
    gpu.descend_(params, velocities, lr)
    return param


def rmsprop_step_(param, grad, mean_square, lr, decay, scale, epsilon):
    if not _for_gpu(param):
        return _cpu_step("rmsprop_step", param, grad, (mean_square,), (lr, decay, scale, epsilon))
    params, grads, squares = _lists(param, grad, mean_square)
    gpu.descend_(params, grads, lr, gpu.root_mean_squares_(squares, grads, decay, scale, epsilon))
    return param


def adam_step_(
    param, grad, mean, mean_square, lr, beta1, beta2, mean_scale, mean_square_scale, epsilon
):
    if not _for_gpu(param):
        numbers = (lr, beta1, beta2, mean_scale, mean_square_scale, epsilon)
        return _cpu_step("adam_step", param, grad, (mean, mean_square), numbers)
    params, grads, means, squares = _lists(param, grad, mean, mean_square)
    torch._foreach_lerp_(means, grads, 1 - beta1)
    roots = gpu.root_mean_squares_(squares, grads, beta2, mean_square_scale, epsilon)
    gpu.descend_(params, means, lr * mean_scale, roots)
    return param
